// Masked diffusion: laws enumerated over two tokens, the likelihood's bound by quadrature, steps by rates, learned steps.
#include "catch.hpp"

#include <limbeck/diffusion/concrete_score.hpp>
#include <limbeck/diffusion/learned_sampler.hpp>
#include <limbeck/diffusion/masking.hpp>
#include <limbeck/diffusion/unmask.hpp>
#include <limbeck/loss/features/smooth_l1.hpp>
#include <limbeck/loss/logits/cross_entropy.hpp>
#include <limbeck/loss/logits/mse.hpp>
#include <limbeck/objective/objective.hpp>
#include <limbeck/signal/signals.hpp>

#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <span>
#include <vector>

namespace lk = limbeck;

namespace {

using token = lk::token_id;
using text = std::vector<token>;
constexpr token mask = 2;

/// p(a, b) of texts of two tokens.
double joint(token a, token b) {
  const double p[2][2] = {{0.45, 0.05}, {0.2, 0.3}};
  return p[a][b];
}
/// p(token at place | what is there).
double truth(const text& x, std::size_t place, token wanted) {
  double all = 0, some = 0;
  for (token a = 0; a < 2; ++a)
    for (token b = 0; b < 2; ++b) {
      if ((x[0] != mask && x[0] != a) || (x[1] != mask && x[1] != b)) continue;
      all += joint(a, b);
      if ((place == 0 ? a : b) == wanted) some += joint(a, b);
    }
  return some / all;
}
/// A model of three classes that knows the data; the mask's class has a logit that must not matter.
struct exact_model {
  std::vector<float> out{};
  std::vector<std::vector<double>> asked{};
  lk::rows<const float> operator()(std::span<const token> x, std::span<const double> times) {
    asked.emplace_back(times.begin(), times.end());
    out.clear();
    for (std::size_t r = 0; r < x.size(); ++r) {
      const text here{x[r / 2 * 2], x[r / 2 * 2 + 1]};
      for (token y = 0; y < 2; ++y) out.push_back(static_cast<float>(std::log(truth(here, r % 2, y)) + 3));
      out.push_back(20);
    }
    return {out.data(), x.size(), 3};
  }
};

/// The law of one step, token by token.
std::map<text, double> stepped(const std::map<text, double>& before, double chance) {
  std::map<text, double> after;
  for (const auto& [x, p] : before)
    for (token a = 0; a < 3; ++a)
      for (token b = 0; b < 3; ++b) {
        double q = p;
        const token to[] = {a, b};
        for (std::size_t i = 0; i < 2; ++i) {
          if (x[i] != mask) q *= to[i] == x[i] ? 1 : 0;
          else q *= to[i] == mask ? 1 - chance : chance * truth(x, i, to[i]);
        }
        if (q > 0) after[{a, b}] += q;
      }
  return after;
}
void check_law(const std::map<text, double>& law, const std::vector<token>& drawn) {
  std::map<text, double> seen;
  const double n = static_cast<double>(drawn.size() / 2);
  for (std::size_t r = 0; r < drawn.size(); r += 2) seen[{drawn[r], drawn[r + 1]}] += 1 / n;
  for (const auto& [x, share] : seen) CHECK(law.count(x) == 1);
  for (const auto& [x, p] : law) CHECK(std::fabs(seen[x] - p) < 5 * std::sqrt(p * (1 - p) / n) + 1e-12);
}

}  // namespace

TEST_CASE("discrete: levels fall from all to the rest, their slopes are derivatives, the weight is 1/t", "[discrete]") {
  const auto check = [](const auto& path) {
    CHECK(path.level(0).kept == 1);
    CHECK(path.level(1).kept == Approx(path.rest).epsilon(1e-9));
    for (const double t : {0.1, 0.5, 0.9})
      CHECK(path.level(t).slope == Approx((path.level(t + 1e-6).kept - path.level(t - 1e-6).kept) / 2e-6).epsilon(1e-8));
  };
  check(lk::log_linear_masking{}), check(lk::cosine_masking{0.02});
  for (const double t : {1e-3, 0.3, 1.0}) CHECK(lk::log_linear_masking{0.01}.level(t).weight() == Approx(1 / t));
  // MDLM's code: the derivative of the total noise over exp(noise) - 1
  for (const double t : {1e-3, 1e-6, 1e-9, 1e-12, 1e-100}) {  // the differences of 1 cancel
    const double half = std::numbers::pi / 2;
    CHECK(lk::cosine_masking{}.level(t).weight() == Approx(half / std::tan(half * t / 2)).epsilon(1e-12));
    CHECK(lk::log_linear_masking{}.level(t).weight() == Approx(1 / t).epsilon(1e-12));
  }
  CHECK(lk::cosine_masking{}.level(0).weight() == std::numeric_limits<double>::infinity());
  CHECK(lk::log_linear_masking{}.level(0).weight() == std::numeric_limits<double>::infinity());
  CHECK(lk::masking_level{0.75, -1}.weight() == 4);
  const auto level = lk::cosine_masking{}.level(0.4);
  CHECK(level.weight() == Approx(-level.slope / level.kept / std::expm1(-std::log(level.kept))));
}

TEST_CASE("discrete: tokens are masked as often as the level says, each by its place alone", "[discrete]") {
  const auto s = lk::segments::padded(400, 20);
  std::vector<token> x(8000, 1), out(8000), part(4000);
  std::vector<float> t(400);
  for (std::size_t i = 0; i < 400; ++i) t[i] = i < 200 ? 0.25f : 0.8f;
  const lk::random_stream stream(7);
  lk::mask_tokens(lk::log_linear_masking{0}, x, s, t, mask, stream, out);
  double early = 0, late = 0;
  for (std::size_t r = 0; r < 8000; ++r) (r < 4000 ? early : late) += out[r] == mask ? 1.0 / 4000 : 0;
  CHECK(std::fabs(early - 0.25) < 5 * std::sqrt(0.25 * 0.75 / 4000));
  CHECK(std::fabs(late - 0.8) < 5 * std::sqrt(0.2 * 0.8 / 4000));
  lk::mask_tokens(lk::log_linear_masking{0}, std::span(x).first(4000), lk::segments::padded(200, 20), std::span(t).subspan(200), mask, stream, part, 200);
  CHECK(std::equal(part.begin(), part.end(), out.begin() + 4000));
  lk::mask_tokens(lk::log_linear_masking{0}, x, s, t, mask, stream, x);  // in place
  CHECK(x == out);

  t[3] = 1.5f;
  CHECK_THROWS_WITH(lk::mask_tokens(lk::log_linear_masking{}, x, s, t, mask, stream, out), Catch::Matchers::Contains("time of sequence 3"));
  t[3] = 0;
  std::vector<double> w(8000);
  CHECK_THROWS_WITH(lk::elbo_weights(lk::log_linear_masking{}, x, s, t, mask, w), Catch::Matchers::Contains("sequence 3"));
  CHECK_THROWS_AS(lk::elbo_weights(lk::log_linear_masking{}, part, s, t, mask, w), lk::shape_error);
}

TEST_CASE("discrete: levels that are no probabilities are named, and nothing has changed", "[discrete]") {
  const auto s = lk::segments::padded(2, 1);
  const std::vector<double> from{0.25, 0.5}, to{0, 0.1}, scores(6, 1);
  const std::vector<token> x{0, mask};
  std::vector<token> y{7, mask};
  std::vector<double> w{7, 7};
  const lk::rows<const double> three(scores.data(), 2, 3);
  const auto named = Catch::Matchers::Contains("alpha of sequence 1 is -0.25 at time 0.5");  // 1 - 2.5 t
  const lk::log_linear_masking wrong{-1.5};
  CHECK_THROWS_WITH(lk::mask_tokens(wrong, x, s, from, mask, lk::random_stream(1), y), named);
  CHECK_THROWS_WITH(lk::elbo_weights(wrong, x, s, from, mask, w), named);
  CHECK_THROWS_WITH(lk::unmask(wrong, three, std::span(y), s, from, to, {.mask = mask}), named);
  CHECK_THROWS_WITH(lk::concrete_euler(wrong, lk::absorbing_rates{mask}, three, std::span(y), s, from, to), named);
  CHECK_THROWS_WITH(lk::elbo_weights(lk::cosine_masking{2}, x, s, from, mask, w), Catch::Matchers::Contains("alpha of sequence 0 is 1.07"));
  CHECK(y == std::vector<token>{7, mask});
  CHECK(w == std::vector<double>{7, 7});
}

TEST_CASE("discrete: an infinite rate is named by its row, not the scores", "[discrete]") {
  const std::vector<double> from{1}, to{0.5}, scores(6, 0);
  std::vector<token> x{0, mask};
  const auto step = [&](const lk::log_linear_masking& path) {
    lk::concrete_euler(path, lk::absorbing_rates{mask}, lk::rows<const double>(scores.data(), 2, 3), std::span(x), lk::segments::padded(1, 2), from, to);
  };
  CHECK_THROWS_WITH(step({0}), Catch::Matchers::Contains("the rate of row 1 is inf at time 1, where alpha is 0"));
  step({0.1});  // scores of 0: nothing jumps
  CHECK(x == std::vector<token>{0, mask});
}

TEST_CASE("discrete: with the true distributions the bound is the entropy of texts, on every path", "[discrete]") {
  double entropy = 0;
  for (token a = 0; a < 2; ++a)
    for (token b = 0; b < 2; ++b) entropy -= joint(a, b) * std::log(joint(a, b));
  // every text with every mask, at many times: a sequence each, weighed by how likely it is
  const auto bound = [&](const auto& path) {
    const int steps = 400;
    double all = 0;
    for (int k = 0; k < steps; ++k) {
      const double time = (k + 0.5) / steps, kept = path.level(time).kept;
      std::vector<token> x, labels;
      std::vector<double> logits, likely, t, w(32);
      for (token a = 0; a < 2; ++a)
        for (token b = 0; b < 2; ++b)
          for (int pattern = 0; pattern < 4; ++pattern) {
            const text seen{pattern & 1 ? mask : a, pattern & 2 ? mask : b};
            double p = joint(a, b);
            for (const token y : seen) p *= y == mask ? 1 - kept : kept;
            for (std::size_t i = 0; i < 2; ++i) {
              x.push_back(seen[i]), labels.push_back(i == 0 ? a : b), likely.push_back(p);
              for (token y = 0; y < 2; ++y) logits.push_back(seen[i] == mask ? std::log(truth(seen, i, y)) : 0);
            }
            t.push_back(time);
          }
      lk::elbo_weights(path, x, lk::segments::padded(16, 2), t, mask, w);
      for (std::size_t r = 0; r < 32; ++r) w[r] *= likely[r];
      all += lk::objective{lk::given(w) * lk::cross_entropy{}}.value(lk::rows<const double>(logits.data(), 32, 2), labels, lk::sum) / steps;
    }
    return all;
  };
  CHECK(bound(lk::log_linear_masking{0}) == Approx(entropy).epsilon(1e-10));
  CHECK(bound(lk::cosine_masking{0}) == Approx(entropy).epsilon(1e-5));
}

TEST_CASE("discrete: texts filled in a few steps have the law that the steps have", "[discrete]") {
  const std::size_t n = 20000;
  const auto s = lk::segments::padded(n, 2);
  const std::vector<double> times{1, 0.6, 0.25, 0};
  const lk::cosine_masking path{0.1};
  std::vector<token> x(2 * n, mask);
  exact_model model;
  lk::fill_masks(model, path, x, s, times, {.mask = mask, .seed = 3});
  CHECK(model.asked.size() == 3);
  CHECK(model.asked[1] == std::vector<double>(n, 0.6));
  std::map<text, double> law{{{mask, mask}, 1}};
  for (std::size_t k = 0; k < 3; ++k) {
    const double a = path.level(times[k]).kept, b = path.level(times[k + 1]).kept;
    law = stepped(law, (b - a) / (1 - a));
  }
  CHECK(law.size() == 4);
  check_law(law, x);

  // a part of the batch gives what the whole gives
  std::vector<token> part(20, mask);
  lk::fill_masks(model, path, part, lk::segments::padded(10, 2), times, {.mask = mask, .seed = 3, .first = 70});
  CHECK(std::equal(part.begin(), part.end(), x.begin() + 140));

  // many steps give the data
  std::vector<double> fine;
  for (int k = 200; k >= 0; --k) fine.push_back(k / 200.0);
  std::vector<token> y(8000, mask);
  lk::fill_masks(model, lk::log_linear_masking{0}, y, lk::segments::padded(4000, 2), fine, {.mask = mask, .seed = 5});
  check_law({{{0, 0}, joint(0, 0)}, {{0, 1}, joint(0, 1)}, {{1, 0}, joint(1, 0)}, {{1, 1}, joint(1, 1)}}, y);
}

TEST_CASE("discrete: what is there stays, and greedy steps write the likeliest", "[discrete]") {
  exact_model model;
  std::vector<token> x{mask, 1, 0, mask, 1, 0};
  const std::vector<double> times{1, 0};
  lk::fill_masks(model, lk::log_linear_masking{}, x, lk::segments::padded(3, 2), times, {.mask = mask, .temperature = 0});
  CHECK(x == std::vector<token>{1, 1, 0, 0, 1, 0});
}

TEST_CASE("discrete: a fault names its row, and leaves texts as they were", "[discrete]") {
  std::vector<float> logits(12, 0);
  logits[7] = std::numeric_limits<float>::quiet_NaN();
  const auto model = [&](std::span<const token>, std::span<const double>) { return lk::rows<const float>(logits.data(), 4, 3); };
  std::vector<token> x(4, mask);
  const auto s = lk::segments::padded(2, 2);
  const std::vector<double> times{1, 0}, up{0.5, 0.7, 0}, open{1, 0.5};
  const auto fill = [&](const std::vector<double>& t, const lk::unmasking& how) { lk::fill_masks(model, lk::log_linear_masking{}, x, s, t, how); };
  CHECK_THROWS_WITH(fill(times, {.mask = mask}), Catch::Matchers::Contains("row 2"));
  CHECK_THROWS_WITH(fill(up, {.mask = mask}), Catch::Matchers::Contains("from time 0.5 to 0.7"));
  CHECK_THROWS_WITH(fill(open, {.mask = mask}), Catch::Matchers::Contains("the last is 0"));
  CHECK_THROWS_WITH(fill(times, {.mask = mask, .temperature = -1}), Catch::Matchers::Contains("temperature of unmasking is -1"));
  CHECK_THROWS_WITH(fill(times, {.mask = mask, .top_p = 0}), Catch::Matchers::Contains("top_p"));
  CHECK(x == std::vector<token>(4, mask));
  x[2] = 0, x[3] = 0;  // rows of tokens that are there are not read
  fill(times, {.mask = mask});
  CHECK((x[0] != mask && x[1] != mask));
}

TEST_CASE("discrete: Euler's step by absorbing rates and true scores is the reverse step", "[discrete]") {
  const std::size_t n = 20000;
  const auto s = lk::segments::padded(n, 2);
  const lk::log_linear_masking path{0.05};
  const std::vector<double> from(n, 0.7), to(n, 0.3);
  const double kept = path.level(0.7).kept, chance = (path.level(0.3).kept - kept) / (1 - kept);
  std::vector<token> x(2 * n, mask);
  for (std::size_t i = 0; i < n; i += 2) x[2 * i] = 1;
  const auto scores_of = [&](const std::vector<token>& at, double level) {
    std::vector<double> scores;
    for (std::size_t r = 0; r < at.size(); ++r)
      for (token y = 0; y < 3; ++y) scores.push_back(y == mask ? -7 : level / (1 - level) * truth({at[r / 2 * 2], at[r / 2 * 2 + 1]}, r % 2, y));
    return scores;
  };
  const auto scores = scores_of(x, kept);
  const std::vector<token> before = x;
  lk::concrete_euler(path, lk::absorbing_rates{mask}, lk::rows<const double>(scores.data(), 2 * n, 3), x, s, from, to, {.seed = 11});
  check_law(stepped({{{mask, mask}, 0.5}, {{1, mask}, 0.5}}, chance), x);
  // half the scale, half the jumps; the last step leaves no mask
  std::vector<token> y = before;
  lk::concrete_euler(path, lk::absorbing_rates{mask}, lk::rows<const double>(scores.data(), 2 * n, 3), y, s, from, to, {.scale = 0.5, .seed = 12});
  check_law(stepped({{{mask, mask}, 0.5}, {{1, mask}, 0.5}}, chance / 2), y);
  y = before;
  lk::concrete_euler(path, lk::absorbing_rates{mask}, lk::rows<const double>(scores.data(), 2 * n, 3), y, s, from, to, {.never = mask, .seed = 13});
  check_law(stepped({{{mask, mask}, 0.5}, {{1, mask}, 0.5}}, 1), y);
}

TEST_CASE("discrete: Euler's step by uniform rates has the law of its matrix", "[discrete]") {
  const std::size_t n = 30000;
  const lk::log_linear_masking path{};
  const auto s = lk::segments::padded(n, 1);
  const std::vector<double> from(n, 0.4), to(n, 0.3);
  std::vector<double> scores;
  for (std::size_t i = 0; i < n; ++i)
    for (const double v : {1.0, 2.5, 0.4}) scores.push_back(v);
  std::vector<token> x(n, 0);
  lk::concrete_euler(path, lk::uniform_rates{}, lk::rows<const double>(scores.data(), n, 3), x, s, from, to, {.seed = 2});
  const double by = 0.1 * (1 - 1e-3) / (1 - (1 - 1e-3) * 0.4) / 3;
  double seen[3] = {};
  for (const token v : x) seen[v] += 1.0 / static_cast<double>(n);
  const double law[] = {1 - by * 2.9, by * 2.5, by * 0.4};
  for (std::size_t y = 0; y < 3; ++y) CHECK(std::fabs(seen[y] - law[y]) < 5 * std::sqrt(law[y] * (1 - law[y]) / static_cast<double>(n)));

  scores[4] = -1;
  CHECK_THROWS_WITH(lk::concrete_euler(path, lk::uniform_rates{}, lk::rows<const double>(scores.data(), n, 3), x, s, from, to),
                    Catch::Matchers::Contains("token 1 in row 1"));
}

TEST_CASE("discrete: the learned scale is the least squares' own, and descent finds it", "[discrete]") {
  const std::vector<double> reference{1, 2, 0.5, 3, 0, 1}, own{2, 1, 0.25, 4, 1, 0};
  const lk::rows<const double> a(reference.data(), 3, 2), b(own.data(), 3, 2);
  const double scale = lk::score_scale(a, b);
  CHECK(scale == Approx((2 + 2 + 0.125 + 12) / (4 + 1 + 0.0625 + 16 + 1)));
  CHECK(lk::score_scale(b, b) == 1);
  double phi = 1;
  std::vector<double> scaled(6), g(6);
  for (int k = 0; k < 200; ++k) {
    for (std::size_t i = 0; i < 6; ++i) scaled[i] = phi * own[i];
    lk::objective{lk::mse{}}(lk::rows<const double>(scaled.data(), 3, 2), a, lk::into(lk::rows<double>(g.data(), 3, 2)));
    phi -= 0.05 * lk::scale_slope(lk::rows<const double>(g.data(), 3, 2), b);
  }
  CHECK(phi == Approx(scale).epsilon(1e-9));
  const std::vector<double> tiny{1e-200, 2e-200}, huge{1e200, 2e200};  // squares under- and overflow
  const lk::rows<const double> low(tiny.data(), 1, 2), high(huge.data(), 1, 2);
  CHECK(lk::score_scale(low, low) == 1);
  CHECK(lk::score_scale(high, high) == 1);
  CHECK(lk::scale_slope(high, low) == Approx(5));
  CHECK_THROWS_WITH(lk::score_scale(high, low), Catch::Matchers::Contains("the scale of scores is inf"));
  const std::vector<double> nothing(6, 0);
  CHECK_THROWS_WITH(lk::score_scale(a, lk::rows<const double>(nothing.data(), 3, 2)), Catch::Matchers::Contains("all 0"));
  CHECK_THROWS_AS(lk::score_scale(a, lk::rows<const double>(own.data(), 2, 3)), lk::shape_error);
}

TEST_CASE("discrete: learned steps lead down to 0, and no further", "[discrete]") {
  std::vector<double> times(4);
  lk::times_of_steps(std::vector<double>{0.5, 0.3, 0.2}, times);
  CHECK(times[1] == Approx(0.5));
  CHECK(times[2] == Approx(0.2));
  CHECK(times[3] == 0);
  CHECK_THROWS_WITH(lk::times_of_steps(std::vector<double>{0.5, 0.6, 0.2}, times), Catch::Matchers::Contains("step 1 is 0.6"));
  CHECK_THROWS_WITH(lk::times_of_steps(std::vector<double>{0.5, 0, 0.2}, times), Catch::Matchers::Contains("step 1 is 0"));
  std::vector<double> three(3);
  CHECK_THROWS_WITH(lk::times_of_steps(std::vector<double>{1, 1e-13}, three), Catch::Matchers::Contains("step 1 is 10e-14"));
  CHECK_THROWS_WITH(lk::times_of_steps(std::vector<double>{1e-20, 1}, three), Catch::Matchers::Contains("step 0 is 1e-20"));
}

TEST_CASE("discrete: a perturbed text is at the distance that is said, anywhere", "[discrete]") {
  const std::size_t n = 3000;
  const auto s = lk::segments::padded(n, 10);
  std::vector<token> x(10 * n, 1);
  lk::perturb_tokens(x, s, 4, 0.3, lk::random_stream(9));
  std::vector<double> places(10), tokens(4);
  for (std::size_t i = 0; i < n; ++i) {
    std::size_t changed = 0;
    for (std::size_t j = 0; j < 10; ++j)
      if (const token y = x[10 * i + j]; y != 1) ++changed, places[j] += 1, tokens[static_cast<std::size_t>(y)] += 1;
    REQUIRE(changed == 3);
  }
  for (const double v : places) CHECK(std::fabs(v / static_cast<double>(n) - 0.3) < 5 * std::sqrt(0.21 / static_cast<double>(n)));
  for (const std::size_t y : {0U, 2U, 3U}) CHECK(std::fabs(tokens[y] / static_cast<double>(3 * n) - 1.0 / 3) < 5 * std::sqrt(0.222 / static_cast<double>(3 * n)));
  std::vector<token> part(10, 1);
  lk::perturb_tokens(part, lk::segments::padded(1, 10), 4, 0.3, lk::random_stream(9), 17);
  CHECK(std::equal(part.begin(), part.end(), x.begin() + 170));
}
