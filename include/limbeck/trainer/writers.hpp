#ifndef LIMBECK_TRAINER_WRITERS_HPP
#define LIMBECK_TRAINER_WRITERS_HPP

/// @file
/// What writes answers for training, and one that writes again what is not accepted.

#include <limbeck/core/random.hpp>
#include <limbeck/trainer/prompted_data.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
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
template <class Write>
rollouts write_answers(Write& write, const rollouts& own, std::uint64_t seed, std::span<const std::size_t> rows) {
  if constexpr (std::is_invocable_v<Write&, const rollouts&, std::uint64_t, std::span<const std::size_t>>) {
    return write(own, seed, rows);
  } else {
    return write(own, seed);
  }
}
}  // namespace detail
/// @endcond

/// A writer that asks @p write again, with another seed each time and for these alone, for the answers that @p accept(answer, row) is
/// false of, `tries` times at most; then they stay as they are. MixSD accepts an answer whose result is right, in 100 tries
/// (arXiv:2605.16865, by the authors' code). @throws value_error where tries is 0.
template <class Write, class Accept>
  requires answer_writer<const Write>
auto retried(Write write, Accept accept, std::size_t tries = 100) {
  if (tries == 0) raise<value_error>("limbeck: the tries of retried are 0, expected at least 1");
  return [write = std::move(write), accept = std::move(accept), tries](const rollouts& own, std::uint64_t seed,
                                                                      std::span<const std::size_t> rows) {
    const answers_of own_answers(own);
    const prompts_of prompts(own);
    std::vector<std::vector<token_id>> answers(own.size());
    std::vector<std::size_t> open(own.size());
    for (std::size_t s = 0; s < open.size(); ++s) open[s] = s;
    for (std::size_t i = 0; i < tries && !open.empty(); ++i) {
      std::vector<std::span<const token_id>> some_prompts, some_answers;
      std::vector<std::size_t> some_rows;
      for (const std::size_t s : open) {
        some_prompts.push_back(prompts[s]);
        some_answers.push_back(own_answers[s]);
        some_rows.push_back(rows[s]);
      }
      const rollouts written =
          detail::write_answers(write, given_answers(some_prompts, some_answers), random_stream(seed).split(i)(), some_rows);
      std::size_t left = 0;
      for (std::size_t s = 0; s < some_rows.size(); ++s) {
        const auto answer = written.answer(s);
        answers[open[s]].assign(answer.begin(), answer.end());
        if (!accept(answer, some_rows[s])) open[left++] = open[s];
      }
      open.resize(left);
    }
    return given_answers(prompts, answers);
  };
}

LIMBECK_END_NAMESPACE

#endif
