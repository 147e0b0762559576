// Training on what the student writes: the same rollouts however it is cut and wherever it stops.

#include "catch.hpp"
#include "stops.hpp"
#include "writers.hpp"

#include <limbeck/averaging/averager.hpp>
#include <limbeck/tokens/response_mask.hpp>
#include <limbeck/trainer.hpp>

#include <cmath>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Contains;

const lk::sampling briefly{.length = 8, .end = 0};

/// A writer by sampling.
template <class Model>
auto sampled(Model& m) {
  return [&m](const lk::rollouts& own, std::uint64_t seed) {
    lk::sampling how = briefly;
    how.seed = seed;
    return lk::sample(m, lk::prompts_of(own), how);
  };
}

}  // namespace

TEST_CASE("on policy: a recurrent student's gradient is that of central differences", "[on_policy]") {
  toy::table teacher(1);
  const toy::lessons lessons(5, teacher);
  const lk::prompted_data data(lessons.prompts, lessons.answers);
  toy::recurrent student(2);
  const std::vector<std::size_t> all{0, 1, 2, 3, 4};
  const auto batch = data.batch(all);
  const lk::objective loss{lk::jensen_shannon{.beta = 0.3}};
  const auto at = [&] { return loss.value(student.forward(batch.inputs), teacher.forward(batch.inputs), lk::sum); };
  std::vector<double> memory(batch.labels.size() * toy::letters);
  const lk::rows<double> gradient(memory.data(), batch.labels.size(), toy::letters);
  const auto result = loss(student.forward(batch.inputs), teacher.forward(batch.inputs), lk::sum, lk::into(gradient));
  student.backward({memory.data(), batch.labels.size(), toy::letters});
  CHECK(result.loss == Approx(at()));
  for (const std::size_t i : {0U, 7U, 19U, 31U, 44U, 59U}) {
    double& w = student.parameters()[0][i];
    const double was = w, h = 1e-5;
    w = was + h;
    const double up = at();
    w = was - h;
    const double down = at();
    w = was;
    CHECK(student.gradients()[0][i] == Approx((up - down) / (2 * h)).margin(1e-8));
  }
}

namespace {

/// What a run leaves behind.
struct outcome {
  std::vector<double> student, teacher, velocity;
  double loss = 0, proxy = 0, share = 0;
  std::uint64_t steps = 0;
  std::size_t kept = 0;
  bool operator==(const outcome&) const = default;
};

/// A whole program with all that has a state: shares that grow, a memory of answers, a teacher that follows, a watch.
template <class... Callbacks>
outcome program(lk::fit_settings settings, Callbacks&&... more) {
  toy::table taught(1);
  toy::recurrent student(2), follows(2);
  const toy::lessons lessons(20, taught);
  const lk::two_contexts data(lessons.prompts, lessons.privileged, lessons.answers);
  lk::averager average(lk::ema{.decay = 0.9}, lk::in_place(follows.parameters()));
  lk::adaptive_share share{.metric = "proxy", .by = 0.25, .worse = -10, .share = 0.3};  // any evaluation is worse
  lk::replay past(9, lk::linear(1, 0));
  lk::on_policy source(share, student, data, sampled(student), past);
  toy::momentum momentum{.rate = 0.1};
  const lk::rollouts fixed = lk::sample(taught, lessons.prompts, briefly);
  lk::watch watch([&] { return lk::sequence_divergence(student, taught, fixed); },
                  [&] { return lk::sequence_divergence(taught, student, fixed); }, {.patience = 1});
  settings.epochs = 6;
  settings.batch = 6;  // 4 steps an epoch, the last one of 2 sequences
  settings.seed = 3;
  const auto r = lk::trainer{student, lk::privileged(follows), lk::unscaled(lk::jensen_shannon{}), momentum}.fit(
      source, settings, lk::averaging(average, student), watch, share, more...);
  return {student.weights(), follows.weights(), momentum.velocity, r.loss, r.metrics["proxy"], share.share, r.steps, past.size()};
}

}  // namespace

TEST_CASE("on policy: a run that stops anywhere and goes on is one that never stopped", "[on_policy][resume]") {
  const toy::temporary file("on_policy.ckpt");
  const outcome never = program({});
  CHECK(never.steps == 24);
  CHECK(never.share == 1);
  CHECK(never.kept == 9);
  const toy::temporary table("on_policy.csv");
  CHECK(program({}, lk::csv_metrics(table.path)) == never);
  CHECK_THAT(lk::detail::read_file(table.path), Contains("epoch_loss,proxy,golden,teacher_hacking\n"));
  for (std::uint64_t stop = 1; stop < 24; ++stop) {
    CAPTURE(stop);
    file.clear();
    CHECK_THROWS_WITH(program({.checkpoint = file.path, .checkpoint_every = 1}, toy::stops_at{stop}), "the machine is gone");
    CHECK(program({.checkpoint = file.path, .checkpoint_every = 1}) == never);
  }
}

TEST_CASE("on policy: a step is one rollout, whatever the micro-batch", "[on_policy]") {
  const outcome whole = program({});
  for (const std::size_t part : {1U, 4U, 5U}) {
    const outcome cut = program({.micro_batch = part});
    CHECK(cut.loss == Approx(whole.loss).epsilon(1e-12));
    for (std::size_t i = 0; i < whole.student.size(); ++i) CHECK(cut.student[i] == Approx(whole.student[i]).margin(1e-12));
  }
}

TEST_CASE("on policy: the mean is over all tokens of a step, or over its sequences", "[on_policy]") {
  toy::table teacher(1);
  const toy::lessons lessons(7, teacher);
  for (const auto mean_over : {lk::answer_mean::tokens, lk::answer_mean::sequences}) {
    const lk::prompted_data data(lessons.prompts, lessons.answers, mean_over);
    double expected = 0, weight = 0;
    {
      toy::recurrent student(2);
      for (std::size_t s = 0; s < 7; ++s) {
        const auto batch = data.batch(std::vector<std::size_t>{s});
        const double mean = lk::objective{lk::forward_kl{}}.value(student.forward(batch.inputs), teacher.forward(batch.inputs));
        const double w = mean_over == lk::answer_mean::tokens ? static_cast<double>(batch.labels.size()) : 1;
        expected += w * mean;
        weight += w;
      }
    }
    for (const std::size_t part : {0U, 1U, 3U}) {
      toy::recurrent student(2);
      const auto r = lk::trainer{student, teacher, lk::forward_kl{}, toy::momentum{}}.fit(
          data, {.steps = 1, .batch = 7, .micro_batch = part});
      CHECK(r.loss == Approx(expected / weight).epsilon(1e-6));
    }
  }
}

TEST_CASE("on policy: at share 0 the data's own answers, at 1 never, and the steps between by their share", "[on_policy]") {
  toy::table teacher(1);
  const toy::lessons lessons(20, teacher);
  const lk::prompted_data data(lessons.prompts, lessons.answers);
  const auto train = [&](auto&& source, toy::recurrent& student) {
    return lk::trainer{student, teacher, lk::forward_kl{}, toy::momentum{}}.fit(source, {.epochs = 10, .batch = 4});
  };
  toy::recurrent plain(2), never(2), always(2), half(2);
  train(data, plain);
  train(lk::on_policy(0, never, data, sampled(never)), never);
  CHECK(never.weights() == plain.weights());
  CHECK(never.scored == 0);

  std::size_t written = 0;
  const auto counted = [&](auto& student) {
    return [&](const lk::rollouts& own, std::uint64_t seed) {
      ++written;
      CHECK(own.answer(0).size() > 0);  // those of the data, for who rewrites them
      return sampled(student)(own, seed);
    };
  };
  train(lk::on_policy(1, always, data, counted(always)), always);
  CHECK(written == 50);
  CHECK_FALSE(always.trained_while_scoring);
  CHECK(always.training);
  CHECK(always.weights() != plain.weights());

  written = 0;  // a schedule: ever more
  toy::recurrent more(2);
  train(lk::on_policy(lk::linear(0, 1), more, data, counted(more)), more);
  CHECK(written > 12);
  CHECK(written < 38);

  // The others' steps by the teacher: on_policy of on_policy. Each step is written by one of them.
  written = 0;
  std::size_t by_teacher = 0;
  const auto taught = [&](const lk::rollouts& own, std::uint64_t seed) {
    ++by_teacher;
    return sampled(teacher)(own, seed);
  };
  train(lk::on_policy(lk::constant(0.5), half, lk::on_policy(1, teacher, data, taught), counted(half)), half);
  CHECK(written + by_teacher == 50);
  CHECK(written > 12);
  CHECK(written < 38);
}

TEST_CASE("on policy: samplers and subsets of data that is written", "[on_policy]") {
  toy::table teacher(1);
  const toy::lessons lessons(8, teacher);
  const lk::prompted_data data(lessons.prompts, lessons.answers);
  toy::recurrent student(2);
  std::vector<std::size_t> seen;
  const auto write = [&](const lk::rollouts& own, std::uint64_t seed, std::span<const std::size_t> rows) {
    seen.insert(seen.end(), rows.begin(), rows.end());
    return sampled(student)(own, seed);
  };
  lk::on_policy source(1, student, data, write);
  const auto train = [&](auto&& which) {
    seen.clear();
    lk::trainer{student, teacher, lk::forward_kl{}, toy::momentum{}}.fit(which, {.steps = 5, .batch = 3, .micro_batch = 2});
  };
  train(lk::drawn_by(lk::weighted_draw({0, 0, 0, 1, 0, 0, 0, 0}), source));  // one row, three times a step
  CHECK(seen == std::vector<std::size_t>(15, 3));
  train(lk::subset(source, {6, 1, 2}));
  std::ranges::sort(seen);
  CHECK(seen == std::vector<std::size_t>{1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 6, 6, 6, 6, 6});
}

TEST_CASE("on policy: what cannot be right is refused by name", "[on_policy]") {
  toy::table teacher(1);
  const toy::lessons lessons(6, teacher);
  const auto train = [&](auto&& source) {
    toy::recurrent student(2);
    lk::trainer{student, teacher, lk::forward_kl{}, toy::momentum{}}.fit(source, {.batch = 3});
  };
  toy::recurrent student(2);
  const lk::prompted_data data(lessons.prompts, lessons.answers), questions(lessons.prompts);
  CHECK_THROWS_WITH(train(questions), Contains("the answer of row") && Contains("is empty, expected a token at least"));
  CHECK_NOTHROW(train(lk::on_policy(1, student, questions, sampled(student))));
  CHECK_THROWS_WITH(train(lk::on_policy(1.5, student, data, sampled(student))),
                    "limbeck: the share of on_policy is 1.5, expected a number in [0, 1]");
  const auto fewer = [&](const lk::rollouts&, std::uint64_t) { return lk::rollouts{}; };
  CHECK_THROWS_WITH(train(lk::on_policy(1, student, data, fewer)), Contains("0 sequences are written for on_policy, expected 3"));
  const auto others = [&](const lk::rollouts& own, std::uint64_t) {
    lk::rollouts x = own;
    x.tokens[0] = static_cast<lk::token_id>((x.tokens[0] + 1) % 6);
    return x;
  };
  CHECK_THROWS_WITH(train(lk::on_policy(1, student, data, others)), Contains("sequence 0 that is written for on_policy has another prompt"));
  CHECK_THROWS_WITH(train(lk::on_policy(1, student, data, sampled(student), lk::replay(2, 0))), Contains("the capacity of replay is 2"));
  CHECK_THROWS_WITH(lk::replay(0, 1), Contains("the capacity of replay is 0"));
  for (const double fresh : {-0.5, 2.0, std::nan("")})
    CHECK_THROWS_WITH(train(lk::on_policy(1, student, data, sampled(student), lk::replay(4, fresh))),
                      Contains("the share of replay that is fresh is " + lk::detail::show(fresh) + ", expected a number in [0, 1]"));
  using lists = std::vector<std::vector<lk::token_id>>;
  const lists one{{1}}, two{{1}, {2}}, none{{1}, {}};
  const std::vector<std::size_t> beyond{0, 2};
  CHECK_THROWS_WITH(lk::of_rows(two, beyond), Contains("of_rows names row 2, there are 2"));
  CHECK_THROWS_WITH(lk::prompted_data(none), Contains("the prompt of row 1 is empty"));
  CHECK_THROWS_WITH(lk::prompted_data(two, one), Contains("answers"));
  CHECK_THROWS_WITH(lk::two_contexts(two, none), Contains("the privileged prompt of row 1 is empty"));
  CHECK_THROWS_WITH(lk::two_contexts(one, two), Contains("privileged"));
  CHECK_THROWS_WITH(lk::both_contexts(lk::two_contexts(one, one), -1), Contains("the weight of the plain context is -1"));
  for (const double plain : {1e39, HUGE_VAL, std::nan("")})
    CHECK_THROWS_WITH(lk::both_contexts(lk::two_contexts(one, one), plain), Contains("the weight of the plain context is "));
  lk::on_policy source(1, student, data, sampled(student));
  const std::vector<std::size_t> rows{0, 1, 2}, wrong{1, 0};
  source.prepare(rows, {.rows = 6, .batch = 3});
  CHECK_THROWS_WITH(source.batch(wrong), Contains("on_policy has written for the rows of a step"));
}

TEST_CASE("on policy: what is not accepted is written again, it alone, and not for ever", "[on_policy]") {
  toy::table teacher(1);
  const toy::lessons lessons(12, teacher);
  const lk::prompted_data questions(lessons.prompts);
  const std::vector<std::size_t> rows{0, 2, 4, 6, 8, 10};
  std::vector<std::size_t> asked;
  const auto write = [&](const lk::rollouts& own, std::uint64_t seed, std::span<const std::size_t> which) {
    asked.push_back(which.size());
    CHECK(own.size() == which.size());
    return sampled(teacher)(own, seed);
  };
  const auto begins_low = [](std::span<const lk::token_id> answer, std::size_t row) { return row == 10 || answer[0] < 3; };
  const lk::rollouts all = lk::retried(write, begins_low)(questions.own(rows), 4, rows);
  for (std::size_t s = 0; s + 1 < rows.size(); ++s) CHECK(all.answer(s)[0] < 3);
  CHECK(asked.size() > 1);
  CHECK(asked[0] == 6);
  CHECK(std::ranges::is_sorted(asked, std::greater<>{}));
  const lk::rollouts once = lk::retried(write, begins_low, 1)(questions.own(rows), 4, rows);
  CHECK(once.answer(5).size() > 0);
  CHECK(std::ranges::equal(once.answer(5), all.answer(5)));  // accepted at once, it stays
  asked.clear();
  (void)lk::retried(write, [](auto, auto) { return false; }, 7)(questions.own(rows), 4, rows);
  CHECK(asked == std::vector<std::size_t>(7, 6));
}

TEST_CASE("two contexts: rows are those of the same token, and the teacher may be the student", "[on_policy]") {
  toy::table language(1);
  const toy::lessons lessons(5, language);
  const lk::two_contexts data(lessons.prompts, lessons.privileged, lessons.answers);
  const std::vector<std::size_t> rows{3, 1};
  auto batch = data.batch(rows);
  toy::recurrent student(2), other(2);
  auto self = lk::privileged(student);
  const auto theirs = self(batch);
  const auto mine = student.forward(batch.inputs);  // the teacher's rows outlive it
  const auto expected = other.forward(batch.privileged);
  REQUIRE(mine.samples == batch.labels.size());
  REQUIRE(theirs.samples == batch.labels.size());
  for (std::size_t r = 0; r < theirs.samples; ++r)
    for (std::size_t c = 0; c < toy::letters; ++c) CHECK(theirs(r, c) == expected(r, c));
  std::vector<float> mask(batch.inputs.tokens.size());
  CHECK(lk::response_mask(batch.inputs.sequences, batch.inputs.prompts, mask) == batch.labels.size());
  CHECK(batch.privileged.prompts[0] == batch.inputs.prompts[0] + 2);
  CHECK(std::ranges::equal(batch.privileged.answer(1), batch.inputs.answer(1)));
  // One context, one model: nothing to learn.
  const lk::two_contexts same(lessons.prompts, lessons.prompts, lessons.answers);
  const auto r = lk::trainer{student, lk::privileged(student), lk::jensen_shannon{}, toy::momentum{}}.fit(same, {.batch = 5});
  CHECK(r.loss == 0);
  CHECK(student.weights() == other.weights());
}

namespace {

/// All that a model can give, in memory that the next forward writes over: logits, the head that makes them, layers.
struct many_outputs : toy::recurrent {
  using toy::recurrent::recurrent;
  std::vector<double> identity = std::vector<double>(toy::letters * toy::letters);
  std::array<lk::rows<const double>, 2> layers{};
  auto head(const lk::rollouts& x) {
    for (std::size_t c = 0; c < toy::letters; ++c) identity[c * toy::letters + c] = 1;
    return lk::logits_of(toy::recurrent::forward(x), lk::rows<const double>(identity.data(), toy::letters, toy::letters));
  }
  auto forward(const lk::rollouts& x) {
    const auto hidden = head(x);
    const auto z = toy::recurrent::forward(x);
    layers = {z, z};
    return lk::outputs{lk::output<"logits">(z), lk::output<"head">(hidden), lk::output<"layers">(layers),
                       lk::output<"run time">(lk::detail::memory_view(z))};
  }
};
/// A model that gives a head alone.
struct one_head : many_outputs {
  using many_outputs::many_outputs;
  auto forward(const lk::rollouts& x) { return head(x); }
};

}  // namespace

TEST_CASE("privileged: whatever a model gives is copied, so that it may be its own teacher", "[on_policy]") {
  toy::table language(1);
  const toy::lessons lessons(4, language);
  const lk::two_contexts data(lessons.prompts, lessons.privileged, lessons.answers);
  auto batch = data.batch(std::vector<std::size_t>{0, 1, 2, 3});
  many_outputs student(2);
  one_head with_head(2);
  toy::recurrent other(2);
  auto self = lk::privileged(student);
  auto head_self = lk::privileged(with_head);
  const auto theirs = self(batch);
  const auto head = head_self(batch);
  (void)student.forward(batch.inputs);
  (void)with_head.forward(batch.inputs);
  const auto expected = other.forward(batch.privileged);
  const auto same = [&](const lk::rows<const double>& x) {
    REQUIRE(x.samples == expected.samples);
    std::size_t differ = 0;
    for (std::size_t r = 0; r < x.samples; ++r)
      for (std::size_t c = 0; c < toy::letters; ++c) differ += x(r, c) != expected(r, c);
    CHECK(differ == 0);
  };
  same(theirs.of<"logits">());
  same(theirs.of<"head">().hidden.rows<const double>());
  for (const auto& layer : theirs.of<"layers">()) same(layer);
  same(theirs.of<"run time">().rows<const double>());
  same(head.hidden.rows<const double>());
}

TEST_CASE("retried: what is written is checked as on_policy checks it", "[on_policy]") {
  toy::table teacher(1);
  const toy::lessons lessons(6, teacher);
  const lk::prompted_data data(lessons.prompts, lessons.answers);
  const std::vector<std::size_t> rows{0, 1, 2};
  const auto all_right = [](auto, std::size_t) { return true; };
  const auto ask = [&](auto write) { return lk::retried(write, all_right)(data.own(rows), 1, rows); };
  CHECK_THROWS_WITH(ask([&](const lk::rollouts&, std::uint64_t) { return data.own(std::vector<std::size_t>{3, 4, 5}); }),
                    Contains("sequence 0 that is written for retried has another prompt"));
  CHECK_THROWS_WITH(ask([&](const lk::rollouts&, std::uint64_t) { return lk::rollouts{}; }),
                    Contains("0 sequences are written for retried, expected 3"));
  const auto no_prompts = [&](const lk::rollouts& own, std::uint64_t) { return lk::rollouts{.tokens = own.tokens, .sequences = own.sequences}; };
  CHECK_THROWS_WITH(ask(no_prompts), Contains("0 prompts"));
  toy::recurrent student(2);
  lk::on_policy source(1, student, data, no_prompts);
  CHECK_THROWS_WITH(source.prepare(rows, {.rows = 6, .batch = 3}), Contains("0 prompts"));
}

TEST_CASE("on policy: the rows of a step that is replayed are those of its answers", "[on_policy]") {
  toy::table teacher(1);
  const toy::lessons lessons(8, teacher);
  const lk::prompted_data data(lessons.prompts, lessons.answers);
  toy::recurrent student(2);
  lk::on_policy inner(1, student, data, sampled(student), lk::replay(4, 0));
  const auto follow = [&](auto& source) {
    const std::vector<std::size_t> first{0, 1, 2, 3}, second{6, 7, 5};
    source.prepare(first, {.rows = 8, .batch = 4, .random = lk::random_stream(1)});
    (void)source.batch(first);
    CHECK(source.source_rows(first) == first);
    source.prepare(second, {.rows = 8, .batch = 3, .step = 1, .random = lk::random_stream(2)});
    for (const std::size_t at : {0U, 1U, 2U}) {
      const auto one = std::span(second).subspan(at, 1);
      const auto batch = source.batch(one);
      const std::vector<std::size_t> trained = source.source_rows(one);
      REQUIRE(trained.size() == 1);
      CHECK(trained[0] < 4);
      CHECK(std::ranges::equal(lk::prompts_of(batch.inputs)[0], lessons.prompts[trained[0]]));
    }
    (void)source.batch(first);  // its own answers
    CHECK(source.source_rows(first) == first);
    CHECK(source.source_rows(second) == second);
  };
  follow(inner);
  lk::on_policy outer(1, student, inner, sampled(student), lk::replay(4, 0));
  follow(outer);
}

TEST_CASE("on policy: a step that cannot be made leaves the source as it was", "[on_policy]") {
  toy::table teacher(1);
  const toy::lessons lessons(20, teacher);
  const lk::prompted_data data(lessons.prompts, lessons.answers);
  toy::recurrent student(2);
  std::size_t steps = 0;
  const auto write = [&](const lk::rollouts& own, std::uint64_t seed) {
    const lk::rollouts x = sampled(student)(own, seed);
    std::vector<std::vector<lk::token_id>> answers;
    for (std::size_t s = 0; s < x.size(); ++s) answers.emplace_back(x.answer(s).begin(), x.answer(s).end());
    if (++steps == 4) answers[0].clear();  // the last step of the first epoch
    return lk::given_answers(lk::prompts_of(own), answers);
  };
  lk::replay past(1000, 1);
  lk::on_policy source(1, student, data, write, past);
  const auto r = lk::trainer{student, teacher, lk::forward_kl{}, toy::momentum{}}.fit(
      source, {.epochs = 2, .batch = 6, .micro_batch = 1, .skip_bad_steps = 2}, lk::validation(student, source));
  CHECK(r.skipped == 1);
  CHECK(past.size() == 38);  // what could not be trained on is not drawn again
}

TEST_CASE("on policy: a run is resumed with the settings of its data", "[on_policy][resume]") {
  toy::table teacher(1);
  const toy::lessons lessons(20, teacher);
  const toy::temporary file("on_policy_settings.ckpt");
  const auto run = [&](auto data, std::size_t tries, std::uint64_t stop) {
    toy::recurrent student(2);
    const auto write = lk::retried(sampled(student), [](auto, std::size_t) { return true; }, tries);
    lk::on_policy source(0.5, student, data, write);
    lk::subset some(source, {0, 1, 2, 3, 4, 5});
    toy::momentum momentum{.rate = 0.1};
    lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, momentum}.fit(
        some, {.epochs = 2, .batch = 2, .checkpoint = file.path, .checkpoint_every = 1}, toy::stops_at{stop});
  };
  const auto plain = [&](lk::answer_mean over) { return lk::prompted_data(lessons.prompts, lessons.answers, over); };
  const auto both = [&](lk::answer_mean over, double weight) {
    return lk::both_contexts(lk::two_contexts(lessons.prompts, lessons.privileged, lessons.answers, over), weight);
  };
  using lk::answer_mean;
  CHECK_THROWS_WITH(run(plain(answer_mean::tokens), 3, 3), "the machine is gone");
  CHECK_THROWS_WITH(run(plain(answer_mean::sequences), 3, 0), Contains("over sequences") && Contains("over tokens"));
  CHECK_THROWS_WITH(run(plain(answer_mean::tokens), 4, 0), Contains("retried 4"));
  CHECK_NOTHROW(run(plain(answer_mean::tokens), 3, 0));
  file.clear();
  CHECK_THROWS_WITH(run(both(answer_mean::tokens, 0.3), 3, 3), "the machine is gone");
  CHECK_THROWS_WITH(run(both(answer_mean::sequences, 0.3), 3, 0), Contains("over sequences"));
  CHECK_THROWS_WITH(run(both(answer_mean::tokens, 0.5), 3, 0), Contains("0.5"));
}

namespace {

/// An archive that gives back another list under one name.
struct changed_list {
  std::string_view name;
  std::vector<std::size_t> list;
  template <class List>
  void operator()(std::string_view n, List& x) const {
    if (n == name) x.assign(list.begin(), list.end());
  }
};

}  // namespace

TEST_CASE("on policy: a file whose lists do not fit each other is refused, and nothing changes", "[on_policy][resume]") {
  const std::vector<std::vector<lk::token_id>> prompts{{1}, {2, 3}}, answers{{4, 5, 0}, {0}};
  const lk::rollouts x = lk::given_answers(prompts, answers);
  const std::vector<std::size_t> rows{4, 7};
  for (const changed_list& wrong :
       {changed_list{"tokens", {1, 2}}, {"offsets", {0, 4, 9}}, {"offsets", {0, 7}}, {"prompts", {1}}, {"prompts", {1, 4}},
        {"log_probabilities", {0}}, {"writers", {0, 0, 1}}}) {
    CAPTURE(wrong.name);
    lk::rollouts y = x;
    CHECK_THROWS_WITH(y.serialize(wrong), Contains("limbeck: "));
    CHECK(y == x);
  }
  const std::size_t huge = static_cast<std::size_t>(-1);
  for (const changed_list& wrong : {changed_list{"rows", {1}}, {"lengths", {3}}, {"lengths", {3, 9}}, {"lengths", {huge, 5}}, {"tokens", {1}}}) {
    CAPTURE(wrong.name);
    lk::replay past(9, 0);
    past.keep(rows, x);
    CHECK_THROWS_WITH(past.serialize(wrong), Contains("limbeck: the restored replay has"));
    CHECK(past.size() == 2);
    lk::random_stream random(1);
    std::vector<std::size_t> drawn;
    CHECK(past.draw(2, random, drawn).tokens.size() == 4);
  }
  toy::recurrent student(2);
  lk::replay past(2, 0);
  past.keep(rows, x);
  lk::on_policy source(1, student, lk::prompted_data(prompts), sampled(student), past);
  CHECK_THROWS_WITH(source.prepare(std::vector<std::size_t>{0, 1}, {.rows = 2, .batch = 2}),
                    Contains("holds an answer of row") && Contains("the data has 2 rows"));
}

TEST_CASE("sequence_divergence is the divergence of whole answers, on average", "[on_policy]") {
  toy::table a(1), b(9, 0.5);
  const std::vector<std::vector<lk::token_id>> prompt{{2}};
  // exact, over all answers of three letters
  double exact = 0;
  const auto log_law = [](toy::table& m, lk::token_id from, std::size_t to) {
    const std::vector<lk::token_id> tokens{from};
    const std::vector<lk::prefix> one{{.tokens = tokens}};
    const auto z = m(one);
    long double total = 0;
    for (std::size_t c = 0; c < toy::letters; ++c) total += std::exp(static_cast<long double>(z(0, c)));
    return static_cast<double>(static_cast<long double>(z(0, to)) - std::log(total));
  };
  for (lk::token_id x = 0; x < 6; ++x)
    for (lk::token_id y = 0; y < 6; ++y)
      for (lk::token_id z = 0; z < 6; ++z) {
        const auto of = [&](toy::table& m) {
          return log_law(m, 2, static_cast<std::size_t>(x)) + log_law(m, x, static_cast<std::size_t>(y)) +
                 log_law(m, y, static_cast<std::size_t>(z));
        };
        exact += std::exp(of(a)) * (of(a) - of(b));
      }
  const std::vector<std::vector<lk::token_id>> prompts(4000, prompt[0]);
  const lk::rollouts written = lk::sample(a, prompts, {.length = 3});
  const double estimate = lk::sequence_divergence(a, b, written);
  CHECK(estimate == Approx(exact).epsilon(0.02));  // a fixed seed: it lies within 0.02 today and tomorrow
  CHECK(lk::sequence_divergence(a, b, written, lk::forward_kl{}, 7) == Approx(estimate).epsilon(1e-12));
  CHECK(lk::sequence_divergence(a, a, written) == 0);
  CHECK_THROWS_WITH(lk::sequence_divergence(a, b, lk::rollouts{}), Contains("needs a sequence at least"));
  CHECK_THROWS_WITH(lk::answer_logits(a, lk::given_answers(prompt, std::vector<std::vector<lk::token_id>>{{}})),
                    Contains("the answer of sequence 0 is empty"));
}

TEST_CASE("watch: a proxy that falls while the golden distance rises", "[on_policy]") {
  const std::vector<double> proxy{5, 4, 3, 2, 2, 1, 0.5, 0.7}, golden{5, 4, 5, 6, 7, 8, 9, 1};
  const std::vector<double> flagged{0, 0, 0, 1, 1, 1, 1, 1};
  std::size_t at = 0;
  lk::watch watch([&] { return proxy[at]; }, [&] { return golden[at]; }, {.patience = 2, .prefix = "test/"});
  lk::training_run run;
  run.epochs = proxy.size();
  watch.begin(run);
  for (; at < proxy.size(); ++at) {
    ++run.epoch;
    watch.after_epoch(run);
    CHECK(run.metrics["test/proxy"] == proxy[at]);
    CHECK(run.metrics["test/golden"] == golden[at]);
    CHECK(run.metrics["test/teacher_hacking"] == flagged[at]);
  }
  CHECK_THROWS_WITH(lk::watch([] { return 0; }, [] { return 0; }, {.patience = 0}), Contains("patience of watch is 0"));
}
