#ifndef LIMBECK_LOSS_FEATURES_ACTIVATION_BOUNDARIES_HPP
#define LIMBECK_LOSS_FEATURES_ACTIVATION_BOUNDARIES_HPP

/// @file
/// Activation boundaries: which neurons fire, not how much.

#include <limbeck/loss/features/feature_terms.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class T>
struct boundary_term {
  T margin;
  LIMBECK_HOST_DEVICE feature_term<T> operator()(std::size_t, T s, T t) const {
    const T d = t > T(0) ? s - margin : s + margin;  // to the teacher's side of the boundary, with a margin
    if (t > T(0) ? d > T(0) : d <= T(0)) return {T(0), T(0)};
    return {d * d, T(2) * d};
  }
};

}  // namespace detail

/// The mean over samples of the sum over neurons of (m - s)_+^2 where the teacher's response t is positive, and of
/// (m + s)_+^2 where it is not.
///
/// A squared hinge on the sign of responses *before* the activation: on which side of its boundary each neuron is. Student
/// and teacher have equally many columns, or the student is projected, as the authors do at each position:
/// `projected(p, activation_boundaries{}, positions)`. Their weight is 3/1000, halved from each layer to the one before
/// it, and the loss stands alone, before training on labels begins. 0 wherever the student responds beyond the margin on
/// the teacher's side; derivative 0 at the margin.
/// @throws shape_error where the widths differ; value_error where a feature is not finite or the margin not a number of at
///   least 0.
///
/// Heo, Lee, Yun and Choi, Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden Neurons, 2019,
/// arXiv:1811.03233, and the authors' `criterion_alternative_L2`, divided by the samples as there.
struct activation_boundaries {
  using limbeck_loss = batchwise;
  static constexpr bool by_row = true, any_width = true;  // checked here, where projected() ends too
  double margin = 1;                                      ///< m, at least 0

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    detail::check_widths(x, "activation_boundaries");
    if (!(margin >= 0) || margin - margin != 0)
      raise<value_error>("limbeck: activation_boundaries.margin is " + detail::show(margin) + ", expected a number of at least 0");
    return detail::mean_of_feature_terms(x, detail::boundary_term<T>{static_cast<T>(margin)});
  }
};

LIMBECK_END_NAMESPACE

#endif
