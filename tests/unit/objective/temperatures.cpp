// Every kind of temperature, and d loss / dT against central differences.

#include "batch.hpp"
#include "catch.hpp"
#include "reference.hpp"

#include <limbeck/limbeck.hpp>

#include <cmath>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

/// d loss / d(student's T) and d(teacher's T), with and without the factor T^k.
template <class Loss>
void check_learned(const char* name, const Loss& loss) {
  const auto b = random_batch<double>(4, 9, 3, 1.5);
  double ts = 1.7, tt = 2.9;
  const auto check = [&](const auto& objective, bool two) {
    const auto value = [&] { return objective.value(b.s(), b.t(), b.labels, lk::unread_is_fine); };
    const auto [got, gradient] = [&] {
      std::vector<double> g(b.size());
      const auto e = objective(b.s(), b.t(), b.labels, lk::unread_is_fine, lk::into(lk::rows<double>(g.data(), 4, 9)));
      return std::pair{e, g};
    }();
    std::size_t at = 0;
    for (double* t : two ? std::vector<double*>{&ts, &tt} : std::vector<double*>{&ts}) {
      const double keep = *t, h = 1e-5;
      *t = keep + h;
      const double up = value();
      *t = keep - h;
      const double down = value();
      *t = keep;
      const double slope = (up - down) / (2 * h);
      INFO(name << (two ? ", two temperatures, number " : ", one temperature, number ") << at);
      CHECK(got.temperature_gradient[at] == Approx(slope).epsilon(1e-6).margin(1e-10));
      ++at;
    }
  };
  check(lk::objective{lk::at_temperature(lk::learned(ts), 0.7 * loss)}, false);
  if constexpr (limbeck::detail::needs_teacher<Loss>())
    check(lk::objective{lk::at_temperature(lk::learned(ts), lk::learned(tt), 0.7 * lk::unscaled(loss))}, true);
}

}  // namespace

TEST_CASE("learned temperatures of KL divergences") {
  check_learned("forward_kl", lk::forward_kl{});
  check_learned("reverse_kl", lk::reverse_kl{});
  check_learned("soft_cross_entropy", lk::soft_cross_entropy{});
}
TEST_CASE("learned temperatures of mixture divergences") {
  check_learned("jensen_shannon", lk::jensen_shannon{.beta = 0.3});
  check_learned("skew_kl", lk::skew_kl{.alpha = 0.2});
  check_learned("skew_reverse_kl", lk::skew_reverse_kl{.alpha = 0.2});
}
TEST_CASE("learned temperatures of other losses") {
  check_learned("total_variation", lk::total_variation{});
  check_learned("squared_hellinger", lk::squared_hellinger{});
  check_learned("alpha_divergence", lk::alpha_divergence{.alpha = 0.3});
  check_learned("alpha_beta", lk::alpha_beta{});
  check_learned("mse", lk::mse{});
  check_learned("bernoulli_kl", lk::bernoulli_kl{});
  check_learned("bernoulli of alpha", lk::bernoulli{lk::alpha_divergence{.alpha = -0.5}});
  check_learned("cross_entropy", lk::cross_entropy{.smoothing = 0.1});
}

TEST_CASE("temperature gradients of a sum, in order of appearance") {
  const auto b = random_batch<double>(4, 9, 3, 1.5);
  const double first = 2, second = 3;
  const auto kl = lk::at_temperature(lk::learned(first), lk::forward_kl{});
  const auto ce = lk::at_temperature(lk::learned(second), lk::cross_entropy{});
  const auto both = 0.3 * kl + lk::reverse_kl{} + 2 * ce;
  std::vector<double> g(b.size());
  const lk::rows<double> out(g.data(), 4, 9);
  const auto e = both(b.s(), b.t(), b.labels, lk::into(out));
  CHECK(e.temperature_gradient[0] ==
        Approx(0.3 * kl(b.s(), b.t(), lk::into(out)).temperature_gradient[0]).epsilon(1e-12));
  CHECK(e.temperature_gradient[1] ==
        Approx(2 * ce(b.s(), b.labels, lk::into(out)).temperature_gradient[0]).epsilon(1e-12));
  CHECK(e.temperature_gradient[2] == 0);
}

TEST_CASE("one temperature a row, and its gradient") {
  const auto b = random_batch<double>(5, 9, 3, 1.5);
  std::vector<double> t{0.5, 1, 2, 4, 8}, w{1, 2, 0.5, 1, 3}, g(b.size()), losses(5), dt(5);
  const auto objective = lk::at_temperature(lk::per_row{}, lk::forward_kl{} + 0.5 * lk::cross_entropy{});
  const auto e = objective(b.s(), b.t(), b.labels, lk::into(lk::rows<double>(g.data(), 5, 9)), lk::row_temperatures(t),
                           lk::row_temperature_gradient(dt), lk::row_losses(losses), lk::row_weights(w));
  for (std::size_t r = 0; r < 5; ++r) {
    // the row alone, at its temperature
    const auto alone = lk::at_temperature(t[r], lk::forward_kl{} + 0.5 * lk::cross_entropy{});
    std::vector<double> one(9);
    const std::vector<int> y{b.labels[r]};
    const double value =
        alone(lk::rows<const double>(&b.student[r * 9], 1, 9), lk::rows<const double>(&b.teacher[r * 9], 1, 9), y,
              lk::into(lk::rows<double>(one.data(), 1, 9)));
    CHECK(losses[r] == Approx(value).epsilon(1e-14));
    for (std::size_t c = 0; c < 9; ++c) CHECK(g[r * 9 + c] == Approx(one[c] * w[r] / 7.5).epsilon(1e-13));
    const auto mean = [&](double step) {
      auto moved = t;
      moved[r] += step;
      return objective.value(b.s(), b.t(), b.labels, lk::row_temperatures(moved), lk::row_weights(w));
    };
    CHECK(dt[r] == Approx((mean(1e-5) - mean(-1e-5)) / 2e-5).epsilon(1e-6).margin(1e-10));
  }
  CHECK(e.rows == 5);
}

TEST_CASE("fixed, constant and scheduled temperatures agree") {
  const auto b = random_batch<double>(5, 31);
  const lk::forward_kl kl;
  const double four = lk::at_temperature(4.0, kl).value(b.s(), b.t());
  CHECK(lk::at_temperature(lk::fixed<4>{}, kl).value(b.s(), b.t()) == four);
  CHECK(lk::at_temperature(lk::fixed<8, 2>{}, kl).value(b.s(), b.t()) == four);
  CHECK(lk::at_temperature(4, kl).value(b.s(), b.t()) == four);
  CHECK(lk::at_temperature(lk::linear(2, 6), kl).value(b.s(), b.t(), lk::progress(0.5)) == four);
  CHECK(lk::at_temperature(4.0, 4.0, kl).value(b.s(), b.t()) == Approx(four).epsilon(1e-12));
  const double t = 4;
  CHECK(lk::at_temperature(lk::learned(t), kl).value(b.s(), b.t()) == four);
  CHECK(lk::at_temperature(lk::fixed<1, 2>{}, kl).value(b.s(), b.t()) ==
        lk::at_temperature(0.5, kl).value(b.s(), b.t()));
}

TEST_CASE("a temperature for the student and another for the teacher") {
  const auto b = random_batch<double>(5, 31);
  std::vector<double> g(b.size()), losses(5);
  const auto o = lk::at_temperature(2.0, 5.0, lk::unscaled(lk::forward_kl{}));
  o(b.s(), b.t(), lk::into(lk::rows<double>(g.data(), 5, 31)), lk::row_losses(losses), lk::sum);
  for (std::size_t r = 0; r < 5; ++r) {
    const auto expected =
        divergence_row(ref_forward_kl(), row_of(&b.student[r * 31], &b.teacher[r * 31], 31, 0, 2.0, 5.0));
    CHECK(losses[r] == Approx(static_cast<double>(expected.value)).epsilon(1e-12));
    for (std::size_t c = 0; c < 31; ++c)
      CHECK(g[r * 31 + c] == Approx(static_cast<double>(expected.gradient[c])).epsilon(1e-10).margin(1e-13));
  }
}

TEST_CASE("each loss declares the power of T that keeps its gradient's size, and unscaled takes it away") {
  const auto b = random_batch<double>(5, 31);
  const auto ratio = [&](const auto& loss) {
    return lk::at_temperature(3.0, loss).value(b.s(), b.t(), b.labels, lk::unread_is_fine) /
           lk::at_temperature(3.0, lk::unscaled(loss)).value(b.s(), b.t(), b.labels, lk::unread_is_fine);
  };
  CHECK(ratio(lk::forward_kl{}) == Approx(9).epsilon(1e-14));
  CHECK(ratio(lk::mse{}) == Approx(9).epsilon(1e-14));
  CHECK(ratio(lk::total_variation{}) == Approx(3).epsilon(1e-14));
  CHECK(ratio(lk::cross_entropy{}) == Approx(3).epsilon(1e-14));
}
