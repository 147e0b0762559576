// What must be equal to the last bit, what models are asked, and what is refused.

#include "catch.hpp"
#include "map_archive.hpp"
#include "models.hpp"

#include <limbeck/core/first_classes.hpp>
#include <limbeck/decoding/admitted.hpp>
#include <limbeck/decoding/corrected.hpp>
#include <limbeck/decoding/either.hpp>
#include <limbeck/decoding/in_context.hpp>
#include <limbeck/decoding/interleaved.hpp>
#include <limbeck/decoding/mixed.hpp>
#include <limbeck/decoding/prefixes.hpp>
#include <limbeck/decoding/rewritten.hpp>

#include <algorithm>
#include <set>

namespace {

namespace lk = limbeck;
using namespace limbeck_test;

const std::vector<text> prompts{{1}, {2, 3}, {1, 0, 1}, {3}, {2, 3}, {0, 0, 2, 1, 3}};
const lk::sampling how{.length = 12, .temperature = 0.9, .top_p = 0.95, .end = 0, .seed = 4};

template <class Fault, class F>
std::string message(F&& f) {
  try {
    f();
  } catch (const Fault& e) {
    return e.what();
  }
  return "no fault";
}
text answer(const lk::rollouts& r, std::size_t s) { return {r.answer(s).begin(), r.answer(s).end()}; }

/// Sequences that are made when they are asked for.
struct lazy {
  std::vector<text> all;
  std::size_t size() const { return all.size(); }
  text operator[](std::size_t s) const { return all[s]; }
};
/// A scorer that says the same behind everything.
struct always {
  std::vector<double> row;
  std::vector<double> out{};
  lk::rows<const double> operator()(std::span<const lk::prefix> requests) {
    out.clear();
    for (const lk::prefix& p : requests)
      for (std::size_t i = 0; i < p.wanted; ++i) out.insert(out.end(), row.begin(), row.end());
    return {out.data(), out.size() / row.size(), row.size()};
  }
};
/// A scorer that returns what it is told.
template <class Logits>
struct says {
  Logits logits;
  const Logits& operator()(std::span<const lk::prefix>) { return logits; }
};

}  // namespace

TEST_CASE("decoding: what is written ends at its end or its length, and says who wrote it") {
  toy_model model;
  const auto r = lk::sample(model, prompts, how);
  REQUIRE(r.size() == prompts.size());
  std::size_t ended = 0;
  for (std::size_t s = 0; s < r.size(); ++s) {
    CHECK(r.prompts[s] == prompts[s].size());
    CHECK(std::equal(prompts[s].begin(), prompts[s].end(), r[s].begin()));
    const text a = answer(r, s);
    CHECK(std::find(a.begin(), a.end(), 0) >= a.end() - 1);
    CHECK((a.size() == 12 || a.back() == 0));
    ended += a.back() == 0;
  }
  CHECK(ended > 2);
  CHECK(r.writers == std::vector<std::uint8_t>(r.tokens.size()));
  CHECK(r.log_probabilities.size() == r.tokens.size());
  std::size_t longest = 0, all = 0;
  for (std::size_t s = 0; s < r.size(); ++s) longest = std::max(longest, r.answer(s).size()), all += r.answer(s).size();
  CHECK(model.calls == longest);  // those that have ended are not asked for
  CHECK(model.rows == all);
  CHECK(lk::sample(model, prompts, {.length = 0}).tokens == lk::given_answers(prompts, std::vector<text>(prompts.size())).tokens);
  CHECK(lk::sample(model, std::vector<text>{}, how).size() == 0);

  std::vector<text> answers;
  for (std::size_t s = 0; s < r.size(); ++s) answers.push_back(answer(r, s));
  const auto given = lk::given_answers(prompts, answers);
  CHECK(given.tokens == r.tokens);
  CHECK(given.sequences == r.sequences);
  CHECK(given.prompts == r.prompts);
  CHECK(lk::given_answers(lazy{prompts}, lazy{answers}) == given);
  CHECK(lk::sample(model, lazy{prompts}, how) == r);
  CHECK(lk::sample(lk::in_context(model, lazy{answers}), prompts, how) == lk::sample(lk::in_context(model, answers), prompts, how));
  CHECK(message<lk::shape_error>([&] { lk::given_answers(prompts, std::vector<text>(2)); }) ==
        "limbeck: answers has 2 elements, expected 6 (one a prompt)");

  const lk::prefixes_of prefixes(r);
  REQUIRE(prefixes.size() == all);
  CHECK(std::equal(prefixes[0].begin(), prefixes[0].end(), prompts[0].begin(), prompts[0].end()));
  CHECK(prefixes[all - 1].size() == r[5].size() - 1);
  const auto alternatives = lk::sample(model, prefixes, {.length = 1, .temperature = 0});
  for (std::size_t i = 0; i < all; ++i) {
    const auto x = model.behind(text(prefixes[i].begin(), prefixes[i].end()));
    CHECK(alternatives.answer(i)[0] == std::max_element(x.begin(), x.end()) - x.begin());
  }
}

TEST_CASE("decoding: a token depends on seed, sequence and what stands before it alone") {
  toy_model model, teacher{.seed = 2};
  const auto all = [&](auto&& decoding) {
    const auto whole = lk::sample(decoding(), prompts, how);
    CHECK(lk::sample(decoding(), prompts, how) == whole);
    lk::sampling part = how;
    for (part.first = 0; part.first < prompts.size(); part.first += 2) {
      const std::vector<text> two(prompts.begin() + static_cast<std::ptrdiff_t>(part.first),
                                  prompts.begin() + static_cast<std::ptrdiff_t>(part.first + 2));
      const auto r = lk::sample(decoding(), two, part);
      for (std::size_t s = 0; s < 2; ++s) CHECK(answer(r, s) == answer(whole, part.first + s));
    }
    lk::sampling other = how;
    other.seed = 5;
    CHECK(lk::sample(decoding(), prompts, other).tokens != whole.tokens);
    std::set<text> different;  // one prompt, many sequences
    const auto many = lk::sample(decoding(), std::vector<text>(20, prompts[0]), how);
    for (std::size_t s = 0; s < 20; ++s) different.insert(answer(many, s));
    CHECK(different.size() > 1);
  };
  all([&]() -> toy_model& { return model; });
  all([&] { return lk::mixed(model, teacher, 0.5); });
  all([&] { return lk::either(model, teacher, 0.5); });
  all([&] { return lk::interleaved(model, teacher, {.top_k = 1}); });
  all([&] { return lk::admitted(teacher, model, {.probability = 0.3}); });
}

TEST_CASE("decoding: at their ends decodings of two models are those of one") {
  toy_model student, teacher{.seed = 2};
  const auto of_student = lk::sample(student, prompts, how), of_teacher = lk::sample(teacher, prompts, how);
  CHECK(of_student.tokens != of_teacher.tokens);
  CHECK(lk::sample(lk::either(student, teacher, 0), prompts, how) == of_student);
  CHECK(lk::sample(lk::either(student, teacher, 1), prompts, how).tokens == of_teacher.tokens);
  CHECK(lk::sample(lk::mixed(student, teacher, 0), prompts, how).tokens == of_student.tokens);
  CHECK(lk::sample(lk::mixed(student, teacher, 1), prompts, how).tokens == of_teacher.tokens);
  for (const std::size_t block : {1U, 2U, 5U, 30U}) {
    CHECK(lk::sample(lk::interleaved(student, teacher, {.top_k = 4, .block = block}), prompts, how) == of_student);
    CHECK(lk::sample(lk::interleaved(student, teacher, {.top_k = 2, .block = block}), prompts, how) ==
          lk::sample(lk::interleaved(student, teacher, {.top_k = 2, .block = 1}), prompts, how));
    const auto none = lk::sample(lk::interleaved(student, teacher, {.top_k = 0, .block = block}), prompts, how);
    for (std::size_t s = 0; s < none.size(); ++s)
      for (std::size_t i = none.sequences.begin(s) + none.prompts[s]; i < none.sequences.end(s); ++i) CHECK(none.writers[i] == 1);
  }
  CHECK(lk::sample(lk::admitted(teacher, student, {.probability = 0}), prompts, how) == of_teacher);
  CHECK(lk::sample(lk::admitted(student, student, {.probability = 0, .tries = 1}), prompts, how) == of_student);
  const auto fallback = lk::sample(lk::admitted(teacher, student, {.probability = 1.5, .tries = 0}), prompts, how);
  CHECK(fallback.tokens == of_student.tokens);
  CHECK(lk::corrected_once(student, student, lk::sample(student, prompts, {.length = 9, .temperature = 0}),
                                     {.length = 9, .temperature = 0}) == lk::sample(student, prompts, {.length = 9, .temperature = 0}));
}

TEST_CASE("decoding: a model that keeps its state is asked for what is new, and writes the same") {
  for (const bool keeps : {false, true}) {
    toy_model student{.keeps = keeps}, teacher{.seed = 2, .keeps = keeps};
    const auto counted = [&](auto&& decoding) {
      student.shown = teacher.shown = student.calls = teacher.calls = 0;
      student.seen.clear(), teacher.seen.clear();
      return lk::sample(decoding, prompts, how);
    };
    std::size_t tokens = 0, read = 0;
    for (const text& p : prompts) read += p.size();
    const auto plain = counted(student);
    tokens = plain.tokens.size() - read;
    CHECK(student.shown == read + tokens - prompts.size());  // each token once, the last of a text never
    counted(lk::mixed(student, teacher, 0.5));
    CHECK(student.shown == teacher.shown);

    for (const std::size_t block : {1U, 3U}) {
      const auto r = counted(lk::interleaved(student, teacher, {.top_k = 2, .block = block}));
      CHECK(teacher.calls * block >= student.calls);
      CHECK(teacher.shown >= r.tokens.size() - prompts.size());  // and drafts that were dropped
      CHECK(teacher.shown <= student.shown + 6 * block);
      // What it kept is what it would say afresh.
      toy_model again{.keeps = keeps}, again_teacher{.seed = 2, .keeps = keeps};
      const auto forgetful = [](toy_model& m) {
        return [&m](std::span<const lk::prefix> requests) {
          std::vector<lk::prefix> fresh(requests.begin(), requests.end());
          for (lk::prefix& p : fresh) p.known = 0;
          return m(fresh);
        };
      };
      CHECK(lk::sample(lk::interleaved(forgetful(again), forgetful(again_teacher), {.top_k = 2, .block = block}), prompts, how) == r);
    }
    // Two contexts of one model, each with its state.
    const std::vector<text> contexts{{3, 1}, {2}, {1, 1, 1, 1}, {0}, {3, 3, 3}, {2}};
    const auto r = counted(lk::either(student, lk::in_context(student, contexts), 0.5));
    for (std::size_t s = 0; s < r.size(); ++s)
      for (std::size_t i = r.sequences.begin(s) + r.prompts[s]; i < r.sequences.end(s); ++i) {
        text before = r.writers[i] == 0 ? prompts[s] : contexts[s];
        for (std::size_t j = r.sequences.begin(s) + r.prompts[s]; j < i; ++j) before.push_back(r.tokens[j]);
        lk::token_law law;
        law.set(student.behind(before), how, [] { return ""; });
        CHECK(r.log_probabilities[i] == Approx(std::log(law[r.tokens[i]])));
      }
    std::size_t context_tokens = 0;
    for (const text& c : contexts) context_tokens += c.size();
    CHECK(student.shown <= read + context_tokens + 2 * (r.tokens.size() - read));
    CHECK(lk::sample(lk::in_context(student, prompts), contexts, how).size() == 6);
    // Two contexts that are both other than the prompts.
    toy_model again{.keeps = keeps};
    const auto both = [&](toy_model& m) { return lk::either(lk::in_context(student, contexts), lk::in_context(m, prompts, 12), 0.5); };
    CHECK(counted(both(student)) == counted(both(again)));
  }
}

TEST_CASE("decoding: greedy corrections and rewritten answers are those of their definition") {
  toy_model student, teacher{.seed = 2};
  const lk::sampling greedy{.length = 8, .temperature = 0, .end = 0};
  const auto written = lk::sample(student, prompts, how);
  const auto best = [](const std::vector<double>& x) { return static_cast<token>(std::max_element(x.begin(), x.end()) - x.begin()); };
  const auto mended = lk::corrected_once(student, teacher, written, greedy);
  const std::vector<text> contexts{{3, 1}, {2}, {1, 1, 1, 1}, {0}, {3, 3, 3}, {2}};
  toy_model again;
  CHECK(lk::corrected_once(student, lk::in_context(student, contexts), written, how) ==
        lk::corrected_once(student, lk::in_context(again, contexts), written, how));
  const auto admitted = lk::sample(lk::admitted(lk::in_context(student, contexts), student, {.probability = 0.3}), prompts, how);
  CHECK(admitted == lk::sample(lk::admitted(lk::in_context(again, contexts), student, {.probability = 0.3}), prompts, how));
  std::size_t corrected = 0;
  for (std::size_t s = 0; s < written.size(); ++s) {
    const text old(written[s].begin(), written[s].end()), now(mended[s].begin(), mended[s].end());
    double worst = -1;
    std::size_t at = old.size();
    for (std::size_t i = prompts[s].size(); i < old.size(); ++i) {
      const text before(old.begin(), old.begin() + static_cast<std::ptrdiff_t>(i));
      lk::token_law p, q;
      p.set(teacher.behind(before), {}, [] { return ""; });
      q.set(student.behind(before), {}, [] { return ""; });
      if (best(teacher.behind(before)) != old[i] && p.divergence(q) > worst) worst = p.divergence(q), at = i;
    }
    if (at == old.size()) {
      CHECK(now == old);
      continue;
    }
    ++corrected;
    text expected(old.begin(), old.begin() + static_cast<std::ptrdiff_t>(at));
    expected.push_back(best(teacher.behind(expected)));
    while (expected.back() != 0 && expected.size() < prompts[s].size() + 8) expected.push_back(best(student.behind(expected)));
    CHECK(now == expected);
    CHECK(mended.writers[mended.sequences.begin(s) + at] == 1);
  }
  CHECK(corrected >= 4);

  for (const lk::masked_tokens which : {lk::masked_tokens::at_random, lk::masked_tokens::evenly, lk::masked_tokens::hardest, lk::masked_tokens::easiest}) {
    CHECK(lk::rewritten(written, {.share = 0, .mask = 3, .which = which}, student).tokens == written.tokens);
    const lk::rewriting settings{.share = 0.4, .mask = 3, .which = which, .seed = 9};
    const auto r = lk::rewritten(written, settings, student);
    CHECK(lk::rewritten(written, settings, student) == r);
    CHECK(r.sequences == written.sequences);
    text read(written.tokens);
    for (std::size_t i = 0; i < read.size(); ++i)
      if (r.writers[i]) read[i] = 3;
    for (std::size_t s = 0; s < r.size(); ++s) {
      const std::size_t begin = r.sequences.begin(s), from = begin + r.prompts[s], end = r.sequences.end(s);
      std::vector<double> entropies;
      std::vector<std::size_t> chosen;
      for (std::size_t i = from; i < end; ++i) {
        const auto before = [&](const text& t) {
          return text(t.begin() + static_cast<std::ptrdiff_t>(begin), t.begin() + static_cast<std::ptrdiff_t>(i));
        };
        CHECK(r.tokens[i] == (r.writers[i] ? best(student.behind(before(read))) : written.tokens[i]));
        lk::token_law law;
        law.set(student.behind(before(written.tokens)), {}, [] { return ""; });
        entropies.push_back(law.entropy());
        if (r.writers[i]) chosen.push_back(i - from);
      }
      CHECK(chosen.size() == static_cast<std::size_t>(std::lround(0.4 * static_cast<double>(end - from))));
      std::vector<double> sorted = entropies;
      std::sort(sorted.begin(), sorted.end());
      for (const std::size_t i : chosen) {
        if (which == lk::masked_tokens::easiest) CHECK(entropies[i] <= sorted[chosen.size() - 1]);
        if (which == lk::masked_tokens::hardest) CHECK(entropies[i] >= sorted[sorted.size() - chosen.size()]);
      }
      for (std::size_t i = 1; which == lk::masked_tokens::evenly && i < chosen.size(); ++i) {
        CHECK(chosen[i] - chosen[i - 1] >= 2);
        CHECK(chosen[i] - chosen[i - 1] <= 3);
      }
    }
  }
  auto bare = written;
  bare.writers.clear();
  bare.log_probabilities.clear();
  CHECK(lk::rewritten(bare, {.share = 0.4, .mask = 3}, student) == lk::rewritten(written, {.share = 0.4, .mask = 3}, student));
  const auto everywhere = lk::rewritten(written, {.share = 1, .mask = 3}, student);
  for (std::size_t s = 0; s < everywhere.size(); ++s)
    for (std::size_t i = 0; i < everywhere.prompts[s]; ++i) CHECK(everywhere[s][i] == prompts[s][i]);
}

TEST_CASE("decoding: a teacher's draws for a correction are others than those of the answers") {
  const std::vector<text> many(600, text{1});
  const lk::sampling one{.length = 1, .seed = 5};
  toy_model student{.seed = 2}, teacher;
  const auto x = lk::sample(lk::admitted(teacher, student, {.probability = 0.35, .tries = 8}), many, one);
  const auto y = lk::corrected_once(student, teacher, x, one);
  lk::token_law law;
  law.set(teacher.behind({1}), {}, [] { return ""; });
  for (std::size_t proposal = 0; proposal < 4; ++proposal) {  // answers that are the so-manyth
    std::size_t all = 0, same = 0;
    for (std::size_t s = 0; s < many.size(); ++s) {
      auto dice = lk::random_stream(one.seed).split(s).split(0);
      std::size_t i = 0;
      while (i < 8 && law.draw(dice) != x.answer(s)[0]) ++i;
      if (i == proposal) ++all, same += y.answer(s)[0] == x.answer(s)[0];
    }
    CHECK(all > 10);
    CHECK(same < all);
  }
  const std::vector<text> part(many.begin() + 500, many.end());
  const lk::sampling behind{.length = 1, .seed = 5, .first = 500};
  const auto z = lk::corrected_once(student, teacher, lk::sample(student, part, behind), behind);
  const auto whole = lk::corrected_once(student, teacher, lk::sample(student, many, one), one);
  for (std::size_t s = 0; s < part.size(); ++s) CHECK(answer(z, s) == answer(whole, 500 + s));
}

TEST_CASE("decoding: what a teacher masks is no draft that stays, however few classes are left") {
  always teacher{{-INFINITY, -1e9, -INFINITY, -INFINITY, -INFINITY, 0}}, student{{0, 0, 0, 0, 0, 0}};
  const std::vector<text> one{{1}};
  const text right(20, 5);
  CHECK(answer(lk::sample(lk::interleaved(student, teacher, {.top_k = 3}), one, {.length = 20}), 0) == right);
  CHECK(answer(lk::sample(lk::admitted(student, teacher, {.probability = 0}), one, {.length = 20, .top_k = 3}), 0) == right);
  const auto free = lk::sample(student, one, {.length = 20});
  CHECK(lk::sample(lk::interleaved(student, teacher, {.top_k = 6}), one, {.length = 20}) == free);
  CHECK(lk::sample(lk::admitted(student, teacher, {.probability = 0}), one, {.length = 20}) == free);
}

TEST_CASE("decoding: whatever tensor a scorer gives, and a decoding of one's own") {
  const std::vector<text> one{{1}};
  const std::vector<double> wide{0.5, 2, 1, 9, 9};
  says<lk::rows<const double>> plain{{wide.data(), 1, 3, 5, 1}};
  const auto r = lk::sample(plain, one, how);
  auto first = [&](std::span<const lk::prefix>) { return lk::first_classes(3, lk::rows<const double>(wide.data(), 1, 5)); };
  CHECK(lk::sample(first, one, how) == r);
  const std::vector<float> narrow{0.5F, 2, 1};
  const std::ptrdiff_t shape[] = {1, 3};
  says<lk::any_tensor> run_time{lk::any_tensor(narrow.data(), lk::element_type::float32, shape)};
  CHECK(lk::sample(run_time, one, how).tokens == r.tokens);
  says<lk::any_tensor> doubles{lk::any_tensor(wide.data(), lk::element_type::float64, shape)};
  CHECK(lk::sample(doubles, one, how) == r);
  std::vector<lk::float16> half;
  std::vector<lk::bfloat16> brain;
  for (const float v : narrow) half.emplace_back(v), brain.emplace_back(v);
  says<lk::any_tensor> halves{lk::any_tensor(half.data(), lk::element_type::float16, shape)};
  CHECK(lk::sample(halves, one, how) == r);
  says<lk::any_tensor> brains{lk::any_tensor(brain.data(), lk::element_type::bfloat16, shape)};
  CHECK(lk::sample(brains, one, how) == r);
  const std::vector<int> whole{1, 2, 3};
  says<lk::any_tensor> none{lk::any_tensor(whole.data(), lk::element_type::int32, shape)};
  CHECK_THROWS_AS(lk::sample(none, one, how), lk::value_error);

  struct second_best {
    toy_model model{};
    lk::token_law law{};
    void round(lk::writing& w) {
      const auto rows = w.ask(model, "model", w.open());
      for (std::size_t i = 0; i < w.open().size(); ++i) {
        const std::size_t s = w.open()[i];
        w.law(rows, i, s, w.size(s), {}, law);
        token t = 0;
        while (law.rank(t) != 1) ++t;
        w.write(s, law, t, 0);
      }
    }
  };
  const auto mine = lk::sample(second_best{}, prompts, {.length = 1});
  for (std::size_t s = 0; s < mine.size(); ++s) {
    auto x = toy_model{}.behind(prompts[s]);
    const double taken = x[static_cast<std::size_t>(mine.answer(s)[0])];
    std::sort(x.begin(), x.end());
    CHECK(taken == x[2]);
  }

  map_archive archive;
  lk::rollouts saved = r, loaded = r;
  std::fill(loaded.tokens.begin(), loaded.tokens.end(), 7);
  std::fill(loaded.log_probabilities.begin(), loaded.log_probabilities.end(), 7.0);
  loaded.prompts = {2};
  saved.serialize(archive);
  archive.loading = true;
  loaded.serialize(archive);
  CHECK(loaded == r);
}

TEST_CASE("decoding: what is refused, by name") {
  toy_model model, other{.vocabulary = 5};
  const auto refused = [&](const lk::sampling& settings) { return message<lk::value_error>([&] { lk::sample(model, prompts, settings); }); };
  CHECK(refused({.temperature = -1}) == "limbeck: sampling::temperature is -1, expected a number >= 0");
  CHECK(refused({.temperature = NAN}) == "limbeck: sampling::temperature is nan, expected a number >= 0");
  CHECK(refused({.top_p = 0}) == "limbeck: sampling::top_p is 0, expected a number in (0, 1]");
  CHECK(refused({.min_p = 1.5}) == "limbeck: sampling::min_p is 1.5, expected a number in [0, 1]");
  CHECK(message<lk::value_error>([&] { lk::sample(model, std::vector<text>{{1}, {}}); }) ==
        "limbeck: prompt 1 is empty, expected a token at least, that of a beginning");
  CHECK(message<lk::shape_error>([&] { lk::sample(lk::mixed(model, other, 0.5), prompts); }) ==
        "limbeck: what the second gives has shape 6 x 5, expected 6 x 4 (samples x classes)");
  const std::vector<float> three{0, 1, 2};
  says<lk::rows<const float>> short_one{{three.data(), 1, 3}};
  CHECK(message<lk::shape_error>([&] { lk::sample(short_one, prompts); }) ==
        "limbeck: what the model gives has shape 1 x 3, expected 6 x 3 (samples x classes)");
  for (const float bad : {NAN, INFINITY}) {
    const std::vector<float> row{0, 1, bad};
    says<lk::rows<const float>> poisoned{{row.data(), 1, 3}};
    CHECK(message<lk::value_error>([&] { lk::sample(poisoned, std::vector<text>{{1, 1}}, {.first = 7}); }) ==
          "limbeck: sequence 7 at position 2 has the logit " + std::string(bad > 0 ? "inf" : "nan") +
              " at token 2, expected a finite one or -inf");
  }
  const std::vector<float> nothing(3, -INFINITY);
  says<lk::rows<const float>> empty{{nothing.data(), 1, 3}};
  CHECK(message<lk::value_error>([&] { lk::sample(empty, std::vector<text>{{1}}); }) ==
        "limbeck: sequence 0 at position 1 has no logit but -inf");
  CHECK(message<lk::value_error>([&] { lk::mixed(model, model, 1.2); }) ==
        "limbeck: the share of mixed is 1.2, expected a number in [0, 1]");
  CHECK(message<lk::value_error>([&] { lk::either(model, model, NAN); }) ==
        "limbeck: the share of either is nan, expected a number in [0, 1]");
  CHECK(message<lk::value_error>([&] { lk::interleaved(model, model, {.block = 0}); }) ==
        "limbeck: interleaving::block is 0, expected 1 at least");
  CHECK(message<lk::value_error>([&] { lk::interleaved(model, model, {.top_p = 2}); }) ==
        "limbeck: interleaving::top_p is 2, expected a number in (0, 1]");
  CHECK(message<lk::value_error>([&] { lk::admitted(model, model, {.probability = NAN}); }) ==
        "limbeck: admission::probability is nan, expected a number >= 0");
  const auto r = lk::sample(model, prompts, how);
  auto bare = r;
  bare.writers.clear();
  CHECK(message<lk::shape_error>([&] { lk::corrected_once(model, model, bare); }) ==
        "limbeck: writers has 0 elements, expected " + std::to_string(r.tokens.size()) + " (one a token)");
  CHECK(message<lk::value_error>([&] { lk::rewritten(r, {}, model); }) ==
        "limbeck: rewriting::mask is -1, expected the token that masks others");
  CHECK(message<lk::value_error>([&] { lk::rewritten(r, {.share = -0.1, .mask = 1}, model); }) ==
        "limbeck: rewriting::share is -0.1, expected a number in [0, 1]");
  CHECK(message<lk::shape_error>([&] { lk::sample(lk::in_context(model, std::vector<text>{{1}}), prompts); }) ==
        "limbeck: in_context has 1 prompts, and sequence 1 is asked for");
  CHECK(message<lk::shape_error>([&] { lk::sample(lk::in_context(model, std::vector<text>{{}}), std::vector<text>{{1}}); }) ==
        "limbeck: prompt 0 of in_context is empty, expected a token at least");
}
