#ifndef LIMBECK_TRAINER_WRITERS_HPP
#define LIMBECK_TRAINER_WRITERS_HPP

/// @file
/// What writes answers for training, and one that writes again what is not accepted.

#include <limbeck/core/describe.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/trainer/prompted_data.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// `write(own, seed)` or `write(own, seed, rows)`: of the `rollouts` of some prompts with the data's own answers, a seed, and the numbers
/// of their rows, a `std::span<const std::size_t>`; gives `rollouts` with these prompts.
template <class W>
concept answer_writer =
    std::is_invocable_r_v<rollouts, std::remove_reference_t<W>&, const rollouts&, std::uint64_t, std::span<const std::size_t>> ||
    std::is_invocable_r_v<rollouts, std::remove_reference_t<W>&, const rollouts&, std::uint64_t>;

/// @cond
namespace detail {
inline void require_same_prompts(const rollouts& written, const rollouts& own, const char* whom) {
  written.require_whole();
  if (written.size() != own.size())
    raise<shape_error>("limbeck: " + std::to_string(written.size()) + " sequences are written for " + whom + ", expected " +
                       std::to_string(own.size()) + ", one a prompt");
  const prompts_of theirs(written), mine(own);
  for (std::size_t s = 0; s < own.size(); ++s)
    if (!std::ranges::equal(theirs[s], mine[s]))
      raise<value_error>("limbeck: sequence " + std::to_string(s) + " that is written for " + whom + " has another prompt");
}
/// What is written for @p whom, with the prompts of @p own.
template <class Write>
rollouts write_answers(Write& write, const rollouts& own, std::uint64_t seed, std::span<const std::size_t> rows, const char* whom) {
  rollouts written;
  if constexpr (std::is_invocable_v<Write&, const rollouts&, std::uint64_t, std::span<const std::size_t>>) {
    written = write(own, seed, rows);
  } else {
    written = write(own, seed);
  }
  require_same_prompts(written, own, whom);
  return written;
}
}  // namespace detail
/// @endcond

/// See retried().
template <class Write, class Accept>
class retried_writer {
 public:
  /// @cond
  retried_writer(Write write, Accept accept, std::size_t tries)
      : write_(std::move(write)), accept_(std::move(accept)), tries_(tries) {
    static_assert(answer_writer<const Write>,
                  "limbeck: what writes for retried is called, as it is const, with the rollouts of prompts and a seed (and, where it "
                  "takes them, the numbers of their rows), and gives rollouts; a lambda that is mutable is not");
    static_assert(std::is_invocable_r_v<bool, const Accept&, std::span<const token_id>, std::size_t>,
                  "limbeck: what accepts for retried is called, as it is const, with a std::span<const token_id>, the answer, and the "
                  "number of its row, and gives a bool");
    if (tries == 0) raise<value_error>("limbeck: the tries of retried are 0, expected at least 1");
  }
  rollouts operator()(const rollouts& own, std::uint64_t seed, std::span<const std::size_t> rows) const {
    const answers_of own_answers(own);
    const prompts_of prompts(own);
    std::vector<std::vector<token_id>> answers(own.size());
    std::vector<std::size_t> open(own.size());
    for (std::size_t s = 0; s < open.size(); ++s) open[s] = s;
    for (std::size_t i = 0; i < tries_ && !open.empty(); ++i) {
      std::vector<std::span<const token_id>> some_prompts, some_answers;
      std::vector<std::size_t> some_rows;
      for (const std::size_t s : open) {
        some_prompts.push_back(prompts[s]);
        some_answers.push_back(own_answers[s]);
        some_rows.push_back(rows[s]);
      }
      const rollouts written = detail::write_answers(write_, given_answers(some_prompts, some_answers),
                                                     random_stream(seed).split(i)(), some_rows, "retried");
      std::size_t left = 0;
      for (std::size_t s = 0; s < some_rows.size(); ++s) {
        const auto answer = written.answer(s);
        answers[open[s]].assign(answer.begin(), answer.end());
        if (!accept_(answer, some_rows[s])) open[left++] = open[s];
      }
      open.resize(left);
    }
    return given_answers(prompts, answers);
  }
  std::string describe() const { return "retried " + std::to_string(tries_) + " times, " + detail::described_or_type(write_); }
  /// @endcond

 private:
  Write write_;
  Accept accept_;
  std::size_t tries_;
};

/// A writer that asks @p write again, with another seed each time and for these alone, for the answers that @p accept(answer, row) is
/// false of, `tries` times at most; then they stay as they are. Both are called as const: they have no state of their own. MixSD accepts
/// an answer whose result is right, in 101 tries (arXiv:2605.16865, by the authors' code).
///
/// In a call of @p write sequence s is row `rows[s]` of the data: what it reads beside the prompts, as the contexts of `in_context`, is
/// `of_rows(texts, rows)`.
/// @throws value_error where tries is 0; in a call shape_error or value_error where what is written has not the prompts asked for.
template <class Write, class Accept>
retried_writer<Write, Accept> retried(Write write, Accept accept, std::size_t tries = 100) {
  return {std::move(write), std::move(accept), tries};
}

LIMBECK_END_NAMESPACE

#endif
