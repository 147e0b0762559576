// TwinFlow: roles and times, the recursive target, guidance, weights and self-matching, against the definition in long double.
#include "catch.hpp"

#include <limbeck/diffusion/consistency.hpp>
#include <limbeck/diffusion/denoising_target.hpp>
#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/twin_flow.hpp>
#include <limbeck/limbeck.hpp>

#include <cmath>
#include <limits>
#include <numbers>
#include <span>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Message;

namespace {

using tensor = lk::rows<const double>;
using numbers = std::vector<double>;
using real = long double;

tensor view(const numbers& x, std::size_t dimensions = 2) { return {x.data(), x.size() / dimensions, dimensions}; }
template <class Target>
numbers filled(const Target& t) {
  numbers out(t.samples() * t.classes());
  lk::fill(t, lk::rows<double>(out.data(), t.samples(), t.classes()));
  return out;
}
numbers drawn(std::uint64_t seed, std::size_t n) {
  lk::random_stream s(seed);
  numbers x(n);
  for (double& v : x) v = s.normal();
  return x;
}

/// A model of any step, with a condition c or without (0).
template <class N>
N model(N x, N t, N u, N c) {
  return std::sin(x + t) - c * u + N(0.5) * t * x + (t < 0 ? N(0.4) : N(0));
}
auto asked(double c) {
  return [c](const tensor& x, std::span<const double> t, std::span<const double> u) {
    numbers out;
    for (std::size_t r = 0; r < x.samples; ++r)
      for (std::size_t k = 0; k < x.classes; ++k) out.push_back(model(x(r, k), t[r], u[r], c));
    return out;
  };
}

}  // namespace

TEST_CASE("twin flow: a batch is four quarters, and times go with the roles", "[diffusion]") {
  using role = lk::twin_role;
  CHECK(lk::twin_role_of(0, 8) == role::one_step);
  CHECK(lk::twin_role_of(2, 8) == role::near_step);
  CHECK(lk::twin_role_of(5, 8) == role::any_step);
  CHECK(lk::twin_role_of(7, 8) == role::fake);
  CHECK(lk::twin_role_of(6, 7) == role::fake);   // 2, 2, 2, 1
  CHECK(lk::twin_role_of(4, 6) == role::any_step);  // 6/4 is rounded to 2, and nothing is left
  CHECK(lk::twin_role_of(8, 9) == role::fake);   // 2, 2, 2, 3
  numbers t{0.5, 0.6, 0.7, 0.8, 0.3, 0.9, 0.2, 0.4}, u(8, 9.0);
  const numbers was(t);
  lk::twin_flow_times(lk::random_stream(4), t, u);
  for (std::size_t r = 0; r < 8; ++r) {
    const double uniform = lk::random_stream(4).split(r).uniform();
    if (r < 2) CHECK((t[r] == 1.0 && u[r] == 0.0));
    if (r == 2 || r == 3) CHECK((t[r] == was[r] && u[r] == Approx(was[r] * (1 - 0.05 * uniform)) && u[r] < t[r]));
    if (r == 4 || r == 5) CHECK((t[r] == was[r] && u[r] == Approx(was[r] * (1 - uniform))));
    if (r > 5) CHECK((t[r] == -was[r] && u[r] == -was[r]));
  }
  numbers w(8);
  lk::twin_flow_weights(t, u, w);
  CHECK(w[0] == Approx(1));  // the whole way: tan 0 + 1
  CHECK(w[2] == Approx(std::tan((1 - (t[2] - u[2])) * std::numbers::pi / 2.5) + 1));
  CHECK(w[7] == 1.0);
  numbers bad{0.1, 0.2, 1.2, 0.3};
  const numbers same(bad);
  numbers v(4, 9.0);
  CHECK_THROWS_MATCHES(lk::twin_flow_times(lk::random_stream(4), bad, v), lk::value_error,
                       Message("limbeck: time 2 is 1.2, expected a number in (0, 1]"));
  CHECK((bad == same && v == numbers(4, 9.0)));
  numbers still{0.1, 0.2, 0.3, 0};  // a generated row whose time would be -0, which no `t < 0` sees
  CHECK_THROWS_MATCHES(lk::twin_flow_times(lk::random_stream(4), still, v), lk::value_error,
                       Message("limbeck: time 3 is 0, expected a number in (0, 1]"));
  CHECK((still[0] == 0.1 && v == numbers(4, 9.0)));
  numbers whole{1, 1, 1, 1};
  CHECK_THROWS_MATCHES(lk::twin_flow_times(lk::random_stream(4), whole, v, 0), lk::value_error,  // steps of no length
                       Message("limbeck: ratio of twin_flow_times is 0, expected a number in (0, 1]"));
  lk::twin_flow_times(lk::random_stream(4), whole, v, 1e-3);
  CHECK((whole[1] == 1.0 && v[1] < 1 && v[2] < 1 && v[2] > 0.999 && whole[3] == -1.0));
  CHECK_THROWS_MATCHES(lk::twin_flow_times(lk::random_stream(4), std::span(bad).first(3), std::span(v).first(3)), lk::shape_error,
                       Message("limbeck: twin_flow_times has 3 rows, expected at least 4, one a role"));
}

TEST_CASE("twin flow: robust weights are those of the general robust loss", "[diffusion]") {
  CHECK(lk::robust_weight{.alpha = 2, .scale = 0.1}(3.0) == Approx(10));  // m/c
  CHECK(lk::robust_weight{}(1e-6) == Approx(1e3 / std::sqrt(1e-6 / (1e-6 + 1e-8) + 1)));
  // of one column, with the 1e-8 of no account: c times the slope of barron over that of mse/2
  const double gap = 1.7, c = 5;
  const numbers s{gap}, z{0};
  double g = 0;
  lk::objective{lk::barron{.alpha = -1, .scale = c}}(view(s, 1), view(z, 1), lk::into(lk::rows<double>(&g, 1, 1)));
  CHECK(lk::robust_weight{.alpha = -1, .scale = c}(gap * gap) == Approx(c * g / gap).epsilon(1e-8));
}

TEST_CASE("twin flow: rows that are not guided have the velocity, whatever was predicted there", "[diffusion]") {
  const double none = std::nan(""), most = std::numeric_limits<double>::infinity();
  const numbers v{1, 2, 3, 4, 5, 6}, with{none, most, 1, 2, none, 0}, without{0, most, 3, 1, 0, -most}, t{1, 0.5, -0.5};
  CHECK(filled(lk::guided_velocity(view(v), view(with), view(without), t, 0.5)) == numbers{1, 2, 2, 4.5, 5, 6});
  CHECK_THROWS_MATCHES(lk::guided_velocity(view(v), view(with), view(v, 3), t), lk::shape_error,
                       Message("limbeck: a prediction of guided_velocity has shape 2 x 3, expected 3 x 2 (samples x classes)"));
  CHECK_THROWS_MATCHES(lk::guided_velocity(view(v), view(with), view(without), std::span(t).first(2)), lk::shape_error,
                       Message("limbeck: t has 2 elements, expected 3 (one a row)"));
}

TEST_CASE("twin flow: a walk refuses what a model gave of another shape", "[diffusion]") {
  const numbers x(6), t{0.5, 0.6, 0.7}, u{0.1, 0.1, 0.1}, answer(12);
  lk::recursive_walk<double> walk;
  const auto with = [&](std::size_t n, std::size_t m) {
    walk([&](const tensor&, std::span<const double>, std::span<const double>) { return tensor(answer.data(), n, m); }, view(x), view(x), t, u);
  };
  CHECK_NOTHROW(with(3, 2));
  CHECK_THROWS_MATCHES(with(3, 1), lk::shape_error,
                       Message("limbeck: a prediction of the model has shape 3 x 1, expected 3 x 2 (samples x classes)"));
  CHECK_THROWS_MATCHES(with(2, 2), lk::shape_error,
                       Message("limbeck: a prediction of the model has shape 2 x 2, expected 3 x 2 (samples x classes)"));
}

TEST_CASE("twin flow: the target of a model that is the mean velocity is that model", "[diffusion]") {
  // every path of this field, dx/dt = x + t, is x(t) = (x_0 + t_0 + 1) e^(t - t_0) - t - 1
  const auto flow = [](double x, double t, double u) { return (x + t + 1) * std::exp(u - t) - u - 1; };
  const auto mean_velocity = [&](const tensor& x, std::span<const double> t, std::span<const double> u) {
    numbers out;
    for (std::size_t r = 0; r < x.samples; ++r) out.push_back(t[r] == u[r] ? x(r, 0) + t[r] : (x(r, 0) - flow(x(r, 0), t[r], u[r])) / (t[r] - u[r]));
    return out;
  };
  const numbers x{0.3, -0.5, 0.8}, t{1, 0.9, 0.5}, u{0, 0.3, 0.495};
  numbers memory;
  const auto model_ = [&](const tensor& a, std::span<const double> b, std::span<const double> c) {
    memory = mean_velocity(a, b, c);
    return tensor(memory.data(), a.samples, 1);
  };
  const numbers f = mean_velocity(view(x, 1), t, u);
  const auto error = [&](double h) {
    numbers v;
    for (std::size_t r = 0; r < 3; ++r) v.push_back((x[r] - flow(x[r], t[r], t[r] - h)) / h);  // the mean over h
    lk::recursive_walk<double> walk(3, h);
    const auto g = walk(model_, view(x, 1), view(v, 1), t, u);
    const numbers target = filled(lk::recursive_target(view(f, 1), g, view(v, 1), t, u, {.step = h}));
    return numbers{target[0] - f[0], target[1] - f[1], target[2] - f[2]};
  };
  CHECK(std::fabs(error(0.01)[0]) < 1e-12);
  CHECK(std::fabs(error(0.01)[1]) < 1e-12);
  CHECK(std::fabs(error(0.001)[2]) < 1e-12);  // further than one step
  CHECK(error(0.01)[2] == Approx((x[2] - flow(x[2], 0.5, 0.49)) / 0.01 - f[2]).epsilon(1e-9));  // within one: the velocity, F - v < 1
}

TEST_CASE("twin flow: the whole objective is that of the definition, all but the student held fixed", "[diffusion]") {
  constexpr std::size_t n = 8, m = 2;
  numbers t{0.5, 0.6, 0.7, 0.8, 0.3, 0.9, 0.2, 0.4}, u(n), size(n), w(n), errors(n), g(n * m);
  lk::twin_flow_times(lk::random_stream(4), t, u);
  for (std::size_t r = 0; r < n; ++r) size[r] = std::fabs(t[r]);
  const numbers x = drawn(1, n * m), z = drawn(2, n * m), f = drawn(3, n * m);
  const auto at = lk::levels(lk::rectified{}, size);
  const numbers x_t = filled(lk::noised(view(x), view(z), at));
  const auto plain = lk::denoising_target(lk::predicts_velocity{}, view(x), view(z), at);
  const numbers with = asked(1)(view(x_t), t, t), without = asked(0)(view(x_t), t, t);
  const numbers v = filled(lk::guided_velocity(plain, view(with), view(without), t, 0.5));

  lk::recursive_walk<double> walk;
  numbers memory;
  const auto averaged = [&](const tensor& a, std::span<const double> b, std::span<const double> c) {
    memory = asked(1)(a, b, c);
    return tensor(memory.data(), a.samples, m);
  };
  const auto way = walk(averaged, view(x_t), view(v), t, u);
  const auto target = lk::recursive_target(view(f), way, view(v), t, u);
  lk::twin_flow_weights(t, u, w);
  lk::objective{lk::mse{}}.value(view(f), target, lk::row_losses(errors));
  const auto taught = lk::given(w) * (lk::map(lk::robust_weight{}, lk::given(errors)) * lk::mse{});
  const double value = taught(view(f), target, lk::into(lk::rows<double>(g.data(), n, m))).loss;

  // the definition
  const auto held = [](real a) { return a > 1 ? real(1) : a < -1 ? real(-1) : a; };
  real all = 0;
  for (std::size_t r = 0; r < n; ++r) {
    real aim[m], error = 0;
    for (std::size_t k = 0; k < m; ++k) {
      const std::size_t i = r * m + k;
      const real time = t[r], end = u[r], far = std::fabs(time);
      const real noisy = far * z[i] + (1 - far) * x[i];
      real velocity = static_cast<real>(z[i]) - x[i];
      if (r < 6 && time > 0 && time < 1) velocity += 0.5L * (model<real>(noisy, time, time, 1) - model<real>(noisy, time, time, 0));
      if (r >= 6) {
        aim[k] = velocity;
      } else {
        const real first = std::fmax(time - 0.01L, end), half = (first + end) / 2;
        real here = noisy - 0.01L * velocity, total = 0;
        const real one = model<real>(here, first, half, 1) * (first - half);
        // the code's own step: both estimates mixed at the next time
        const real mean = one / (first == half ? 1 : first - half), clean = here - first * mean, noise = here + (1 - first) * mean;
        here = first == half ? here : half * noise + (1 - half) * clean;
        total = one + model<real>(here, half, end, 1) * (half - end);
        const bool close = time < end + 0.01L;
        const real left = close ? 1 : 100 * (time - end), right = close ? 1 / (time - end) : 100;
        aim[k] = f[i] - held(left * f[i] - right * total - velocity);
      }
      error += (f[i] - aim[k]) * (f[i] - aim[k]) / m;
    }
    const real robust = std::pow(error / (1e-6L + 1e-8L) + 1, -0.5L) / 1e-3L;
    const real gap = std::fabs(static_cast<real>(t[r])) - std::fabs(static_cast<real>(u[r]));
    const real weight = r >= 6 ? 1 : std::tan((1 - gap) * std::numbers::pi_v<real> / 2.5L) + 1;
    all += robust * weight * error / n;
    for (std::size_t k = 0; k < m; ++k)
      CHECK(g[r * m + k] == Approx(static_cast<double>(2 * robust * weight * (f[r * m + k] - aim[k]) / m / n)).epsilon(1e-7).margin(1e-9));
  }
  CHECK(value == Approx(static_cast<double>(all)).epsilon(1e-8));
}

TEST_CASE("twin flow: matching oneself is 0 where real and generated agree, and goes to the data by the exact velocities", "[diffusion]") {
  const numbers f = drawn(5, 8), v = drawn(6, 8);
  CHECK(filled(lk::matched_velocity(view(f), view(v), view(v))) == f);
  // the generated are wider than the data: each is pushed towards the mean
  const lk::gaussian_mixture data({1, 1}, 2, 0.1), generated({1, 1}, 2, 0.6);
  auto real_of = lk::exact_denoiser<double>(data, lk::rectified{}, lk::predicts_velocity{});
  auto fake_of = lk::exact_denoiser<double>(generated, lk::rectified{}, lk::predicts_velocity{});
  const numbers noise = drawn(7, 8), t(4, 0.4), one(4, 1);
  const numbers sample = filled(lk::consistency_sample(lk::straight_boundary{}, view(f), view(noise), lk::levels(lk::rectified{}, one)));  // z - F
  const numbers x_t = filled(lk::noised(view(sample), view(v), lk::levels(lk::rectified{}, t)));
  numbers g(8);
  lk::objective{lk::mse{}}(view(f), lk::matched_velocity(view(f), fake_of(view(x_t), t), real_of(view(x_t), t)),
                           lk::into(lk::rows<double>(g.data(), 4, 2)), lk::sum);
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(std::fabs(g[i]) <= 1.0 + 1e-12);                           // 2 limit/columns
    CHECK((-g[i]) * (0.6 - x_t[i]) < 0);  // F falls by g, x^ = z - F rises: towards the mean of x_t, 0.6
  }
  numbers bad(f);
  bad[3] = std::nan("");
  CHECK_THROWS_MATCHES(lk::objective{lk::l1{}}.value(view(f), lk::matched_velocity(view(f), view(bad), view(v))), lk::value_error,
                       Message("limbeck: teacher is nan at row 1, column 1, expected a finite number"));
  CHECK_THROWS_MATCHES(lk::matched_velocity(view(f), view(v), view(v), 0), lk::value_error,
                       Message("limbeck: limit of matched_velocity is 0, expected a positive, finite number"));
  CHECK_THROWS_MATCHES(lk::recursive_walk<double>(0), lk::value_error, Message("limbeck: steps of recursive_walk is 0, expected at least 1"));
}
