#ifndef LIMBECK_LOSS_FEATURES_HARD_QUANTILE_HPP
#define LIMBECK_LOSS_FEATURES_HARD_QUANTILE_HPP

/// @file
/// The two feature losses of EfficientAD: the hardest squared errors only, and a student silent off its domain.

#include <limbeck/core/quantile.hpp>
#include <limbeck/loss/support.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class T>
struct squared_errors_of_row {
  rows<const T> s, t;
  T* errors;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    for_own<T>(team, s.classes, [&](std::size_t c) {
      const T d = s(r, c) - t(r, c);
      errors[r * s.classes + c] = d * d;
    });
  }
};
/// As `quantile_in_place`, of sorted numbers.
template <class T>
struct take_quantile {
  const T* sorted;
  std::size_t n;
  double p;
  T* out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (team.rank() == 0) *out = quantile_of_sorted(sorted, n, p);
  }
};
/// The sum of the errors of a row that reach the threshold, and their number.
template <class T>
struct hard_errors_of_row {
  rows<const T> s, t;
  const T* threshold;
  double* kept;
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r) const {
    const T least = *threshold;
    team_array<double, 2> sums{};
    for_own<T>(team, s.classes, [&](std::size_t c) {
      const T d = s(r, c) - t(r, c);
      if (d * d < least) return;
      sums.v[0] += static_cast<double>(d * d);
      sums.v[1] += 1;
    });
    sums = team.sum(sums);
    if (team.rank() == 0) kept[r] = sums.v[1];
    return sums.v[0];
  }
};
template <class T>
struct hard_slopes_of_row {
  rows<const T> s, t;
  rows<T> gradient;
  const T* threshold;
  const double* count;
  double scale;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    const T least = *threshold, slope = static_cast<T>(scale / *count);
    add_to_row(team, gradient, r, [&](std::size_t c) {
      const T d = s(r, c) - t(r, c);
      return d * d < least ? T(0) : slope * d;
    });
  }
};
struct quotient {
  const double *a, *b;
  double* out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (team.rank() == 0) *out = *a / *b;
  }
};
template <class T>
struct penalty_of_row {
  rows<const T> s;
  rows<T> gradient;
  T slope;
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r) const {
    const T* const a = s.row(r);
    const double value = sum_own<T, double>(team, s.classes, [&](std::size_t c) {
      return static_cast<double>(a[c]) * static_cast<double>(a[c]);
    });
    if (gradient.data) add_to_row(team, gradient, r, [&](std::size_t c) { return slope * a[c]; });
    return value;
  }
};

}  // namespace detail

/// The mean of the squared errors (s - t)^2 that reach their own quantile `p_hard`, over all samples and features at
/// once.
///
/// The quantile interpolates linearly between neighbours (as torch.quantile) and is held fixed in the gradient, which
/// is 2 (s - t)/(number kept) on what is kept and 0 elsewhere. With p_hard = 0 it is the mean squared error. The
/// teacher's features are normalised a channel beforehand, over the training set. O(samples x width), one copy of the
/// errors; the search for the quantile runs on one thread.
/// @throws shape_error where the widths differ; value_error where a feature is not finite, or p_hard not in [0, 1].
///
/// Batzner, Heckler and Koenig, EfficientAD, 2024, arXiv:2303.14535. The authors published no code; the two
/// reimplementations in use (nelson1425's and anomalib's) agree.
struct hard_quantile {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;
  double p_hard = 0.999;  ///< what part is left out

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    detail::check_widths(x, "hard_quantile");
    if (!(p_hard >= 0 && p_hard <= 1))
      raise<value_error>("limbeck: hard_quantile.p_hard is " + detail::show(p_hard) + ", expected 0 to 1");
    if constexpr (batch<T, Memory>::on_host) {
      detail::check_finite(x, x.student, "student");
      detail::check_finite(x, x.teacher, "teacher");
    }
    const std::size_t width = x.student.classes, n = x.samples() * width;
    if (n == 0) return 0;
    const std::span<T> errors = x.memory.template take<T>(n);
    x.each_row(x.samples(), width, detail::squared_errors_of_row<T>{x.student, x.teacher, errors.data()});
    T* const threshold = x.memory.template take<T>(1).data();
    if constexpr (batch<T, Memory>::on_host) {
      *threshold = detail::quantile_in_place(errors, p_hard);  // the errors are in another order now
    } else {
      const T* const sorted = batch_memory<Memory>::sorted(x, errors);
      x.each_row(1, 1, detail::take_quantile<T>{sorted, n, p_hard, threshold});
    }
    const std::span<double> kept = x.memory.template take<double>(x.samples());
    const double* const total =
        x.sum_rows(width, detail::hard_errors_of_row<T>{x.student, x.teacher, threshold, kept.data()});
    const double* const count = x.add_up(kept);
    if (x.wants_gradient())
      x.each_row(x.samples(), width,
                 detail::hard_slopes_of_row<T>{x.student, x.teacher, x.gradient, threshold, count,
                                               2 * static_cast<double>(x.scale)});
    double* const mean_error = x.memory.template take<double>(1).data();
    x.each_row(1, 1, detail::quotient{total, count, mean_error});
    return detail::with_teacher(*this, x, detail::finite(x, 1, mean_error));
  }
};

/// The mean of s^2 over samples and features: on images of another domain, keeps the student from imitating the teacher
/// there. Needs no teacher. @throws value_error where a feature is not finite.
///
/// Batzner, Heckler and Koenig, 2024, arXiv:2303.14535 (with images from ImageNet).
struct out_of_domain_penalty {
  using limbeck_loss = batchwise;
  static constexpr bool needs_teacher = false;
  static constexpr bool any_width = true;

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    const std::size_t n = x.samples() * x.student.classes;
    if (n == 0) return 0;
    const T slope = static_cast<T>(2 * static_cast<double>(x.scale) / static_cast<double>(n));
    const rows<const T> s = detail::contiguous(x, x.student);
    return detail::finite_mean(x, x.sum_rows(s.classes, detail::penalty_of_row<T>{s, x.gradient, slope}), n);
  }
};

LIMBECK_END_NAMESPACE

#endif
