// A student with several outputs, and what its objective learns, in the trainer.

#include "catch.hpp"
#include "stops.hpp"
#include "toy.hpp"

#include <limbeck/trainer.hpp>


namespace lk = limbeck;
using view = lk::rows<const double>;

namespace {

/// Two heads over the inputs, which are an output, too: nothing below them learns.
class two_heads {
 public:
  auto forward(const std::vector<double>& x) {
    inputs_ = x;
    const view hidden(inputs_.data(), x.size() / toy::features, toy::features);
    return lk::outputs{lk::output<"logits">(ce_.forward(x)), lk::output<"kd">(kd_.forward(x)),
                       lk::output<"in">(hidden)};
  }
  template <class Gradients>
  void backward(const Gradients& g) {
    ce_.backward(g.template of<"logits">());
    kd_.backward(g.template of<"kd">());
  }
  void zero_gradients() {
    ce_.zero_gradients();
    kd_.zero_gradients();
  }
  std::vector<std::span<double>> parameters() { return joined(ce_.parameters(), kd_.parameters()); }
  std::vector<std::span<double>> gradients() { return joined(spans(ce_), spans(kd_)); }
  std::vector<double> weights() const {
    std::vector<double> all = ce_.weights();
    all.insert(all.end(), kd_.weights().begin(), kd_.weights().end());
    return all;
  }

 private:
  static std::vector<std::span<double>> spans(toy::linear& m) {
    auto& g = const_cast<std::vector<double>&>(m.gradients());
    return {std::span(g).first(toy::features * toy::classes), std::span(g).subspan(toy::features * toy::classes)};
  }
  static std::vector<std::span<double>> joined(std::vector<std::span<double>> a,
                                               const std::vector<std::span<double>>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  toy::linear ce_{1}, kd_{2};
  std::vector<double> inputs_;
};

/// A plain model with features of another width.
struct wise {
  toy::linear head{5};
  std::vector<double> hidden{};
  auto forward(const std::vector<double>& x) {
    hidden.assign(x.size() / toy::features * 6, 0);
    for (std::size_t i = 0; i < hidden.size(); ++i) hidden[i] = std::sin(static_cast<double>(i) + x[i % x.size()]);
    return lk::outputs{lk::output<"logits">(head.forward(x)),
                       lk::output<"in">(view(hidden.data(), x.size() / toy::features, 6))};
  }
};

using toy::momentum;

using toy::stops_at;

/// What a run leaves behind.
struct left {
  std::vector<double> student, projection, temperature;
  bool operator==(const left&) const = default;
};
left run(const lk::fit_settings& how, std::uint64_t stop = 0) {
  toy::clouds data(40);
  two_heads student;
  lk::projection<double> p(toy::features, 6);
  lk::temperature_parameter<double> tau(2);
  const auto objective = lk::cross_entropy{} +
                         lk::at<"kd", "logits">(lk::at_temperature(lk::learned(tau), lk::forward_kl{})) +
                         lk::at<"in">(0.3 * lk::projected(p, lk::hint{}));
  lk::trainer trainer{student, wise{}, objective, momentum{}};
  if (stop > 0) {
    CHECK_THROWS_WITH(trainer.fit(data, how, stops_at{stop}), "the machine is gone");
  } else {
    trainer.fit(data, how);
  }
  const auto w = p.parameters();
  return {student.weights(), {w[0].begin(), w[0].end()}, {tau.value()}};
}

}  // namespace

TEST_CASE("two heads, a projection and a temperature are trained in one run", "[trainer][outputs]") {
  const left start = [] {
    lk::projection<double> p(toy::features, 6);
    return left{two_heads().weights(), {p.parameters()[0].begin(), p.parameters()[0].end()}, {2}};
  }();
  const left one = run({.steps = 1, .batch = 40});

  // by hand
  toy::clouds data(40);
  two_heads s;
  wise t;
  std::vector<std::size_t> all(40);
  for (std::size_t i = 0; i < 40; ++i) all[i] = i;
  lk::random_stream(0).split(0).shuffle(all);
  const auto b = data.batch(all);
  auto z = s.forward(b.inputs);
  auto u = t.forward(b.inputs);
  lk::projection<double> p(toy::features, 6);
  double tau = 2;
  s.zero_gradients();
  const auto ce = lk::objective(lk::cross_entropy{})(z.of<"logits">(), b.labels);
  const auto kd = lk::at_temperature(lk::learned(tau), lk::forward_kl{})(z.of<"kd">(), u.of<"logits">());
  (0.3 * lk::projected(p, lk::hint{}))(z.of<"in">(), u.of<"in">());
  s.backward(lk::outputs{lk::output<"logits">(view(ce.gradient.data(), 40, toy::classes)),
                         lk::output<"kd">(view(kd.gradient.data(), 40, toy::classes))});
  momentum o, of_projection;
  o.step(s, lk::progress(0.0));
  of_projection.step(p, lk::progress(0.0));
  CHECK(one.student == s.weights());
  CHECK(one.projection == std::vector<double>(p.parameters()[0].begin(), p.parameters()[0].end()));
  CHECK(one.temperature[0] == Approx(2 * std::exp(-0.05 * 2 * kd.temperature_gradient[0])).epsilon(1e-12));
  CHECK(one.temperature != start.temperature);
  CHECK(one.projection != start.projection);
}

TEST_CASE("a run goes on bit for bit with what its objective has learnt", "[trainer][outputs][resume]") {
  const toy::temporary file("outputs.ckpt");
  lk::fit_settings how{.epochs = 3, .batch = 16};
  const left straight = run(how);
  how.checkpoint = file.path;
  how.checkpoint_every = 1;
  (void)run(how, 4);
  CHECK(run(how) == straight);
  const lk::checkpoint_file stored(file.path);
  CHECK(stored.entries().contains("learned/0/log_temperature"));
  CHECK(stored.entries().contains("learned/1/weights"));
}

namespace {
/// Tells which rows were drawn: CRD remembers each row of the data.
struct indexed {
  toy::clouds data{40};
  std::vector<std::size_t> last{};
  std::size_t size() const { return data.size(); }
  toy::drawn batch(std::span<const std::size_t> rows) {
    last.assign(rows.begin(), rows.end());
    return data.batch(rows);
  }
};
std::vector<double> with_bank(const lk::fit_settings& how, std::uint64_t stop = 0) {
  indexed data;
  two_heads student;
  lk::projection<double> p(toy::features, 6), s(toy::features, 3, lk::he{.seed = 2}), t(6, 3, lk::he{.seed = 3});
  lk::channel_variances<double> v(6);
  lk::crd_bank<double> bank(40, 3, {.negatives = 4, .temperature = 0.5, .seed = 3});
  const auto objective =
      lk::cross_entropy{} + lk::at<"in">(0.3 * lk::projected(p, lk::vid(v)) + 0.2 * lk::crd(bank, data.last, s, t));
  lk::trainer trainer{student, wise{}, objective, momentum{}};
  if (stop > 0) {
    CHECK_THROWS_WITH(trainer.fit(data, how, stops_at{stop}), "the machine is gone");
  } else {
    trainer.fit(data, how);
  }
  std::vector<double> all = student.weights();
  for (auto* part : {&p, &s, &t})
    for (const auto w : part->parameters()) all.insert(all.end(), w.begin(), w.end());
  for (const auto w : v.parameters()) all.insert(all.end(), w.begin(), w.end());
  return all;
}
}  // namespace

TEST_CASE("a run goes on bit for bit with variances, embeddings and a memory bank", "[trainer][outputs][resume]") {
  const toy::temporary file("bank.ckpt");
  lk::fit_settings how{.epochs = 2, .batch = 10};
  const std::vector<double> straight = with_bank(how);
  how.checkpoint = file.path;
  how.checkpoint_every = 1;
  (void)with_bank(how, 3);
  CHECK(with_bank(how) == straight);
}

namespace {
/// Features of a row by that row alone.
struct fair {
  std::vector<double> hidden{};
  auto forward(const std::vector<double>& x) {
    hidden.assign(x.size() / toy::features * 6, 0);
    for (std::size_t i = 0; i < hidden.size(); ++i)
      hidden[i] = std::sin(static_cast<double>(i % 6) + x[i / 6 * toy::features + i % toy::features]);
    return lk::outputs{lk::output<"in">(view(hidden.data(), x.size() / toy::features, 6))};
  }
};
/// Losses of rows through a projection, and between two heads that both learn.
left through_maps(const lk::fit_settings& how, std::uint64_t stop = 0) {
  toy::clouds data(40);
  two_heads student;
  lk::projection<double> p(toy::features, 6);
  const auto objective = lk::cross_entropy{} + lk::between<"logits", "kd">(0.4 * lk::at_temperature(2.0, lk::forward_kl{})) +
                         lk::at<"in">(0.3 * lk::through(lk::then(p, lk::unit_rows{}), lk::unit_rows{}, lk::linear(2.0, 1.0) * lk::mse{}));
  lk::trainer trainer{student, fair{}, objective, momentum{}};
  if (stop > 0) {
    CHECK_THROWS_WITH(trainer.fit(data, how, stops_at{stop}), "the machine is gone");
  } else {
    trainer.fit(data, how);
  }
  const auto w = p.parameters();
  return {student.weights(), {w[0].begin(), w[0].end()}, {}};
}
}  // namespace

TEST_CASE("losses of rows through maps: parts of a batch are the batch, and a run goes on bit for bit", "[trainer][outputs][resume]") {
  lk::fit_settings how{.epochs = 2, .batch = 20};
  const left straight = through_maps(how);
  how.micro_batch = 6;
  const left parts = through_maps(how);
  for (std::size_t i = 0; i < parts.student.size(); ++i) CHECK(parts.student[i] == Approx(straight.student[i]).epsilon(1e-10));
  for (std::size_t i = 0; i < parts.projection.size(); ++i) CHECK(parts.projection[i] == Approx(straight.projection[i]).epsilon(1e-10));
  const toy::temporary file("maps.ckpt");
  how.checkpoint = file.path;
  how.checkpoint_every = 1;
  (void)through_maps(how, 3);
  CHECK(through_maps(how) == parts);
  CHECK(lk::checkpoint_file(file.path).entries().contains("learned/0/weights"));
}

TEST_CASE("a batchwise loss at an output is named where the batch comes in parts", "[trainer][outputs]") {
  toy::clouds data(40);
  two_heads student;
  lk::projection<double> p(toy::features, 6);
  lk::trainer trainer{student, wise{}, lk::cross_entropy{} + lk::at<"in">(lk::projected(p, lk::linear_cka{})), momentum{}};
  CHECK_THROWS_WITH(trainer.fit(data, {.steps = 1, .batch = 40, .micro_batch = 10}),
                    Catch::Matchers::Contains("through") && Catch::Matchers::Contains("micro-batches"));
  CHECK_NOTHROW(run({.steps = 1, .batch = 40, .micro_batch = 10}));  // a hint is a mean over rows
}

namespace {
/// As the teacher of a cache is: outputs of teachers.
struct tokens {
  toy::linear head{1};
  std::vector<double> twice{};
  auto forward(const std::vector<double>& x) {
    twice = x;
    twice.insert(twice.end(), x.begin(), x.end());
    return lk::outputs{lk::output<"logits">(one.forward(x)), lk::output<"tokens">(head.forward(twice))};
  }
  template <class Gradients>
  void backward(const Gradients& g) {
    one.backward(g.template of<"logits">());
    head.backward(g.template of<"tokens">());
  }
  void zero_gradients() {
    one.zero_gradients();
    head.zero_gradients();
  }
  toy::linear one{3};
};
struct sgd {
  void step(tokens& t, lk::progress) const {
    for (toy::linear* m : {&t.one, &t.head})
      for (std::size_t i = 0; i < m->gradients().size(); ++i) m->set(i, m->weights()[i] - 0.1 * m->gradients()[i]);
  }
};
/// Labels of its own for each output: two tokens a row, some of which do not count.
template <bool Own>
struct labelled {
  toy::clouds data{24};
  std::size_t size() const { return data.size(); }
  auto batch(std::span<const std::size_t> rows) {
    auto b = data.batch(rows);
    std::vector<int> two = b.labels;
    two.insert(two.end(), b.labels.begin(), b.labels.end());
    for (std::size_t i = 0; i < two.size(); i += 3) two[i] = -100;
    if constexpr (Own) {
      struct batch {
        std::vector<double> inputs;
        decltype(lk::outputs{lk::output<"logits">(std::vector<int>()),
                             lk::output<"tokens">(std::vector<int>())}) labels;
      };
      return batch{b.inputs, lk::outputs{lk::output<"logits">(std::vector<int>(b.labels)),
                                         lk::output<"tokens">(std::vector<int>(two))}};
    } else {
      return b;
    }
  }
};
}  // namespace

TEST_CASE("outputs of other rows count their own, whole and in parts", "[trainer][outputs]") {
  const auto o = lk::cross_entropy{} + lk::at<"tokens">(0.5 * lk::cross_entropy{});
  const auto trained = [&](std::size_t part) {
    tokens s;
    labelled<true> data;
    const double loss =
        lk::trainer{s, lk::no_teacher{}, o, sgd{}}.fit(data, {.steps = 3, .batch = 24, .micro_batch = part}).loss;
    std::vector<double> all = s.one.weights();
    all.insert(all.end(), s.head.weights().begin(), s.head.weights().end());
    all.push_back(loss);
    return all;
  };
  const std::vector<double> whole = trained(0);
  for (const std::size_t part : {24, 12, 6}) {  // multiples of three leave the same tokens out
    const std::vector<double> same = trained(part);
    for (std::size_t i = 0; i < whole.size(); ++i) CHECK(same[i] == Approx(whole[i]).epsilon(1e-10));
  }

  tokens s;
  labelled<false> data;
  CHECK_THROWS_WITH(
      (lk::trainer{s, lk::no_teacher{}, o, sgd{}}.fit(data, {.steps = 1, .batch = 24, .micro_batch = 8})),
      "limbeck: the student gave 16 rows of tokens, the batch has 8; where a row that is drawn gives several, "
      "the batch has labels or row_weights, one a row of tokens");
}

TEST_CASE("teachers by name are asked each", "[trainer][outputs]") {
  toy::clouds data(20);
  std::vector<double> a(20 * toy::classes, 0.5), b(20 * toy::classes);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = std::cos(static_cast<double>(i));
  const view first(a.data(), 20, toy::classes), second(b.data(), 20, toy::classes);
  const auto trained = [&](auto&& teacher, const auto& o) {
    toy::linear s(1);
    lk::trainer{s, teacher, o, toy::sgd{}}.fit(data, {.epochs = 2, .batch = 5});
    return s.weights();
  };
  const auto both = trained(
      lk::outputs{lk::output<"logits">(lk::cached_teacher(first)), lk::output<"second">(lk::cached_teacher(second))},
      lk::forward_kl{} + lk::at<"logits", "second">(lk::forward_kl{}));
  std::vector<double> mixed(a.size());  // KL to both is KL to the mean of their probabilities, but for a constant
  for (std::size_t r = 0; r < 20; ++r) {
    double za = 0, zb = 0;
    for (std::size_t c = 0; c < toy::classes; ++c)
      za += std::exp(a[r * toy::classes + c]), zb += std::exp(b[r * toy::classes + c]);
    for (std::size_t c = 0; c < toy::classes; ++c)
      mixed[r * toy::classes + c] =
          std::log(std::exp(a[r * toy::classes + c]) / za / 2 + std::exp(b[r * toy::classes + c]) / zb / 2);
  }
  const auto mean = trained(lk::cached_teacher(view(mixed.data(), 20, toy::classes)), 2.0 * lk::forward_kl{});
  for (std::size_t i = 0; i < both.size(); ++i) CHECK(both[i] == Approx(mean[i]).epsilon(1e-10));
}

TEST_CASE("an optimiser of its own for what is learned; frozen tensors", "[trainer][outputs]") {
  toy::clouds data(12);
  two_heads s;
  const std::vector<double> before = s.weights();
  lk::projection<double> p(toy::features, 6), same(toy::features, 6);
  const auto o =
      lk::cross_entropy{} + lk::at<"kd", "logits">(lk::forward_kl{}) + lk::at<"in">(lk::projected(p, lk::hint{}));
  lk::trainer{s, wise{}, o, lk::only(momentum{}, {0, 1}), momentum{.rate = 0}}.fit(data, {.epochs = 2, .batch = 6});
  const std::vector<double> after = s.weights();
  const std::size_t half = before.size() / 2;
  CHECK(std::vector<double>(before.begin(), before.begin() + static_cast<std::ptrdiff_t>(half)) !=
        std::vector<double>(after.begin(), after.begin() + static_cast<std::ptrdiff_t>(half)));
  for (std::size_t i = half; i < before.size(); ++i) CHECK(after[i] == before[i]);
  for (std::size_t i = 0; i < p.parameters()[0].size(); ++i) CHECK(p.parameters()[0][i] == same.parameters()[0][i]);

  two_heads hinted;  // what the objective learns is not frozen with the others
  lk::trainer{hinted, wise{}, o, lk::only(momentum{}, {0})}.fit(data, {.steps = 1, .batch = 12});
  CHECK(p.parameters()[0][0] != same.parameters()[0][0]);
  CHECK_THROWS_WITH((lk::trainer{s, wise{}, lk::cross_entropy{}, lk::only(momentum{}, {7})}.fit(data, {.steps = 1})),
                    "limbeck: only(optimizer, ...) names tensor 7 of a model of 4");
}

TEST_CASE("pupils with several outputs teach each other", "[trainer][outputs]") {
  toy::clouds data(30);
  two_heads a, b;
  const auto o = lk::cross_entropy{} + lk::at<"kd">(lk::forward_kl{});
  lk::mutual_trainer trainer(lk::pupil{a, o, momentum{}}, lk::pupil{b, o, momentum{}});
  const auto r = trainer.fit(data, {.epochs = 3, .batch = 10});
  CHECK(r.loss < 1.2);
  CHECK(a.weights() != two_heads().weights());
}
