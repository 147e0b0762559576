#ifndef LIMBECK_IO_CONVERT_HPP
#define LIMBECK_IO_CONVERT_HPP

/// @file
/// Batches of tensors of any type, and their elements as float or double.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/half.hpp>

#include <cstring>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// Calls f(distance from the first element) for each element, the last dimension fastest.
template <class F>
void each_offset(const any_tensor& x, F&& f) {
  if (x.size() == 0) return;
  std::array<std::ptrdiff_t, any_tensor::max_rank> at{};
  const std::size_t last = x.rank - 1;
  const std::ptrdiff_t inner = x.rank ? x.shape[last] : 1, step = x.rank ? x.strides[last] : 0;
  for (std::ptrdiff_t start = 0;;) {
    for (std::ptrdiff_t j = 0; j < inner; ++j) f(start + j * step);
    std::size_t i = x.rank ? last : 0;
    for (; i > 0; --i) {  // the next of the other dimensions, as an odometer counts
      start += x.strides[i - 1];
      if (++at[i - 1] < x.shape[i - 1]) break;
      start -= x.strides[i - 1] * x.shape[i - 1];
      at[i - 1] = 0;
    }
    if (i == 0) return;
  }
}

inline void require_on_host(const any_tensor& x, const char* who) {
  if (x.memory != memory_kind::host)
    raise<value_error>(std::string("limbeck: ") + who + " reads the host's memory, and this tensor (" + x.str() +
                       ") is on a device; copy it to the host");
}

}  // namespace detail
/// @endcond

/// Elements [@p first, @p first + @p count) of the first dimension, as a view: a batch of a file of logits.
/// @throws shape_error where it has none, or not as many.
inline any_tensor slice(any_tensor x, std::size_t first, std::size_t count) {
  const std::size_t n = x.rank == 0 ? 0 : static_cast<std::size_t>(x.shape[0]);
  if (first > n || count > n - first)
    raise<shape_error>("limbeck: slice asks for " + std::to_string(count) + " elements from " + std::to_string(first) +
                       " of " + x.str() + ", whose first dimension has " + std::to_string(n));
  if (x.size() > 0)
    x.data = static_cast<char*>(x.data) +
             static_cast<std::ptrdiff_t>(first) * x.strides[0] * static_cast<std::ptrdiff_t>(size_of(x.type));
  x.shape[0] = static_cast<std::ptrdiff_t>(count);
  return x;
}

/// Copies the elements in order, the last dimension fastest, as @p T, which is float or double. Each type is read: both
/// 16-bit floats, whole numbers, bool as 0 and 1; any strides, any address. float16 and bfloat16 lose nothing.
/// @throws shape_error where @p out has another number of elements. @throws value_error for memory on a device and for
///         `element_type::none`.
template <class T>
void copy_as(const any_tensor& x, std::span<T> out) {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "limbeck: copy_as makes float or double");
  detail::require_on_host(x, "copy_as");
  if (out.size() != x.size())
    raise<shape_error>("limbeck: copy_as was given room for " + std::to_string(out.size()) + " elements, expected " +
                       std::to_string(x.size()) + ", those of " + x.str());
  const auto* base = static_cast<const char*>(x.data);
  const auto as = [&]<class S>(S, auto convert) {
    T* to = out.data();
    detail::each_offset(x, [&](std::ptrdiff_t at) {
      S s;
      std::memcpy(&s, base + at * static_cast<std::ptrdiff_t>(sizeof(S)), sizeof(S));
      *to++ = static_cast<T>(convert(s));
    });
  };
  const auto number = [](auto s) { return s; };
  switch (x.type) {
    case element_type::boolean: return as(std::uint8_t{}, [](std::uint8_t s) { return s != 0 ? 1 : 0; });
    case element_type::int8: return as(std::int8_t{}, number);
    case element_type::uint8: return as(std::uint8_t{}, number);
    case element_type::int16: return as(std::int16_t{}, number);
    case element_type::uint16: return as(std::uint16_t{}, number);
    case element_type::int32: return as(std::int32_t{}, number);
    case element_type::uint32: return as(std::uint32_t{}, number);
    case element_type::int64: return as(std::int64_t{}, number);
    case element_type::uint64: return as(std::uint64_t{}, number);
    case element_type::float16: return as(std::uint16_t{}, from_half);
    case element_type::bfloat16: return as(std::uint16_t{}, from_bfloat16);
    case element_type::float32: return as(float{}, number);
    case element_type::float64: return as(double{}, number);
    case element_type::none: break;
  }
  raise<value_error>("limbeck: copy_as cannot read " + x.str());
}
/// The same in memory of its own: `auto weights = copy_as<float>(file["weight"]);`
template <class T>
std::vector<T> copy_as(const any_tensor& x) {
  std::vector<T> out(x.size());
  copy_as<T>(x, std::span<T>(out));
  return out;
}

LIMBECK_END_NAMESPACE

#endif
