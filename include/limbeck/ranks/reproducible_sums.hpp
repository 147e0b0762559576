#ifndef LIMBECK_RANKS_REPRODUCIBLE_SUMS_HPP
#define LIMBECK_RANKS_REPRODUCIBLE_SUMS_HPP

/// @file
/// Sums of many columns that do not depend on the order of what is added, and so not on how many ranks add it; for one sum of
/// whatever numbers there are, to the last bit, see core/exact_sum.hpp, which takes several times as long and 17 times the memory.

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
/// below, 60 bits at least, in 32 bytes a column; which are kept in the end depends on the largest number alone. For up to 2^33
/// rows. (Demmel and Nguyen 2013, "Fast reproducible floating-point summation".)
class reproducible_sums {
 public:
  /// Of @p width columns, of nothing yet.
  explicit reproducible_sums(std::size_t width) : width_(width), sums_(places * width, 0.0) {}
  /// Adds a row of finite numbers below 2^900. @p largest: the largest size of a number of this row and of those before.
  template <class T>
  void add(const T* x, double largest) {
    if (largest >= limit_ && largest > 0) {
      const int above = std::ilogb(largest) + 1;  // largest < 2^above
      raise_to((above - (above < 0 ? bits - 1 : 0)) / bits);
    }
    const std::size_t whole = width_ / side * side;
    for (std::size_t c = 0; c < whole; c += side) add_some<side>(x + c, sums_.data() + c);
    for (std::size_t c = whole; c < width_; ++c) add_some<1>(x + c, sums_.data() + c);
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
  static constexpr std::size_t places = 4, side = 8;  // side by side, so that the compiler takes them in packs

  /// @p N columns, of whose first place the sums stand at @p to.
  template <std::size_t N, class T>
  void add_some(const T* x, double* to) const {
    double left[N];
    for (std::size_t l = 0; l < N; ++l) left[l] = static_cast<double>(x[l]);
    for (std::size_t k = 0; k < places; ++k, to += width_) {
      const double shift = shift_[k];
      for (std::size_t l = 0; l < N; ++l) {
        const double piece = (left[l] + shift) - shift;
        to[l] += piece;
        left[l] -= piece;
      }
    }
  }
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
