#ifndef LIMBECK_IO_WRITE_HPP
#define LIMBECK_IO_WRITE_HPP

/// @file
/// What the writers share.

#include <limbeck/io/convert.hpp>
#include <limbeck/io/mapped_file.hpp>

#include <string_view>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// Its elements side by side, the last dimension fastest: where they are, or gathered into @p memory.
inline std::string_view side_by_side(const any_tensor& x, std::string& memory) {
  require_on_host(x, "a writer");
  const std::size_t size = size_of(x.type);
  const auto* base = static_cast<const char*>(x.data);
  bool contiguous = true;
  std::ptrdiff_t step = 1;
  for (std::size_t i = x.rank; i-- > 0; step *= x.shape[i])
    contiguous = contiguous && (x.shape[i] == 1 || x.strides[i] == step);
  if (contiguous || x.size() == 0) return {base, x.size() * size};
  memory.reserve(x.size() * size);
  each_offset(x, [&](std::ptrdiff_t at) { memory.append(base + at * static_cast<std::ptrdiff_t>(size), size); });
  return memory;
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
