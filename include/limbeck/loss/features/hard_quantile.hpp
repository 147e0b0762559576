#ifndef LIMBECK_LOSS_FEATURES_HARD_QUANTILE_HPP
#define LIMBECK_LOSS_FEATURES_HARD_QUANTILE_HPP

/// @file
/// The two feature losses of EfficientAD: the hardest squared errors only, and a student silent off its domain.

#include <limbeck/core/quantile.hpp>
#include <limbeck/loss/support.hpp>

LIMBECK_BEGIN_NAMESPACE

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
  static constexpr bool any_width = true;
  double p_hard = 0.999;  ///< what part is left out

  template <class T>
  double operator()(const batch<T>& x) const {
    detail::check_widths(x, "hard_quantile");
    if (!(p_hard >= 0 && p_hard <= 1))
      raise<value_error>("limbeck: hard_quantile.p_hard is " + detail::show(p_hard) + ", expected 0 to 1");
    detail::check_finite(x, x.student, "student");
    detail::check_finite(x, x.teacher, "teacher");
    const std::size_t width = x.student.classes, n = x.samples() * width;
    if (n == 0) return 0;
    const std::span<T> errors = x.memory.template take<T>(n);
    x.on(x.samples(), [&](std::size_t r, std::size_t) {
      for (std::size_t c = 0; c < width; ++c) {
        const T d = x.student(r, c) - x.teacher(r, c);
        errors[r * width + c] = d * d;
      }
    });
    const T threshold = detail::quantile_in_place(errors, p_hard);  // the errors are in another order now

    const std::span<std::size_t> kept = x.memory.template take<std::size_t>(x.samples());
    const double total = detail::sum_rows(x, [&](std::size_t r, std::size_t) {
      double value = 0;
      kept[r] = 0;
      for (std::size_t c = 0; c < width; ++c) {
        const T d = x.student(r, c) - x.teacher(r, c);
        if (d * d < threshold) continue;
        value += static_cast<double>(d * d);
        ++kept[r];
      }
      return value;
    });
    std::size_t count = 0;
    for (const std::size_t k : kept) count += k;
    if (x.wants_gradient()) {
      const T slope = static_cast<T>(2 * static_cast<double>(x.scale) / static_cast<double>(count));
      x.on(x.samples(), [&](std::size_t r, std::size_t) {
        detail::add_to_row(x.gradient, r, [&](std::size_t c) {
          const T d = x.student(r, c) - x.teacher(r, c);
          return d * d < threshold ? T(0) : slope * d;
        });
      });
    }
    return total / static_cast<double>(count);
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

  template <class T>
  double operator()(const batch<T>& x) const {
    const std::size_t n = x.samples() * x.student.classes;
    if (n == 0) return 0;
    const T slope = static_cast<T>(2 * static_cast<double>(x.scale) / static_cast<double>(n));
    const double total = detail::sum_rows(x, [&](std::size_t r, std::size_t) {
      double value = 0;
      for (std::size_t c = 0; c < x.student.classes; ++c)
        value += static_cast<double>(x.student(r, c)) * static_cast<double>(x.student(r, c));
      if (x.wants_gradient()) detail::add_to_row(x.gradient, r, [&](std::size_t c) { return slope * x.student(r, c); });
      return value;
    });
    return detail::finite(x, total / static_cast<double>(n));
  }
};

LIMBECK_END_NAMESPACE

#endif
