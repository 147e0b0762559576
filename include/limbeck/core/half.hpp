#ifndef LIMBECK_CORE_HALF_HPP
#define LIMBECK_CORE_HALF_HPP

/// @file
/// Numbers of 16 bits, which Limbeck stores and reads but does not compute in.

#include <limbeck/core/config.hpp>

#include <bit>
#include <cstdint>

LIMBECK_BEGIN_NAMESPACE

/// The value of an IEEE 754 binary16, exactly; subnormal numbers, infinities and a NaN's payload are kept.
LIMBECK_HOST_DEVICE constexpr float from_half(std::uint16_t half) {
  // both cases are computed and one is masked out, without a branch: a loop of these is a loop of packs
  const std::uint32_t sign = (half & 0x8000U) << 16U, exponent = (half >> 10U) & 31U, mantissa = half & 1023U;
  const auto tiny = std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<std::int32_t>(mantissa)) * 0x1p-24F);
  const std::uint32_t usual = ((exponent + (exponent == 31 ? 224U : 112U)) << 23U) | mantissa << 13U;
  const std::uint32_t is_tiny = (exponent - 1U) >> 31U, mask = 0U - is_tiny;
  return std::bit_cast<float>(sign | (tiny & mask) | (usual & ~mask));
}

/// The nearest IEEE 754 binary16, ties to even: beyond 65504 + 16 infinity, up to 2^-25 zero; a NaN stays a (quiet)
/// NaN.
LIMBECK_HOST_DEVICE constexpr std::uint16_t to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16U) & 0x8000U, x = bits & 0x7fffffffU;
  // All three cases are computed and one is chosen, so that a loop of these is done in packs.
  const std::uint32_t normal = (x - 0x38000000U + 0xfffU + ((x >> 13U) & 1U)) >> 13U;
  // below 2^-14: behind 0.5 the last digit of a float is 2^-24, as that of such a half: the sum is rounded right
  const std::uint32_t tiny = std::bit_cast<std::uint32_t>(std::bit_cast<float>(x) + 0.5F) - 0x3f000000U;
  std::uint32_t half = x < 0x38800000U ? tiny : normal;
  half = x >= 0x477ff000U ? 0x7c00U : half;
  half = x > 0x7f800000U ? 0x7e00U | ((x >> 13U) & 1023U) : half;
  return static_cast<std::uint16_t>(sign | half);
}

/// The value of a bfloat16, the upper half of a float's bits, exactly.
LIMBECK_HOST_DEVICE constexpr float from_bfloat16(std::uint16_t b) { return std::bit_cast<float>(static_cast<std::uint32_t>(b) << 16U); }

/// The nearest bfloat16, ties to even; a NaN stays one.
LIMBECK_HOST_DEVICE constexpr std::uint16_t to_bfloat16(float value) {
  const auto x = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (x + 0x7fffU + ((x >> 16U) & 1U)) >> 16U;
  return static_cast<std::uint16_t>((x & 0x7fffffffU) > 0x7f800000U ? (x >> 16U) | 0x40U : rounded);
}

/// An IEEE 754 binary16 in memory: `rows<const float16>(pointer, samples, classes)` is a tensor, whose losses are taken in
/// float. Its 16 bits are those of `Eigen::half`, `at::Half` and NumPy's float16.
struct float16 {
  std::uint16_t bits = 0;  ///< sign, 5 bits of exponent, 10 of mantissa

  constexpr float16() = default;
  /// The nearest, ties to even; beyond 65504 + 16 infinity.
  LIMBECK_HOST_DEVICE constexpr explicit float16(float value) : bits(to_half(value)) {}
  /// The value, exactly.
  LIMBECK_HOST_DEVICE constexpr operator float() const { return from_half(bits); }
};

/// The upper half of a float in memory: range of a float, 8 bits of mantissa. A tensor's element like `float16`.
struct bfloat16 {
  std::uint16_t bits = 0;  ///< sign, 8 bits of exponent, 7 of mantissa

  constexpr bfloat16() = default;
  /// The nearest, ties to even.
  LIMBECK_HOST_DEVICE constexpr explicit bfloat16(float value) : bits(to_bfloat16(value)) {}
  /// The value, exactly.
  LIMBECK_HOST_DEVICE constexpr operator float() const { return from_bfloat16(bits); }
};

/// The type in which Limbeck computes with numbers of type @p T: float for those of 16 bits, else @p T.
template <class T>
struct arithmetic_of {
  using type = T;  ///< the type
};
/// float
template <>
struct arithmetic_of<float16> {
  using type = float;  ///< the type
};
/// float
template <>
struct arithmetic_of<bfloat16> {
  using type = float;  ///< the type
};
/// The same, by a shorter name.
template <class T>
using arithmetic_of_t = typename arithmetic_of<T>::type;

LIMBECK_END_NAMESPACE

#endif
