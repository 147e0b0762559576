#ifndef LIMBECK_LOSS_FEATURES_FLOPS_HPP
#define LIMBECK_LOSS_FEATURES_FLOPS_HPP

/// @file
/// What sparse representations cost to search with.

#include <limbeck/loss/support.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The mean size of a column, and the square of that.
template <class T>
struct mean_size_of_column {
  rows<const T> x;
  double *mean, *square;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t c) const {
    const double total = sum_own<T, double>(team, x.samples, [&](std::size_t r) {
      return std::fabs(static_cast<double>(x(r, c)));
    });
    if (team.rank() != 0) return;
    mean[c] = total / static_cast<double>(x.samples);
    square[c] = mean[c] * mean[c];
  }
};
template <class T>
struct pull_back_mean_size {
  rows<const T> x;
  rows<T> gradient;
  const double* mean;
  double scale;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    add_to_row(team, gradient, r, [&](std::size_t c) {
      const T a = x(r, c), slope = static_cast<T>(scale * mean[c]);
      return a > T(0) ? slope : a < T(0) ? -slope : T(0);
    });
  }
};

}  // namespace detail

/// Sum over columns of the square of the mean over rows of |a|: the expected number of products that a query costs in an
/// inverted index, smoothed. It reads no teacher.
///
/// Unlike an L1 norm it presses most on columns that many rows use. The subgradient at 0 is 0. It relates the rows of the
/// batch; 0 for no sample. O(samples x columns).
/// @throws value_error where an activation is not finite.
/// Paria et al., Minimizing FLOPs to Learn Efficient Sparse Representations, 2020, arXiv:2004.05665; the regulariser of
/// SPLADE, Formal et al., 2021, arXiv:2107.05720, eq. 4 (there of activations that are not negative).
struct flops {
  using limbeck_loss = batchwise;
  static constexpr bool needs_teacher = false;

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    const std::size_t n = x.samples(), columns = x.student.classes;
    if (n == 0) return 0;
    const std::span<double> sizes = x.memory.template take<double>(columns), square = x.memory.template take<double>(columns);
    x.each_row(columns, n, detail::mean_size_of_column<T>{x.student, sizes.data(), square.data()});
    const double* const value = x.add_up(square);
    if (x.wants_gradient()) {
      const double scale = 2 * static_cast<double>(x.scale) / static_cast<double>(n);
      x.each_row(n, columns, detail::pull_back_mean_size<T>{x.student, x.gradient, sizes.data(), scale});
    }
    return detail::finite(x, 1, value);
  }
};

LIMBECK_END_NAMESPACE

#endif
