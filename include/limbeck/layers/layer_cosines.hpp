#ifndef LIMBECK_LAYERS_LAYER_COSINES_HPP
#define LIMBECK_LAYERS_LAYER_COSINES_HPP

/// @file
/// How alike the layers of a model are, and whether they pull a student the same way.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>

#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// @p from: where arrows begin, no data for the origin.
template <class Layers, class T>
std::vector<double> cosines_of_layers(const Layers& layers, const rows<const T>& from) {
  const std::size_t k = layers.size();
  std::vector<rows<const T>> all;
  for (std::size_t j = 0; j < k; ++j) {
    all.push_back(tensor_traits<std::remove_cvref_t<decltype(layers[j])>>::view(layers[j]));
    const rows<const T>& first = from.data ? from : all[0];
    if (all[j].samples != first.samples || all[j].classes != first.classes)
      throw_shape("layer " + std::to_string(j), all[j].samples, all[j].classes, first.samples, first.classes);
  }
  std::vector<double> out(k * k), product(k * k);
  const std::size_t n = k == 0 ? 0 : all[0].samples, m = k == 0 ? 0 : all[0].classes;
  for (std::size_t r = 0; r < n; ++r) {
    std::fill(product.begin(), product.end(), 0.0);
    for (std::size_t c = 0; c < m; ++c) {
      const double start = from.data ? static_cast<double>(from(r, c)) : 0;
      for (std::size_t i = 0; i < k; ++i)
        for (std::size_t j = 0; j <= i; ++j)
          product[i * k + j] += (static_cast<double>(all[i](r, c)) - start) * (static_cast<double>(all[j](r, c)) - start);
    }
    for (std::size_t i = 0; i < k; ++i)
      for (std::size_t j = 0; j <= i; ++j) {
        const double cosine =
            product[i * k + j] / (std::sqrt(product[i * k + i]) * std::sqrt(product[j * k + j]) + 1e-6);
        if (cosine - cosine != 0)
          raise<value_error>("limbeck: layer_cosines is " + show(cosine) + " between layers " + std::to_string(j) + " and " +
                             std::to_string(i) + " at row " + std::to_string(r) + ", expected finite numbers");
        out[i * k + j] += cosine / static_cast<double>(n);
      }
  }
  for (std::size_t i = 0; i < k; ++i)
    for (std::size_t j = 0; j < i; ++j) out[j * k + i] = out[i * k + j];
  return out;
}
template <class Layers>
using scalar_of_layers = typename tensor_traits<std::remove_cvref_t<decltype(std::declval<const Layers&>()[0])>>::scalar;

}  // namespace detail

/// The cosines of the layers of a model, k x k row by row: entry (i, j) is the mean over the rows of
/// a . b / (|a||b| + 1e-6), a and b the same row of layers i and j.
///
/// Of attention matrices (a row a query) it says which layers attend alike. @p layers is a list of tensors of one shape, on the
/// host. @throws shape_error where shapes differ, value_error where a number is not finite. Cost: k^2/2 products of all rows.
template <class Layers>
std::vector<double> layer_cosines(const Layers& layers) {
  return detail::cosines_of_layers(layers, rows<const detail::scalar_of_layers<Layers>>{});
}
/// The same of arrows that begin at @p student, one of its layers: cos(t_i - s, t_j - s). Where it is positive, layers i and j pull
/// the student to the same side, and it matters little which of them teaches.
///
/// Yu, Wen and Mou, Revisiting Intermediate-Layer Matching in Knowledge Distillation, 2025, arXiv:2502.04499, and their code, which
/// prints the row of layer 1.
template <class Layers, class Student>
std::vector<double> layer_cosines(const Layers& layers, const Student& student) {
  using T = detail::scalar_of_layers<Layers>;
  constexpr bool same = std::is_same_v<typename tensor_traits<Student>::scalar, T>;
  static_assert(same, "limbeck: layer_cosines takes layers and a student of one scalar type; float goes with float, double with double");
  if constexpr (same) return detail::cosines_of_layers(layers, rows<const T>(tensor_traits<Student>::view(student)));
  return {};
}

LIMBECK_END_NAMESPACE

#endif
