#ifndef LIMBECK_CORE_SIZE_HPP
#define LIMBECK_CORE_SIZE_HPP

/// @file
/// Sizes that a file states, multiplied without overflow.

#include <limbeck/core/config.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// More than that many bytes no memory holds.
inline constexpr auto largest_size = static_cast<std::uint64_t>((std::numeric_limits<std::ptrdiff_t>::max)());

/// More dimensions than that no tensor of a file has: NumPy's bound.
inline constexpr std::size_t largest_rank = 64;

/// The product of the @p sizes; nothing where it exceeds @p most, even were none of them 0.
constexpr std::optional<std::uint64_t> product_of(std::span<const std::uint64_t> sizes,
                                                  std::uint64_t most = largest_size) {
  std::uint64_t product = 1;
  bool empty = false;
  for (const std::uint64_t n : sizes) {
    empty = empty || n == 0;
    if (n == 0) continue;
    if (product > most / n) return std::nullopt;
    product *= n;
  }
  return empty ? 0 : product;
}
constexpr std::optional<std::uint64_t> product_of(std::initializer_list<std::uint64_t> sizes,
                                                  std::uint64_t most = largest_size) {
  return product_of(std::span<const std::uint64_t>(sizes.begin(), sizes.size()), most);
}

/// Bytes of a tensor whose elements have @p element bytes.
constexpr std::optional<std::uint64_t> bytes_of(std::span<const std::uint64_t> shape, std::size_t element) {
  const auto elements = product_of(shape, largest_size / element);
  return elements ? std::optional(*elements * element) : std::nullopt;
}
inline std::string show_shape(std::span<const std::uint64_t> shape) {
  std::string s = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) s += (i ? ", " : "") + std::to_string(shape[i]);
  return s + "]";
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
