#ifndef LIMBECK_DECODING_REWRITTEN_HPP
#define LIMBECK_DECODING_REWRITTEN_HPP

/// @file
/// Given answers in which a student has filled in some tokens: imperfect data, at the price of one pass.

#include <limbeck/core/random.hpp>
#include <limbeck/decoding/rollouts.hpp>
#include <limbeck/decoding/scorer.hpp>
#include <limbeck/decoding/token_law.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Which tokens of an answer are masked.
enum class masked_tokens {
  at_random,  ///< drawn without replacement
  evenly,     ///< at equal distances
  hardest,    ///< where the student's entropy behind the answer as given is largest
  easiest     ///< where it is smallest
};

/// Settings of `rewritten`.
struct rewriting {
  double share = 0.2;               ///< in [0, 1]: of the tokens of each answer, rounded to the nearest number
  token_id mask = -1;               ///< what the student reads in their place: required, e.g. the token of a beginning
  masked_tokens which = masked_tokens::at_random;  ///< tokens
  std::uint64_t seed = 0;           ///< of those at random
  std::size_t first = 0;            ///< the number of the first sequence, where a call rewrites a part of them
};

namespace detail {

/// The student's distribution at each place of each answer, behind the tokens before: f(s, place, law).
template <class Student, class F>
void for_each_place(Student& student, const rollouts& text, std::span<const token_id> tokens, const rewriting& settings,
                    const sampling& how, F&& f) {
  std::vector<prefix> requests;
  std::size_t rows = 0, vocabulary = 0;
  for (std::size_t s = 0; s < text.size(); ++s) {
    const std::size_t wanted = text.answer(s).size();
    if (wanted == 0) continue;
    if (text.prompts[s] == 0) raise<value_error>("limbeck: prompt " + std::to_string(s) + " is empty, expected a token at least");
    requests.push_back({settings.first + s, tokens.subspan(text.sequences.begin(s), text.sequences.length(s) - 1), 0, wanted, text.prompts[s]});
    rows += wanted;
  }
  if (rows == 0) return;
  const auto answer = score(student, "student", requests, rows, vocabulary);
  std::vector<double> row(vocabulary);
  token_law law;
  std::size_t r = 0;
  for (std::size_t s = 0; s < text.size(); ++s)
    for (std::size_t place = text.prompts[s]; place < text.sequences.length(s); ++place, ++r) {
      answer.read(r, row);
      law.set(row, how, [&] {
        return "sequence " + std::to_string(settings.first + s) + " at position " + std::to_string(place);
      });
      f(s, place, law);
    }
}

/// The first @p count of @p order are the places that are masked.
inline void order_places(std::vector<std::size_t>& order, std::size_t count, std::span<const double> entropies, masked_tokens which,
                         random_stream random) {
  const std::size_t n = order.size();
  std::iota(order.begin(), order.end(), std::size_t{0});
  switch (which) {
    case masked_tokens::at_random: random.shuffle(order); break;
    case masked_tokens::evenly:
      for (std::size_t i = 0; i < count; ++i) order[i] = (2 * i + 1) * n / (2 * count);
      break;
    case masked_tokens::hardest:
      std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return entropies[a] > entropies[b]; });
      break;
    case masked_tokens::easiest:
      std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return entropies[a] < entropies[b]; });
      break;
  }
}

}  // namespace detail

/// @p answers, with some tokens of each replaced by the student's most likely ones, all in one pass over the answers in which
/// those tokens are masked. Writers are 1 at those tokens, else 0; log-probabilities are 0.
///
/// The imperfect data of KID (Zhong, Chen, Ding, Liu, Du and Tao, 2024, arXiv:2410.11371): the errors of a student's own text, without the
/// time that writing takes; trained on with `reverse_kl{}`, beside cross-entropy on the answers as given. A share of 0.1 to 0.3 serves,
/// 0.2 best, at random. ("Uniform" of the paper is `evenly` here; it says no more than "uniformly sampling".) `hardest` and
/// `easiest` take a pass more. The rows of all answers are held at once: give a part of them where they are many.
/// @throws value_error where a setting is out of its range, a prompt empty, or a logit NaN or +inf; shape_error where the scorer
/// gives other rows than were wanted.
template <class Student>
rollouts rewritten(const rollouts& answers, const rewriting& settings, Student&& student) {
  detail::require_scorers<Student>();
  answers.require_whole();
  if (!(settings.share >= 0 && settings.share <= 1))
    raise<value_error>("limbeck: rewriting::share is " + detail::show(settings.share) + ", expected a number in [0, 1]");
  if (settings.mask < 0)
    raise<value_error>("limbeck: rewriting::mask is " + std::to_string(settings.mask) + ", expected the token that masks others");
  std::vector<double> entropies(answers.tokens.size());
  if (settings.which == masked_tokens::hardest || settings.which == masked_tokens::easiest)
    detail::for_each_place(student, answers, answers.tokens, settings, {}, [&](std::size_t s, std::size_t place, const token_law& law) {
      entropies[answers.sequences.begin(s) + place] = law.entropy();
    });
  rollouts out = answers;
  out.log_probabilities.assign(out.tokens.size(), 0.0);
  out.writers.assign(out.tokens.size(), std::uint8_t{0});
  std::vector<token_id> read = answers.tokens;
  std::vector<std::size_t> order;
  for (std::size_t s = 0; s < answers.size(); ++s) {
    order.resize(answers.answer(s).size());
    const std::size_t begin = answers.sequences.begin(s) + answers.prompts[s];
    const auto count = static_cast<std::size_t>(std::floor(settings.share * static_cast<double>(order.size()) + 0.5));
    detail::order_places(order, count, std::span<const double>(entropies).subspan(begin, order.size()), settings.which,
                         random_stream(settings.seed).split(settings.first + s));
    for (std::size_t i = 0; i < count; ++i) read[begin + order[i]] = settings.mask, out.writers[begin + order[i]] = 1;
  }
  detail::for_each_place(student, answers, read, settings, {.temperature = 0}, [&](std::size_t s, std::size_t place, const token_law& law) {
    const std::size_t i = answers.sequences.begin(s) + place;
    if (out.writers[i] == 1) out.tokens[i] = law.at(0);
  });
  return out;
}

LIMBECK_END_NAMESPACE

#endif
