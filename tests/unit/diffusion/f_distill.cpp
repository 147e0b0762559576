// f-distill: the weights of the family, each divergence's gradient by quadrature, and the averages of ratios by level.
#include "catch.hpp"

#include <limbeck/diffusion/distribution_matching.hpp>
#include <limbeck/diffusion/f_weights.hpp>
#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/score_identity.hpp>
#include <limbeck/limbeck.hpp>
#include <limbeck/loss/features/specified_gradient.hpp>

#include <cmath>
#include <limits>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Message;
using f = lk::f_divergence;

namespace {

constexpr f all[] = {f::reverse_kl, f::softened_reverse_kl, f::jensen_shannon, f::squared_hellinger, f::forward_kl, f::jeffreys,
                     f::neyman};

/// f of each divergence, as its comment says.
long double f_of(f divergence, long double r) {
  switch (divergence) {
    case f::reverse_kl: return -std::log(r);
    case f::softened_reverse_kl: return (1 + r) * std::log((1 + r) / (2 * r));
    case f::jensen_shannon: return r * std::log(r) - (1 + r) * std::log((1 + r) / 2);
    case f::squared_hellinger: return 2 * (1 - std::sqrt(r)) * (1 - std::sqrt(r));
    case f::forward_kl: return r * std::log(r);
    case f::jeffreys: return (r - 1) * std::log(r);
    case f::neyman: return 1 / (2 * r) - 0.5L;
  }
  return 0;
}

const lk::gaussian_mixture data({-1.2, 0.4, 1.6}, 1, 0.5, {1, 2, 1});
const lk::gaussian_mixture base({-1, 1.2}, 1, 0.6, {2, 1});
lk::gaussian_mixture moved(double by) { return lk::gaussian_mixture({-1 + by, 1.2 + by}, 1, 0.6, {2, 1}); }

/// D_f(data || moved base) where both are noised.
double divergence(f which, double by, const lk::noise_level& at) {
  const auto q = moved(by);
  double total = 0;
  for (double y = -7; y < 7; y += 0.02) {
    const double here[] = {y}, log_q = q.log_density(here, at);
    total += 0.02 * std::exp(log_q) * static_cast<double>(f_of(which, std::exp(data.log_density(here, at) - log_q)));
  }
  return total;
}

struct stored {  // an archive
  std::vector<double> means;
  void operator()(const char*, std::vector<double>& m) { m = means; }
};

}  // namespace

TEST_CASE("f-distill: h is the second derivative of f times r squared", "[diffusion]") {
  for (const f which : all)
    for (const double r : {0.05, 0.5, 1.0, 1.7, 12.0}) {
      const long double h = 1e-4L * r;
      const long double second = (f_of(which, r + h) - 2 * f_of(which, r) + f_of(which, r - h)) / (h * h);
      CHECK(lk::f_weight(which, r) == Approx(static_cast<double>(second) * r * r).epsilon(1e-6));
      CHECK(f_of(which, 1) == Approx(0).margin(1e-18));
    }
  CHECK(lk::f_weight(f::jensen_shannon, 0.5) == Approx(1.0 / 3));
  CHECK(lk::f_weight(f::jensen_shannon, 1) == 0.5);
  CHECK(lk::f_weight(f::jensen_shannon, 2) == Approx(2.0 / 3));
}

TEST_CASE("f-distill: with the exact ratio each weight gives the gradient of its divergence", "[diffusion]") {
  const lk::rectified path;
  for (const double t : {0.3, 0.6}) {
    const lk::noise_level at = path.level(t);
    const auto q = moved(0.3);
    std::vector<double> x, real, fake, ratios, shares;
    for (double u = -4.5; u < 5; u += 0.125)
      for (double e = -7; e < 7.1; e += 0.35) {
        const double point[] = {u};
        x.push_back(u + 0.3);
        shares.push_back(0.125 * 0.35 * std::exp(base.log_density(point, {1, 0}) - e * e / 2) / std::sqrt(2 * std::numbers::pi));
        const double noisy[] = {at.signal * x.back() + at.noise * e};
        real.push_back(0), fake.push_back(0);
        data.clean(noisy, at, {&real.back(), 1}), q.clean(noisy, at, {&fake.back(), 1});
        ratios.push_back(std::exp(data.log_density(noisy, at) - q.log_density(noisy, at)));
      }
    const auto view = [](const std::vector<double>& v) { return lk::rows<const double>(v.data(), v.size(), 1); };
    const auto difference = lk::score_identity(view(x), view(real), view(fake), lk::levels(path, t), lk::power_weight{0, 0})
                                .by_sample();  // fake - real
    std::vector<double> h(x.size()), g(x.size());
    for (const f which : all) {
      for (std::size_t i = 0; i < x.size(); ++i) h[i] = lk::f_weight(which, ratios[i]);
      (lk::given(h) * lk::specified_gradient{})(view(x), difference, lk::row_weights(shares), lk::sum,
                                                lk::into(lk::rows<double>(g.data(), g.size(), 1)));
      double by_move = 0;
      for (const double v : g) by_move += v;
      by_move *= at.signal * at.signal / (at.noise * at.noise);  // clean predictions to scores, the noised sample to the sample
      const double wanted = (divergence(which, 0.3 + 1e-3, at) - divergence(which, 0.3 - 1e-3, at)) / 2e-3;
      CHECK(std::abs(wanted) > 1e-3);
      CHECK(by_move == Approx(wanted).epsilon(2e-5));
    }
  }
}

TEST_CASE("f-distill: weights are clipped, of mean 1, and a factor of distribution matching", "[diffusion]") {
  const std::vector<float> ratios{0.5f, 1, 2, 0, 1000};
  std::vector<double> w(5);
  lk::f_weights(ratios, w);
  const double by_hand[] = {1.0 / 3, 0.5, 2.0 / 3, 0.1 / 1.1, 20.0 / 21};
  double total = 0;
  for (const double h : by_hand) total += h;
  for (std::size_t i = 0; i < 5; ++i) CHECK(w[i] == Approx(by_hand[i] / total * 5).epsilon(1e-6));
  std::vector<double> same(ratios.begin(), ratios.end());
  lk::f_weights(same, same);  // in place
  for (std::size_t i = 0; i < 5; ++i) CHECK(same[i] == Approx(w[i]).epsilon(1e-6));
  lk::f_weights(ratios, w, {.divergence = f::forward_kl, .lowest = 1e-3, .highest = 1e6});
  CHECK(w[3] == Approx(1e-3 * 5 / 1003.501).epsilon(1e-6));

  std::vector<double> x(15), real(15), fake(15), dmd(15), g(15);
  lk::random_stream random(5);
  for (auto* v : {&x, &real, &fake})
    for (double& each : *v) each = random.normal();
  const auto view = [](const std::vector<double>& v) { return lk::rows<const double>(v.data(), 5, 3); };
  const auto to = [](std::vector<double>& v) { return lk::rows<double>(v.data(), 5, 3); };
  const auto matching = lk::distribution_matching(view(x), view(real), view(fake));
  lk::objective{lk::specified_gradient{}}(view(x), matching, lk::into(to(dmd)));
  lk::f_weights(ratios, w);
  (lk::given(w) * lk::specified_gradient{})(view(x), matching, lk::into(to(g)));
  for (std::size_t i = 0; i < 15; ++i) CHECK(g[i] == Approx(w[i / 3] * dmd[i]).epsilon(1e-12));
  lk::f_weights(ratios, w, {.divergence = f::reverse_kl});  // which is distribution matching, bit for bit
  (lk::given(w) * lk::specified_gradient{})(view(x), matching, lk::into(to(g)));
  CHECK(g == dmd);
}

TEST_CASE("ratio_bins: averages of each level, by hand", "[diffusion]") {
  lk::ratio_bins bins(0, 1, {.bins = 4, .decay = 0.5});
  const std::vector<double> times{0, 0.24, 0.25, 0.99, 1.7, -3}, ratios{2, 4, 8, 1, 3, 6};
  bins.update(times, ratios);
  CHECK(bins.means() == std::vector<double>{2.5, 4.5, 1, 1.5});  // (2 + 4 + 6)/3 = 4; 8; none; (1 + 3)/2 = 2
  CHECK(bins.mean_at(0.3) == 4.5);
  CHECK(bins.mean_at(1) == 1.5);
  bins.update(std::vector<double>{0.5}, std::vector<double>{3});
  CHECK(bins.means() == std::vector<double>{2.5, 4.5, 2, 1.5});

  // f_weights clips, then moves, then divides
  lk::ratio_bins now(0, 1, {.bins = 2});
  std::vector<double> w(4);
  const std::vector<double> t{0.1, 0.2, 0.8, 0.9}, r{0.01, 0.3, 8, 100};
  lk::f_weights(r, t, now, w, {.divergence = f::forward_kl});
  CHECK(now.mean_at(0.1) == Approx(0.2));
  CHECK(now.mean_at(0.9) == Approx(14));
  const double wanted[] = {0.5, 1.5, 8.0 / 14, 20.0 / 14};
  for (std::size_t i = 0; i < 4; ++i) CHECK(w[i] == Approx(wanted[i]));  // whose mean is 1 already

  // it goes on where it was
  stored file{bins.means()};
  lk::ratio_bins again(0, 1, {.bins = 4, .decay = 0.5});
  again.serialize(file);
  CHECK(again.means() == bins.means());
  lk::ratio_bins fewer(0, 1, {.bins = 3});
  CHECK_THROWS_MATCHES(fewer.serialize(file), lk::value_error,
                       Message("limbeck: the restored ratio_bins has 4 bins, expected 3"));
  CHECK(fewer.means() == std::vector<double>(3, 1.0));
}

TEST_CASE("f-distill: what is wrong is said, and nothing has changed", "[diffusion]") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> good{1, 2}, negative{1, -2}, times{0.5, nan}, three{1, 2, 3};
  std::vector<double> w{7, 7};
  lk::ratio_bins bins(0, 1);
  CHECK_THROWS_MATCHES(lk::f_weights(negative, w), lk::value_error,
                       Message("limbeck: ratio 1 is -2, expected a number of at least 0"));
  CHECK_THROWS_MATCHES(lk::f_weights(good, times, bins, w), lk::value_error,
                       Message("limbeck: time 1 is nan, expected a number"));
  CHECK_THROWS_AS(lk::f_weights(good, three, bins, w), lk::shape_error);
  CHECK_THROWS_AS(lk::f_weights(three, w), lk::shape_error);
  CHECK_THROWS_MATCHES(
      lk::f_weights(good, w, {.lowest = 0}), lk::value_error,
      Message("limbeck: lowest and highest of f_weights are 0 and 20, expected finite numbers, 0 < lowest <= highest"));
  CHECK_THROWS_MATCHES(bins.update(good, times), lk::value_error, Message("limbeck: ratio 1 is nan, expected a finite number of at least 0"));
  CHECK_THROWS_MATCHES(bins.update(good, negative), lk::value_error, Message("limbeck: ratio 1 is -2, expected a finite number of at least 0"));
  for (const double bad : {nan, -1.0, std::numeric_limits<double>::infinity()}) {
    stored file{std::vector<double>(10, 2)};
    file.means[3] = bad;
    CHECK_THROWS_WITH(bins.serialize(file), Catch::Matchers::Contains("the restored average of bin 3 is"));
  }
  CHECK(w == std::vector<double>{7, 7});
  CHECK(bins.means() == std::vector<double>(10, 1.0));
  CHECK_THROWS_AS(lk::ratio_bins(1, 1), lk::value_error);
  CHECK_THROWS_AS(lk::ratio_bins(0, 1, {.bins = 0}), lk::value_error);
  CHECK_THROWS_AS(lk::ratio_bins(0, 1, {.decay = 1}), lk::value_error);
}
