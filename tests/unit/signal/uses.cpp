// The same signal as a weight, a threshold and a temperature.

#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <cmath>
#include <limits>
#include <vector>

namespace lk = limbeck;

namespace {

struct specimen {
  std::size_t samples = 7, classes = 19;
  std::vector<double> student, teacher;
  std::vector<int> labels;
  specimen() {
    lk::random_stream random(5);
    for (std::size_t i = 0; i < samples * classes; ++i) {
      student.push_back(2 * random.normal());
      teacher.push_back(2 * random.normal());
    }
    for (std::size_t r = 0; r < samples; ++r) labels.push_back(static_cast<int>(random.below(classes)));
  }
  lk::rows<const double> s() const { return {student.data(), samples, classes}; }
  lk::rows<const double> t() const { return {teacher.data(), samples, classes}; }
};

/// Value and gradient of an objective, and its row losses.
struct result {
  double loss;
  std::vector<double> gradient, rows;
};
template <class Objective, class... More>
result run(const Objective& o, const specimen& b, More&&... more) {
  result x{0, std::vector<double>(b.student.size()), std::vector<double>(b.samples)};
  x.loss = o(b.s(), b.t(), b.labels, lk::unread_is_fine, lk::into(lk::rows<double>(x.gradient.data(), b.samples, b.classes)),
             lk::row_losses(x.rows), more...);
  return x;
}
void same(const result& a, const result& b) {
  CHECK(a.loss == Approx(b.loss).epsilon(1e-12));
  for (std::size_t i = 0; i < a.gradient.size(); ++i)
    CHECK(a.gradient[i] == Approx(b.gradient[i]).epsilon(1e-11).margin(1e-15));
}

}  // namespace

TEST_CASE("a signal weighs the rows of one term, held fixed", "[signal]") {
  const specimen b;
  std::vector<double> weight(b.samples);
  lk::measure(lk::of_teacher(lk::entropy{}), b.s(), b.t(), weight);

  const auto signal = lk::of_teacher(lk::entropy{});
  const auto check = [&](const auto& loss) {
    const result weighed = run(signal * loss, b);
    // the same with the numbers given, whose mean is over all rows too
    const result by_hand = run(lk::objective{loss}, b, lk::row_weights(weight), lk::sum);
    CHECK(weighed.loss == Approx(by_hand.loss / static_cast<double>(b.samples)).epsilon(1e-12));
    for (std::size_t i = 0; i < weighed.gradient.size(); ++i)
      CHECK(weighed.gradient[i] ==
            Approx(by_hand.gradient[i] / static_cast<double>(b.samples)).epsilon(1e-11).margin(1e-15));
    for (std::size_t r = 0; r < b.samples; ++r) CHECK(weighed.rows[r] == Approx(weight[r] * by_hand.rows[r]));
  };
  check(lk::at_temperature(3.0, lk::forward_kl{} + 0.2 * lk::reverse_kl{}));
  check(lk::cross_entropy{.smoothing = 0.1});
  check(lk::dkd{});
  check(lk::mse{});
}

TEST_CASE("only the term that a signal stands before is weighed", "[signal]") {
  const specimen b;
  const result weighed = run(lk::forward_kl{} + (lk::of_student(lk::margin{}) < -1.0) * lk::cross_entropy{}, b);
  same(weighed, run(lk::objective{lk::forward_kl{}}, b));
}

TEST_CASE("signals before a sum multiply, and nest", "[signal]") {
  const specimen b;
  const auto x = lk::of_student(lk::confidence{});
  const auto y = lk::of_teacher(lk::margin{});
  const lk::forward_kl kl;
  const lk::reverse_kl js;
  same(run(x * (kl + y * js), b), run(x * kl + (x * y) * js, b));
}

TEST_CASE("inside at_temperature a signal is read at that temperature", "[signal]") {
  const specimen b;
  std::vector<double> cold(b.samples), warm(b.samples);
  lk::measure(lk::of_teacher(lk::entropy{}), b.s(), b.t(), cold);
  lk::measure(lk::at_temperature(4.0, lk::of_teacher(lk::entropy{})), b.s(), b.t(), warm);
  const auto h = lk::of_teacher(lk::entropy{});
  const result plain = run(lk::at_temperature(4.0, lk::forward_kl{}), b);
  const result inside = run(lk::at_temperature(4.0, h * lk::forward_kl{}), b);
  const result outside = run(h * lk::at_temperature(4.0, lk::forward_kl{}), b);
  for (std::size_t r = 0; r < b.samples; ++r) {
    CHECK(inside.rows[r] == Approx(warm[r] * plain.rows[r]));
    CHECK(outside.rows[r] == Approx(cold[r] * plain.rows[r]));
  }
}

TEST_CASE("a signal is a temperature", "[signal]") {
  const specimen b;
  const auto t = 1 + 2 * lk::of_teacher(lk::entropy{});
  std::vector<double> temperatures(b.samples);
  lk::measure(t, b.s(), b.t(), temperatures);
  const auto by_signal = lk::at_temperature(t, lk::forward_kl{} + 0.1 * lk::reverse_kl{}) + lk::cross_entropy{};
  const auto by_row = lk::at_temperature(lk::per_row{}, lk::forward_kl{} + 0.1 * lk::reverse_kl{}) + lk::cross_entropy{};
  same(run(by_signal, b), run(by_row, b, lk::row_temperatures(temperatures)));

  std::vector<double> g(b.student.size());
  CHECK_THROWS_WITH(lk::at_temperature(lk::of_teacher(lk::entropy{}) - 100, lk::forward_kl{})(
                        b.s(), b.t(), lk::into(lk::rows<double>(g.data(), b.samples, b.classes))),
                    Catch::Contains("row_temperatures is -9") && Catch::Contains("at row 0, expected a positive number"));
}

TEST_CASE("weighed objectives: a workspace and threads change nothing", "[signal]") {
  const specimen b;
  const auto o = (lk::of_teacher(lk::confidence{}) > 0.3) *
                 lk::at_temperature(1 + lk::of_teacher(lk::entropy{}), lk::forward_kl{});
  lk::workspace ws;
  lk::openmp two{2};
  const result first = run(o, b, ws), again = run(o, b, ws), threads = run(o, b, ws, lk::on(two));
  CHECK(first.loss == again.loss);
  CHECK(first.gradient == again.gradient);
  CHECK(first.gradient == threads.gradient);
}

TEST_CASE("a row that a threshold leaves out has no loss, though it would be infinite", "[signal]") {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> student{0, -inf, 1, 0, 0, 1}, teacher{0, 0, 0.5, 9, 0, 0};
  std::vector<double> losses(2), g(6);
  const auto o = (lk::of_teacher(lk::confidence{}) > 0.9) * lk::forward_kl{};
  const double loss = o(lk::rows<const double>(student.data(), 2, 3), lk::rows<const double>(teacher.data(), 2, 3),
                        lk::into(lk::rows<double>(g.data(), 2, 3)), lk::row_losses(losses));
  CHECK(losses[0] == 0);
  CHECK(loss == Approx(losses[1] / 2));
  CHECK(g[0] == 0);
}
