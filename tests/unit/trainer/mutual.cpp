// Mutual learning: one step against the definition, in both orders; parts change nothing; it is resumed.
#include "toy.hpp"

#include "catch.hpp"

#include <limbeck/trainer/mutual.hpp>

#include <csignal>
#include <numeric>

namespace {

namespace lk = limbeck;
using vector = std::vector<double>;

const auto dml = lk::cross_entropy{} + lk::forward_kl{};

vector softmax(const lk::rows<const double>& x, std::size_t r) {
  vector p(toy::classes);
  double total = 0;
  for (std::size_t c = 0; c < toy::classes; ++c) total += p[c] = std::exp(x(r, c));
  for (double& v : p) v /= total;
  return p;
}

/// The definition: d/ds of CE + 1/(K - 1) sum of KL(p_l || q) is (q - y) + q - mean of p_l, a row, over n.
void descend(toy::linear& self, const std::vector<toy::linear*>& peers, const toy::drawn& b) {
  const std::size_t n = b.labels.size();
  vector g(n * toy::classes);
  const auto mine = self.forward(b.inputs);
  for (std::size_t r = 0; r < n; ++r) {
    const vector q = softmax(mine, r);
    for (std::size_t c = 0; c < toy::classes; ++c)
      g[r * toy::classes + c] = 2 * q[c] - (static_cast<int>(c) == b.labels[r]);
    for (toy::linear* peer : peers) {
      const vector p = softmax(peer->forward(b.inputs), r);
      for (std::size_t c = 0; c < toy::classes; ++c)
        g[r * toy::classes + c] -= p[c] / static_cast<double>(peers.size());
    }
  }
  for (double& v : g) v /= static_cast<double>(n);
  self.zero_gradients();
  self.backward({g.data(), n, toy::classes});
}
double distance(const vector& a, const vector& b) {
  double d = 0;
  for (std::size_t i = 0; i < a.size(); ++i) d = std::max(d, std::abs(a[i] - b[i]));
  return d;
}

TEST_CASE("one step of three pupils is the paper's, one after the other or at once", "[mutual]") {
  toy::clouds data(9);
  std::vector<std::size_t> all(9);
  std::iota(all.begin(), all.end(), std::size_t{0});
  const toy::drawn batch = data.batch_of(all);
  for (const bool at_once : {false, true})
    for (const std::size_t part : {0U, 4U}) {
      toy::linear a(1), b(2), c(3);
      lk::mutual_trainer t{lk::pupil{a, dml, toy::sgd{}}, lk::pupil{b, dml, toy::sgd{}}, lk::pupil{c, dml, toy::sgd{}}};
      t.simultaneous = at_once;
      const auto result = t.fit(data, {.epochs = 1, .batch = 9, .micro_batch = part});
      toy::linear x(1), y(2), z(3);
      toy::sgd sgd;
      descend(x, {&y, &z}, batch);
      if (!at_once) sgd.step(x, lk::progress(0.0));
      descend(y, {&x, &z}, batch);
      if (!at_once) sgd.step(y, lk::progress(0.0));
      descend(z, {&x, &y}, batch);
      for (toy::linear* m : {&x, &y, &z})
        if (at_once || m == &z) sgd.step(*m, lk::progress(0.0));
      CAPTURE(at_once, part);
      CHECK(distance(a.weights(), x.weights()) < 1e-14);
      CHECK(distance(b.weights(), y.weights()) < 1e-14);
      CHECK(distance(c.weights(), z.weights()) < 1e-14);
      CHECK(result.loss == Approx((t.losses()[0] + t.losses()[1] + t.losses()[2]) / 3).epsilon(1e-14));
    }
}

/// The inputs of the second draw are not numbers.
struct one_bad_draw : toy::clouds {
  int drawn = 0;
  using toy::clouds::clouds;
  toy::drawn batch(std::span<const std::size_t> rows) {
    toy::drawn b = toy::clouds::batch(rows);
    if (++drawn == 2) b.inputs[0] = std::nan("");
    return b;
  }
};

struct stop_after_one {
  void after_step(lk::training_run& r) { r.stop = true; }
};

TEST_CASE("a bad step moves no pupil", "[mutual]") {
  toy::linear a(1), b(2), c(1), d(2);
  lk::mutual_trainer t{lk::pupil{a, dml, toy::adam{}}, lk::pupil{b, dml, toy::adam{}}};
  one_bad_draw data(20);
  CHECK_THROWS_AS(t.fit(data, {.batch = 10, .skip_bad_steps = 1}), lk::value_error);  // one after the other
  CHECK(distance(a.weights(), c.weights()) == 0);
  t.simultaneous = true;
  const auto result = t.fit(data, {.batch = 10, .skip_bad_steps = 1});
  CHECK(result.skipped == 1);
  CHECK(result.steps == 2);
  lk::mutual_trainer good{lk::pupil{c, dml, toy::adam{}}, lk::pupil{d, dml, toy::adam{}}};
  good.simultaneous = true;
  toy::clouds sound(20);
  good.fit(sound, {.batch = 10}, stop_after_one{});
  CHECK(a.weights() == c.weights());
  CHECK(b.weights() == d.weights());
}

TEST_CASE("mutual learning is resumed bit for bit", "[mutual]") {
  toy::temporary one("mutual_never.ckpt"), two("mutual_stopped.ckpt");
  struct stop_at {
    std::uint64_t step;
    void after_step(lk::training_run& r) {
      if (r.step == step) std::raise(SIGINT);
    }
  };
  const auto program = [](const toy::temporary& file, std::uint64_t stop) {
    toy::clouds data(40);
    toy::linear a(1), b(2);
    toy::adam first, second;
    lk::mutual_trainer t{lk::pupil{a, dml, first}, lk::pupil{b, dml, second}};
    const auto r = t.fit(data, {.epochs = 3, .batch = 12, .checkpoint = file.path}, stop_at{stop});
    return std::tuple(a.weights(), b.weights(), first.second, second.second, r.interrupted);
  };
  const auto never = program(one, 0);
  CHECK(std::get<4>(program(two, 5)));
  CHECK(program(two, 0) == never);
}

}  // namespace
