#ifndef LIMBECK_MAP_CLASS_VECTORS_HPP
#define LIMBECK_MAP_CLASS_VECTORS_HPP

/// @file
/// Logits of features by stored vectors of the classes.

#include <limbeck/core/lifetime.hpp>
#include <limbeck/map/map.hpp>

LIMBECK_BEGIN_NAMESPACE

/// What `class_vectors` returns. @p Where is the memory of the vectors.
template <class W, class Where>
struct class_vectors_map {
  using limbeck_map = map_of_batch;
  using memory = Where;  ///< of the vectors
  static constexpr bool keeps_rows = true;
  rows<const W> vectors;  ///< classes x features
  double scale;           ///< of the inner products

  /// As many columns as there are vectors. @throws shape_error where the features have another length.
  map_shape shape(map_shape in) const {
    detail::require_columns("class_vectors", in.columns, vectors.classes);
    return {in.samples, vectors.samples};
  }
  template <class T, class Memory>
  void apply(const rows<const T>& x, const rows<T>& y, const batch<T, Memory>& in) const {
    static_assert(std::is_same_v<T, W>, "limbeck: the vectors of class_vectors(W) have another scalar type than the features");
    static_assert(std::is_same_v<Memory, Where>, "limbeck: the vectors of class_vectors(W) and the features live in different memory");
    if constexpr (std::is_same_v<T, W>) in.multiply(static_cast<T>(scale), x, vectors.transposed(), T(0), y);
  }
  template <class T, class Memory>
  void pull_back(const rows<const T>&, const rows<const T>&, const rows<T>& slope, const rows<T>& x_gradient,
                 const batch<T, Memory>& in, const batch_number<Memory>&) const {
    if constexpr (std::is_same_v<T, W>)
      if (x_gradient.data) in.multiply(static_cast<T>(scale), slope, vectors, T(1), x_gradient);
  }
};

/// y = scale x W^T: the logits of features x by the vectors of the classes, rows of @p w, which stay as they are; `then(unit_rows{},
/// class_vectors(w, 100))` where they are compared by cosine, as those of CLIP. @p w is a tensor of classes x features of the scalar
/// type of the features, in their memory; it is referred to. A map of a batch: one product there, one back.
///
/// Frozen text features of a teacher as the student's classifier: Li et al., *PromptKD*, CVPR 2024, arXiv:2403.02781.
template <class Tensor>
auto class_vectors(Tensor&& w, double scale = 1) {
  detail::require_kept<Tensor>();
  using traits = tensor_traits<std::remove_cvref_t<Tensor>>;
  const auto view = traits::view(w);
  using W = std::remove_const_t<typename decltype(traits::view(w))::element>;
  static_assert(std::is_floating_point_v<W>, "limbeck: class_vectors(W) takes vectors of float or double");
  return class_vectors_map<W, typename traits::sweep>{view, scale};
}

LIMBECK_END_NAMESPACE

#endif
