#ifndef LIMBECK_RANKS_EXACT_SUMS_HPP
#define LIMBECK_RANKS_EXACT_SUMS_HPP

/// @file
/// Sums that do not depend on the order of what is added, and so not on how many ranks add it.

#include <limbeck/ranks/reductions.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// Sums of columns that no order changes. A number is cut into pieces of `bits` bits at fixed places, each rounded off what is left
/// of it, and the pieces of a place are added without rounding. What is kept are the places of the largest number so far and of three
/// below, 60 bits at least; which are kept in the end depends on the largest number alone. For up to 2^33 rows. (Demmel and Nguyen
/// 2013, "Fast reproducible floating-point summation".)
class exact_sums {
 public:
  /// Of @p width columns, of nothing yet.
  explicit exact_sums(std::size_t width) : width_(width), sums_(places * width, 0.0) {}
  /// Adds a row of finite numbers below 2^900.
  template <class T>
  void add(const T* x) {
    double largest = 0;
    for (std::size_t c = 0; c < width_; ++c) largest = (std::max)(largest, std::fabs(static_cast<double>(x[c])));
    if (largest >= limit_ && largest > 0) {
      const int above = std::ilogb(largest) + 1;  // largest < 2^above
      raise_to((above - (above < 0 ? bits - 1 : 0)) / bits);
    }
    double* const s = sums_.data();
    for (std::size_t c = 0; c < width_; ++c) {
      double left = static_cast<double>(x[c]);
      for (std::size_t k = 0; k < places; ++k) {
        const double piece = (left + shift_[k]) - shift_[k];
        s[k * width_ + c] += piece;
        left -= piece;
      }
    }
  }
  /// The sums over all ranks, on each.
  template <communicator C>
  std::vector<double> over(const C& comm) {
    raise_to(all_reduce_max(comm, top_));
    all_reduce_sum(comm, std::span<double>(sums_));
    std::vector<double> total(width_, 0.0);
    for (std::size_t k = places; k-- > 0;)
      for (std::size_t c = 0; c < width_; ++c) total[c] += sums_[k * width_ + c];
    return total;
  }

 private:
  static constexpr int bits = 20, nothing = -(1 << 20);
  static constexpr std::size_t places = 4;

  /// The first place becomes @p top, whose pieces are multiples of 2^(top bits); numbers are below half of one of the next place.
  void raise_to(int top) {
    if (top <= top_) return;
    const auto up = static_cast<std::size_t>((std::min)(top - top_, static_cast<int>(places)));
    std::move_backward(sums_.begin(), sums_.end() - static_cast<std::ptrdiff_t>(up * width_), sums_.end());
    std::fill_n(sums_.begin(), up * width_, 0.0);
    top_ = top;
    limit_ = std::ldexp(0.5, (top + 1) * bits);
    for (std::size_t k = 0; k < places; ++k) shift_[k] = std::ldexp(1.5, 52 + (top - static_cast<int>(k)) * bits);
  }

  std::size_t width_;
  int top_ = nothing;
  double limit_ = 0, shift_[places] = {};
  std::vector<double> sums_;  // place by place
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
