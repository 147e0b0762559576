#ifndef LIMBECK_SELECTION_BY_SCORE_HPP
#define LIMBECK_SELECTION_BY_SCORE_HPP

/// @file
/// The rows with the highest or the lowest score: uncertainty sampling and its kin.

#include <limbeck/selection/pool_rows.hpp>
#include <limbeck/selection/ranking.hpp>
#include <limbeck/selection/shared_pool.hpp>
#include <limbeck/selection/subpool.hpp>
#include <limbeck/signal/measure.hpp>
#include <limbeck/signal/reads.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

struct no_pool {};

/// Scores that a signal gives, block by block.
template <class S, class Teacher = no_pool>
struct signal_scores {
  S measured_signal;
  const Teacher* teacher = nullptr;

  using Reads = signal_reads<S>;

  /// What the signal reads is there.
  static void require([[maybe_unused]] const query& q) {
    static_assert(!Reads::given,
                  "limbeck: given(v) has one number for each row of a batch, and a selector reads its pool in blocks; "
                  "rank by the vector itself, by_highest(v)");
    static_assert(!Reads::teacher || !std::is_same_v<Teacher, no_pool>,
                  "limbeck: this signal reads the teacher's row; give its pool too, by_highest(signal, teacher)");
    if constexpr (Reads::labels) {
      if (q.labels.empty()) raise<value_error>("limbeck: this signal needs the labels of the query");
    }
  }

  /// `f(row, score)` for every row of @p p, in order.
  template <class Reader, class F>
  void each(const Reader& p, const query& q, F&& f) const {
    using T = typename Reader::scalar;
    require(q);
    const auto size = static_cast<std::size_t>(p.size()), columns = static_cast<std::size_t>(p.columns());
    const std::size_t block = rows_of_block(size, columns);
    std::vector<T> logits(block * columns), teacher_logits, scores(block);
    std::vector<std::int64_t> labels;
    std::vector<std::size_t> originals;
    workspace ws;
    for (std::size_t first = 0; first < size; first += block) {
      const std::size_t count = (std::min)(block, size - first);
      p.read(first, count, logits.data());
      const rows<const T> student(logits.data(), count, columns);
      const std::span<T> out(scores.data(), count);
      labels.clear();
      if constexpr (Reads::labels)
        for (std::size_t r = 0; r < count; ++r) labels.push_back(q.labels.integer(first + r));
      const auto with_labels = [&](const auto&... tensors) {
        attempt<value_error>(
            [&] {
              if constexpr (Reads::labels) {
                measure(measured_signal, tensors..., labels, ws, out);
              } else {
                measure(measured_signal, tensors..., ws, out);
              }
            },
            [&](const value_error& e) {
              if (first == 0) go_on();
              raise<value_error>(std::string(e.what()) + " (counted from row " + std::to_string(first) + " of the pool)");
            });
      };
      if constexpr (std::is_same_v<Teacher, no_pool>) {
        with_labels(student);
      } else {
        const auto& other = as_reader(*teacher);
        static_assert(std::is_same_v<typename std::remove_cvref_t<decltype(other)>::scalar, T>,
                      "limbeck: the pools of student and teacher hold different scalar types");
        const auto teacher_columns = static_cast<std::size_t>(other.columns());
        if (static_cast<std::size_t>(other.size()) != original_size(p) || teacher_columns != columns)
          throw_shape("the teacher's pool", static_cast<std::size_t>(other.size()), teacher_columns, original_size(p),
                      columns);
        originals.clear();
        for (std::size_t r = 0; r < count; ++r) originals.push_back(original_row(p, first + r));
        teacher_logits.resize(block * columns);
        subpool<std::remove_cvref_t<decltype(other)>>{other, originals}.read(0, count, teacher_logits.data());
        with_labels(student, rows<const T>(teacher_logits.data(), count, columns));
      }
      for (std::size_t r = 0; r < count; ++r) f(first + r, static_cast<double>(scores[r]));
    }
  }
};

/// Scores that are there already in @p Memory, one for each row of the whole pool.
template <class Memory>
struct given_scores {
  any_vector values;
  template <class Reader, class F>
  void each(const Reader& p, const query&, F&& f) const {
    static_assert(std::is_same_v<Memory, host_rows>,
                  "limbeck: these scores lie on a device, and the selector reads them on the host; copy them there, or give "
                  "by_highest and by_lowest a pool on the device, too");
    if (values.size() != original_size(p))
      throw_length("scores", values.size(), original_size(p), "one a row of the pool");
    for (std::size_t r = 0; r < static_cast<std::size_t>(p.size()); ++r) f(r, values.number(original_row(p, r)));
  }
};

/// `f(row, score)` for every row of @p p, in order; of a rank without rows nothing is asked.
template <class Scores, class Reader, class F>
void each_score(const Scores& scores, const Reader& p, const query& q, F&& f) {
  if (p.size() > 0) scores.each(p, q, f);
}

/// A vector of scores, a signal, or a signal and the teacher's pool.
template <class S>
auto score_source(const S& s) {
  if constexpr (signal<S>) {
    return signal_scores<S>{s};
  } else {
    static_assert(
        vector_of_numbers<S>,
        "limbeck: a score is a signal, such as entropy{}, or a vector of numbers with one for each row of the pool");
    return given_scores<vector_memory_t<S>>{view_vector(s)};
  }
}

}  // namespace detail

/// See by_highest() and by_lowest().
template <class Scores, int Sign>
struct ranked_rows {
  Scores scores;  ///< where the scores come from

  /// O(budget) memory besides the block that is read; on a device 32 bytes a row and the scores. @throws value_error,
  /// shape_error as the query is wrong, value_error where a score is NaN.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& pool, const query& q) const {
    if constexpr (detail::read_by_host<Pool>) {
      return over(one_rank{}, pool, q);
    } else {
      const auto labelled = check_query(q, detail::size_of_pool(pool));
      return detail::selection_in<detail::pool_memory_t<Pool>>::ranked(scores, pool, q, labelled, Sign);
    }
  }
  /// The same rows of a pool in shards: see over_ranks(). Scores, labels and the teacher's pool are of this rank's rows. Each rank sends
  /// its own best rows, 16 bytes each and at most budget; where more than 256 are asked for nearly only those that are chosen.
  template <communicator C, class Pool>
  std::vector<std::size_t> over(const C& comm, const Pool& own, const query& q) const {
    const auto& reader = as_reader(own);
    const shared_pool share = check_query(comm, reader, q, detail::digest_of_numbers(Sign));
    std::vector<detail::ranked_row> mine = agree(comm, [&] {
      detail::best_rows best(q.budget);
      detail::each_score(scores, reader, q, [&](std::size_t r, double score) {
        if (!share.taken[r]) best.offer(Sign * score, share.of.first() + r);
      });
      return best.sorted();
    });
    return detail::rows_of(detail::best_of_ranks(comm, std::move(mine), q.budget));
  }
};

/// The rows with the highest score, highest first, ties by the lowest row. @p score is a signal, read off the pool's
/// logits block by block (and off the query's labels where it needs them), or a vector with one number for each row of
/// the pool, which outlives the selector.
template <class Score>
auto by_highest(const Score& score) {
  auto scores = detail::score_source(score);
  return ranked_rows<decltype(scores), 1>{scores};
}
/// The same for signals of student and teacher: @p teacher is the pool of the teacher's logits, and outlives the
/// selector.
template <signal S, pool Teacher>
auto by_highest(const S& score, const Teacher& teacher) {
  return ranked_rows<detail::signal_scores<S, Teacher>, 1>{{score, &teacher}};
}
/// The rows with the lowest score, lowest first. See by_highest().
template <class Score>
auto by_lowest(const Score& score) {
  auto scores = detail::score_source(score);
  return ranked_rows<decltype(scores), -1>{scores};
}
/// See by_highest().
template <signal S, pool Teacher>
auto by_lowest(const S& score, const Teacher& teacher) {
  return ranked_rows<detail::signal_scores<S, Teacher>, -1>{{score, &teacher}};
}

/// Entropy sampling: `by_highest(entropy{})`. Settles, Active Learning Literature Survey, 2009, as the
/// next two.
inline auto entropy_sampling() { return by_highest(entropy{}); }
/// Margin sampling: `by_lowest(margin{})`, the rows whose two likeliest classes are closest.
inline auto margin_sampling() { return by_lowest(margin{}); }
/// Least confidence: `by_lowest(confidence{})`.
inline auto least_confidence_sampling() { return by_lowest(confidence{}); }

LIMBECK_END_NAMESPACE

#endif
