// Every prediction as every other, on every path, against long double; what cannot be had, and how tensors may lie.
#include "catch.hpp"

#include <limbeck/diffusion/distribution_matching.hpp>
#include <limbeck/diffusion/draw_noise.hpp>
#include <limbeck/diffusion/gaussian_mixture.hpp>
#include <limbeck/diffusion/noise_table.hpp>
#include <limbeck/diffusion/prediction.hpp>
#include <limbeck/loss/features/smooth_l1.hpp>
#include <limbeck/loss/features/specified_gradient.hpp>
#include <limbeck/loss/logits/mse.hpp>
#include <limbeck/objective/objective.hpp>

#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Contains;

namespace {
constexpr std::size_t samples = 4, columns = 3;
using tensor = std::vector<double>;
tensor numbers(std::uint64_t seed) {
  tensor x(samples * columns);
  lk::draw_noise(lk::random_stream(seed), lk::rows<double>(x.data(), samples, columns));
  return x;
}
lk::rows<const double> seen(const tensor& x) { return {x.data(), samples, columns}; }
lk::rows<double> seen(tensor& x) { return {x.data(), samples, columns}; }

const tensor x = numbers(1), e = numbers(2);

/// p x + q e in long double.
template <class Path, class Kind>
tensor said(const Path& path, const Kind& kind, const tensor& times) {
  tensor out(x.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto form = kind.form(path.level(times[i / columns]), path.slope(times[i / columns]));
    out[i] = static_cast<double>(static_cast<long double>(form.clean) * x[i] + static_cast<long double>(form.noise) * e[i]);
  }
  return out;
}

template <class Path, class... Kinds>
void check_all(const Path& path, const tensor& times, const Kinds&... kinds) {
  const auto at = lk::levels(path, times);
  tensor noisy(x.size()), there(x.size()), back(x.size());
  const auto clean = seen(x), noise = seen(e);
  lk::fill(lk::noised(clean, noise, at), seen(noisy));
  const auto x_t = seen(std::as_const(noisy));
  const auto pair = [&](const auto& from, const auto& to) {
    const tensor first = said(path, from, times), second = said(path, to, times);
    const auto p = seen(first);
    lk::fill(lk::converted(from, to, p, x_t, at), seen(there));
    const auto q = seen(std::as_const(there));
    lk::fill(lk::converted(to, from, q, x_t, at), seen(back));
    for (std::size_t i = 0; i < x.size(); ++i) {
      CHECK(there[i] == Approx(second[i]).epsilon(1e-7).margin(1e-8));
      CHECK(back[i] == Approx(first[i]).epsilon(1e-7).margin(1e-8));
    }
  };
  const auto row = [&](const auto& from) { (pair(from, kinds), ...); };
  (row(kinds), ...);
}
template <class Path>
void check_path(const Path& path, const tensor& times) {
  check_all(path, times, lk::predicts_clean{}, lk::predicts_noise{}, lk::predicts_score{}, lk::predicts_velocity{}, lk::predicts_v{},
            lk::predicts_f{});
}
const tensor table = lk::scaled_linear_betas();
}  // namespace

TEST_CASE("diffusion: every prediction becomes every other and back, on straight paths", "[diffusion]") {
  check_path(lk::rectified{}, {0.02, 0.3, 0.5, 0.97});
  check_path(lk::edm{}, {0.05, 0.5, 3, 20});
}
TEST_CASE("diffusion: every prediction becomes every other and back, on curved paths", "[diffusion]") {
  check_path(lk::variance_preserving{}, {0.01, 0.3, 0.5, 0.9});
  check_path(lk::trigonometric{0.5}, {0.02, 0.3, 0.8, 1.5});
}
TEST_CASE("diffusion: every prediction becomes every other and back, on a table", "[diffusion]") {
  check_path(lk::noise_table(table), {0, 30, 500.5, 999});
}

TEST_CASE("diffusion: predictions are those of the literature", "[diffusion]") {
  const auto form = [](const auto& path, const auto& kind, double t) { return kind.form(path.level(t), path.slope(t)); };
  const auto same = [](const lk::prediction_form& f, double clean, double noise) {
    CHECK(f.clean == Approx(clean).margin(1e-15));
    CHECK(f.noise == Approx(noise).margin(1e-15));
  };
  for (const double t : {0.1, 0.7, 1.3}) {
    same(form(lk::rectified{}, lk::predicts_velocity{}, t / 2), -1, 1);                                  // e - x
    same(form(lk::trigonometric{}, lk::predicts_velocity{}, t), -std::sin(t), std::cos(t));              // cos z - sin x
    same(form(lk::trigonometric{}, lk::predicts_v{}, t), -std::sin(t), std::cos(t));                     // v is the velocity by the angle
    const double d = 0.5;
    const auto f = form(lk::trigonometric{d}, lk::predicts_f{d}, t), velocity = form(lk::trigonometric{d}, lk::predicts_velocity{}, t);
    same(f, -velocity.clean / d, -velocity.noise / d);                                                   // minus TrigFlow's F
    const double skip = d * d / (t * t + d * d), out = t * d / std::sqrt(t * t + d * d);                 // EDM: x = skip x_t + out F
    const auto of_edm = form(lk::edm{}, lk::predicts_f{d}, t);
    CHECK(skip + out * of_edm.clean == Approx(1));
    CHECK(skip * t + out * of_edm.noise == Approx(0).margin(1e-14));
  }
}

TEST_CASE("diffusion: the score that a mixture's clean mean says is that of its density", "[diffusion]") {
  const lk::gaussian_mixture mixture({-1, 0.5, 1, 2, 0, -1}, columns, 0.4);
  const auto check = [&](const auto& path, const tensor& times) {
    auto denoiser = lk::exact_denoiser<double>(mixture, path, lk::predicts_clean{});
    const auto noisy = seen(x), clean = denoiser(noisy, times);
    tensor out(x.size());
    lk::fill(lk::converted(lk::predicts_clean{}, lk::predicts_score{}, clean, noisy, lk::levels(path, times)), seen(out));
    for (std::size_t r = 0; r < samples; ++r) {
      tensor score(columns);
      mixture.score(std::span(x).subspan(r * columns, columns), path.level(times[r]), score);
      for (std::size_t c = 0; c < columns; ++c) CHECK(out[r * columns + c] == Approx(score[c]).epsilon(1e-9).margin(1e-10));
    }
  };
  check(lk::rectified{}, {1, 0.7, 0.3, 0.1}), check(lk::edm{}, {80, 5, 1, 0.1}), check(lk::variance_preserving{}, {1, 0.7, 0.3, 0.1});
}

TEST_CASE("diffusion: what a prediction does not say at an end is a fault that names the row, where a call reads it", "[diffusion]") {
  const lk::rectified path;
  const tensor p = numbers(3), zeros(x.size());
  const auto prediction = seen(p), noisy = seen(x), student = seen(zeros);
  tensor g(x.size(), 7.0), out(x.size());
  const auto fault = [&](const auto& formula, const char* words) {
    CHECK_THROWS_WITH(lk::objective{lk::specified_gradient{}}(student, formula, lk::into(seen(g))), Contains(words));
  };
  const tensor ends{0.5, 0.5, 1, 0.5};  // at pure noise, the noise says nothing of the sample
  fault(lk::to_clean(lk::predicts_noise{}, prediction, noisy, lk::levels(path, ends)), "row 2");
  const tensor starts{0.5, 0, 0.5, 0.5};  // at no noise, the sample says nothing of the noise
  fault(lk::to_noise(lk::predicts_clean{}, prediction, noisy, lk::levels(path, starts)), "row 1");
  fault(lk::converted(lk::predicts_clean{}, lk::predicts_score{}, prediction, noisy, lk::levels(path, starts)), "row 1");
  tensor spoilt = x;
  spoilt[3 * columns] = NAN;
  const auto bad = seen(std::as_const(spoilt));
  fault(lk::to_clean(lk::predicts_velocity{}, prediction, bad, lk::levels(path, 0.5)), "row 3");
  // while the velocity says both at both ends
  const tensor both{0, 1, 0, 1};
  lk::fill(lk::to_clean(lk::predicts_velocity{}, prediction, noisy, lk::levels(path, both)), seen(out));
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(out[i] == Approx(i / columns % 2 == 0 ? x[i] : x[i] - p[i]));
  // huge and zero rows are numbers
  const tensor huge(x.size(), 1e300);
  const auto large = seen(huge);
  lk::fill(lk::to_clean(lk::predicts_velocity{}, student, large, lk::levels(path, 0.5)), seen(out));
  CHECK(out[0] == 1e300);
}

TEST_CASE("diffusion: times are refused by row", "[diffusion]") {
  const tensor times{0.5, -0.1, 0.5, 2}, nan{0.5, 0.2, NAN, 1}, few{0.5};
  CHECK_THROWS_WITH(lk::levels(lk::rectified{}, times), Contains("time 1 is -0.1"));
  CHECK_THROWS_WITH(lk::levels(lk::rectified{}, nan), Contains("time 2 is nan"));
  CHECK_THROWS_WITH(lk::levels(lk::edm{.highest = 2}, 3), Contains("time is 3, expected a number from 0 to 2"));
  const auto clean = seen(x), noise = seen(e);
  CHECK_THROWS_AS(lk::noised(clean, noise, lk::levels(lk::rectified{}, few)), lk::shape_error);
  const lk::rows<const double> narrow(x.data(), samples, columns - 1);
  CHECK_THROWS_AS(lk::noised(clean, narrow, lk::levels(lk::rectified{}, 0.5)), lk::shape_error);
}

TEST_CASE("diffusion: tensors with strides, of 16 bits, and times of any kind", "[diffusion]") {
  const lk::rectified path;
  const tensor times{0.25, 0.5, 0.75, 0.125};
  const std::vector<float> narrow_times(times.begin(), times.end());
  tensor straight(x.size()), other(x.size());
  const auto clean = seen(x), noise = seen(e);
  lk::fill(lk::noised(clean, noise, lk::levels(path, times)), seen(straight));
  lk::fill(lk::noised(clean, noise, lk::levels(path, narrow_times)), seen(other));
  CHECK(straight == other);
  // samples in columns, and rows apart from each other
  tensor turned(x.size()), apart(samples * 5, -1.0), out(x.size());
  for (std::size_t r = 0; r < samples; ++r)
    for (std::size_t c = 0; c < columns; ++c) turned[c * samples + r] = x[r * columns + c], apart[r * 5 + c] = e[r * columns + c];
  const lk::rows<const double> columnwise(turned.data(), samples, columns, 1, samples), spread(apart.data(), samples, columns, 5);
  const lk::rows<double> back(out.data(), samples, columns, 1, samples);
  lk::fill(lk::noised(columnwise, spread, lk::levels(path, times)), back);
  for (std::size_t r = 0; r < samples; ++r)
    for (std::size_t c = 0; c < columns; ++c) CHECK(out[c * samples + r] == straight[r * columns + c]);
  lk::fill(lk::noised(clean, noise, lk::levels(path, 0.5F)), seen(other));
  for (std::size_t i = columns; i < 2 * columns; ++i) CHECK(other[i] == straight[i]);
  // 16 bits are read as floats
  std::vector<lk::bfloat16> half(x.size());
  std::vector<float> wide(x.size()), of_half(x.size()), of_wide(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) half[i] = lk::bfloat16(static_cast<float>(x[i])), wide[i] = static_cast<float>(half[i]);
  const lk::rows<const lk::bfloat16> stored(half.data(), samples, columns);
  const lk::rows<const float> read(wide.data(), samples, columns);
  lk::fill(lk::noised(stored, read, lk::levels(path, times)), lk::rows<float>(of_half.data(), samples, columns));
  lk::fill(lk::noised(read, stored, lk::levels(path, times)), lk::rows<float>(of_wide.data(), samples, columns));
  CHECK(of_half == of_wide);
  CHECK(of_half[0] == Approx(wide[0]));  // (1 - t) x + t x
  const std::vector<double> no_times;  // is not one time for all rows
  CHECK_THROWS_AS(lk::noised(clean, noise, lk::levels(path, no_times)), lk::shape_error);
}

TEST_CASE("A formula that is read in parts gives what its tensor gives, and its faults") {
  for (const std::size_t n : {1, 7, 16, 511, 1024, 1500}) {
    constexpr std::size_t rows = 3;
    lk::random_stream random(n);
    std::vector<float> student(rows * n), a(student.size()), b(student.size()), filled(student.size()), expected(student.size()), got(student.size());
    for (auto* x : {&student, &a, &b})
      for (float& v : *x) v = static_cast<float>(random.normal());
    const std::vector<float> times{0.2f, 0.5f, 0.9f};
    const auto view = [&](auto& x) { return lk::rows<std::remove_reference_t<decltype(x[0])>>(x.data(), rows, n); };
    const auto formula = lk::noised(view(std::as_const(a)), view(std::as_const(b)), lk::levels(lk::rectified{}, times));
    lk::fill(formula, view(filled));
    const auto objective = 0.5 * lk::mse{} + lk::l1{};
    lk::workspace ws;
    const double by_tensor = objective(view(std::as_const(student)), view(std::as_const(filled)), ws, lk::into(view(expected))).loss;
    const double by_parts = objective(view(std::as_const(student)), formula, ws, lk::into(view(got))).loss;
    CHECK(by_parts == by_tensor);
    CHECK(got == expected);
    a[2 * n - 1] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_WITH(objective(view(std::as_const(student)), formula, ws),
                      Contains("teacher is nan at row 1, column " + std::to_string(n - 1)));
  }
}
