#ifndef LIMBECK_SELECTION_RANKING_HPP
#define LIMBECK_SELECTION_RANKING_HPP

/// @file
/// Rows in order of a score: the best of a stream in O(best) memory. Ties go to the lowest row.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/selection/query.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <type_traits>
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
  std::vector<std::size_t> sorted_rows() {
    std::vector<std::size_t> result;
    result.reserve(heap_.size());
    for (const ranked_row& r : sorted()) result.push_back(r.row);
    return result;
  }

 private:
  std::size_t k_;
  std::vector<ranked_row> heap_;
};

inline void check_k(std::size_t k, std::size_t size, const char* of_what) {
  if (k == 0 || k > size)
    raise<value_error>("limbeck: k is " + std::to_string(k) + ", expected 1 to " + std::to_string(size) +
                       ", the number of " + of_what);
}

/// Of scores in @p Memory.
template <class Memory>
std::vector<std::size_t> best_of(const any_vector& scores, std::size_t k, double sign) {
  check_k(k, scores.size(), "scores");
  if constexpr (std::is_same_v<Memory, host_rows>) {
    best_rows best(k);
    for (std::size_t i = 0; i < scores.size(); ++i) best.offer(sign * scores.number(i), i);
    return best.sorted_rows();
  } else {
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

LIMBECK_END_NAMESPACE

#endif
