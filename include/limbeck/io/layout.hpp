#ifndef LIMBECK_IO_LAYOUT_HPP
#define LIMBECK_IO_LAYOUT_HPP

/// @file
/// What the file formats share: little-endian numbers, and elements at addresses they can be read at.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/size.hpp>
#include <limbeck/io/mapped_file.hpp>

#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

static_assert(std::endian::native == std::endian::little,
              "limbeck: the files are little-endian and read in place; this machine is not little-endian");

/// The number at @p at, which the caller knows to lie within @p bytes.
template <class T>
T number_at(std::span<const std::byte> bytes, std::size_t at) {
  T n;
  std::memcpy(&n, bytes.data() + at, sizeof n);
  return n;
}
inline std::string_view text_at(std::span<const std::byte> bytes, std::size_t at, std::size_t length) {
  return {reinterpret_cast<const char*>(bytes.data()) + at, length};
}
/// Whether [at, at + length) lies within @p size, without overflow.
constexpr bool within(std::uint64_t at, std::uint64_t length, std::uint64_t size) {
  return at <= size && length <= size - at;
}

/// A view of checked sizes; the last dimension fastest, or the first. @throws file_error beyond 8 dimensions.
inline any_tensor view_of(const std::filesystem::path& path, const std::byte* data, element_type type,
                          std::span<const std::uint64_t> shape, bool first_fastest = false) {
  if (shape.size() > any_tensor::max_rank)
    throw_file_error(path, "holds a tensor of " + std::to_string(shape.size()) + " dimensions, expected at most 8");
  any_tensor out;
  out.data = const_cast<std::byte*>(data);  // read_only says that nobody writes there
  out.type = type;
  out.rank = shape.size();
  std::ptrdiff_t step = 1;
  for (std::size_t k = 0; k < out.rank; ++k) {
    const std::size_t i = first_fastest ? k : out.rank - 1 - k;
    out.shape[i] = static_cast<std::ptrdiff_t>(shape[i]);
    out.strides[i] = step;
    step *= out.shape[i];
  }
  return out;
}

using owned_bytes = std::unique_ptr<std::byte[]>;

/// The same tensor where its elements can be read: in place, or, at an address that is no multiple of the element's
/// size, as a copy in @p memory. Its elements lie side by side, in either order.
inline any_tensor aligned(any_tensor x, owned_bytes& memory) {
  const std::size_t bytes = x.size() * size_of(x.type);
  if (bytes == 0 || reinterpret_cast<std::uintptr_t>(x.data) % size_of(x.type) == 0) return x;
  memory.reset(new std::byte[bytes]);
  std::memcpy(memory.get(), x.data, bytes);
  x.data = memory.get();
  return x;
}

/// "it has 'a', 'b'", of at most ten keys.
template <class Map>
std::string names_of(const Map& map) {
  std::string s = map.empty() ? "it is empty" : "it has ";
  std::size_t n = 0;
  for (const auto& [name, value] : map) {
    if (n == 10) return s + " and " + std::to_string(map.size() - n) + " more";
    s += (n++ ? ", '" : "'") + name + "'";
  }
  return s;
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
