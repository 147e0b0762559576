#ifndef LIMBECK_MAP_LIKENESS_MAP_HPP
#define LIMBECK_MAP_LIKENESS_MAP_HPP

/// @file
/// Features as logits by their likeness to prototypes, with a way back.

#include <limbeck/map/map.hpp>
#include <limbeck/target/prototypes.hpp>

LIMBECK_BEGIN_NAMESPACE

/// What `likeness_map` returns. @p Where is the memory of the prototypes.
template <class W, class Where>
struct likeness_map_to {
  using limbeck_map = map_of_rows;
  using memory = Where;
  detail::likeness_to<W> like;  ///< to the prototypes

  /// As many as there are prototypes. @throws shape_error where the features have another length.
  std::size_t outputs(std::size_t inputs) const {
    detail::check_features(rows<const W>(nullptr, 0, inputs), like.prototypes.classes);
    return like.prototypes.samples;
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void apply(const Team& team, std::span<const T> x, std::span<T> y) const {
    static_assert(std::is_same_v<T, W>,
                  "limbeck: the prototypes of likeness_map have another scalar type than the features");
    if constexpr (std::is_same_v<T, W>) like.logits(team, x.data(), y.data());
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void pull_back(const Team& team, std::span<const T> x, std::span<const T> y, std::span<T> slope,
                                     std::span<T> x_gradient) const {
    if constexpr (std::is_same_v<T, W>) like.pull_back(team, x.data(), y.data(), slope.data(), x_gradient.data());
  }
};

/// z_c = cos(x, P_c)/T, or -||x - P_c||^2/T: features become logits, and any loss of logits trains them; see
/// like_prototypes(), whose settings and rules these are. A map of rows; the prototypes stay as they are.
///
/// `through(likeness_map(p.means(), {.temperature = 0.1}), cross_entropy{})` is contrast with prototypes: -log of the
/// softmax over the classes of cos(x, P_c)/T at the label, the form of InfoNCE in which a class has one positive (Li et
/// al., Prototypical Contrastive Learning, 2021, arXiv:2005.04966, with class means for clusters). With `-||x - P||^2`
/// it is the loss of prototypical networks (Snell et al., 2017, arXiv:1703.05175, T = 1). Three passes over classes x
/// width, two back.
template <class P>
auto likeness_map(P&& vectors, likeness_settings how = {}) {
  detail::require_kept<P>();
  using traits = tensor_traits<std::remove_cvref_t<P>>;
  using W = typename traits::scalar;
  static_assert(std::is_same_v<std::remove_const_t<typename decltype(traits::view(vectors))::element>, W>,
                "limbeck: likeness_map takes prototypes of float or double");
  return likeness_map_to<W, typename traits::sweep>{detail::make_likeness<W>(traits::view(vectors), how)};
}

LIMBECK_END_NAMESPACE

#endif
