// Losses of critics: against their definitions, and by quadrature on mixtures, where the best critic is known.
#include "catch.hpp"

#include <limbeck/diffusion/density_ratio.hpp>
#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/loss/critics/critic_hinge.hpp>
#include <limbeck/loss/critics/critic_least_squares.hpp>
#include <limbeck/loss/critics/critic_logistic.hpp>
#include <limbeck/loss/critics/critic_wasserstein.hpp>
#include <limbeck/loss/critics/gradient_penalty.hpp>
#include <limbeck/loss/critics/reversed.hpp>
#include <limbeck/loss/features/smooth_l1.hpp>
#include <limbeck/loss/features/specified_gradient.hpp>
#include <limbeck/loss/logits/kl.hpp>
#include <limbeck/loss/logits/mse.hpp>
#include <limbeck/objective/objective.hpp>
#include <limbeck/signal/signals.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace lk = limbeck;

namespace {

using real = long double;
using lk::critic_role;
constexpr critic_role roles[] = {critic_role::real, critic_role::fake, critic_role::generator};

struct seen {
  double value;
  std::vector<double> gradient;
};
/// A loss of one column, its rows weighed and summed.
template <class Loss>
seen weighed(const Loss& loss, const std::vector<double>& s, const std::vector<double>& weights) {
  seen out{0, std::vector<double>(s.size())};
  out.value = lk::objective{loss}(lk::rows<const double>(s.data(), s.size(), 1), lk::row_weights(weights), lk::sum,
                                  lk::into(lk::rows<double>(out.gradient.data(), s.size(), 1)))
                  .loss;
  return out;
}
real softplus(real u) { return u > 0 ? u + std::log1p(std::exp(-u)) : std::log1p(std::exp(u)); }

/// Value and slope of every role as they are defined, against a call of three columns.
template <class Loss, class F>
void check_roles(Loss loss, const F& f) {
  const std::vector<double> s{-3, 0.25, 2, 1.5, -0.75, 40, -700, 0, 900};
  for (const critic_role role : roles) {
    loss.role = role;
    std::vector<double> g(s.size()), each(3);
    lk::objective{loss}(lk::rows<const double>(s.data(), 3, 3), lk::row_losses(each), lk::sum, lk::into(lk::rows<double>(g.data(), 3, 3)));
    for (std::size_t r = 0; r < 3; ++r) {
      real mean = 0;
      for (std::size_t c = 0; c < 3; ++c) mean += f(role, static_cast<real>(s[3 * r + c])) / 3;
      CHECK(each[r] == Approx(static_cast<double>(mean)).epsilon(1e-13).margin(1e-15));
    }
    for (std::size_t i = 0; i < s.size(); ++i) {
      const real h = 1e-6L, at = static_cast<real>(s[i]);
      CHECK(g[i] == Approx(static_cast<double>((f(role, at + h) - f(role, at - h)) / (6 * h))).epsilon(1e-7).margin(1e-10));
    }
  }
}

const lk::gaussian_mixture data({-1, 1.5}, 1, 0.6, {1, 2}), generated({-0.5, 0.8}, 1, 0.9);

/// Both densities on a grid, the generated one moved by theta.
struct densities {
  std::vector<double> x{}, p{}, q{};  // times the step
  explicit densities(double theta) {
    constexpr double step = 2e-3;
    for (double at = -9; at < 9; at += step) {
      const double here[] = {at}, moved[] = {at - theta};
      x.push_back(at);
      p.push_back(step * std::exp(data.log_density(here, {1, 0})));
      q.push_back(step * std::exp(generated.log_density(moved, {1, 0})));
    }
  }
  template <class F>
  double sum_of(const F& f) const {
    double all = 0;
    for (std::size_t i = 0; i < x.size(); ++i) all += f(p[i], q[i]);
    return all;
  }
  double jensen_shannon() const {
    return sum_of([](double a, double b) { return a * std::log(2 * a / (a + b)) / 2 + b * std::log(2 * b / (a + b)) / 2; });
  }
  double reverse_kl() const {
    return sum_of([](double a, double b) { return b * std::log(b / a); });
  }
  std::vector<double> log_ratio() const {
    std::vector<double> s;
    for (std::size_t i = 0; i < x.size(); ++i) s.push_back(std::log(p[i] / q[i]));
    return s;
  }
};

/// What the generator's shift gets of a loss, by the critic s = log p/q, which is held fixed.
template <class Loss>
double pull(const Loss& loss, const densities& d) {
  const std::vector<double> s = d.log_ratio();
  const seen of_logits = weighed(loss, s, d.q);
  double all = 0;
  for (std::size_t i = 1; i + 1 < s.size(); ++i) all += of_logits.gradient[i] * (s[i + 1] - s[i - 1]) / (d.x[i + 1] - d.x[i - 1]);
  return all;
}
template <class F>
double derivative(const F& f, double theta) {
  const double h = 1e-4;
  return (f(densities(theta + h)) - f(densities(theta - h))) / (2 * h);
}

}  // namespace

TEST_CASE("critics: hinge, logistic, least squares and Wasserstein are what they say, of each role", "[critics]") {
  check_roles(lk::critic_hinge{}, [](critic_role role, real s) {
    return role == critic_role::generator ? -s : (std::max)(real(0), role == critic_role::real ? 1 - s : 1 + s);
  });
  check_roles(lk::critic_logistic{}, [](critic_role role, real s) { return role == critic_role::fake ? softplus(s) : softplus(-s); });
  check_roles(lk::critic_logistic{.smoothing = 0.1}, [](critic_role role, real s) {
    const real y = role == critic_role::generator ? 1 : role == critic_role::real ? 0.9L : 0.1L;
    return y * softplus(-s) + (1 - y) * softplus(s);
  });
  check_roles(lk::critic_least_squares{.real = 0.9, .fake = -0.5, .wanted = 0.25}, [](critic_role role, real s) {
    const real aim = role == critic_role::generator ? 0.25L : role == critic_role::real ? 0.9L : -0.5L;
    return (s - aim) * (s - aim) / 2;
  });
  check_roles(lk::critic_wasserstein{}, [](critic_role role, real s) { return role == critic_role::fake ? s : -s; });
}

TEST_CASE("critics: the margin of the hinge has no slope", "[critics]") {
  CHECK(weighed(lk::critic_hinge{critic_role::real}, {1, 1.0 - 1e-12}, {1, 1}).gradient == std::vector<double>{0, -1});
  CHECK(weighed(lk::critic_hinge{critic_role::fake}, {-1, -1 + 1e-12}, {1, 1}).gradient == std::vector<double>{0, 1});
}

TEST_CASE("critics: the logistic loss is least at the ratio of densities, where it knows Jensen and Shannon's divergence", "[critics]") {
  const densities d(0.3);
  std::vector<double> s = d.log_ratio();
  const auto both = [&] {
    const seen r = weighed(lk::critic_logistic{critic_role::real}, s, d.p), f = weighed(lk::critic_logistic{critic_role::fake}, s, d.q);
    seen out{r.value + f.value, r.gradient};
    for (std::size_t i = 0; i < s.size(); ++i) out.gradient[i] += f.gradient[i];
    return out;
  };
  const seen best = both();
  CHECK(best.value == Approx(2 * std::log(2.0) - 2 * d.jensen_shannon()).epsilon(1e-10));
  double steepest = 0;
  for (const double g : best.gradient) steepest = (std::max)(steepest, std::fabs(g));
  CHECK(steepest < 1e-15);
  for (const double by : {-0.1, 0.1}) {
    for (double& v : s) v += by;
    CHECK(both().value > best.value + 1e-4);
    for (double& v : s) v -= by;
  }
}

TEST_CASE("critics: smoothing on both sides shrinks the best critic", "[critics]") {
  const densities d(0.3);
  std::vector<double> s;
  for (std::size_t i = 0; i < d.x.size(); ++i) {
    const double yes = 0.9 * d.p[i] + 0.1 * d.q[i], no = 0.1 * d.p[i] + 0.9 * d.q[i];
    s.push_back(std::log(yes / no));
  }
  const seen r = weighed(lk::critic_logistic{critic_role::real, 0.1}, s, d.p), f = weighed(lk::critic_logistic{critic_role::fake, 0.1}, s, d.q);
  double steepest = 0;
  for (std::size_t i = 0; i < s.size(); ++i) steepest = (std::max)(steepest, std::fabs(r.gradient[i] + f.gradient[i]));
  CHECK(steepest < 1e-15);
}

TEST_CASE("critics: the generator's gradient is the derivative of the divergence that the best critic knows", "[critics]") {
  const double theta = 1;
  const densities d(theta);
  const double js = derivative([](const densities& x) { return x.jensen_shannon(); }, theta);
  const double kl = derivative([](const densities& x) { return x.reverse_kl(); }, theta);
  CHECK(std::fabs(js) > 0.05);
  CHECK(std::fabs(kl) > 0.05);
  CHECK(pull(-1.0 * lk::critic_logistic{critic_role::fake}, d) == Approx(2 * js).epsilon(1e-4));
  CHECK(pull(lk::critic_logistic{}, d) == Approx(kl - 2 * js).epsilon(1e-4));
  CHECK(pull(lk::critic_wasserstein{}, d) == Approx(kl).epsilon(1e-4));
  CHECK(weighed(lk::critic_wasserstein{}, d.log_ratio(), d.q).value == Approx(d.reverse_kl()).epsilon(1e-10));
}

TEST_CASE("critics: the hinge knows the total variation, least squares Pearson's chi squared, Wasserstein a distance", "[critics]") {
  const densities d(0.3);
  std::vector<double> sign, middle, slope;
  for (std::size_t i = 0; i < d.x.size(); ++i) {
    sign.push_back(d.p[i] > d.q[i] ? 1 : -1);
    middle.push_back((d.p[i] - d.q[i]) / (d.p[i] + d.q[i]));
    slope.push_back(-d.x[i]);
  }
  const double variation = d.sum_of([](double a, double b) { return std::fabs(a - b) / 2; });
  CHECK(weighed(lk::critic_hinge{critic_role::real}, sign, d.p).value + weighed(lk::critic_hinge{critic_role::fake}, sign, d.q).value ==
        Approx(2 - 2 * variation).epsilon(1e-10));

  const lk::critic_least_squares yes{critic_role::real, 1, -1, 0}, no{critic_role::fake, 1, -1, 0}, wants{critic_role::generator, 1, -1, 0};
  const seen r = weighed(yes, middle, d.p), f = weighed(no, middle, d.q);
  double steepest = 0;
  for (std::size_t i = 0; i < middle.size(); ++i) steepest = (std::max)(steepest, std::fabs(r.gradient[i] + f.gradient[i]));
  CHECK(steepest < 1e-15);
  const double chi = d.sum_of([](double a, double b) { return (2 * b - (a + b)) * (2 * b - (a + b)) / (a + b); });
  CHECK(weighed(wants, middle, d.q).value + weighed(wants, middle, d.p).value == Approx(chi / 2).epsilon(1e-10));

  densities moved(0);  // data against data moved by 1/4: the distance is 1/4, and the best critic a slope of -1
  for (std::size_t i = 0; i < d.x.size(); ++i) {
    const double here[] = {d.x[i] - 0.25};
    moved.q[i] = 2e-3 * std::exp(data.log_density(here, {1, 0}));
  }
  CHECK(weighed(lk::critic_wasserstein{critic_role::real}, slope, moved.p).value +
            weighed(lk::critic_wasserstein{critic_role::fake}, slope, moved.q).value ==
        Approx(-0.25).epsilon(1e-9));
}

TEST_CASE("critics: both sides stand in one call, by name or by a weight a row", "[critics]") {
  const std::vector<double> s{0.5, -2, 1, 0.25, 3, -0.5};  // three real rows, three fake ones
  const lk::rows<const double> all(s.data(), 6, 1), real_rows(s.data(), 3, 1), fake_rows(s.data() + 3, 3, 1);
  std::vector<double> by_name(6), by_row(6);
  const lk::objective named{lk::at<"real">(lk::critic_hinge{critic_role::real}) + lk::at<"fake">(lk::critic_hinge{critic_role::fake})};
  const double a = named(lk::outputs{lk::output<"real">(real_rows), lk::output<"fake">(fake_rows)},
                         lk::into(lk::outputs{lk::output<"real">(lk::rows<double>(by_name.data(), 3, 1)),
                                              lk::output<"fake">(lk::rows<double>(by_name.data() + 3, 3, 1))}))
                       .loss;
  const std::vector<double> is_real{2, 2, 2, 0, 0, 0}, is_fake{0, 0, 0, 2, 2, 2};  // the mean is over six rows here
  const double b = lk::objective{lk::given(is_real) * lk::critic_hinge{critic_role::real} + lk::given(is_fake) * lk::critic_hinge{critic_role::fake}}(
                       all, lk::into(lk::rows<double>(by_row.data(), 6, 1)))
                       .loss;
  const double by_hand = (0.5 + 3 + 0) / 3 + (1.25 + 4 + 0.5) / 3;
  CHECK(a == Approx(by_hand));
  CHECK(b == Approx(by_hand));
  CHECK(by_name == by_row);
}

TEST_CASE("critics: what is wrong is said, with its row", "[critics]") {
  const std::vector<double> s{0.5, std::nan(""), 1}, fine{0, 1, 2};
  const lk::rows<const double> x(s.data(), 3, 1), y(fine.data(), 3, 1);
  for (const critic_role role : roles) {
    CHECK_THROWS_WITH(lk::objective{lk::critic_hinge{role}}(x), Catch::Matchers::Contains("row 1"));
    CHECK_THROWS_WITH(lk::objective{lk::critic_wasserstein{role}}(x), Catch::Matchers::Contains("row 1"));
  }
  CHECK_THROWS_WITH(lk::objective{lk::gradient_penalty{}}(x), Catch::Matchers::Contains("row 1"));
  CHECK_THROWS_WITH(lk::objective{lk::at_temperature(2.0, lk::critic_logistic{})}(y), Catch::Matchers::Contains("T = 2"));
  CHECK_THROWS_WITH(lk::objective(lk::critic_logistic{.smoothing = 0.5})(y), Catch::Matchers::Contains("smoothing is 0.5"));
  CHECK_THROWS_WITH(lk::objective(lk::critic_least_squares{.wanted = std::nan("")})(y), Catch::Matchers::Contains("critic_least_squares"));
  CHECK_THROWS_WITH(lk::objective(lk::critic_least_squares{.real = std::nan("")})(y), Catch::Matchers::Contains("an aim"));
  CHECK_THROWS_WITH(lk::objective(lk::gradient_penalty{-1})(y), Catch::Matchers::Contains("norm is -1"));
}

TEST_CASE("critics: a gradient penalty is a length's distance from what it should be, squared", "[critics]") {
  const std::vector<double> g{3, 4, 0.6, 0.8, 0, 0, 1e-200, 0, -1e150, 1e150};
  for (const double norm : {0.0, 1.0, 2.5}) {
    std::vector<double> by(g.size()), each(5);
    lk::objective{lk::gradient_penalty{norm}}(lk::rows<const double>(g.data(), 5, 2), lk::row_losses(each), lk::sum,
                                              lk::into(lk::rows<double>(by.data(), 5, 2)));
    const double lengths[] = {5, 1, 0, 1e-200, std::sqrt(2.0) * 1e150};
    for (std::size_t r = 0; r < 5; ++r) {
      CHECK(each[r] == Approx((lengths[r] - norm) * (lengths[r] - norm)).margin(1e-25));
      for (std::size_t c = 0; c < 2; ++c)
        CHECK(by[2 * r + c] == Approx(lengths[r] > 0 ? 2 * (lengths[r] - norm) * g[2 * r + c] / lengths[r] : 0).margin(1e-12));
    }
  }
}

TEST_CASE("critics: the penalty of a linear critic's slope is what its weights' penalty is", "[critics]") {
  // D(x) = v . tanh(w x), g = v w (1 - tanh^2): two backward passes by hand against differences of the value
  const std::vector<double> x{0.3, -1, 0.7};
  double w = 0.8;
  const auto value_and_slope = [&](double at, bool wants) {
    std::vector<double> g, into(3);
    for (const double v : x) g.push_back(1.5 * at * (1 - std::tanh(at * v) * std::tanh(at * v)));
    const double value = lk::objective{0.5 * 10.0 * lk::gradient_penalty{}}(lk::rows<const double>(g.data(), 3, 1),
                                                                            lk::into(lk::rows<double>(into.data(), 3, 1)))
                             .loss;
    double slope = 0;
    for (std::size_t i = 0; wants && i < 3; ++i) {
      const double t = std::tanh(at * x[i]);
      slope += into[i] * 1.5 * ((1 - t * t) - 2 * at * x[i] * t * (1 - t * t));
    }
    return std::pair(value, slope);
  };
  const double h = 1e-5;
  CHECK(value_and_slope(w, true).second ==
        Approx((value_and_slope(w + h, false).first - value_and_slope(w - h, false).first) / (2 * h)).epsilon(1e-8));
}

TEST_CASE("critics: a reversed gradient is minus lambda of it, by progress, as a row and as a loss's gradient", "[critics]") {
  const std::vector<double> g{1, -2, 3, 0.5};
  const lk::rows<const double> of_critic(g.data(), 2, 2);
  std::vector<double> out(4), into(4);
  const lk::rows<double> to(out.data(), 2, 2);
  lk::fill(lk::reversed(of_critic, 0.1), to);
  CHECK(out == std::vector<double>{-0.1, 0.2, -0.1 * 3, -0.05});
  lk::fill(lk::reversed(of_critic, lk::dann_schedule{}), to, lk::progress(0));
  for (const double v : out) CHECK(v == 0);
  lk::fill(lk::reversed(of_critic, lk::dann_schedule{}), to, lk::progress(0.25));
  for (std::size_t i = 0; i < 4; ++i) CHECK(out[i] == Approx(-g[i] * (2 / (1 + std::exp(-2.5)) - 1)));
  lk::objective{2.0 * lk::specified_gradient{}}(of_critic, lk::reversed(of_critic, 0.5), lk::sum, lk::into(lk::rows<double>(into.data(), 2, 2)));
  for (std::size_t i = 0; i < 4; ++i) CHECK(into[i] == Approx(-0.5 * g[i]));
  CHECK_THROWS_WITH(lk::reversed(of_critic, -1.0), Catch::Matchers::Contains("lambda is -1"));
}

TEST_CASE("critics: the ratio of densities is that of a row's mean logit, clipped", "[critics]") {
  const std::vector<float> logits{1, 3, -40, 0, 0.5f, 0.25f};
  const lk::rows<const float> x(logits.data(), 3, 2);
  std::vector<double> r(3), l(3);
  lk::density_ratio(x, r, {.clip = 10});
  lk::log_density_ratio(x, l);
  CHECK(r[0] == Approx(std::exp(2.0)));
  CHECK(r[1] == Approx(std::exp(-10.0)));
  CHECK(l == std::vector<double>{2, -20, 0.375});

  std::vector<double> few(2);
  CHECK_THROWS_AS(lk::density_ratio(x, few), lk::shape_error);
  CHECK_THROWS_WITH(lk::density_ratio(x, r, {.clip = 0}), Catch::Matchers::Contains("clip of density_ratio is 0"));
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> bad{0, infinity, std::nan("")};
  const lk::rows<const double> y(bad.data(), 2, 1), z(bad.data(), 3, 1);
  CHECK_THROWS_WITH(lk::log_density_ratio(y, few), Catch::Matchers::Contains("row 1 of the critic's logits"));
  lk::log_density_ratio(y, few, {.clip = 8});
  CHECK(few == std::vector<double>{0, 8});
  const std::vector<double> large{0, 100, 800, 1e300};  // what fits into double need not fit into float
  std::vector<float> narrow{7, 7};
  const auto first = [&](std::size_t n) { return lk::rows<const double>(large.data(), n, 1); };
  CHECK_THROWS_WITH(lk::density_ratio(first(3), l), Catch::Matchers::Contains("row 2 of the critic's logits has the mean 800"));
  CHECK_THROWS_WITH(lk::density_ratio(first(2), narrow), Catch::Matchers::Contains("row 1 of the critic's logits has the mean 100"));
  CHECK_THROWS_WITH(lk::log_density_ratio(lk::rows<const double>(large.data() + 2, 2, 1), narrow), Catch::Matchers::Contains("row 1"));
  CHECK(narrow == std::vector<float>{7, 7});
  lk::density_ratio(first(2), narrow, {.clip = 10});
  CHECK(narrow[1] == Approx(std::exp(10.0)));
  CHECK_THROWS_WITH(lk::log_density_ratio(z, l, {.clip = 8}), Catch::Matchers::Contains("row 2"));
  CHECK(l == std::vector<double>{2, -20, 0.375});
}

TEST_CASE("critics: MEKD compares pictures that a frozen generator makes of logits", "[critics]") {
  const std::vector<double> teacher{1, -2, 0.5, 3, 0, -1}, map{0.3, -1, 0.2, 0.8, 0.5, -0.4, 1.2, 0.1, -0.7, 0.6, 0.9, -0.3};  // 3 x 4
  std::vector<double> student{0.2, 1, -1, 2, 0.7, -0.4};
  const double t = 5;
  const auto pictures = [&](const std::vector<double>& z) {
    std::vector<double> out(8);
    for (std::size_t r = 0; r < 2; ++r)
      for (std::size_t i = 0; i < 4; ++i)
        for (std::size_t c = 0; c < 3; ++c) out[4 * r + i] += z[3 * r + c] / t * map[4 * c + i];
    return out;
  };
  const auto by_hand = [&](const std::vector<double>& z) {
    double value = 0;
    const auto a = pictures(z), b = pictures(teacher);
    for (std::size_t i = 0; i < 8; ++i) value += std::fabs(a[i] - b[i]) / 8;
    for (std::size_t r = 0; r < 2; ++r) {
      double of_z = 0, of_teacher = 0;
      for (std::size_t c = 0; c < 3; ++c) of_z += std::exp(z[3 * r + c] / t), of_teacher += std::exp(teacher[3 * r + c] / t);
      for (std::size_t c = 0; c < 3; ++c) {
        const double p = std::exp(teacher[3 * r + c] / t) / of_teacher;
        value += t / 2 * p * (std::log(p) - z[3 * r + c] / t + std::log(of_z));
      }
    }
    return value;
  };
  const auto a = pictures(student), b = pictures(teacher);
  std::vector<double> of_logits(6), of_pictures(8);
  const auto as = [](const std::vector<double>& x, std::size_t n) { return lk::rows<const double>(x.data(), 2, n); };
  const auto loss = lk::at<"logits">(0.2 * lk::at_temperature(5.0, lk::forward_kl{})) + lk::at<"picture">(lk::l1{});
  const double value = loss(lk::outputs{lk::output<"logits">(as(student, 3)), lk::output<"picture">(as(a, 4))},
                            lk::outputs{lk::output<"logits">(as(teacher, 3)), lk::output<"picture">(as(b, 4))},
                            lk::into(lk::outputs{lk::output<"logits">(lk::rows<double>(of_logits.data(), 2, 3)),
                                                 lk::output<"picture">(lk::rows<double>(of_pictures.data(), 2, 4))}))
                           .loss;
  CHECK(value == Approx(by_hand(student)));
  for (std::size_t i = 0; i < 6; ++i) {
    double g = of_logits[i];  // back through the generator
    for (std::size_t k = 0; k < 4; ++k) g += of_pictures[i / 3 * 4 + k] * map[4 * (i % 3) + k] / t;
    std::vector<double> low = student, high = student;
    low[i] -= 1e-6, high[i] += 1e-6;
    CHECK(g == Approx((by_hand(high) - by_hand(low)) / 2e-6).epsilon(1e-6));
  }
}

TEST_CASE("critics: two outputs at neighbouring samples approximate R1, and both sides learn", "[critics]") {
  // D(x) = w . x: the mean of (D(x) - D(x + sigma e))^2 is sigma^2 |w|^2
  const std::size_t n = 4000;
  const double w[] = {0.7, -1.2}, sigma = 0.1;
  std::vector<double> x(2 * n), noisy(2 * n), of_x(n), of_noisy(n), g(n), h(n);
  lk::random_stream random(12);
  for (std::size_t i = 0; i < 2 * n; ++i) x[i] = random.normal(), noisy[i] = x[i] + sigma * random.normal();
  for (std::size_t r = 0; r < n; ++r) {
    of_x[r] = w[0] * x[2 * r] + w[1] * x[2 * r + 1], of_noisy[r] = w[0] * noisy[2 * r] + w[1] * noisy[2 * r + 1];
  }
  const double value = lk::objective{100.0 * lk::mse{}}(lk::rows<const double>(of_x.data(), n, 1), lk::rows<const double>(of_noisy.data(), n, 1),
                                                        lk::into(lk::rows<double>(g.data(), n, 1)), lk::into_teacher(lk::rows<double>(h.data(), n, 1)))
                           .loss;
  const double length = w[0] * w[0] + w[1] * w[1];
  CHECK(value == Approx(100 * sigma * sigma * length).epsilon(0.12));  // 5 deviations of the mean of a chi squared
  double slope[2] = {};
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t j = 0; j < 2; ++j) slope[j] += g[r] * x[2 * r + j] + h[r] * noisy[2 * r + j];
  for (std::size_t j = 0; j < 2; ++j) CHECK(std::fabs(slope[j] - 200 * sigma * sigma * w[j]) < 0.3);
  CHECK(slope[0] * w[0] + slope[1] * w[1] == Approx(2 * value));  // it is quadratic in w
}
