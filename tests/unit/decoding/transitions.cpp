// Transitions from token to token: what two models say behind alternatives to each token of an answer.

#include "catch.hpp"
#include "models.hpp"

#include <limbeck/decoding/answer_logits.hpp>
#include <limbeck/decoding/in_context.hpp>
#include <limbeck/decoding/next_logits.hpp>
#include <limbeck/decoding/prefixes.hpp>
#include <limbeck/decoding/sample.hpp>
#include <limbeck/logits.hpp>
#include <limbeck/tokens/token_weights.hpp>

#include <cmath>
#include <vector>

namespace lk = limbeck;
using limbeck_test::text;
using limbeck_test::toy_model;

namespace {

const std::vector<text> prompts{{1}, {2, 0}, {3}}, answers{{0, 2, 1, 3}, {1, 1}, {2, 0, 3}};

long double kl(const std::vector<double>& teacher, const std::vector<double>& student) {
  const auto log_softmax = [](const std::vector<double>& x) {
    long double sum = 0;
    for (const double v : x) sum += std::exp(static_cast<long double>(v));
    std::vector<long double> p;
    for (const double v : x) p.push_back(static_cast<long double>(v) - std::log(sum));
    return p;
  };
  const auto p = log_softmax(teacher), q = log_softmax(student);
  long double total = 0;
  for (std::size_t c = 0; c < p.size(); ++c) total += std::exp(p[c]) * (p[c] - q[c]);
  return total;
}

}  // namespace

TEST_CASE("decoding: transitions behind alternatives, the mean over sequences of the mean over their tokens") {
  toy_model student, teacher{.seed = 2, .keeps = true};
  const lk::rollouts gold = lk::given_answers(prompts, answers);
  const lk::prefixes_of before(gold);
  const auto places = lk::segments::of_lengths(std::vector<std::size_t>{4, 2, 3});
  std::vector<float> weights(before.size());
  lk::token_weights(places, std::vector<int>(before.size(), 1), lk::per_sequence, weights);
  for (const std::uint64_t seed : {1u, 2u}) {  // as many alternatives as seeds
    const lk::rollouts other = lk::sample(student, before, {.length = 1, .seed = seed});
    const auto of_teacher = lk::next_logits(teacher, other);
    const double loss = lk::objective{lk::forward_kl{}}.value(lk::next_logits(student, other), of_teacher, lk::row_weights(weights));
    long double expected = 0;
    for (std::size_t s = 0; s < places.size(); ++s)
      for (std::size_t r = places.begin(s); r < places.end(s); ++r) {
        text whole(before[r].begin(), before[r].end());
        whole.push_back(other.answer(r)[0]);
        expected += kl(teacher.behind(whole), student.behind(whole)) / static_cast<long double>(3 * places.length(s));
      }
    CHECK(loss == Approx(static_cast<double>(expected)).epsilon(1e-5));
  }
}

TEST_CASE("decoding: behind the right tokens transitions are the rows that teacher forcing has one further on") {
  toy_model model{.keeps = true};
  const lk::rollouts gold = lk::given_answers(prompts, answers);
  const lk::prefixes_of before(gold);
  std::vector<text> right;
  for (std::size_t s = 0; s < gold.size(); ++s)
    for (const lk::token_id token : gold.answer(s)) right.push_back({token});
  const auto forced = lk::answer_logits(model, gold);
  const std::vector<float> rows(forced.data, forced.data + forced.samples * 4);
  toy_model again{.keeps = true};
  const auto behind = lk::next_logits(again, lk::given_answers(before, right));
  REQUIRE(behind.samples == rows.size() / 4);
  for (const std::size_t r : {0u, 1u, 2u, 4u, 6u, 7u})  // all but the last of each answer
    for (std::size_t c = 0; c < 4; ++c) CHECK(behind(r, c) == rows[(r + 1) * 4 + c]);
  const lk::rollouts nothing = lk::given_answers(std::vector<text>{{1}, {}}, std::vector<text>{{2}, {}});
  CHECK_THROWS_WITH(lk::next_logits(again, nothing), "limbeck: sequence 1 is empty, expected a token at least");
}

TEST_CASE("decoding: how far a model is from itself in another context") {
  const std::vector<text> contexts{{3, 1}, {0}, {2, 2}};
  toy_model model{.keeps = true}, equal{.keeps = true};
  const lk::rollouts written = lk::given_answers(prompts, answers);
  for (const std::size_t at_once : {1u, 64u}) {
    const double forth = lk::sequence_divergence(model, lk::in_context(equal, contexts), written, lk::forward_kl{}, at_once);
    const double back = lk::sequence_divergence(lk::in_context(equal, contexts), model, written, lk::forward_kl{}, at_once);
    CHECK(forth > 0.1);
    CHECK(back > 0.1);
    CHECK(lk::sequence_divergence(model, lk::in_context(model, contexts), written, lk::forward_kl{}, at_once) == forth);
    CHECK(lk::sequence_divergence(lk::in_context(model, contexts), model, written, lk::forward_kl{}, at_once) == back);
  }
  CHECK_THROWS_WITH(lk::sequence_divergence(model, equal, written, lk::forward_kl{}, 0),
                    "limbeck: at_once of sequence_divergence is 0, expected 1 at least");
  // Logits of a type that is known at run time, and of 16 bits.
  std::vector<lk::float16> memory;
  const auto halved = [&](std::span<const lk::prefix> requests) {
    const auto x = equal(requests);
    memory.clear();
    for (std::size_t r = 0; r < x.samples; ++r)
      for (std::size_t c = 0; c < 4; ++c) memory.emplace_back(x(r, c));
    const std::ptrdiff_t shape[] = {static_cast<std::ptrdiff_t>(x.samples), 4};
    return lk::any_tensor(memory.data(), lk::element_type::float16, shape);
  };
  CHECK(lk::sequence_divergence(halved, halved, written) == 0);
  CHECK(lk::sequence_divergence(halved, model, written) < 1e-4);
  CHECK(lk::sequence_divergence(model, halved, written) < 1e-4);
}
