#ifndef LIMBECK_DENSE_GRID_HPP
#define LIMBECK_DENSE_GRID_HPP

/// @file
/// The positions of a picture, and what functions of pictures share: outputs and labels checked by name.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// The positions of a picture or of a feature map, row by row: column x of row y is position y width + x.
struct grid {
  std::size_t height = 0;  ///< rows
  std::size_t width = 0;   ///< columns

  /// height times width.
  constexpr std::size_t positions() const { return height * width; }
};

namespace detail {

/// A tensor of the host as rows.
template <class Tensor>
auto host_view(const Tensor& x) {
  static_assert(std::is_same_v<typename tensor_traits<Tensor>::sweep, host_rows>,
                "limbeck: functions of pictures read their tensors on the host, and this one lives on a device");
  return tensor_traits<Tensor>::view(x);
}
/// @throws shape_error where @p x is not @p samples x @p classes.
template <class T>
void check_shape(const char* name, const rows<T>& x, std::size_t samples, std::size_t classes) {
  if (x.samples != samples || x.classes != classes) throw_shape(name, x.samples, x.classes, samples, classes);
}
/// What a number below @p count is.
inline std::string below(std::size_t count) {
  return count == 0 ? "none, for there are 0" : "0 to " + std::to_string(count - 1);
}
/// Label @p i, a number below @p classes, or @p classes where it is @p ignored. @throws value_error where it is
/// neither.
inline std::size_t class_at(const any_vector& labels, std::size_t i, std::size_t classes, std::int64_t ignored) {
  const std::int64_t label = labels.integer(i);
  if (label == ignored) return classes;
  if (label < 0 || static_cast<std::uint64_t>(label) >= classes)
    raise<value_error>("limbeck: labels is " + std::to_string(label) + " at position " + std::to_string(i) +
                       ", expected " + below(classes) + ", or " + std::to_string(ignored) + " for none");
  return static_cast<std::size_t>(label);
}
/// How many pictures of @p shape the vector is. @throws value_error where the shape is empty, shape_error where it is
/// no whole number of pictures.
inline std::size_t pictures_in(const char* name, std::size_t size, const grid& shape) {
  if (shape.positions() == 0)
    raise<value_error>("limbeck: a picture is " + std::to_string(shape.height) + " x " + std::to_string(shape.width) +
                       ", expected a height and a width");
  if (size % shape.positions() != 0)
    throw_length(name, size, (size / shape.positions() + 1) * shape.positions(), "whole pictures");
  return size / shape.positions();
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
