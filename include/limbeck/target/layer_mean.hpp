#ifndef LIMBECK_TARGET_LAYER_MEAN_HPP
#define LIMBECK_TARGET_LAYER_MEAN_HPP

/// @file
/// Several layers as one teacher: the mean of normalised layers.

#include <limbeck/target/ensemble.hpp>

LIMBECK_BEGIN_NAMESPACE

/// A row less its mean, over its deviation; made by `layer_normalised`.
template <class Source>
struct layer_normalised_target : detail::one_source<Source> {
  double epsilon;  ///< added to the variance
  /// @cond
  auto settled(double at) const {
    auto inner = detail::settled(this->source, at);
    return layer_normalised_target<decltype(inner)>{{inner}, epsilon};
  }
  /// @endcond

  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    using T = typename Source::scalar;
    detail::fill_from(this->source, r);
    const std::size_t n = r.out.size();
    const double share = 1 / static_cast<double>(n);
    const double centre = share * detail::sum_own<T, double>(r.team, n, [&](std::size_t c) { return static_cast<double>(r.out[c]); });
    const double variance = share * detail::sum_own<T, double>(r.team, n, [&](std::size_t c) {
      const double d = static_cast<double>(r.out[c]) - centre;
      return d * d;
    });
    const double by = 1 / std::sqrt(variance + epsilon);
    detail::for_own<T>(r.team, n, [&](std::size_t c) { r.out[c] = static_cast<T>((static_cast<double>(r.out[c]) - centre) * by); });
  }
};

/// A teacher whose rows are normalised: (t - mean)/sqrt(variance + epsilon) over the columns of each, without an affine
/// map.
///
/// @param teacher tensor or target, of the host or a device
/// @param epsilon positive; 1e-5 is PyTorch's
/// @throws value_error where epsilon is not positive. A NaN or an infinity makes its row NaN, which the call reports.
/// Ba et al., Layer Normalization, 2016, arXiv:1607.06450.
template <class X>
auto layer_normalised(X&& teacher, double epsilon = 1e-5) {
  if (!(epsilon > 0 && epsilon < 1e300))
    raise<value_error>("limbeck: epsilon of layer_normalised is " + detail::show(epsilon) + ", expected a positive number");
  return layer_normalised_target<detail::target_of<X>>{{detail::as_target(std::forward<X>(teacher))}, epsilon};
}

/// A teacher made of several layers: layer_norm(mean over the layers of layer_norm(t_l)), row by row; no layer is copied.
///
/// `layer_mean(std::span(hidden).last(6))` are the last six. Without the outer norm it is
/// `mean_of_logits(layer_normalised(a), layer_normalised(b))`, without the inner ones `layer_normalised(mean_of_logits(hidden))`.
/// @param layers a range of tensors or targets of one shape, 1 to 64, on a device 16
/// @param epsilon of both norms
/// @throws shape_error where there is no layer, or shapes differ. For a loss that relates samples, `fill` it into a tensor.
/// Baevski et al., data2vec, 2022, arXiv:2202.03555; Abou Zeid et al., Point2Vec, 2023, arXiv:2303.16570, and their code.
template <class Layers>
auto layer_mean(const Layers& layers, double epsilon = 1e-5) {
  std::vector<decltype(layer_normalised(layers[0], epsilon))> all;
  for (const auto& layer : layers) all.push_back(layer_normalised(layer, epsilon));
  return layer_normalised(mean_of_logits(all), epsilon);
}
/// @cond
template <class Layers>
  requires(!std::ranges::enable_borrowed_range<Layers>)
auto layer_mean(const Layers&&, double = 1e-5) = delete;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
