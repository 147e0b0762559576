// Margin-MSE and PLD, over rows of scores, inside the sweep.

#include "catch.hpp"
#include "make_batch.hpp"

#include <limbeck/limbeck.hpp>
#include <limbeck/loss/logits/margin_mse.hpp>
#include <limbeck/loss/logits/plackett_luce.hpp>

#include <limits>
#include <numeric>

namespace lk = limbeck;
using namespace limbeck_test;
using real = long double;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// One row through the engine.
template <class Loss>
std::pair<double, std::vector<double>> one(const Loss& loss, const std::vector<double>& s, const std::vector<double>& t,
                                           int label) {
  std::vector<double> g(s.size());
  const std::vector<int> labels{label};
  const lk::rows<const double> sv(s.data(), 1, s.size()), tv(t.data(), 1, t.size());
  const double value = lk::objective{loss}(sv, tv, labels, lk::unread_is_fine, lk::into(lk::rows<double>(g.data(), 1, g.size()))).loss;
  return {value, g};
}

template <class Loss>
void differences(const Loss& loss, const std::vector<double>& s, const std::vector<double>& t, int label) {
  const auto gradient = one(loss, s, t, label).second;
  double total = 0, largest = 0;
  for (const double g : gradient) total += g, largest = std::max(largest, std::fabs(g));
  CHECK(std::fabs(total) <= 1e-13 * (1 + largest));
  for (std::size_t i = 0; i < s.size(); ++i) {
    auto up = s, down = s;
    up[i] += 1e-5, down[i] -= 1e-5;
    const double expected = (one(loss, up, t, label).first - one(loss, down, t, label).first) / 2e-5;
    CHECK(std::fabs(gradient[i] - expected) <= 1e-6 * largest);
  }
}

real naive_pld(const std::vector<double>& s, const std::vector<double>& t, std::size_t label, double temperature) {
  std::vector<std::size_t> order(s.size());
  std::iota(order.begin(), order.end(), 0u);
  order.erase(order.begin() + static_cast<std::ptrdiff_t>(label));
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return t[a] > t[b]; });
  order.insert(order.begin(), label);
  real mass = 0, value = 0;
  for (const double v : t) mass += std::exp(static_cast<real>(v) / static_cast<real>(temperature));
  for (std::size_t k = 0; k < s.size(); ++k) {
    real tail = 0;
    for (std::size_t l = k; l < s.size(); ++l) tail += std::exp(static_cast<real>(s[order[l]]));
    value += std::exp(static_cast<real>(t[order[k]]) / static_cast<real>(temperature)) / mass *
             (std::log(tail) - static_cast<real>(s[order[k]]));
  }
  return value;
}

}  // namespace

TEST_CASE("pld: the value in the catalogue, the definition, and differences") {
  const auto [value, gradient] = one(lk::pld{}, {1, 2, 0, -1}, {0.5, 3, 1, 0}, 2);
  CHECK(value == Approx(0.5442478425).epsilon(1e-9));
  const double expected[] = {0.2223553169, -0.1637231417, -0.0974912134, 0.0388590382};
  for (std::size_t i = 0; i < 4; ++i) CHECK(gradient[i] == Approx(expected[i]).epsilon(1e-8));
  for (const std::size_t n : {1u, 2u, 7u, 40u}) {
    const features<double> x(1, n, n, 5, 2);
    for (const double temperature : {1.0, 4.0}) {
      const lk::pld loss{.temperature = temperature};
      const std::size_t label = n / 2;
      CHECK(one(loss, x.student, x.teacher, static_cast<int>(label)).first ==
            Approx(static_cast<double>(naive_pld(x.student, x.teacher, label, temperature)))
                .epsilon(1e-12)
                .margin(1e-16));
      differences(loss, x.student, x.teacher, static_cast<int>(label));
    }
  }
}

TEST_CASE("pld: its special cases") {
  const std::vector<double> s{1, 2, 0, -1};
  const auto cross_entropy = one(lk::cross_entropy{}, s, s, 1);
  const auto sure = one(lk::pld{}, s, {0, 1e4, 0, 0}, 1);  // all weight on the label
  CHECK(sure.first == Approx(cross_entropy.first));
  for (std::size_t i = 0; i < 4; ++i) CHECK(sure.second[i] == Approx(cross_entropy.second[i]).margin(1e-15));
  double list = 0;  // ListMLE of the order 1, 0, 2, 3 (ties: lowest class first), over 4
  const std::size_t order[] = {1, 0, 2, 3};
  for (std::size_t k = 0; k < 4; ++k) {
    double tail = 0;
    for (std::size_t l = k; l < 4; ++l) tail += std::exp(s[order[l]]);
    list += (std::log(tail) - s[order[k]]) / 4;
  }
  CHECK(one(lk::pld{}, s, {3, 3, 3, 3}, 1).first == Approx(list));
  CHECK(one(lk::pld{}, {6, 7, 5, 4}, {1, 2, 3, 4}, 0).first == Approx(one(lk::pld{}, s, {1, 2, 3, 4}, 0).first));
}

TEST_CASE("pld: rows at the edge") {
  const std::vector<double> hot{1e4, 0, -1e4, 5};
  for (int label = 0; label < 4; ++label) {
    const auto [value, gradient] = one(lk::pld{}, hot, {1, 4, 2, 3}, label);
    CHECK(std::isfinite(value));
    CHECK(value >= 0);
    for (const double g : gradient) CHECK(std::isfinite(g));
  }
  const auto both =
      one(lk::pld{}, {1, -infinity, 2, 0}, {2, -infinity, 1, 3}, 0);  // a class that both mask is not there
  const auto without = one(lk::pld{}, {1, 2, 0}, {2, 1, 3}, 0);
  CHECK(both.first == Approx(without.first));
  CHECK(both.second[1] == 0);
  CHECK(both.second[3] == Approx(without.second[2]));
  CHECK(one(lk::pld{}, {1, -infinity, 2, 0}, {2, 1, 1, 3}, 0).first == infinity);
  const auto middle = one(lk::pld{}, {1, 0.5, -infinity, 2, 0}, {3, 2.5, -infinity, 2, 1}, 0);
  const auto plain = one(lk::pld{}, {1, 0.5, 2, 0}, {3, 2.5, 2, 1}, 0);
  CHECK(middle.second[4] == Approx(plain.second[3]));
}

TEST_CASE("pld at a temperature of the student's") {
  const auto o = lk::at_temperature(2.0, lk::pld{.temperature = 3});
  const std::vector<double> s{2, 4, 0}, half{1, 2, 0}, t{1, 0, 3};
  const std::vector<int> y{1};
  const lk::rows<const double> sv(s.data(), 1, 3), hv(half.data(), 1, 3), tv(t.data(), 1, 3);
  CHECK(o.value(sv, tv, y) == Approx(2 * lk::objective{lk::pld{.temperature = 3}}.value(hv, tv, y)));
}

TEST_CASE("margin_mse") {
  CHECK(one(lk::margin_mse{}, {3, 1}, {5, 4}, 0).first == 1);  // (2 - 1)^2
  const auto two = one(lk::margin_mse{}, {3, 1, 0}, {5, 4, 4}, 0);
  CHECK(two.first == 2.5);
  CHECK(two.second == std::vector<double>{3, -1, -2});
  CHECK(one(lk::margin_mse{}, {7, 6}, {1, 0}, 0).first == 0);  // equal margins
  CHECK(one(lk::margin_mse{}, {4, 2}, {105, 104}, 0).first == 1);  // a constant on either side
  const features<double> x(1, 6, 6, 8);
  differences(lk::margin_mse{}, x.student, x.teacher, 0);
  const auto padded = one(lk::margin_mse{}, {3, 1, -infinity}, {5, 4, 2}, 0);
  CHECK(padded.first == 1);
  CHECK(padded.second[2] == 0);
  CHECK(one(lk::margin_mse{}, {3}, {5}, 0).first == 0);
  CHECK(one(lk::margin_mse{}, {-infinity, 1}, {5, 2}, 0).first == infinity);
}

TEST_CASE("pld: a temperature that is not positive is an error") {
  const std::vector<double> numbers{1, 2, 3};
  const std::vector<int> label{1};
  const limbeck::rows<const double> x(numbers.data(), 1, 3);
  for (const double t : {-1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
    CHECK_THROWS_AS(limbeck::objective{limbeck::pld{.temperature = t}}.value(x, x, label), limbeck::value_error);
  CHECK_THROWS_WITH(limbeck::objective{limbeck::pld{.temperature = 0}}.value(x, x, label),
                    "limbeck: pld.temperature is 0, expected a positive number");
}

TEST_CASE("lists in float: an offset of a row changes nothing") {
  // on a grid that 2^20 leaves whole
  const std::vector<float> s{0.5f, -1.25f, 3, 0.75f, -0.5f, 2}, t{1, -1.5f, 2.5f, 0.75f, 0, 1.75f};
  const std::vector<int> labels{2};
  const auto run = [&](const auto& loss, float student_offset, float teacher_offset) {
    std::vector<float> a = s, b = t, g(s.size() + 1);
    for (float& x : a) x += student_offset;
    for (float& x : b) x += teacher_offset;
    g.back() = static_cast<float>(lk::objective{loss}(lk::rows<const float>(a.data(), 1, a.size()),
                                                      lk::rows<const float>(b.data(), 1, b.size()), labels, lk::unread_is_fine,
                                                      lk::into(lk::rows<float>(g.data(), 1, a.size())))
                                      .loss);
    return g;
  };
  CHECK(run(lk::pld{}, 1048576, -1024) == run(lk::pld{}, 0, 0));
  CHECK(run(lk::margin_mse{}, 1048576, -1024) == run(lk::margin_mse{}, 0, 0));
}

TEST_CASE("margin_mse: a masked positive is infinite, with no gradient; without negatives it is nothing") {
  const std::vector<double> finite{1, 2, 3}, masked{-infinity, 2, 3}, alone{-infinity, -infinity, 3};
  for (const auto& [s, t] : {std::pair{masked, finite}, std::pair{finite, masked}, std::pair{masked, masked}}) {
    const auto [value, gradient] = one(lk::margin_mse{}, s, t, 0);
    CHECK(value == infinity);
    CHECK(gradient == std::vector<double>{0, 0, 0});
  }
  CHECK(one(lk::margin_mse{}, masked, alone, 0).first == infinity);
  CHECK(one(lk::margin_mse{}, {-infinity, 2, -infinity}, alone, 0).first == 0);
}
