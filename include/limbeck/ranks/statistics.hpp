#ifndef LIMBECK_RANKS_STATISTICS_HPP
#define LIMBECK_RANKS_STATISTICS_HPP

/// @file
/// Numbers that lie on all ranks, as those of one machine: means, moments, medians; counts of any class that has some. Each function is
/// called by all ranks, with numbers of any length, and returns the same on each. Quantiles stand beside those of one machine, in
/// selection/quantile.hpp.

#include <limbeck/core/exact_sum.hpp>
#include <limbeck/ranks/order_statistics.hpp>

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What moments_of() finds.
struct moments_of_numbers {
  std::uint64_t count = 0;  ///< how many numbers there are
  double mean = 0;          ///< NaN of none
  double variance = 0;      ///< the mean of (x - mean)^2, NaN of none
};

/// @cond
namespace detail {
struct any_sum {
  template <class T>
  void operator()(std::span<T>) const {}
};
}  // namespace detail
/// @endcond

/// What counts or adds rows, and so can be added up over ranks: `for_each_sum(f)` calls f with `std::span<double>` or
/// `std::span<std::uint64_t>`s of its sums, always in the same order. `confusion_matrix` and `classification_metrics` are.
template <class X>
concept sums_of_rows = std::copy_constructible<X> && requires(X& x) { x.for_each_sum(detail::any_sum{}); };

namespace detail {

/// Sums of the ranks' doubles, each rounded once: 552 bytes to each rank for each of them.
template <class C, std::size_t N>
std::array<double, N> exact_sums_of_ranks(const C& comm, std::array<exact_sum, N>& own) {
  std::vector<std::int64_t> limbs;
  std::array<double, N> beyond;
  for (std::size_t i = 0; i < N; ++i) {
    const auto of_it = own[i].carried();
    limbs.insert(limbs.end(), of_it.begin(), of_it.end());
    beyond[i] = own[i].beyond();
  }
  all_reduce_sum(comm, std::span<std::int64_t>(limbs));
  all_reduce_sum(comm, std::span<double>(beyond));
  std::array<double, N> all;
  for (std::size_t i = 0; i < N; ++i) {
    const auto of_it = own[i].carried();
    std::copy_n(limbs.begin() + static_cast<std::ptrdiff_t>(i * exact_sum::words), exact_sum::words, of_it.begin());
    own[i].beyond() = beyond[i];
    all[i] = own[i].value();
  }
  return all;
}

template <class C>
double mean_over_ranks(const C& comm, const any_vector& x, const any_vector& weights) {
  std::array<exact_sum, 2> own{};
  agree(comm, [&] {
    if (!weights.empty() && weights.size() != x.size()) throw_length("weights", weights.size(), x.size(), "one a number");
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double w = weights.empty() ? 1 : weights.number(i);
      if (w != 0) own[0].add(w), own[1].add(w * x.number(i));
    }
  });
  const auto sums = exact_sums_of_ranks(comm, own);
  return sums[1] / sums[0];
}

}  // namespace detail

/// The mean of the numbers of all ranks, NaN of none. Their sum is exact and rounded once, so that the mean does not depend on how many
/// ranks there are. @p values is any vector of numbers. Two messages of some 1 KiB to each rank.
template <communicator C, detail::sized_memory V>
double mean_of(const C& comm, const V& values) {
  return detail::mean_over_ranks(comm, detail::view_vector(values), {});
}
/// The mean by weights, sum w x / sum w; a number of weight 0 may be anything. @throws shape_error where there is not one weight a number.
template <communicator C, detail::sized_memory V, detail::sized_memory W>
double mean_of(const C& comm, const V& values, const W& weights) {
  return detail::mean_over_ranks(comm, detail::view_vector(values), detail::view_vector(weights));
}

/// Count, mean and variance (of all numbers: divided by their count) of the numbers of all ranks. The mean is mean_of()'s, and the squares
/// around it are added as exactly: the same for any number of ranks. Reads the numbers twice.
template <communicator C, detail::sized_memory V>
moments_of_numbers moments_of(const C& comm, const V& values) {
  const any_vector x = detail::view_vector(values);
  const auto count = all_reduce_sum(comm, std::uint64_t{x.size()});
  const double center = mean_of(comm, values);
  std::array<exact_sum, 1> squares{};
  for (std::size_t i = 0; i < x.size(); ++i) squares[0].add((x.number(i) - center) * (x.number(i) - center));
  return {count, center, detail::exact_sums_of_ranks(comm, squares)[0] / static_cast<double>(count)};
}

/// The median of the numbers of all ranks: of an even number the lower of the two in the middle, a number that one of them has (as the
/// signal `median_of`). 11 messages of at most 2 KiB to each rank, whatever there is. O(numbers).
/// @throws (on all ranks) value_error where one is NaN, shape_error where there is none.
template <communicator C, detail::sized_memory V>
double median_of(const C& comm, const V& values) {
  std::vector<std::uint64_t> keys = agree(comm, [&] { return detail::ordered_bits_of(detail::view_vector(values)); });
  const auto total = all_reduce_sum(comm, std::uint64_t{keys.size()});
  if (total == 0) raise<shape_error>("limbeck: a median of no values");
  return detail::number_at(comm, std::span(keys), (total - 1) / 2).number;
}

/// What all ranks have counted: @p own with the sums of all, and @p own stays as it is, to count on. Whole numbers are exact; doubles are
/// added in the order of the ranks. Sends the sums as all_reduce_sum() of numbers does, in one message for each type.
/// @throws (on all ranks) value_error where the ranks do not have as many.
template <communicator C, sums_of_rows X>
X all_reduce_sum(const C& comm, const X& own) {
  X all = own;
  std::vector<double> numbers;
  std::vector<std::uint64_t> counts;
  const auto list_of = [&](auto x) -> auto& {
    if constexpr (std::is_same_v<decltype(x), std::span<double>>) {
      return numbers;
    } else {
      return counts;
    }
  };
  all.for_each_sum([&](auto x) {
    auto& list = list_of(x);
    list.insert(list.end(), x.begin(), x.end());
  });
  detail::require_alike(comm, static_cast<double>(numbers.size() + counts.size()), "the number of sums");
  if (!numbers.empty()) all_reduce_sum(comm, std::span<double>(numbers));
  if (!counts.empty()) all_reduce_sum(comm, std::span<std::uint64_t>(counts));
  std::size_t number = 0, count = 0;
  all.for_each_sum([&](auto x) {
    std::size_t& at = std::is_same_v<decltype(x), std::span<double>> ? number : count;
    std::copy_n(list_of(x).begin() + static_cast<std::ptrdiff_t>(at), x.size(), x.begin());
    at += x.size();
  });
  return all;
}

LIMBECK_END_NAMESPACE

#endif
