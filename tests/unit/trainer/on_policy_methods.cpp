// GKD, SKD, KID, OPSD and MixSD, each in a line, on a language of six letters: each brings its student closer to what it learns from.

#include "catch.hpp"
#include "writers.hpp"

#include <limbeck/averaging/averager.hpp>
#include <limbeck/decoding/either.hpp>
#include <limbeck/decoding/in_context.hpp>
#include <limbeck/decoding/interleaved.hpp>
#include <limbeck/decoding/rewritten.hpp>
#include <limbeck/trainer.hpp>

#include <functional>

namespace {

namespace lk = limbeck;
using writer = std::function<lk::rollouts(const lk::rollouts&, std::uint64_t, std::span<const std::size_t>)>;

const lk::fit_settings settings{.epochs = 30, .batch = 8, .seed = 2};

}  // namespace

TEST_CASE("on policy: GKD, SKD and KID bring a recurrent student closer to its teacher, on what it writes", "[on_policy]") {
  toy::table teacher(1);
  const toy::lessons lessons(24, teacher);
  const lk::prompted_data data(lessons.prompts, lessons.answers);
  toy::recurrent student(2);
  const struct {
    const char* name;
    double share;
    writer write;
  } methods[] = {
      {"GKD", 0.5,
       [&](const lk::rollouts& own, std::uint64_t seed, auto) {
         return lk::sample(student, lk::prompts_of(own), {.length = 8, .temperature = 0.9, .end = 0, .seed = seed});
       }},
      {"SKD", 1,
       [&](const lk::rollouts& own, std::uint64_t seed, auto) {
         return lk::sample(lk::interleaved(student, teacher, {.top_k = 2}), lk::prompts_of(own), {.length = 8, .end = 0, .seed = seed});
       }},
      {"KID", 1,
       [&](const lk::rollouts& own, std::uint64_t seed, auto) {
         return lk::rewritten(own, {.share = 0.2, .mask = 0, .seed = seed}, student);
       }},
  };
  const auto distance = [&] {
    return lk::sequence_divergence(student, teacher, lk::sample(student, lessons.prompts, {.length = 8, .end = 0, .seed = 9}));
  };
  const double at_first = distance();
  for (const auto& [name, share, write] : methods) {
    CAPTURE(name);
    student = toy::recurrent(2);
    lk::trainer{student, teacher, lk::unscaled(lk::jensen_shannon{}), toy::momentum{.rate = 0.3}}.fit(
        lk::on_policy(share, student, data, write), settings);
    INFO(at_first << " -> " << distance());
    CHECK(distance() < 0.5 * at_first);
  }
}

TEST_CASE("on policy: a model learns from itself in a privileged context, frozen, as it is or averaged", "[on_policy]") {
  toy::table language(1);
  toy::lessons lessons(24, language);
  for (auto& context : lessons.privileged) context[0] = context[1] = 5;  // one piece of advice for all questions: it can be learnt
  const lk::two_contexts data(lessons.prompts, lessons.privileged, lessons.answers);
  std::vector<std::size_t> all(24);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  const auto batch = data.batch(all);
  const toy::recurrent before(2, 0.9);
  toy::recurrent frozen = before;
  const auto gap = [&](toy::recurrent& model) {  // of what it says without the context to what it said with it
    const auto with = frozen.forward(batch.privileged);
    return lk::objective{lk::forward_kl{}}.value(model.forward(batch.inputs), with);
  };
  toy::recurrent untaught = before;
  const double at_first = gap(untaught);
  const auto train = [&](toy::recurrent& model, auto&& teacher, auto&&... callbacks) {
    const auto write = [&](const lk::rollouts& own, std::uint64_t seed) {
      return lk::sample(model, lk::prompts_of(own), {.length = 8, .temperature = 1.1, .top_k = 4, .top_p = 0.95, .end = 0, .seed = seed});
    };
    const auto loss = lk::unscaled(lk::at_temperature(1.1, lk::jensen_shannon{.beta = 0.5}));
    return lk::trainer{model, lk::privileged(teacher), loss, toy::momentum{.rate = 0.1}}.fit(
        lk::on_policy(1, model, data, write), settings, callbacks...);
  };
  toy::recurrent model = before;
  train(model, frozen);
  INFO(at_first << " -> " << gap(model));
  CHECK(gap(model) < 0.8 * at_first);

  toy::recurrent current = before;
  const auto of_itself = train(current, current);
  CHECK(of_itself.loss >= 0);
  CHECK(current.weights() != before.weights());

  // An average that follows at once is the current weights, after each step.
  toy::recurrent student = before, average = before;
  lk::averager follow(lk::ema{.decay = 0}, lk::in_place(average.parameters()));
  train(student, average, lk::averaging(follow, student));
  CHECK(student.weights() == current.weights());
}

TEST_CASE("on policy: Self-J learns an answer in both contexts, and the plain one from the privileged one", "[on_policy]") {
  toy::table language(1);
  const toy::lessons lessons(6, language);
  const lk::two_contexts one(lessons.prompts, lessons.privileged, lessons.answers);
  const lk::both_contexts data(one, 0.3);
  const std::vector<std::size_t> all{0, 1, 2, 3, 4, 5};
  auto batch = one.batch(all);
  toy::recurrent model(2, 0.7);
  const double with = lk::objective{lk::cross_entropy{}}.value(model.forward(batch.privileged), batch.labels);
  const double without = lk::objective{lk::cross_entropy{}}.value(model.forward(batch.inputs), batch.labels);
  toy::recurrent other = model;
  const double kl = lk::objective{lk::forward_kl{}}.value(model.forward(batch.inputs), other.forward(batch.privileged));
  const auto loss = 1.3 * (lk::cross_entropy{} + (2 / 0.3) * lk::forward_kl{});
  for (const std::size_t part : {0U, 4U}) {
    toy::recurrent student = other;
    const auto r = lk::trainer{student, lk::privileged(student), loss, toy::momentum{}}.fit(
        data, {.steps = 1, .batch = 6, .micro_batch = part});
    CHECK(r.loss == Approx(with + 0.3 * without + 2 * kl).epsilon(1e-6));
  }
  lk::trainer{model, lk::privileged(model), loss, toy::momentum{.rate = 0.1}}.fit(data, settings);
  CHECK(lk::objective{lk::cross_entropy{}}.value(model.forward(batch.inputs), batch.labels) < without);
}

TEST_CASE("on policy: DistiLLM-2 and KID have a loss for given answers and one for written ones", "[on_policy]") {
  toy::table teacher(1);
  const toy::lessons lessons(6, teacher), others(6, teacher, 8);
  const lk::prompted_data data(lessons.prompts, lessons.answers, lk::answer_mean::sequences);
  const lk::prompted_data elsewhere(lessons.prompts, others.answers, lk::answer_mean::sequences);
  const std::vector<std::size_t> all{0, 1, 2, 3, 4, 5};
  using student_type = lk::contrasted<toy::recurrent>;
  lk::contrasted<toy::table> of_teacher(teacher);
  const auto loss = 1.2 * lk::skew_kl{.alpha = 0.1} + lk::at<"written">(0.8 * lk::skew_reverse_kl{.alpha = 0.1});
  const auto written = [&](const lk::rollouts&, std::uint64_t, std::span<const std::size_t> rows) { return elsewhere.own(rows); };
  double expected = 0;
  toy::recurrent plain(2);
  for (const std::size_t s : all) {
    const std::vector<std::size_t> one{s};
    const auto value = [&](const lk::prompted_data& d, auto l) {
      const auto b = d.batch(one);
      return lk::objective{l}.value(plain.forward(b.inputs), teacher.forward(b.inputs));
    };
    expected += (1.2 * value(data, lk::skew_kl{.alpha = 0.1}) + 0.8 * value(elsewhere, lk::skew_reverse_kl{.alpha = 0.1})) / 6;
  }
  std::vector<double> whole;
  for (const std::size_t part : {0U, 4U}) {
    student_type student(2);
    const auto r = lk::trainer{student, of_teacher, loss, toy::momentum{}}.fit(
        lk::on_policy(1, student, lk::contrast(data), written), {.steps = 1, .batch = 6, .micro_batch = part});
    CHECK(r.loss == Approx(expected).epsilon(1e-6));
    if (whole.empty()) whole = student.weights();
    for (std::size_t i = 0; i < whole.size(); ++i) CHECK(student.weights()[i] == Approx(whole[i]).epsilon(1e-9));
  }
  CHECK(whole != plain.weights());

  // KID: labels on the answers as given, reverse KL on those with some tokens of the student's.
  student_type student(2);
  const auto kid = lk::cross_entropy{} + lk::at<"written">(lk::reverse_kl{});
  const auto rewritten = [&](const lk::rollouts& own, std::uint64_t seed) {
    return lk::rewritten(own, {.share = 0.2, .mask = 0, .seed = seed}, student);
  };
  const auto distance = [&] {
    return lk::sequence_divergence(student, teacher, lk::sample(student, lessons.prompts, {.length = 8, .end = 0, .seed = 9}));
  };
  const double at_first = distance();
  lk::trainer{student, of_teacher, kid, toy::momentum{.rate = 0.1}}.fit(
      lk::on_policy(1, student, lk::contrast(data), rewritten), settings);
  INFO(at_first << " -> " << distance());
  CHECK(distance() < 0.7 * at_first);
}

TEST_CASE("on policy: MixSD's answers, of two contexts and accepted ones, are learnt by cross-entropy", "[on_policy]") {
  toy::table language(1);
  toy::recurrent base(2, 0.7), student = base;
  const toy::lessons lessons(12, language);
  const lk::prompted_data data(lessons.prompts, {}, lk::answer_mean::sequences);
  std::size_t asked = 0;
  const auto write = lk::retried(
      [&](const lk::rollouts& own, std::uint64_t seed, std::span<const std::size_t> rows) {
        asked += rows.size();
        auto knowing = lk::in_context(base, lk::of_rows(lessons.privileged, rows));
        return lk::sample(lk::either(base, knowing, 0.5), lk::prompts_of(own), {.length = 6, .seed = seed});
      },
      [](std::span<const lk::token_id> answer, std::size_t) { return answer.back() % 2 == 0; });
  const auto r = lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, toy::momentum{.rate = 0.1}}.fit(
      lk::on_policy(1, base, data, write), settings);
  CHECK(asked > r.steps * 8 - r.steps);
  const auto share_accepted = [&](toy::recurrent& m) {
    const auto x = lk::sample(m, std::vector<std::vector<lk::token_id>>(400, {1, 2}), {.length = 6, .seed = 1});
    std::size_t right = 0;
    for (std::size_t s = 0; s < x.size(); ++s) right += x.answer(s).back() % 2 == 0;
    return right;
  };
  INFO(share_accepted(base) << " -> " << share_accepted(student));
  CHECK(share_accepted(student) > share_accepted(base));
}
