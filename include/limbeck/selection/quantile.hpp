#ifndef LIMBECK_SELECTION_QUANTILE_HPP
#define LIMBECK_SELECTION_QUANTILE_HPP

/// @file
/// Quantiles with linear interpolation, as `numpy.quantile` and `torch.quantile` take them by default.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/quantile.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/scratch.hpp>
#include <limbeck/ranks/order_statistics.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// @throws value_error where @p q is no fraction.
inline void check_fraction(const char* name, double q) {
  if (!(q >= 0 && q <= 1))
    raise<value_error>(std::string("limbeck: ") + name + " is " + show(q) + ", expected a fraction in [0, 1]");
}

/// The numbers of @p x whose @p used is not 0 (all of them where it is not given), copied.
inline std::span<double> copy_used(const any_vector& x, const any_vector& used, scratch& memory) {
  if (!used.empty() && used.size() != x.size()) throw_length("used", used.size(), x.size());
  const std::span<double> copy = memory.take<double>(x.size());
  std::size_t n = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!used.empty() && used.number(i) == 0) continue;
    const double value = x.number(i);
    if (value != value) raise<value_error>("limbeck: the value at position " + std::to_string(i) + " is nan");
    copy[n++] = value;
  }
  if (n == 0) raise<shape_error>("limbeck: a quantile of no values");
  return copy.first(n);
}

inline double quantile(const any_vector& x, double q, const any_vector& used, workspace& ws) {
  check_fraction("q", q);
  scratch memory(ws);
  return quantile_in_place(copy_used(x, used, memory), q);
}

}  // namespace detail

/// The value below which a fraction @p q of @p values (any vector of numbers) lies: with place = q (n - 1), the line
/// between the sorted values at floor(place) and the next. Beside an infinite value, that value. O(n), and allocates
/// nothing once @p ws has grown.
/// @throws value_error where q is not in [0, 1] or a value is NaN, shape_error where there is none.
template <detail::sized_memory V>
double quantile(const V& values, double q, workspace& ws) {
  return detail::quantile(detail::view_vector(values), q, {}, ws);
}
/// The same with memory of its own.
template <detail::sized_memory V>
double quantile(const V& values, double q) {
  workspace ws;
  return quantile(values, q, ws);
}

/// The same of the numbers of all ranks, each with any of them, also none; their order is that of no rank. A message of 2 KiB to each for
/// every 8 bits of a number, 12 in all; 8 bytes a number.
/// @throws (on all ranks) as quantile(), also where q is not the same on all.
template <communicator C, detail::sized_memory V>
double quantile(const C& comm, const V& values, double q) {
  return detail::quantile(comm, detail::view_vector(values), q, {});
}

/// @cond
namespace detail {
template <class Mask>
void check_mask(const Mask& mask, const any_vector& x) {
  if (static_cast<std::size_t>(mask.size()) != x.size()) throw_length("mask", static_cast<std::size_t>(mask.size()), x.size());
}
/// Where @p x is at least @p threshold.
template <class Mask>
std::size_t mask_from(double threshold, const any_vector& x, const any_vector& used, Mask& mask) {
  const auto out = vector_memory(mask);
  using M = std::remove_cvref_t<decltype(*out.data)>;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool keep = (used.empty() || used.number(i) != 0) && x.number(i) >= threshold;
    out.data[static_cast<std::ptrdiff_t>(i) * out.stride] = keep ? M(1) : M(0);
    kept += keep;
  }
  return kept;
}
template <class Mask>
std::size_t quantile_mask(const any_vector& x, double q, const any_vector& used, Mask& mask, workspace& ws) {
  check_mask(mask, x);
  return mask_from(quantile(x, q, used, ws), x, used, mask);
}
template <class C, class Mask>
std::size_t quantile_mask_over_ranks(const C& comm, const any_vector& x, double q, const any_vector& used, Mask& mask) {
  agree(comm, [&] { check_mask(mask, x); });
  return all_reduce_sum(comm, mask_from(quantile(comm, x, q, used), x, used, mask));
}
}  // namespace detail
/// @endcond

/// mask_i = 1 where values_i >= quantile(values, q), else 0; returns how many are 1. With ties more than a fraction 1 -
/// q may be. @p mask is any vector of numbers of the same length: row weights of an objective. @throws as quantile().
template <detail::sized_memory Values, detail::sized_memory Mask>
std::size_t quantile_mask(const Values& values, double q, Mask&& mask, workspace& ws) {
  return detail::quantile_mask(detail::view_vector(values), q, {}, mask, ws);
}
/// The same among the places where @p used is not 0; the others get 0 and enter no quantile: padding, ignored labels.
template <detail::sized_memory Values, detail::sized_memory Used, detail::sized_memory Mask>
std::size_t quantile_mask(const Values& values, double q, const Used& used, Mask&& mask, workspace& ws) {
  return detail::quantile_mask(detail::view_vector(values), q, detail::view_vector(used), mask, ws);
}
/// The same by the quantile of all ranks' values, each with a mask of its own; returns how many are 1 on all ranks together.
template <communicator C, detail::sized_memory Values, detail::sized_memory Mask>
std::size_t quantile_mask(const C& comm, const Values& values, double q, Mask&& mask) {
  return detail::quantile_mask_over_ranks(comm, detail::view_vector(values), q, {}, mask);
}
/// The same.
template <communicator C, detail::sized_memory Values, detail::sized_memory Used, detail::sized_memory Mask>
std::size_t quantile_mask(const C& comm, const Values& values, double q, const Used& used, Mask&& mask) {
  return detail::quantile_mask_over_ranks(comm, detail::view_vector(values), q, detail::view_vector(used), mask);
}

LIMBECK_END_NAMESPACE

#endif
