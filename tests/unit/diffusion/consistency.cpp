// Consistency in discrete time, on data whose probability flow is a closed form: one Gaussian.
#include "catch.hpp"

#include <limbeck/diffusion/bootstrap.hpp>
#include <limbeck/diffusion/consistency.hpp>
#include <limbeck/diffusion/denoising_target.hpp>
#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/progressive.hpp>
#include <limbeck/diffusion/teacher_segment.hpp>
#include <limbeck/limbeck.hpp>
#include <limbeck/loss/features/pseudo_huber.hpp>

#include <cmath>
#include <span>
#include <string>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Message;

namespace {

using tensor = lk::rows<const double>;
using numbers = std::vector<double>;

tensor view(const numbers& x, std::size_t dimensions = 1) { return {x.data(), x.size() / dimensions, dimensions}; }
template <class Target>
numbers filled(const Target& t) {
  numbers out(t.samples() * t.classes());
  lk::fill(t, lk::rows<double>(out.data(), t.samples(), t.classes()));
  return out;
}
double largest_difference(const numbers& a, const numbers& b) {
  double most = a.size() == b.size() ? 0 : 1e9;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::fmax(most, std::fabs(a[i] - b[i]));
  return most;
}
numbers copy_of(const tensor& x) { return {x.data, x.data + x.samples * x.classes}; }

constexpr double mean = 0.7, deviation = 0.4;
const lk::gaussian_mixture gaussian({mean}, 1, deviation);

/// The probability flow of that Gaussian, from level to level: the same number of deviations from the mean.
double flowed(double x, lk::noise_level at, lk::noise_level to) {
  const auto wide = [](lk::noise_level l) { return std::hypot(l.signal * deviation, l.noise); };
  return to.signal * mean + (x - at.signal * mean) / wide(at) * wide(to);
}

}  // namespace

TEST_CASE("consistency: boundaries are the identity where paths end, and the numbers of their papers", "[diffusion]") {
  const lk::consistency_scale e = lk::edm_boundary{}(0.002), far = lk::edm_boundary{}(80);
  CHECK(e.skip == 1.0);
  CHECK(e.out == 0.0);
  CHECK(far.skip == Approx(0.25 / (79.998 * 79.998 + 0.25)));
  CHECK(far.out == Approx(79.998 * 0.5 / std::sqrt(6400.25)));
  const lk::consistency_scale l = lk::latent_boundary{}(0), one = lk::latent_boundary{}(1);
  CHECK(l.skip == 1.0);
  CHECK(l.out == 0.0);
  CHECK(one.skip == Approx(0.25 / 100.25));
  CHECK(one.out == Approx(10 / std::sqrt(100.25)));
  CHECK(lk::straight_boundary{}(0).out == 0.0);
  CHECK(lk::trigonometric_boundary{}(0).out == 0.0);
  CHECK(lk::trigonometric_boundary{}(0).skip == 1.0);
  const lk::bidirectional_boundary between{};
  CHECK(between(3, 3).skip == Approx(1));
  CHECK(between(3, 3).out == 0.0);
  CHECK(between(2, 0.5).skip == Approx((1 + 0.25) / 4.25));
  CHECK(between(0.5, 2).out == Approx(-1.5 * 0.5 / std::sqrt(0.5)));

  const numbers f{0.3, -1.2}, x{2, 5}, t{0.5, 7};
  const auto at = lk::levels(lk::edm{}, t);
  CHECK(largest_difference(filled(lk::consistency_sample(lk::bidirectional_boundary{}, view(f), view(x), at, lk::levels(lk::edm{}, 0.0))),
                           filled(lk::to_clean(lk::predicts_f{}, view(f), view(x), at))) < 1e-14);  // u = 0 is EDM's
  const numbers s{0.2, 0.9};
  const auto flat = lk::levels(lk::rectified{}, s);
  CHECK(largest_difference(filled(lk::consistency_sample(lk::straight_boundary{}, view(f), view(x), flat)),
                           filled(lk::to_clean(lk::predicts_velocity{}, view(f), view(x), flat))) < 1e-14);
  const auto round = lk::levels(lk::trigonometric{0.5}, s);
  CHECK(largest_difference(filled(lk::consistency_sample(lk::trigonometric_boundary{}, view(f), view(x), round)),
                           filled(lk::to_clean(lk::predicts_velocity{}, view(f), view(x), round))) < 1e-14);
}

TEST_CASE("consistency: the gradient goes through the parametrisation, the target held fixed", "[diffusion]") {
  const numbers x{2, 5, -1, 0.3}, y{0.2, 0.1, -0.5, 0.8}, t{0.5, 7}, u{3, 0.1};
  numbers f{0.3, -1.2, 0.8, 0.1};
  const auto at = lk::levels(lk::edm{}, t), to = lk::levels(lk::edm{}, u);
  const lk::objective loss{lk::pseudo_huber{.scale = 0.3}};
  const auto check = [&](const auto& sample, const auto& slope) {
    const numbers now = filled(sample());
    numbers g(4);
    loss(view(now, 2), view(y, 2), lk::into(lk::rows<double>(g.data(), 2, 2)));
    const numbers got = filled(slope(view(g, 2)));
    for (std::size_t i = 0; i < 4; ++i) {
      const double here = f[i];
      const auto value_at = [&](double v) {
        f[i] = v;
        const numbers moved = filled(sample());
        return loss.value(view(moved, 2), view(y, 2));
      };
      const double difference = (value_at(here + 1e-5) - value_at(here - 1e-5)) / 2e-5;
      f[i] = here;
      CHECK(got[i] == Approx(difference).epsilon(1e-7).margin(1e-10));
    }
  };
  check([&] { return lk::consistency_sample(lk::edm_boundary{}, view(f, 2), view(x, 2), at); },
        [&](const tensor& g) { return lk::consistency_slope(lk::edm_boundary{}, g, at); });
  check([&] { return lk::consistency_sample(lk::bidirectional_boundary{}, view(f, 2), view(x, 2), at, to); },
        [&](const tensor& g) { return lk::consistency_slope(lk::bidirectional_boundary{}, g, at, to); });
}

TEST_CASE("consistency: segments follow the flow of a Gaussian, and a consistent student has its target", "[diffusion]") {
  const lk::variance_preserving path;
  auto teacher = lk::exact_denoiser<double>(gaussian, path, lk::predicts_noise{});
  const numbers x{-1.5, 0.2, 0.9, 2}, t{0.9, 0.6, 0.5, 0.3}, s{0.2, 0.1, 0.3, 0.25};
  const auto error = [&](std::size_t steps) {
    auto segment = lk::segment_of<double>(path, lk::predicts_noise{}, {.steps = steps});
    const auto end = segment(teacher, view(x), t, s);
    double most = 0;
    for (std::size_t r = 0; r < 4; ++r) most = std::fmax(most, std::fabs(end(r, 0) - flowed(x[r], path.level(t[r]), path.level(s[r]))));
    return most;
  };
  CHECK(error(200) < 2e-3);
  CHECK(error(100) / error(200) == Approx(2).epsilon(0.05));
  auto one = lk::segment_of<double>(path, lk::predicts_noise{});
  const numbers predicted = copy_of(teacher(view(x), t));
  CHECK(copy_of(one(teacher, view(x), t, s)) ==
        filled(lk::ddim(lk::predicts_noise{}, view(predicted), view(x), lk::levels(path, t), lk::levels(path, s))));

  // the student that is the flow to no noise: what it says at (x_t, t) and at (x^_s, s) differs by the square of the step
  const auto apart = [&](double step) {
    numbers before(t);
    for (double& v : before) v -= step;
    const auto end = one(teacher, view(x), t, before);
    double most = 0;
    for (std::size_t r = 0; r < 4; ++r)
      most = std::fmax(most, std::fabs(flowed(end(r, 0), path.level(before[r]), {1, 0}) - flowed(x[r], path.level(t[r]), {1, 0})));
    return most;
  };
  CHECK(apart(0.01) < 1e-3);
  CHECK(apart(0.01) / apart(0.005) == Approx(4).epsilon(0.1));

  numbers late(t);
  late[2] = 1.5;
  CHECK_THROWS_MATCHES(one(teacher, view(x), t, late), lk::value_error, Message("limbeck: time 2 is 1.5, expected a number from 0 to 1"));
  CHECK_THROWS_MATCHES(one(teacher, view(x), numbers(3), s), lk::shape_error, Message("limbeck: from has 3 elements, expected 4 (one a row)"));
  CHECK_THROWS_MATCHES(lk::segment_of<double>(path, lk::predicts_noise{}, {.steps = 0}), lk::value_error,
                       Message("limbeck: steps of teacher_segment is 0, expected at least 1"));
  CHECK_THROWS_MATCHES(lk::segment_of<double>(path, lk::predicts_noise{}, {.eta = -1}), lk::value_error,
                       Message("limbeck: eta of teacher_segment is -1, expected a finite number of at least 0"));
}

TEST_CASE("consistency: stochastic segments have the marginals of the path, and rows their own noise", "[diffusion]") {
  const lk::variance_preserving path;
  constexpr std::size_t n = 4000;
  auto teacher = lk::exact_denoiser<double>(gaussian, path, lk::predicts_clean{});
  numbers x(n), e(n), start(n);
  const numbers t(n, 0.6), s(n, 0.3);
  gaussian.sample(lk::random_stream(1), lk::rows<double>(x.data(), n, 1));
  lk::draw_noise(lk::random_stream(2), lk::rows<double>(e.data(), n, 1));
  start = filled(lk::noised(view(x), view(e), lk::levels(path, t)));
  const lk::noise_level there = path.level(0.3);
  const double wide = std::hypot(there.signal * deviation, there.noise);
  for (const double eta : {0.0, 0.5, 1.0}) {
    auto segment = lk::segment_of<double>(path, lk::predicts_clean{}, {.steps = 12, .eta = eta});
    const auto end = segment(teacher, view(start), t, s, lk::random_stream(3));
    double total = 0, square = 0;
    for (std::size_t r = 0; r < n; ++r) total += end(r, 0) / n, square += end(r, 0) * end(r, 0) / n;
    CHECK(std::fabs(total - there.signal * mean) < 5 * wide / std::sqrt(double(n)));
    CHECK(square - total * total == Approx(wide * wide).epsilon(0.12));
  }
  auto segment = lk::segment_of<double>(path, lk::predicts_clean{}, {.steps = 3, .eta = 1});
  const numbers few(start.begin(), start.begin() + 8), at(8, 0.6), to(8, 0.3), half_at(4, 0.6), half_to(4, 0.3);
  const numbers whole = copy_of(segment(teacher, view(few), at, to, lk::random_stream(5)));
  numbers parts;
  for (const std::size_t first : {0U, 4U}) {
    const numbers part(few.begin() + static_cast<std::ptrdiff_t>(first), few.begin() + static_cast<std::ptrdiff_t>(first) + 4);
    const numbers some = copy_of(segment(teacher, view(part), half_at, half_to, lk::random_stream(5), first));
    parts.insert(parts.end(), some.begin(), some.end());
  }
  CHECK(whole == parts);
}

TEST_CASE("consistency: the new noise of a segment is that of its stream, its step and its row", "[diffusion]") {
  const lk::variance_preserving path;
  const lk::predicts_clean clean{};
  auto teacher = lk::exact_denoiser<double>(gaussian, path, clean);
  const lk::random_stream stream(5);
  const numbers x{-1.5, 0.2, 0.9, 2}, t{0.9, 0.6, 0.5, 0.3}, s{0.5, 0.2, 0.5, 0.1};
  numbers half(4);
  for (std::size_t r = 0; r < 4; ++r) half[r] = t[r] + (s[r] - t[r]) * 0.5;
  const auto stepped = [&](const numbers& from, const numbers& at, const numbers& to, const lk::random_stream& of_step, double eta) {
    numbers z(4);
    lk::draw_noise(of_step, lk::rows<double>(z.data(), 4, 1));
    const numbers predicted = copy_of(teacher(view(from), at));
    return filled(lk::ddim(clean, view(predicted), view(from), lk::levels(path, at), lk::levels(path, to), view(z), {.eta = eta}));
  };
  for (const double eta : {0.5, 1.0}) {
    auto one = lk::segment_of<double>(path, clean, {.eta = eta}), two = lk::segment_of<double>(path, clean, {.steps = 2, .eta = eta});
    const numbers once = copy_of(one(teacher, view(x), t, s, stream));
    CHECK(once == stepped(x, t, s, stream.split(0), eta));
    CHECK(copy_of(two(teacher, view(x), t, s, stream)) == stepped(stepped(x, t, half, stream.split(0), eta), half, s, stream.split(1), eta));
    CHECK(stepped(x, t, s, stream.split(0), eta) != stepped(x, t, s, stream.split(1), eta));  // steps differ
    const numbers other = copy_of(one(teacher, view(x), t, s, lk::random_stream(6)));          // and streams
    for (const std::size_t r : {0U, 1U, 3U}) CHECK(std::fabs(once[r] - other[r]) > 1e-3);
    CHECK(once[2] == Approx(x[2]));  // a row that stays has no new noise
  }
  std::size_t asked = 0;
  const auto counting = [&](const tensor& y, std::span<const double>) { return ++asked, y; };
  auto stochastic = lk::segment_of<double>(path, clean, {.eta = 0.5});
  CHECK_THROWS_MATCHES(stochastic(counting, view(x), t, s), lk::value_error,
                       Message("limbeck: eta of teacher_segment is 0.5, expected 0 in a call without a random_stream"));
  numbers late(s);
  late[3] = 0.4;
  CHECK_THROWS_MATCHES(stochastic(counting, view(x), t, late, stream), lk::value_error,
                       Message("limbeck: to is 0.4 at row 3, expected at most 0.3, its `from`: eta is above 0"));
  CHECK(asked == 0);
  auto straight = lk::segment_of<double>(path, clean);
  CHECK(copy_of(straight(teacher, view(x), t, late)) == copy_of(straight(teacher, view(x), t, late, stream)));  // the ODE goes both ways
}

TEST_CASE("consistency: one step arrives where two did, from the clean sample between", "[diffusion]") {
  const lk::variance_preserving path;
  auto teacher = lk::exact_denoiser<double>(gaussian, path, lk::predicts_v{});
  auto two = lk::segment_of<double>(path, lk::predicts_v{}, {.steps = 2});
  const numbers x{-1.5, 0.2, 2}, t{0.9, 0.6, 0.3}, s{0.5, 0.1, 0};
  const numbers arrived = copy_of(two(teacher, view(x), t, s));
  const auto at = lk::levels(path, t), to = lk::levels(path, s);
  const numbers clean = filled(lk::clean_between(view(arrived), view(x), at, to));
  CHECK(largest_difference(filled(lk::ddim(lk::predicts_clean{}, view(clean), view(x), at, to)), arrived) < 1e-13);
  CHECK(clean[2] == Approx(arrived[2]));  // no noise: it is the sample itself
  const numbers ones(3, 1), where(3, 0.4);
  const auto nowhere = lk::clean_between(view(ones), view(ones), lk::levels(path, where), lk::levels(path, where));
  CHECK(filled(nowhere)[0] - filled(nowhere)[0] != 0);
  CHECK_THROWS_AS(lk::objective{lk::l1{}}.value(view(ones), nowhere), lk::value_error);
}

TEST_CASE("consistency: a step of the Signal-ODE is DDIM's, and its error falls with the square of the step", "[diffusion]") {
  // data N(0, 1) on a path that preserves variance: f = a x_t, y_t = e (1 - s)/a
  const lk::trigonometric path{1};
  const numbers e{0.7};
  const auto error = [&](double change) {
    const numbers t{std::asin(0.6)}, s{std::asin(0.6 - change)};
    const auto at = lk::levels(path, t), to = lk::levels(path, s);
    const auto signal = [&](double time) { return numbers{e[0] * (1 - std::sin(time)) / std::cos(time)}; };
    const numbers y = signal(t[0]), x = filled(lk::noised(view(y), view(e), at)), f{std::cos(t[0]) * x[0]};
    const numbers next = filled(lk::signal_step(view(y), view(f), at, to));
    const numbers moved = filled(lk::ddim(lk::predicts_clean{}, view(f), view(x), at, to));
    CHECK((moved[0] - std::sin(s[0]) * e[0]) / std::cos(s[0]) == Approx(next[0]));  // what of it is not the noise
    return std::fabs(next[0] - signal(s[0])[0]);
  };
  CHECK(error(1e-2) == Approx(6.7e-5).epsilon(0.01));
  CHECK(error(1e-3) == Approx(6.8e-7).epsilon(0.01));
  const numbers t{std::asin(0.6), 1.2}, s{0.3, 1.1};
  numbers w(2);
  lk::signal_step_weights(lk::levels(path, t), lk::levels(path, s), w);
  for (std::size_t r = 0; r < 2; ++r) {
    const double k = std::cos(t[r]) * std::sin(s[r]) / (std::sin(t[r]) * std::cos(s[r]));
    CHECK(w[r] == Approx(1 / ((1 - k) * (1 - k))));
  }
  w = {7, 7};
  const auto refused = [&](const numbers& from, const numbers& to, const char* words) {
    CHECK_THROWS_MATCHES(lk::signal_step_weights(lk::levels(lk::rectified{}, from), lk::levels(lk::rectified{}, to), w), lk::value_error,
                         Message(std::string("limbeck: row 1 steps from time ") + words + ", expected from a time with noise to another with signal"));
    CHECK((w == numbers{7, 7}));
  };
  refused({0.5, 0.3}, {0.25, 0.3}, "0.3 to 0.3");
  refused({0.5, 0}, {0.25, 0}, "0 to 0");
  refused({0.5, 0}, {0.25, 0.5}, "0 to 0.5");
  refused({0.5, 0.5}, {0.25, 1}, "0.5 to 1");
  const numbers last{1, 0.5}, before{0.5, 0};
  lk::signal_step_weights(lk::levels(lk::rectified{}, last), lk::levels(lk::rectified{}, before), w);
  CHECK((w == numbers{1, 1}));  // k is 0: from noise alone, and to the end
  lk::signal_step_weights(lk::levels(path, t), lk::levels(path, s), w);
  // weighed, the gradient at the student that stands still is the difference quotient of the path
  const numbers y{0.2, -0.4}, f{0.5, 0.1};
  numbers g(2);
  const auto target = lk::signal_step(view(y), view(f), lk::levels(path, t), lk::levels(path, s));
  lk::objective(lk::given(w) * lk::mse{})(view(y), target, lk::into(lk::rows<double>(g.data(), 2, 1)), lk::sum);
  for (std::size_t r = 0; r < 2; ++r) CHECK(g[r] == Approx(2 * std::sqrt(w[r]) * (y[r] - f[r])));
  CHECK_THROWS_MATCHES(lk::signal_step_weights(lk::levels(path, t), lk::levels(path, e), w), lk::shape_error,
                       Message("limbeck: times has 1 elements, expected 2 (one a row)"));
}

TEST_CASE("consistency: bidirectional models are taught through their frozen end", "[diffusion]") {
  // x_t goes to u by the student, to the end by the target network, here a y + b; the gradient comes back through both
  const numbers x{2, -1}, t{3, 0.5}, u{1, 2}, end{0.3, -0.2}, a{0.6, 0.2}, b{0.1, 0};
  numbers f{0.4, -0.9};
  const lk::bidirectional_boundary bridge;
  const auto at = lk::levels(lk::edm{}, t), to = lk::levels(lk::edm{}, u);
  const lk::objective loss{lk::pseudo_huber{.scale = 0.06}};
  const auto ended = [&] {
    numbers y = filled(lk::consistency_sample(bridge, view(f), view(x), at, to));
    for (std::size_t r = 0; r < 2; ++r) y[r] = a[r] * y[r] + b[r];
    return y;
  };
  numbers y = ended(), g(2);
  loss(view(y), view(end), lk::into(lk::rows<double>(g.data(), 2, 1)));
  for (std::size_t r = 0; r < 2; ++r) g[r] *= a[r];  // the way back of the frozen network, which does not learn
  const numbers got = filled(lk::consistency_slope(bridge, view(g), at, to));
  for (std::size_t r = 0; r < 2; ++r) {
    const double here = f[r];
    f[r] = here + 1e-5, y = ended();
    const double up = loss.value(view(y), view(end));
    f[r] = here - 1e-5, y = ended();
    const double down = loss.value(view(y), view(end));
    f[r] = here;
    CHECK(got[r] == Approx((up - down) / 2e-5).epsilon(1e-6));
  }
}

TEST_CASE("consistency: a reflection comes back where both models are one, and goes to the stronger where not", "[diffusion]") {
  const lk::variance_preserving path;
  const lk::gaussian_mixture narrow({mean}, 1, 0.05);
  auto weak = lk::exact_denoiser<double>(gaussian, path, lk::predicts_noise{});
  auto strong = lk::exact_denoiser<double>(narrow, path, lk::predicts_noise{});
  auto down = lk::segment_of<double>(path, lk::predicts_noise{}), up = lk::segment_of<double>(path, lk::predicts_noise{});
  const numbers x{-0.5, 1.4}, t{0.5, 0.5};
  const auto reflected = [&](auto& first, auto& second, double step) {
    const numbers s{0.5 - step, 0.5 - step};
    return copy_of(up(second, down(first, view(x), t, s), s, t));
  };
  const double once = largest_difference(reflected(weak, weak, 0.02), x), half = largest_difference(reflected(weak, weak, 0.01), x);
  CHECK(once < 2e-3);
  CHECK(once / half == Approx(4).epsilon(0.1));
  const numbers moved = reflected(strong, weak, 0.05);
  const double centre = path.level(0.5).signal * mean;
  for (std::size_t r = 0; r < 2; ++r) CHECK(std::fabs(moved[r] - centre) < std::fabs(x[r] - centre));
}

TEST_CASE("consistency: what a network predicts of a known pair says the pair", "[diffusion]") {
  const numbers x{0.4, -2}, e{1.1, 0.3}, t{0.3, 0.8};
  const auto check = [&](const auto& path, const auto& kind) {
    const auto at = lk::levels(path, t);
    const auto noisy = lk::noised(view(x), view(e), at);
    const auto said = lk::denoising_target(kind, view(x), view(e), at);
    CHECK(largest_difference(filled(lk::to_clean(kind, said, noisy, at)), x) < 1e-13);
    CHECK(largest_difference(filled(lk::to_noise(kind, said, noisy, at)), e) < 1e-13);
  };
  check(lk::rectified{}, lk::predicts_velocity{});
  check(lk::variance_preserving{}, lk::predicts_v{});
  check(lk::trigonometric{0.5}, lk::predicts_velocity{});
  const auto straight = lk::denoising_target(lk::predicts_velocity{}, view(x), view(e), lk::levels(lk::rectified{}, t));
  CHECK(largest_difference(filled(straight), {0.7, 2.3}) < 1e-15);
}

TEST_CASE("consistency: pseudo_huber is a square near by and a distance far away", "[diffusion]") {
  const numbers s{3, 4, 1e-9, 0, 1e200, 0}, t(6);
  numbers g(6), rows(3);
  lk::objective{lk::pseudo_huber{.scale = 0.5}}(view(s, 2), view(t, 2), lk::into(lk::rows<double>(g.data(), 3, 2)), lk::sum, lk::row_losses(rows));
  CHECK(rows[0] == Approx(std::sqrt(25.25) - 0.5));
  CHECK(rows[1] == Approx(1e-18).epsilon(1e-12));
  CHECK(rows[2] == Approx(1e200));
  CHECK(g[0] == Approx(3 / std::sqrt(25.25)));
  CHECK(g[2] == Approx(2e-9));
  CHECK(g[4] == Approx(1));
  const numbers near{0.2}, zero{0};
  CHECK(lk::objective{lk::pseudo_huber{.scale = 0.5}}.value(view(near), view(zero)) ==
        Approx(0.5 * lk::objective{lk::barron{.alpha = 1, .scale = 0.5}}.value(view(near), view(zero))));  // of one column
  CHECK_THROWS_MATCHES(lk::objective{lk::pseudo_huber{.scale = 0}}.value(view(near), view(zero)), lk::value_error,
                       Message("limbeck: pseudo_huber.scale is 0, expected a positive, finite number"));
}
