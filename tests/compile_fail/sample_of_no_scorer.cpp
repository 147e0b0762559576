// Models that take tokens alone, and prompts that are one sequence, or sequences of another type.
// expect: limbeck: decoding asks
// expect: limbeck: decoding asks a scorer
// expect: limbeck: decoding asks for sequences of tokens
// times: 9
#include <limbeck/decoding/answer_logits.hpp>
#include <limbeck/decoding/in_context.hpp>
#include <limbeck/decoding/interleaved.hpp>
#include <limbeck/decoding/next_logits.hpp>

#include <array>
#include <vector>

namespace lk = limbeck;

std::vector<float> logits(3);
const std::vector<std::vector<lk::token_id>> prompts{{1}};

#ifdef LIMBECK_CONTROL
using shown = lk::prefix;
using number = lk::token_id;
const auto& one = prompts;
#else
using shown = lk::token_id;
using number = long;
const std::vector<lk::token_id> one{1};
#endif
template <int>
struct scorer {  // a type each, for a compiler says a sentence of a type once
  lk::rows<const float> operator()(std::span<const shown> x) { return {logits.data(), x.size(), 3}; }
};
template <std::size_t N>
using sequences = std::vector<std::array<number, N>>;

void use();
void use() {
  const auto right = [](std::span<const lk::prefix> x) { return lk::rows<const float>(logits.data(), x.size(), 3); };
  const lk::rollouts written = lk::given_answers(prompts, prompts);
  lk::sample(scorer<0>{}, prompts);
  lk::sample(lk::interleaved(scorer<1>{}, scorer<1>{}), prompts);
  lk::answer_logits(scorer<2>{}, written, 0, 1);
  lk::next_logits(scorer<3>{}, written);
  lk::sequence_divergence(right, scorer<4>{}, written);
  lk::sample(right, one);
  lk::sample(right, sequences<1>(1));
  lk::given_answers(prompts, sequences<2>(1));
  lk::sample(lk::in_context(right, sequences<3>(1)), prompts);
}
