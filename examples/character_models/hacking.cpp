// Teacher hacking: an oracle whose next characters have known probabilities, a teacher that has seen little of what it writes, and
// students of the teacher.

#include "gru_scorer.hpp"
#include "lessons.hpp"
#include "losses.hpp"
#include "ngram.hpp"

#include "../common/parallel.hpp"
#include "../common/plot.hpp"
#include "../common/table.hpp"

#include <limbeck/decoding/answer_logits.hpp>
#include <limbeck/decoding/sample.hpp>
#include <limbeck/trainer/prompted_data.hpp>
#include <limbeck/trainer/watch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <numbers>
#include <string>
#include <vector>

namespace character_models {
namespace {

constexpr std::size_t prompt = 8, answer = 64;

/// What a model writes behind pieces of a text, one behind the other, prompts and answers.
template <class Model>
tokens written_by(Model&& model, std::span<const token> text, std::size_t pieces, std::uint64_t seed) {
  std::vector<std::span<const token>> prompts;
  lk::random_stream random(seed);
  for (std::size_t i = 0; i < pieces; ++i) prompts.push_back(text.subspan(random.below(text.size() - prompt), prompt));
  return lk::sample(model, prompts, {.length = answer, .seed = seed}).tokens;
}

}  // namespace

void watch_hacking(const options& o, const novel& text) {
  ngram oracle(text.train, 4, text.size());
  const auto updates = static_cast<std::size_t>(o.hacking_updates);
  const std::size_t every = std::max<std::size_t>(1, updates / 12);
  struct way {
    std::string name;
    std::size_t pieces;  // of the text that it learns from
    double share;        // of the updates on what is written anew
    bool by_student;
  };
  const std::vector<way> ways{{"100 texts of the teacher", 100, 0, false},
                              {"1,000 texts of the teacher", 1'000, 0, false},
                              {"the teacher writes anew", 1'000, 1, false},
                              {"the student writes", 1'000, 1, true}};
  const auto seeds = static_cast<std::size_t>(o.seeds);
  struct track {
    std::vector<double> proxy, golden;
    bool hacked = false;
  };
  std::vector<std::vector<track>> all(ways.size(), std::vector<track>(seeds));
  std::vector<double> teachers(seeds);
  const auto per_character = [](double nats) { return nats / (answer * std::numbers::ln2); };

  examples::parallel_for(o.seeds, o.threads, [&](int number) {
    const auto seed = static_cast<std::uint64_t>(number);
    ngram own = oracle;
    const tokens seen = written_by(own, text.train, 400, 10 + seed);
    const windows first(seen, answer, prompt, prompt + answer);
    gru taught(text.size(), 64, 20 + seed, 0.2);
    fit(taught, nobody(), cross_entropy(), first, {.updates = updates, .batch = 16, .rate = 0.005, .seed = seed});
    gru begun(text.size(), static_cast<std::size_t>(o.student_width), 30 + seed);
    fit(begun, nobody(), cross_entropy(), first, {.updates = updates / 4, .batch = 16, .rate = 0.01, .seed = seed});
    const auto distance = [&](gru& from, auto&& to) {
      std::vector<std::span<const token>> prompts;
      const std::size_t apart = std::min<std::size_t>(900, (text.test.size() - prompt) / 128);
      for (std::size_t i = 0; i < 128; ++i) prompts.push_back(std::span(text.test).subspan(i * apart, prompt));
      const lk::rollouts sample = lk::sample(gru_scorer(from), prompts, {.length = answer, .seed = 5});
      return per_character(lk::sequence_divergence(gru_scorer(from), to, sample));
    };
    teachers[static_cast<std::size_t>(number)] = distance(taught, own);
    for (std::size_t w = 0; w < ways.size(); ++w) {
      track& at = all[w][static_cast<std::size_t>(number)];
      gru student = begun;
      const tokens fixed = written_by(gru_scorer(taught), text.train, ways[w].pieces, 40 + seed);
      const windows data(fixed, answer, prompt, prompt + answer);
      gru& author = ways[w].by_student ? student : taught;
      lk::watch watch([&] { return distance(student, gru_scorer(taught)); }, [&] { return distance(student, own); });
      at.proxy.push_back(distance(student, gru_scorer(taught)));
      at.golden.push_back(distance(student, own));
      fit(student, reading(taught), forward_kl(), data,
          {.updates = updates, .batch = 16, .rate = 0.01, .seed = seed, .share = ways[w].share,
           .write = [&](const lk::rollouts& prompts, std::uint64_t s) {
             return lk::sample(gru_scorer(author), lk::prompts_of(prompts), {.length = answer, .seed = s});
           },
           .every = every,
           .look = [&](lk::training_run& run) {
             watch.after_epoch(run);
             at.proxy.push_back(run.metrics["proxy"]);
             at.golden.push_back(run.metrics["golden"]);
           }});
      at.hacked = watch.hacking();
    }
  });

  for (const bool golden : {false, true}) {
    std::vector<examples::curve> curves;
    for (std::size_t w = 0; w < ways.size(); ++w) {
      curves.push_back({ways[w].name, {}, {}});
      for (std::size_t i = 0; i < all[w][0].proxy.size(); ++i) {
        std::vector<double> values;
        for (const track& t : all[w]) values.push_back((golden ? t.golden : t.proxy)[i]);
        curves.back().x.push_back(static_cast<double>(i * every));
        curves.back().y.push_back(examples::over_seeds(values));
      }
    }
    examples::draw(o.out,
                   {golden ? "golden" : "proxy", golden ? "How far from the oracle" : "How far from the teacher", "update",
                    golden ? "KL from the oracle, bits a character" : "KL from the teacher, bits a character", "set key top right"},
                   curves);
  }
  examples::table t("bits a character", {{"from the teacher", 3}, {"from the oracle", 3}, {"nearest to it", 3}, {"flagged", 1}});
  for (std::size_t w = 0; w < ways.size(); ++w) {
    std::vector<double> proxy, golden, nearest, flagged;
    for (const track& k : all[w]) {
      proxy.push_back(k.proxy.back()), golden.push_back(k.golden.back());
      nearest.push_back(*std::min_element(k.golden.begin(), k.golden.end()));
      flagged.push_back(k.hacked ? 1 : 0);
    }
    t.add(ways[w].name, {proxy, golden, nearest, flagged});
  }
  t.add("the teacher", {{}, teachers, {}, {}});
  t.print();
}

}  // namespace character_models
