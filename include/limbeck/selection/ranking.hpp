#ifndef LIMBECK_SELECTION_RANKING_HPP
#define LIMBECK_SELECTION_RANKING_HPP

/// @file
/// Rows in order of a score: the best of a stream in O(best) memory. Ties go to the lowest row.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/ranks/order_statistics.hpp>
#include <limbeck/ranks/shards.hpp>
#include <limbeck/selection/query.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class V>
concept vector_of_numbers = !std::is_void_v<vector_element_t<V>>;

/// A row and its score.
struct ranked_row {
  double score;
  std::size_t row;
};
/// The higher score first, then the lower row.
LIMBECK_HOST_DEVICE inline bool ranks_before(const ranked_row& a, const ranked_row& b) {
  return a.score > b.score || (a.score == b.score && a.row < b.row);
}

/// @p score as it is. @throws value_error where it is NaN, which has no place in any order.
inline double checked_score(double score, std::size_t row) {
  if (score != score) raise<value_error>("limbeck: the score of row " + std::to_string(row) + " is nan");
  return score;
}

inline std::vector<std::size_t> rows_of(const std::vector<ranked_row>& ranked) {
  std::vector<std::size_t> result;
  result.reserve(ranked.size());
  for (const ranked_row& r : ranked) result.push_back(r.row);
  return result;
}

/// The @p k best rows of a stream, in a heap with the worst of them on top. O(log k) a row that is better than that
/// one, O(1) any other.
class best_rows {
 public:
  explicit best_rows(std::size_t k) : k_(k) {}
  void offer(double score, std::size_t row) {
    const ranked_row candidate{checked_score(score, row), row};
    if (heap_.size() == k_) {
      if (k_ == 0 || !ranks_before(candidate, heap_.front())) return;
      std::pop_heap(heap_.begin(), heap_.end(), ranks_before);
      heap_.back() = candidate;
    } else {
      heap_.push_back(candidate);
    }
    std::push_heap(heap_.begin(), heap_.end(), ranks_before);
  }
  /// Best first. Nothing more is offered afterwards.
  const std::vector<ranked_row>& sorted() {
    std::sort(heap_.begin(), heap_.end(), ranks_before);
    return heap_;
  }
  std::vector<std::size_t> sorted_rows() { return rows_of(sorted()); }

 private:
  std::size_t k_;
  std::vector<ranked_row> heap_;
};

/// The @p k best of all ranks, best first, from the best of each, @p own, which stand best first and bear numbers of the whole. Of more
/// than twice as many only those travel, 16 bytes each, that are chosen: where they begin is found first, by 10 messages of 2 KiB.
template <class C>
std::vector<ranked_row> best_of_ranks(const C& comm, std::vector<ranked_row> own, std::size_t k) {
  if constexpr (std::is_same_v<C, one_rank>) return own;
  const auto total = all_reduce_sum(comm, std::uint64_t{own.size()});
  if (constexpr std::size_t few = 256; total > 2 * k && k > few) {
    std::vector<std::uint64_t> keys;
    for (const ranked_row& r : own) keys.push_back(ordered_bits(r.score + 0.0));
    const largest_cut cut = cut_of_largest(comm, std::span(keys), total, k);
    std::size_t kept = 0;
    while (kept < own.size() && own[kept].score > cut.last) ++kept;
    own.resize(kept + static_cast<std::size_t>(cut.ties));
  }
  std::vector<ranked_row> all = all_gather_ragged(comm, std::span<const ranked_row>(own)).values;
  std::sort(all.begin(), all.end(), ranks_before);
  if (all.size() > k) all.resize(k);
  return all;
}

inline void check_k(std::size_t k, std::size_t size, const char* of_what) {
  if (k == 0 || k > size)
    raise<value_error>("limbeck: k is " + std::to_string(k) + ", expected 1 to " + std::to_string(size) +
                       ", the number of " + of_what);
}

/// Of the scores of all ranks. @throws value_error
template <class C>
std::vector<std::size_t> best_over_ranks(const C& comm, const any_vector& scores, std::size_t k, double sign) {
  require_alike(comm, static_cast<double>(k), "k");
  const shards of(comm, scores.size());
  check_k(k, of.total(), "scores");
  std::vector<ranked_row> own = agree(comm, [&] {
    best_rows best(k);
    for (std::size_t i = 0; i < scores.size(); ++i) best.offer(sign * scores.number(i), of.first() + i);
    return best.sorted();
  });
  return rows_of(best_of_ranks(comm, std::move(own), k));
}
/// Of scores in @p Memory.
template <class Memory>
std::vector<std::size_t> best_of(const any_vector& scores, std::size_t k, double sign) {
  if constexpr (std::is_same_v<Memory, host_rows>) {
    return best_over_ranks(one_rank{}, scores, k, sign);
  } else {
    check_k(k, scores.size(), "scores");
    return selection_in<Memory>::best_of(scores, k, sign);
  }
}

}  // namespace detail

/// The places of the @p k highest of @p scores (any vector of numbers, on a device too), highest first, ties by the lowest
/// place. O(n log k) at worst, O(n log n) on a device. @throws value_error where k is 0 or more than there are, or a score is NaN.
template <detail::vector_of_numbers V>
std::vector<std::size_t> top_k(const V& scores, std::size_t k) {
  return detail::best_of<detail::vector_memory_t<V>>(detail::view_vector(scores), k, 1);
}
/// The places of the @p k lowest of @p scores, lowest first. See top_k().
template <detail::vector_of_numbers V>
std::vector<std::size_t> bottom_k(const V& scores, std::size_t k) {
  return detail::best_of<detail::vector_memory_t<V>>(detail::view_vector(scores), k, -1);
}

/// The @p k highest of the scores of all ranks, as places of the whole, rank 0's first; each rank has any number of scores, on the host.
/// Each rank sends its own best, 16 bytes each and at most k; of more than 256 nearly only those that are chosen.
/// @throws (on all ranks) as top_k(), also where k is not the same on all.
template <communicator C, detail::sized_memory V>
std::vector<std::size_t> top_k(const C& comm, const V& scores, std::size_t k) {
  return detail::best_over_ranks(comm, detail::view_vector(scores), k, 1);
}
/// The @p k lowest of the scores of all ranks, lowest first.
template <communicator C, detail::sized_memory V>
std::vector<std::size_t> bottom_k(const C& comm, const V& scores, std::size_t k) {
  return detail::best_over_ranks(comm, detail::view_vector(scores), k, -1);
}

LIMBECK_END_NAMESPACE

#endif
