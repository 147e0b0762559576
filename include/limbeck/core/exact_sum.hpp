#ifndef LIMBECK_CORE_EXACT_SUM_HPP
#define LIMBECK_CORE_EXACT_SUM_HPP

/// @file
/// Sums of doubles that are rounded once: they do not depend on the order, nor on who has added which part. Means of many columns at
/// once take ranks/reproducible_sums.hpp, which drops what lies 60 bits below the largest number.

#include <limbeck/core/config.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

LIMBECK_BEGIN_NAMESPACE

/// An accumulator of doubles that holds every bit, in whole numbers of 2^-1074: `value()` is the sum of all that was added, rounded
/// once, whatever the order. Some 3 ns a number and 560 bytes. Kulisch, Computer Arithmetic and Validity, 2008.
class exact_sum {
 public:
  /// Adds @p x. Infinities and NaN are summed as they are elsewhere.
  void add(double x) {
    std::uint64_t bits;
    std::memcpy(&bits, &x, sizeof x);
    const auto exponent = static_cast<unsigned>(bits >> 52) & 0x7ffu;
    if (exponent == 0x7ff) {
      beyond_ += x;
      return;
    }
    const std::uint64_t digits = (bits & ((std::uint64_t{1} << 52) - 1)) | (exponent == 0 ? 0 : std::uint64_t{1} << 52);
    const unsigned place = exponent == 0 ? 0 : exponent - 1, limb = place / 32, shift = place % 32;
    const std::uint64_t low = (digits & mask) << shift, high = (digits >> 32) << shift;
    const std::int64_t sign = (bits >> 63) != 0 ? -1 : 1;
    limbs_[limb] += sign * static_cast<std::int64_t>(low & mask);
    limbs_[limb + 1] += sign * static_cast<std::int64_t>((low >> 32) + (high & mask));
    limbs_[limb + 2] += sign * static_cast<std::int64_t>(high >> 32);
    if (++added_ == most) carry();
  }
  /// The sum, rounded to the nearest double.
  double value() const {
    if (beyond_ != 0) return beyond_;
    exact_sum x = *this;
    x.carry();
    const bool negative = x.limbs_.back() < 0;
    if (negative) {
      for (std::int64_t& limb : x.limbs_) limb = -limb;
      x.carry();
    }
    std::size_t top = x.limbs_.size() - 1;
    while (top > 0 && x.limbs_[top] == 0) --top;
    if (top < 2) return (negative ? -1 : 1) * std::ldexp(static_cast<double>(x.whole(1)), -1074);
    // 64 bits from the highest that is set; what lies below shows in the last
    std::uint64_t first = x.whole(top);
    int shift = 0;
    while (first >> (63 - shift) == 0) ++shift;
    const auto next = static_cast<std::uint64_t>(x.limbs_[top - 2]);
    bool rest = (next << (32 + shift)) != 0;
    first = (first << shift) | (shift == 0 ? 0 : next >> (32 - shift));
    for (std::size_t k = 0; k + 2 < top; ++k) rest = rest || x.limbs_[k] != 0;
    const int exponent = static_cast<int>(32 * (top - 1)) - shift - 1074;
    return (negative ? -1 : 1) * std::ldexp(static_cast<double>(first | (rest ? 1 : 0)), exponent);
  }

  /// @cond
  static constexpr std::size_t words = 68;  // 2098 bits, and room for 2^30 sums of as many
  /// The sum as whole numbers that may be added to those of another.
  std::span<std::int64_t, words> carried() {
    carry();
    return limbs_;
  }
  double& beyond() { return beyond_; }
  /// @endcond

 private:
  static constexpr std::uint64_t mask = 0xffffffffu;
  static constexpr std::uint32_t most = std::uint32_t{1} << 28;  // numbers of at most 2^33 in a limb
  /// The two limbs that end with @p k.
  std::uint64_t whole(std::size_t k) const {
    return (static_cast<std::uint64_t>(limbs_[k]) << 32) + static_cast<std::uint64_t>(limbs_[k - 1]);
  }
  /// Leaves 0 to 2^32 - 1 in each limb but the last, which has the sign.
  void carry() {
    for (std::size_t k = 0; k + 1 < words; ++k) {
      const std::int64_t over = limbs_[k] >> 32;
      limbs_[k] -= over * (std::int64_t{1} << 32);
      limbs_[k + 1] += over;
    }
    added_ = 0;
  }
  std::array<std::int64_t, words> limbs_{};
  double beyond_ = 0;
  std::uint32_t added_ = 0;
};

LIMBECK_END_NAMESPACE

#endif
