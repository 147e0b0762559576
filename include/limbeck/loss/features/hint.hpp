#ifndef LIMBECK_LOSS_FEATURES_HINT_HPP
#define LIMBECK_LOSS_FEATURES_HINT_HPP

/// @file
/// Squared distances between features: the hint of FitNets, and the mean squared error that most codes call by its
/// name.

#include <limbeck/loss/support.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class T>
struct squared_distance_of_row {
  rows<const T> s, t;
  rows<T> gradient, teacher_gradient;
  row_shares shares;
  double factor;  // of the gradient, without the row's share

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r) const {
    const T *const a = s.row(r), *const b = t.row(r);
    const double share = shares(r);
    const T slope = static_cast<T>(factor * share);
    if (gradient.data) add_to_row(team, gradient, r, [&](std::size_t c) { return slope * (a[c] - b[c]); });
    if (teacher_gradient.data) add_to_row(team, teacher_gradient, r, [&](std::size_t c) { return slope * (b[c] - a[c]); });
    if constexpr (!Team::alone) {
      return share * sum_own<T, double>(team, s.classes, [&](std::size_t c) {
        return static_cast<double>(a[c] - b[c]) * static_cast<double>(a[c] - b[c]);
      });
    } else {
      double value = 0;
      for (std::size_t begin = 0; begin < s.classes; begin += 256) {  // in T over packs, of which double takes the sums
        T part[256];
        const std::size_t n = s.classes - begin < 256 ? s.classes - begin : 256;
        for (std::size_t c = 0; c < n; ++c) part[c] = a[begin + c] - b[begin + c];
        value += static_cast<double>(inner_product(team, part, part, n));
      }
      return share * value;
    }
  }
};

/// @p factor times the mean over the samples, by their weights, of the sum of (s - t)^2.
template <class T, class Memory>
batch_number<Memory> squared_distance(const batch<T, Memory>& x, double factor) {
  if (x.samples() == 0 || x.student.classes == 0) return 0;
  const rows<const T> s = contiguous(x, x.student), t = contiguous(x, x.teacher);
  return finite(x, factor, x.sum_rows(s.classes, squared_distance_of_row<T>{s, t, x.gradient, x.teacher_gradient, shares_of(x),
                                                                           2 * factor * static_cast<double>(x.scale)}));
}

}  // namespace detail

/// The mean over the samples, by their weights, of 1/2 sum over the features of (s - t)^2.
///
/// Student and teacher have equally many columns, or the student is projected: `projected(p, hint{})`, the regressor of
/// the paper. Gradient (s - t)/samples. Of convolutional features the authors' code takes the mean over
/// positions too: give it the weight 1/positions. 0 for no sample.
/// @throws shape_error where the widths differ, value_error where a feature is not finite.
///
/// Romero et al., FitNets: Hints for Thin Deep Nets, 2015, arXiv:1412.6550, and their `HintCost`.
struct hint {
  using limbeck_loss = batchwise;
  static constexpr bool by_row = true, into_teacher = true, any_width = true;  // checked here, where projected() ends too
  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    detail::check_widths(x, "hint");
    return detail::squared_distance(x, 0.5);
  }
};

/// The mean over samples and features of (s - t)^2: what RepDistiller, mdistiller and others run as FitNets, with their
/// weights; it is `hint` times 2/features. Errors as there.
struct feature_mse {
  using limbeck_loss = batchwise;
  static constexpr bool by_row = true, into_teacher = true, any_width = true;
  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    detail::check_widths(x, "feature_mse");
    return detail::squared_distance(x, 1 / static_cast<double>(x.student.classes));
  }
};

LIMBECK_END_NAMESPACE

#endif
