// A generator of masked texts as a policy: its gradient is that of what it wants, by all trajectories of two tokens.
#include "catch.hpp"

#include <limbeck/diffusion/density_ratio.hpp>
#include <limbeck/diffusion/tilted.hpp>
#include <limbeck/diffusion/unmasking_policy.hpp>
#include <limbeck/loss/logits/cross_entropy.hpp>
#include <limbeck/objective/objective.hpp>
#include <limbeck/signal/signals.hpp>
#include <limbeck/tokens/sequence_means.hpp>

#include <array>
#include <cmath>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace lk = limbeck;

namespace {

using token = lk::token_id;
using text = std::array<token, 2>;
constexpr token mask = 2;

/// Logits of two classes for every text with masks and place.
struct table {
  std::vector<double> logits = std::vector<double>(36);
  std::vector<double> out{};
  table() {
    lk::random_stream random(4);
    for (double& v : logits) v = random.normal();
  }
  std::size_t at(const text& x, std::size_t place) const { return static_cast<std::size_t>(((3 * x[0] + x[1]) * 2) + static_cast<token>(place)) * 2; }
  double probability(const text& x, std::size_t place, token y) const {
    const double* l = logits.data() + at(x, place);
    return 1 / (1 + std::exp(l[1 - y] - l[y]));
  }
  lk::rows<const double> operator()(std::span<const token> x, std::span<const double>) {
    out.clear();
    for (std::size_t r = 0; r < x.size(); ++r) {
      const text here{x[r / 2 * 2], x[r / 2 * 2 + 1]};
      for (std::size_t y = 0; y < 2; ++y) out.push_back(logits[at(here, r % 2) + y]);
    }
    return {out.data(), x.size(), 2};
  }
};

struct trajectory {
  text between, last;
  double p;
};
/// All of two steps, the first of which makes a token of a mask with the probability @p chance.
std::vector<trajectory> all(const table& m, double chance) {
  std::vector<trajectory> out;
  const text begin{mask, mask};
  for (token a = 0; a < 3; ++a)
    for (token b = 0; b < 3; ++b) {
      const text between{a, b};
      double p = 1;
      for (std::size_t i = 0; i < 2; ++i) p *= between[i] == mask ? 1 - chance : chance * m.probability(begin, i, between[i]);
      for (token c = 0; c < 2; ++c)
        for (token d = 0; d < 2; ++d) {
          const text last{c, d};
          double q = p;
          for (std::size_t i = 0; i < 2; ++i) q *= between[i] == mask ? m.probability(between, i, last[i]) : between[i] == last[i] ? 1 : 0;
          if (q > 0) out.push_back({between, last, q});
        }
    }
  return out;
}
std::map<text, double> law(const table& m, double chance) {
  std::map<text, double> out;
  for (const trajectory& t : all(m, chance)) out[t.last] += t.p;
  return out;
}
const lk::log_linear_masking path{0};

}  // namespace

TEST_CASE("unmasking policy: texts in two steps have the law of two steps", "[discrete]") {
  table m;
  const std::size_t n = 20000;
  const auto s = lk::segments::padded(n, 2);
  const std::vector<float> tau(n, 0.375f);
  const lk::two_step_texts x = lk::unmask_in_two(m, path, s, tau, {.mask = mask, .seed = 8});
  std::map<std::pair<text, text>, double> seen;
  for (std::size_t i = 0; i < n; ++i) seen[{{x.between[2 * i], x.between[2 * i + 1]}, {x.texts[2 * i], x.texts[2 * i + 1]}}] += 1.0 / static_cast<double>(n);
  std::size_t possible = 0;
  for (const trajectory& t : all(m, 0.625)) {
    CHECK(std::fabs(seen[{t.between, t.last}] - t.p) < 5 * std::sqrt(t.p * (1 - t.p) / static_cast<double>(n)));
    ++possible;
  }
  CHECK(seen.size() == possible);
  const lk::two_step_texts part = lk::unmask_in_two(m, path, lk::segments::padded(3, 2), std::span(tau).first(3), {.mask = mask, .seed = 8, .first = 40});
  CHECK(std::equal(part.texts.begin(), part.texts.end(), x.texts.begin() + 80));
}

TEST_CASE("unmasking policy: weighed cross-entropies of the tokens drawn have the gradient of the expected reward", "[discrete]") {
  table m;
  const double chance = 0.625;
  const std::map<text, double> data{{{0, 0}, 0.45}, {{0, 1}, 0.05}, {{1, 0}, 0.2}, {{1, 1}, 0.3}};
  // the reward log p_data/p, held fixed: the loss falls along KL(p || data)
  std::map<text, double> reward;
  for (const auto& [x, p] : law(m, chance)) reward[x] = std::log(data.at(x) / p);
  const auto kl = [&](const table& at) {
    double total = 0;
    for (const auto& [x, p] : law(at, chance)) total += p * std::log(p / data.at(x));
    return total;
  };
  std::vector<double> gradient(36);
  for (const trajectory& t : all(m, chance)) {
    const text begin{mask, mask};
    const std::vector<double> number{t.p * reward[t.last]};
    for (const auto& [before, after] : {std::pair(begin, t.between), std::pair(t.between, t.last)}) {
      std::vector<token> labels(2);
      std::vector<double> weights(2), g(4);
      lk::unmasked_labels(before, after, lk::segments::padded(1, 2), mask, number, labels, weights);
      (void)m(before, {});
      lk::objective{lk::given(weights) * lk::cross_entropy{}}(lk::rows<const double>(m.out.data(), 2, 2), labels, lk::sum,
                                                              lk::into(lk::rows<double>(g.data(), 2, 2)));
      for (std::size_t r = 0; r < 2; ++r)
        for (std::size_t y = 0; y < 2; ++y) gradient[m.at(before, r) + y] += g[2 * r + y];
    }
  }
  std::size_t moved = 0;
  for (std::size_t i = 0; i < 36; ++i) {
    table a = m, b = m;
    a.logits[i] -= 1e-5, b.logits[i] += 1e-5;
    const double slope = (kl(b) - kl(a)) / 2e-5;
    CHECK(gradient[i] == Approx(slope).epsilon(1e-6).margin(1e-10));
    moved += std::fabs(slope) > 1e-4;
  }
  CHECK(moved > 10);
}

TEST_CASE("unmasking policy: labels and weights stand where a mask became a token", "[discrete]") {
  const std::vector<token> before{mask, 0, mask, mask, mask, 1}, after{1, 0, mask, 0, 1, 1};
  const std::vector<double> numbers{-0.5, 3};
  std::vector<int> labels(6);
  std::vector<float> weights(6);
  lk::unmasked_labels(before, after, lk::segments::padded(2, 3), mask, numbers, labels, weights);
  CHECK(labels == std::vector<int>{1, -100, -100, 0, 1, -100});
  CHECK(weights == std::vector<float>{-0.5f, 0, 0, 3, 3, 0});
  CHECK_THROWS_AS(lk::unmasked_labels(before, after, lk::segments::padded(2, 3), mask, std::vector<double>(3), labels, weights), lk::shape_error);
}

TEST_CASE("unmasking policy: advantages have mean 0 and deviation 1 in each group", "[discrete]") {
  std::vector<double> r{1, 2, 4, 5, 7, 7, 7, 7, 0, 0, 0, 1000}, a(12);
  lk::group_advantages(r, 4, a);
  const double deviation = std::sqrt((4 + 1 + 1 + 4) / 3.0);
  CHECK(a[0] == Approx(-2 / deviation));
  CHECK(a[3] == Approx(2 / deviation));
  for (std::size_t i = 4; i < 8; ++i) CHECK(a[i] == 0);
  CHECK(a[11] == Approx(750 / 500.0));
  lk::group_advantages(r, 4, r, {.clip = 1});
  CHECK(r[11] == 1);
  CHECK(r[0] == -1);
  CHECK_THROWS_WITH(lk::group_advantages(r, 5, a), Catch::Matchers::Contains("group is 5"));
  r[7] = std::nan("");
  CHECK_THROWS_WITH(lk::group_advantages(r, 4, a), Catch::Matchers::Contains("reward 7"));
}

TEST_CASE("unmasking policy: equal rewards are 0 in groups of any size, and huge ones do not overflow", "[discrete]") {
  for (const std::size_t group : {6, 7})
    for (const double value : {1e6, 1e9, 0.1, -1e308}) {
      const std::vector<double> r(2 * group, value);
      std::vector<double> a(2 * group, 5);
      lk::group_advantages(r, group, a);
      CHECK(a == std::vector<double>(2 * group, 0));
    }
  for (const double value : {1e200, 1.7e308, 3.0}) {
    const std::vector<double> r{value, -value, 1e200, 1e200};
    std::vector<double> a(4);
    lk::group_advantages(r, 2, a);
    CHECK(a[0] == Approx(std::sqrt(0.5)));
    CHECK(a[1] == Approx(-std::sqrt(0.5)));
    CHECK(a[2] == 0);
  }
}

TEST_CASE("unmasking policy: the reward is the mean of clipped log-odds over masks", "[discrete]") {
  const std::vector<float> logits{0, 3, -20, 1, 2, 5};
  const std::vector<double> is_mask{0, 1, 1, 0, 0, 0};
  std::vector<double> odds(6), reward(2);
  lk::log_density_ratio(lk::rows<const float>(logits.data(), 6, 1), odds, {.clip = 8});
  lk::sequence_means(odds, lk::segments::padded(2, 3), is_mask, reward);
  CHECK(reward == std::vector<double>{(3 - 8) / 2.0, 0});
}

TEST_CASE("unmasking policy: logits are tilted by a clipped gradient", "[discrete]") {
  const std::vector<double> l{0, 1, 2, 3}, g{0.25, -4, 9, std::nan("")};
  std::vector<double> out(4);
  lk::fill(lk::tilted(lk::rows<const double>(l.data(), 2, 2), lk::rows<const double>(g.data(), 2, 2), 30), lk::rows<double>(out.data(), 2, 2));
  CHECK(out[0] == 7.5);
  CHECK(out[1] == -29);
  CHECK(out[2] == 32);
  CHECK(std::isnan(out[3]));
  CHECK_THROWS_WITH(lk::tilted(lk::rows<const double>(l.data(), 2, 2), lk::rows<const double>(g.data(), 2, 2), 1, 0), Catch::Matchers::Contains("clip of tilted"));
}
