#ifndef LIMBECK_BENCHMARKS_NUMBERS_HPP
#define LIMBECK_BENCHMARKS_NUMBERS_HPP

// Numbers that a benchmark and its peers in Python make alike, whatever generator either has.

#include <cstddef>
#include <cstdint>

namespace bench {

/// Number i of a stream, the same in peers/features.py: a hash.
inline std::uint32_t hash(std::uint32_t stream, std::size_t i) {
  std::uint32_t x = static_cast<std::uint32_t>(i) * 0x9E3779B1U + stream * 0x85EBCA6BU;
  x = (x ^ (x >> 16)) * 0x7FEB352DU;
  x = (x ^ (x >> 15)) * 0x846CA68BU;
  return x ^ (x >> 16);
}
/// From the sum of its bytes, nearly normal with deviation 2.3, and exact.
inline float number(std::uint32_t stream, std::size_t i) {
  const std::uint32_t x = hash(stream, i);
  return (static_cast<float>((x & 255) + (x >> 8 & 255) + (x >> 16 & 255) + (x >> 24)) - 510) / 64;
}

}  // namespace bench

#endif
