#ifndef LIMBECK_AVERAGING_WEIGHTED_SUM_HPP
#define LIMBECK_AVERAGING_WEIGHTED_SUM_HPP

/// @file
/// Snapshots of parameters, and their weighted sums: averages of checkpoints, soups, post-hoc reconstruction.

#include <limbeck/averaging/parameters.hpp>

#include <algorithm>
#include <span>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// A copy of @p parameters that owns its memory, on the host: a vector a tensor.
template <parameter_range Range>
auto snapshot(const Range& parameters) {
  using T = detail::parameter_t<Range>;
  std::vector<std::vector<T>> copy;
  for (const auto& v : detail::views_of<const T>(parameters, "parameter tensor")) {
    copy.emplace_back(v.size());
    detail::parameter_memory<detail::parameter_memory_t<Range>>::to_host(v.data(), copy.back().data(), v.size());
  }
  return copy;
}

/// out = sum_i weights_i snapshots_i, element by element, in double; @p snapshots is a range of parameter ranges on the
/// host. The weights need not sum to 1. @p out may be none of the snapshots.
/// @throws shape_error where numbers of snapshots and weights, of tensors, or sizes differ.
template <class Snapshots, parameter_range Out>
void weighted_sum(const Snapshots& snapshots, std::span<const double> weights, Out&& out) {
  using T = detail::parameter_t<Out>;
  static_assert(std::is_same_v<detail::parameter_memory_t<Out>, host_rows>, "limbeck: weighted_sum works on the host");
  const auto target = detail::views_of<T>(out, "output tensor");
  std::vector<std::vector<std::span<const T>>> all;
  for (const auto& s : snapshots) {
    all.push_back(detail::views_of<const T>(s, "snapshot tensor"));
    detail::require_same_shapes(all.back(), target, "a snapshot", "as the output");
  }
  if (all.size() != weights.size()) detail::throw_length("weights", weights.size(), all.size(), "one a snapshot");
  constexpr std::size_t block = 512;
  double acc[block];
  for (std::size_t t = 0; t < target.size(); ++t)
    for (std::size_t first = 0; first < target[t].size(); first += block) {
      const std::size_t count = (std::min)(block, target[t].size() - first);
      std::fill_n(acc, count, 0.0);
      for (std::size_t k = 0; k < all.size(); ++k) {
        const T* from = all[k][t].data() + first;
        for (std::size_t i = 0; i < count; ++i) acc[i] += weights[k] * static_cast<double>(from[i]);
      }
      for (std::size_t i = 0; i < count; ++i) target[t][first + i] = static_cast<T>(static_cast<arithmetic_of_t<T>>(acc[i]));
    }
}

LIMBECK_END_NAMESPACE

#endif
