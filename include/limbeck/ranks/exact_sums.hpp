#ifndef LIMBECK_RANKS_EXACT_SUMS_HPP
#define LIMBECK_RANKS_EXACT_SUMS_HPP

/// @file
/// Sums that do not depend on the order of what is added, and so not on how many ranks add it.

#include <limbeck/ranks/reductions.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// Sums of columns. Each number is cut at two grids, which the largest one and the count set; what lies on a grid is added without
/// rounding, so that no order matters. What lies below the second is dropped: at most 2^-102 count of the largest number, each.
/// (Demmel and Nguyen 2013, "Fast reproducible floating-point summation", with the largest number known.)
class exact_sums {
 public:
  /// Of @p width columns and, over all ranks, @p count rows with no number larger than @p largest in size; both the same on every rank.
  exact_sums(std::size_t width, std::size_t count, double largest) : high_(width, 0.0), low_(width, 0.0) {
    if (!(largest > 0)) return;
    const int room = std::ilogb(static_cast<double>(count)) + 2, exponent = std::ilogb(largest) + room;
    coarse_ = std::ldexp(1.5, exponent);  // in its binade a number is rounded to 2^(exponent - 52)
    fine_ = std::ldexp(1.5, exponent - 53 + room);
  }
  /// Adds a row.
  template <class T>
  void add(const T* x) {
    for (std::size_t c = 0; c < high_.size(); ++c) {
      const double number = static_cast<double>(x[c]), high = (number + coarse_) - coarse_;
      high_[c] += high;
      low_[c] += ((number - high) + fine_) - fine_;
    }
  }
  /// The sums over all ranks, on each.
  template <communicator C>
  std::vector<double> over(const C& comm) {
    all_reduce_sum(comm, std::span<double>(high_));
    all_reduce_sum(comm, std::span<double>(low_));
    for (std::size_t c = 0; c < high_.size(); ++c) high_[c] += low_[c];
    return std::move(high_);
  }

 private:
  std::vector<double> high_, low_;
  double coarse_ = 0, fine_ = 0;
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
