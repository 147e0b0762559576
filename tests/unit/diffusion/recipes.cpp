// Systems whose losses are compositions: their step's objective against the formula of their code, in long double.
#include "catch.hpp"

#include <limbeck/diffusion.hpp>
#include <limbeck/features.hpp>
#include <limbeck/limbeck.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace lk = limbeck;

namespace {

using number = long double;
using numbers = std::vector<double>;
constexpr std::size_t samples = 3, columns = 4, all = samples * columns, heads = 2, judged = samples * heads;

lk::rows<const double> view(const numbers& v, std::size_t width = columns) { return {v.data(), v.size() / width, width}; }
lk::rows<double> view(numbers& v, std::size_t width = columns) { return {v.data(), v.size() / width, width}; }
numbers drawn(std::uint64_t seed, std::size_t n = all) {
  numbers v(n);
  lk::draw_noise(lk::random_stream(seed), view(v, n));
  return v;
}
template <class F>
numbers filled(const F& formula) {
  numbers out(all);
  lk::fill(formula, view(out));
  return out;
}
/// The hinge of both sides, and the generator's, of logits of all heads.
number of_critic(const numbers& real, const numbers& fake) {
  number sum = 0;
  for (std::size_t i = 0; i < judged; ++i) sum += std::max(0.0L, 1 - static_cast<number>(real[i])) + std::max(0.0L, 1 + static_cast<number>(fake[i]));
  return sum / judged;
}
number of_generator(const numbers& fake) {
  number sum = 0;
  for (const double s : fake) sum -= s;
  return sum / judged;
}
double value_of_critic(double scale, const numbers& real, const numbers& fake) {
  const auto both = lk::at<"real">(lk::critic_hinge{lk::critic_role::real}) + lk::at<"fake">(lk::critic_hinge{lk::critic_role::fake});
  return lk::objective{scale * both}.value(lk::outputs{lk::output<"real">(view(real, heads)), lk::output<"fake">(view(fake, heads))});
}

const numbers logits_of_data = drawn(20, judged), logits_of_samples = drawn(21, judged);

}  // namespace

TEST_CASE("recipes: TAD-SR's regression, score distillation and critic", "[diffusion][recipes]") {
  const numbers z = drawn(1), teachers = drawn(2), p = drawn(3), q = drawn(4);  // both results, and what the teacher says of them noised
  const lk::residual_shifting path;
  const auto at = lk::levels(path, 1.0 / 14);  // the second of 15 steps
  const numbers push = filled(lk::delta_score(lk::predicts_clean{}, view(p), view(q), view(z), view(teachers), at));
  numbers to_teacher(all), along(all), of_logits(judged);
  const auto generator = lk::at<"result">(lk::mse{}) + lk::at<"pushed">(lk::specified_gradient{}) + 0.02 * lk::at<"judged">(lk::critic_hinge{});
  lk::objective{generator}(
      lk::outputs{lk::output<"result">(view(z)), lk::output<"pushed">(view(z)), lk::output<"judged">(view(logits_of_samples, heads))},
      lk::outputs{lk::output<"result">(view(teachers)), lk::output<"pushed">(view(push))},
      lk::into(lk::outputs{lk::output<"result">(view(to_teacher)), lk::output<"pushed">(view(along)), lk::output<"judged">(view(of_logits, heads))}));

  // L = mean (z_t - z_s)^2 + mean sg(G) z_s - 0.02 mean d; G = eps(x_s, f(x_s)) - eps(x_t, f(x_t)) with
  // eps(x, f) = (x - f - eta (y - f))/(kappa sqrt(eta)), x = z + eta (y - z) + kappa sqrt(eta) e, kappa = 2
  const numbers y = drawn(5), e = drawn(6);
  const number eta = static_cast<number>(path.eta(1.0 / 14)), root = 2 * std::sqrt(eta);
  const auto eps = [&](const numbers& of, const numbers& f, std::size_t i) {
    const number x = of[i] + eta * (static_cast<number>(y[i]) - of[i]) + root * e[i];
    return (x - f[i] - eta * (static_cast<number>(y[i]) - f[i])) / root;
  };
  for (std::size_t i = 0; i < all; ++i) {
    const number slope = 2 * (static_cast<number>(z[i]) - teachers[i]) / all + (eps(z, p, i) - eps(teachers, q, i)) / all;
    CHECK(to_teacher[i] + along[i] == Approx(static_cast<double>(slope)).epsilon(1e-10));
  }
  for (const double g : of_logits) CHECK(g == Approx(-0.02 / judged));
  CHECK(value_of_critic(1, logits_of_data, logits_of_samples) == Approx(static_cast<double>(of_critic(logits_of_data, logits_of_samples))));
}

TEST_CASE("recipes: SANA-Sprint's consistency beside its critic, through the student's clean sample", "[diffusion][recipes]") {
  const double d = 0.5;
  const lk::trigonometric path{d};
  const numbers held = drawn(1), v = drawn(2), j = drawn(3), x = drawn(4), again = drawn(5), u{0.3, -0.2, 0.1}, t{0.2, 0.8, 1.4}, later{0.9, 0.4, 1.1};
  const auto at = lk::levels(path, t), renoised = lk::levels(path, later);
  numbers w(samples);
  lk::continuous_consistency_weights(at, u, w);
  const auto target = lk::continuous_consistency(view(held), view(v), view(j), view(x), at, {.warm_up = 0.25, .normaliser = 0.1});
  const auto objective = lk::objective{lk::at<"flow">(lk::given(w) * lk::mse{}) + 0.5 * lk::at<"judged">(lk::critic_hinge{})};

  // the sample that a critic judges: d F is a velocity; a linear critic of as many heads as there are columns
  const auto judge = [&](const numbers& flow) {
    numbers velocity(flow), noised(all);
    for (double& f : velocity) f *= d;
    const numbers clean = filled(lk::to_clean(lk::predicts_velocity{}, view(velocity), view(x), at));
    lk::fill(lk::noised(view(clean), view(again), renoised), view(noised));
    for (std::size_t i = 0; i < all; ++i) noised[i] *= 0.3 + 0.1 * static_cast<double>(i % columns);
    return noised;
  };
  numbers to_flow(all), to_judged(all);
  const numbers seen = judge(held);
  objective(lk::outputs{lk::output<"flow">(view(held)), lk::output<"judged">(view(seen))}, lk::outputs{lk::output<"flow">(target)},
            lk::into(lk::outputs{lk::output<"flow">(view(to_flow)), lk::output<"judged">(view(to_judged))}));

  const auto loss = [&](const numbers& f) {
    number sum = 0;
    for (std::size_t r = 0; r < samples; ++r) {
      const number c = std::cos(static_cast<number>(t[r])), s = std::sin(static_cast<number>(t[r])), cd = std::cos(static_cast<number>(later[r])),
                   sd = std::sin(static_cast<number>(later[r]));
      number g[columns], length = 0;
      for (std::size_t k = 0; k < columns; ++k) {
        const std::size_t i = columns * r + k;
        g[k] = -c * c * (d * static_cast<number>(held[i]) - v[i]) - 0.25L * (c * s * x[i] + d * static_cast<number>(j[i]));
        length += g[k] * g[k];
      }
      for (std::size_t k = 0; k < columns; ++k) {
        const std::size_t i = columns * r + k;
        const number gap = f[i] - static_cast<number>(held[i]) - g[k] / (std::sqrt(length) + 0.1L);
        const number clean = c * x[i] - s * d * f[i];
        const number logit = (0.3 + 0.1 * static_cast<double>(k)) * (cd * clean + sd * d * again[i]);
        sum += std::exp(-static_cast<number>(u[r])) / (d * s / c) * gap * gap - 0.5L * logit;
      }
    }
    return sum / all;
  };
  for (std::size_t i = 0; i < all; ++i) {
    // back through the critic, the noise and the clean sample
    const std::size_t r = i / columns;
    const double through = to_judged[i] * (0.3 + 0.1 * static_cast<double>(i % columns)) * std::cos(later[r]) * -std::sin(t[r]) * d;
    numbers up(held), down(held);
    up[i] += 1e-5, down[i] -= 1e-5;
    CHECK(to_flow[i] + through == Approx(static_cast<double>((loss(up) - loss(down)) / (static_cast<number>(up[i]) - down[i]))).epsilon(1e-7));
  }
  const double given = objective.value(lk::outputs{lk::output<"flow">(view(held)), lk::output<"judged">(view(seen))}, lk::outputs{lk::output<"flow">(target)});
  CHECK(given == Approx(static_cast<double>(loss(held))).epsilon(1e-10));
  CHECK(value_of_critic(0.5, logits_of_data, logits_of_samples) == Approx(static_cast<double>(of_critic(logits_of_data, logits_of_samples)) / 2));
  CHECK(lk::objective{lk::critic_hinge{}}.value(view(logits_of_samples, heads)) == Approx(static_cast<double>(of_generator(logits_of_samples))));
}
