#ifndef LIMBECK_DIFFUSION_PROGRESSIVE_HPP
#define LIMBECK_DIFFUSION_PROGRESSIVE_HPP

/// @file
/// Two steps in one.

#include <limbeck/diffusion/steps.hpp>

#include <utility>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class Levels, class To>
struct clean_between_numbers {
  Levels at;
  To to;
  LIMBECK_HOST_DEVICE team_array<double, 2> operator()(std::size_t row, double) const {
    const noise_level l = at(row), there = to(row);
    const double kept = there.noise / l.noise, by = 1 / (there.signal - kept * l.signal);
    return {{by, -by * kept}};
  }
};

}  // namespace detail

/// The clean sample with which one step of DDIM from z_t arrives at z_s: (z_s - (s'/s) z_t)/(a' - (s'/s) a).
///
/// @param arrived z_s, where several steps of the teacher arrived: a `teacher_segment` of two
/// @param noisy z_t, where they began, samples x dimensions
/// @param at,to the levels of both
/// It is the target of progressive distillation, held fixed: `mse` against it of the student's clean sample, weighed by max(1, a^2/s^2) in
/// the paper. Where @p to has no noise it is z_s/a'. O(samples x dimensions).
/// @throws shape_error where shapes differ or there is not one time a row. A row that goes nowhere is not finite.
///
/// Salimans and Ho, Progressive Distillation for Fast Sampling of Diffusion Models, 2022, arXiv:2202.00512, algorithm 2, and its code.
template <class Z, class X, row_levels L, row_levels To>
auto clean_between(Z&& arrived, X&& noisy, const L& at, const To& to) {
  return detail::checked_step(at, to, detail::combined("the samples of clean_between", detail::clean_between_numbers<L, To>{at, to},
                                                       std::forward<Z>(arrived), std::forward<X>(noisy)));
}

LIMBECK_END_NAMESPACE

#endif
