// Consistency in continuous time: tangents of students that are consistent in a closed form, and of any.
#include "catch.hpp"

#include <limbeck/diffusion/continuous_consistency.hpp>
#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/limbeck.hpp>

#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Message;

namespace {

using tensor = lk::rows<const double>;
using numbers = std::vector<double>;
using real = long double;

tensor view(const numbers& x, std::size_t dimensions = 1) { return {x.data(), x.size() / dimensions, dimensions}; }
template <class Target, class... More>
numbers filled(const Target& t, const More&... more) {
  numbers out(t.samples() * t.classes());
  lk::fill(t, lk::rows<double>(out.data(), t.samples(), t.classes()), more...);
  return out;
}
numbers copy_of(const tensor& x) { return {x.data, x.data + x.samples * x.classes}; }

constexpr double d = 0.5, deviation = 0.3;
constexpr double means[] = {0.4, -0.2};
const lk::gaussian_mixture gaussian({0.4, -0.2}, 2, deviation);
const lk::trigonometric path{d};

/// F of the student that is the flow to no noise: (cos t x - f)/(d sin t), of x divided by d.
template <class N>
N consistent(N scaled, N t, N mean) {
  const N x = scaled * static_cast<N>(d), c = std::cos(t), s = std::sin(t);
  const N wide = std::sqrt(c * c * static_cast<N>(deviation * deviation) + s * s * static_cast<N>(d * d));
  const N f = mean + (x - c * mean) * static_cast<N>(deviation) / wide;
  return (c * x - f) / (static_cast<N>(d) * s);
}
/// And of one that is not.
template <class N>
N wrong(N scaled, N t, N mean) {
  return std::sin(scaled * (1 + mean)) * std::cos(t) + t * t;
}
/// (F, J) of a network of elements, J by a difference quotient in long double.
template <class F>
auto jvp_of(const F& f) {
  return [f](const tensor& x, const tensor& dx, std::span<const double> t, std::span<const double> dt) {
    std::pair<numbers, numbers> out;
    for (std::size_t r = 0; r < x.samples; ++r)
      for (std::size_t c = 0; c < x.classes; ++c) {
        const auto at = [&](real h) {
          const real moved = static_cast<real>(x(r, c)) + h * static_cast<real>(dx(r, c));
          return f(moved, static_cast<real>(t[r]) + h * static_cast<real>(dt[r]), static_cast<real>(means[c]));
        };
        out.first.push_back(static_cast<double>(at(0)));
        out.second.push_back(static_cast<double>((at(1e-6L) - at(-1e-6L)) / 2e-6L));
      }
    return out;
  };
}

const numbers x{0.3, -0.9, 0.1, 0.6, -1.2, 0.2}, t{0.2, 0.8, 1.4};

}  // namespace

TEST_CASE("continuous consistency: the tangent of a student that is the flow of a Gaussian is 0", "[diffusion]") {
  auto teacher = lk::exact_denoiser<double>(gaussian, path, lk::predicts_velocity{});
  const numbers v = copy_of(teacher(view(x, 2), t));
  const auto at = lk::levels(path, t);
  lk::tangent_directions<double> along;
  const auto [f, j] = along(jvp_of([](real a, real b, real m) { return consistent(a, b, m); }), view(x, 2), view(v, 2), at);
  const numbers g = filled(lk::consistency_tangent(view(f, 2), view(v, 2), view(j, 2), view(x, 2), at));
  for (const double e : g) CHECK(std::fabs(e) < 1e-8);
  const numbers target = filled(lk::continuous_consistency(view(f, 2), view(v, 2), view(j, 2), view(x, 2), at));
  for (std::size_t i = 0; i < 6; ++i) CHECK(target[i] == Approx(f[i]).margin(1e-8));
  CHECK(std::fabs(lk::objective{lk::mse{}}.value(view(f, 2), view(target, 2))) < 1e-15);

  const auto [other, slope] = along(jvp_of([](real a, real b, real m) { return wrong(a, b, m); }), view(x, 2), view(v, 2), at);
  const numbers moved = filled(lk::consistency_tangent(view(other, 2), view(v, 2), view(slope, 2), view(x, 2), at));
  for (std::size_t r = 0; r < 3; ++r) CHECK(std::hypot(moved[2 * r], moved[2 * r + 1]) > 0.3);
}

TEST_CASE("continuous consistency: the tangent is cos t times the derivative along the teacher's path", "[diffusion]") {
  auto teacher = lk::exact_denoiser<double>(gaussian, path, lk::predicts_velocity{});
  const numbers v = copy_of(teacher(view(x, 2), t));
  const auto at = lk::levels(path, t);
  lk::tangent_directions<double> along;
  const auto [f, j] = along(jvp_of([](real a, real b, real m) { return wrong(a, b, m); }), view(x, 2), view(v, 2), at);
  // normalised by 1e10 + |g|: g, nearly
  const numbers g = filled(lk::consistency_tangent(view(f, 2), view(v, 2), view(j, 2), view(x, 2), at, {.normaliser = 1e10}));
  for (std::size_t r = 0; r < 3; ++r)
    for (std::size_t c = 0; c < 2; ++c) {
      const auto sample = [&](real h) {  // f = cos t x - sin t d F, h further along the path
        const real time = static_cast<real>(t[r]) + h, here = static_cast<real>(x[2 * r + c]) + h * static_cast<real>(v[2 * r + c]);
        return std::cos(time) * here - std::sin(time) * static_cast<real>(d) * wrong(here / static_cast<real>(d), time, static_cast<real>(means[c]));
      };
      const real slope = (sample(1e-6L) - sample(-1e-6L)) / 2e-6L;
      CHECK(1e10 * g[2 * r + c] == Approx(static_cast<double>(std::cos(static_cast<real>(t[r])) * slope)).epsilon(1e-7));
    }
}

TEST_CASE("continuous consistency: value and gradient are those of the definition, what the paper holds fixed held fixed", "[diffusion]") {
  const numbers v{0.2, -0.7, 1.1, 0.4, 0.3, -0.2}, j{0.5, 0.1, -0.3, 0.2, 0.9, -0.8}, held{0.1, 0.4, -0.6, 0.3, 0.2, 0.7};
  numbers f(held), u{0.3, -0.2, 0.1}, w(3), g(6), losses(3), slope(3);
  const auto at = lk::levels(path, t);
  const lk::tangent_options options{lk::linear(0.0, 1.0), 0.1};
  const lk::progress now(0.25);
  lk::continuous_consistency_weights(at, u, w);
  const auto target = lk::continuous_consistency(view(held, 2), view(v, 2), view(j, 2), view(x, 2), at, options);
  lk::objective(lk::given(w) * lk::mse{})(view(f, 2), target, lk::into(lk::rows<double>(g.data(), 3, 2)), lk::row_losses(losses), now);
  lk::log_variance_gradient(losses, slope);

  const auto loss = [&](const numbers& prediction, const numbers& log_variance) {
    real all = 0;
    for (std::size_t r = 0; r < 3; ++r) {
      const real c = std::cos(static_cast<real>(t[r])), s = std::sin(static_cast<real>(t[r]));
      real tangent[2], length = 0, square = 0;
      for (std::size_t k = 0; k < 2; ++k) {
        const std::size_t i = 2 * r + k;
        tangent[k] = -c * c * (d * static_cast<real>(held[i]) - v[i]) - 0.25L * (c * s * x[i] + d * static_cast<real>(j[i]));
        length += tangent[k] * tangent[k];
      }
      for (std::size_t k = 0; k < 2; ++k) {
        const real gap = prediction[2 * r + k] - held[2 * r + k] - tangent[k] / (std::sqrt(length) + 0.1L);
        square += gap * gap / 2;
      }
      all += (std::exp(-static_cast<real>(log_variance[r])) / (d * s / c) * square + log_variance[r]) / 3;
    }
    return all;
  };
  const auto difference = [&](numbers& of, std::size_t i) {
    const double here = of[i];
    of[i] = here + 1e-5;
    const real up = loss(f, u);
    of[i] = here - 1e-5;
    const real down = loss(f, u);
    of[i] = here;
    return static_cast<double>((up - down) / 2e-5L);
  };
  for (std::size_t i = 0; i < 6; ++i) CHECK(g[i] == Approx(difference(f, i)).epsilon(1e-8));
  for (std::size_t r = 0; r < 3; ++r) CHECK(slope[r] == Approx(difference(u, r)).epsilon(1e-8));
  CHECK((losses[0] + losses[1] + losses[2] + u[0] + u[1] + u[2]) / 3 == Approx(static_cast<double>(loss(f, u))).epsilon(1e-12));

  // at the point itself, -2 g w/elements
  const numbers tangent = filled(lk::consistency_tangent(view(held, 2), view(v, 2), view(j, 2), view(x, 2), at, options), now);
  for (std::size_t i = 0; i < 6; ++i) CHECK(g[i] == Approx(-2 * tangent[i] * w[i / 2] / 6).epsilon(1e-12));
  // a weight of the whole batch, for micro-batches
  lk::log_variance_gradient(losses, slope, 6);
  CHECK(slope[1] == Approx(difference(u, 1) / 2).epsilon(1e-8));
}

TEST_CASE("continuous consistency: log variances learn from the rows that the call's loss is of, by their weights", "[diffusion]") {
  numbers out(2);
  lk::log_variance_gradient(numbers{2.5, 0}, numbers{3, 0}, out);
  CHECK((out == numbers{-1.5, 0}));  // by hand
  lk::log_variance_gradient(numbers{2.5, std::nan("")}, numbers{3, 0}, out);
  CHECK((out == numbers{-1.5, 0}));
  lk::log_variance_gradient(numbers{2.5, 3}, numbers{1, 2}, out, 4);
  CHECK((out == numbers{-0.375, -1}));
  // the whole loss: that of a call with weights and a mask, and the mean of u with the same
  const numbers f{0.1, 0.4, -0.6, 0.3, 0.2, 0.7}, y(6), weights{0.5, 2, 3};
  const bool mask[] = {true, true, false};
  const numbers counted{0.5, 2, 0};
  numbers u{0.3, -0.2, 0.1}, w(3), losses(3), slope(3);
  const auto at = lk::levels(path, t);
  const auto loss = [&] {
    lk::continuous_consistency_weights(at, u, w);
    const double own = lk::objective(lk::given(w) * lk::mse{})
                           .value(view(f, 2), view(y, 2), lk::row_weights(weights), lk::row_mask(std::span(mask)), lk::row_losses(losses));
    return own + (0.5 * u[0] + 2 * u[1]) / 2.5;
  };
  (void)loss();
  lk::log_variance_gradient(losses, counted, slope);
  for (std::size_t r = 0; r < 3; ++r) {
    const double here = u[r];
    u[r] = here + 1e-5;
    const double up = loss();
    u[r] = here - 1e-5;
    const double down = loss();
    u[r] = here;
    CHECK(slope[r] == Approx((up - down) / 2e-5).epsilon(1e-7).margin(1e-9));
  }
  CHECK(slope[2] == 0.0);
  out = {7, 7};
  CHECK_THROWS_MATCHES(lk::log_variance_gradient(numbers{1, 1}, numbers{1, -2}, out), lk::value_error,
                       Message("limbeck: row_weights is -2 at row 1, expected a finite number that is not negative"));
  CHECK_THROWS_MATCHES(lk::log_variance_gradient(numbers{1, 1}, numbers{0, 0}, out), lk::value_error,
                       Message("limbeck: row_weights sum to 0; there is no mean"));
  CHECK_THROWS_MATCHES(lk::log_variance_gradient(numbers{1, 1}, numbers(3, 1), out), lk::shape_error,
                       Message("limbeck: row_weights has 3 elements, expected 2 (one a row)"));
  CHECK((out == numbers{7, 7}));
}

TEST_CASE("continuous consistency: weights are positive up to the last time, and refused where there is no noise", "[diffusion]") {
  const double last = lk::trigonometric::last();
  const numbers late{0.5, last, last + 1e-6}, u(3);
  numbers w(3);
  lk::continuous_consistency_weights(lk::levels(path, late), u, w);
  CHECK(w[0] == Approx(1 / (d * std::tan(0.5))));
  CHECK(w[1] == w[2]);
  CHECK((w[1] > 0 && w[1] < 1e-15));
  for (const double early : {0.0, -1e-7}) {
    const numbers begin{0.5, early, 1};
    w = {7, 7, 7};
    CHECK_THROWS_MATCHES(lk::continuous_consistency_weights(lk::levels(path, begin), u, w), lk::value_error,
                         Message("limbeck: time 1 is " + std::string("0") +
                                 ", expected a positive number: the weight is infinite where there is no noise"));
    CHECK((w == numbers{7, 7, 7}));
  }
}

TEST_CASE("continuous consistency: what is wrong is said", "[diffusion]") {
  const auto at = lk::levels(path, t);
  const tensor a = view(x, 2);
  CHECK_THROWS_MATCHES(lk::consistency_tangent(a, a, a, a, at, {.warm_up = 2}), lk::value_error,
                       Message("limbeck: warm_up is 2, expected a number from 0 to 1"));
  CHECK_THROWS_MATCHES(lk::consistency_tangent(a, a, a, a, at, {.normaliser = -1}), lk::value_error,
                       Message("limbeck: normaliser is -1, expected a finite number of at least 0"));
  CHECK_THROWS_MATCHES(lk::consistency_tangent(a, a, a, view(x, 3), at), lk::shape_error,
                       Message("limbeck: a tensor of continuous consistency has shape 2 x 3, expected 3 x 2 (samples x classes)"));
  numbers bad(x), g(6);
  bad[3] = std::nan("");
  CHECK_THROWS_AS(lk::objective{lk::l1{}}.value(a, lk::continuous_consistency(a, view(bad, 2), a, a, at)), lk::value_error);
  // nothing to normalise and nothing to add: 0, not 0/0
  const numbers zeros(6), none(2, 0);
  const tensor z = view(zeros, 2);
  for (const double e : filled(lk::consistency_tangent(z, z, z, z, at, {.normaliser = 0}))) CHECK(e == 0.0);
  CHECK_THROWS_MATCHES(lk::continuous_consistency_weights(at, none, g), lk::shape_error,
                       Message("limbeck: times has 3 elements, expected 2 (one a row)"));
}
