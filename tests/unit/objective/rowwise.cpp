// Losses that need a whole row at once, written by a user, inside the same sweep.

#include "batch.hpp"
#include "catch.hpp"
#include "reference.hpp"

#include <limbeck/limbeck.hpp>
#include <initializer_list>

#include <cmath>

namespace lk = limbeck;
using namespace limbeck_test;

namespace elsewhere {

/// 1 - Pearson's correlation of the two softmaxes, as in DIST (Huang et al., 2022, arXiv:2205.10536).
struct correlation {
  using limbeck_loss = limbeck::rowwise;
  static constexpr int temperature_power = 2;
  static constexpr std::size_t scratch_rows = 2;

  template <class T>
  T operator()(const limbeck::row<T>& x) const {
    const std::size_t n = x.student.size();
    const auto q = x.scratch.subspan(0, n), p = x.scratch.subspan(n, n);
    softmax(x.student, x.student_temperature, q);
    softmax(x.teacher, x.teacher_temperature, p);
    T mean = T(1) / static_cast<T>(n), qq = 0, pp = 0, qp = 0;
    for (std::size_t i = 0; i < n; ++i) {
      q[i] -= mean, p[i] -= mean;
      qq += q[i] * q[i], pp += p[i] * p[i], qp += q[i] * p[i];
    }
    const T norm = std::sqrt(qq * pp), r = qp / norm;
    if (!x.gradient.empty()) {
      T sum = 0;  // of q dL/dq
      const auto slope = [&](std::size_t i) { return -(p[i] / norm - r * q[i] / qq); };
      for (std::size_t i = 0; i < n; ++i) sum += (q[i] + mean) * slope(i);
      for (std::size_t i = 0; i < n; ++i)
        x.gradient[i] += x.scale * (q[i] + mean) * (slope(i) - sum) / x.student_temperature;
    }
    return 1 - r;
  }

 private:
  template <class T>
  static void softmax(std::span<const T> x, T t, std::span<T> out) {
    T top = x[0], z = 0;
    for (const T v : x) top = v > top ? v : top;
    for (std::size_t i = 0; i < x.size(); ++i) z += out[i] = std::exp((x[i] - top) / t);
    for (T& v : out) v /= z;
  }
};

/// Half of the squared distance to the teacher's logits; and how often the label was seen.
struct distance {
  using limbeck_loss = limbeck::rowwise;
  static constexpr int temperature_power = 0;
  template <class T>
  T operator()(const limbeck::row<T>& x) const {
    T value = 0;
    for (std::size_t i = 0; i < x.student.size(); ++i) {
      const T d = x.student[i] - x.teacher[i];
      value += d * d / 2;
      if (!x.gradient.empty()) x.gradient[i] += x.scale * d;
    }
    return value + static_cast<T>(x.label) * 1000;
  }
};

}  // namespace elsewhere

namespace {
template <class T, class Objective, class... Args>
std::pair<double, std::vector<T>> run(const Objective& o, const batch<T>& b, const Args&... args) {
  std::vector<T> g(b.size(), T(9));
  const double loss = o(b.s(), b.t(), b.labels, lk::unread_is_fine, lk::into(lk::rows<T>(g.data(), b.samples, b.classes)), args...).loss;
  return {loss, g};
}
}  // namespace

TEST_CASE("a rowwise loss: value and gradient") {
  const auto b = random_batch<double>(5, 11);
  const std::vector<double> w{1, 2, 0, 4, 0.5};
  const auto o = 0.7 * lk::at_temperature(2.0, elsewhere::correlation{});
  const auto [loss, g] = run(o, b, lk::row_weights(w));
  const auto value = [&](const batch<double>& x) { return o.value(x.s(), x.t(), x.labels, lk::unread_is_fine, lk::row_weights(w)); };
  CHECK(loss == Approx(value(b)).epsilon(1e-14));
  for (std::size_t i = 0; i < b.size(); ++i) {
    auto up = b, down = b;
    up.student[i] += 1e-5, down.student[i] -= 1e-5;
    CHECK(g[i] == Approx((value(up) - value(down)) / 2e-5).epsilon(1e-6).margin(1e-10));
  }
}

TEST_CASE("a rowwise loss alone, beside others, and with staged rows") {
  const auto b = random_batch<float>(5, 37);
  const auto alone = run(lk::objective{elsewhere::distance{}}, b);
  double expected = 0;
  for (std::size_t r = 0; r < 5; ++r) {
    for (std::size_t c = 0; c < 37; ++c) {
      const double d = static_cast<double>(b.student[r * 37 + c]) - static_cast<double>(b.teacher[r * 37 + c]);
      expected += d * d / 2 / 5;
      CHECK(static_cast<double>(alone.second[r * 37 + c]) == Approx(d / 5).epsilon(1e-5).margin(1e-6));
    }
    expected += 200 * b.labels[r];
  }
  CHECK(alone.first == Approx(expected).epsilon(1e-5));
  const auto kl = run(lk::objective{lk::forward_kl{}}, b);
  const auto both = run(lk::forward_kl{} + 0.5 * lk::objective{elsewhere::distance{}}, b);
  CHECK(both.first == Approx(kl.first + 0.5 * alone.first).epsilon(1e-6));
  for (std::size_t i = 0; i < b.size(); ++i)
    CHECK(both.second[i] == Approx(kl.second[i] + 0.5f * alone.second[i]).epsilon(1e-4).margin(1e-6));
  // samples in columns
  std::vector<float> s(b.size()), t(b.size()), g(b.size());
  for (std::size_t r = 0; r < 5; ++r)
    for (std::size_t c = 0; c < 37; ++c) s[c * 5 + r] = b.student[r * 37 + c], t[c * 5 + r] = b.teacher[r * 37 + c];
  const auto o = lk::forward_kl{} + 0.5 * lk::objective{elsewhere::distance{}};
  CHECK(o(lk::rows<const float>(s.data(), 5, 37, 1, 5), lk::rows<const float>(t.data(), 5, 37, 1, 5), b.labels, lk::unread_is_fine,
          lk::into(lk::rows<float>(g.data(), 5, 37, 1, 5)))
            .loss == both.first);
  for (std::size_t r = 0; r < 5; ++r)
    for (std::size_t c = 0; c < 37; ++c) CHECK(g[c * 5 + r] == both.second[r * 37 + c]);
}

TEST_CASE("a rowwise loss on short rows") {
  for (const auto classes : std::initializer_list<std::size_t>{2, 3, 15, 16, 17}) {
    const auto b = random_batch<float>(3, classes);
    const auto [loss, g] = run(lk::objective{elsewhere::distance{}}, b);
    for (std::size_t i = 0; i < b.size(); ++i)
      CHECK(g[i] == Approx((b.student[i] - b.teacher[i]) / 3).epsilon(1e-5).margin(1e-6));
    CHECK(std::isfinite(loss));
  }
}

TEST_CASE("rowwise losses of rows: the loss of each, and per-row temperatures") {
  const auto b = random_batch<double>(3, 11);
  const std::vector<double> t{1, 2, 3};
  std::vector<double> losses(3), g(b.size());
  const auto o = lk::objective{lk::at_temperature(lk::per_row{}, lk::unscaled(elsewhere::correlation{}))};
  o(b.s(), b.t(), lk::row_temperatures(t), lk::row_losses(losses), lk::into(lk::rows<double>(g.data(), 3, 11)));
  for (std::size_t r = 0; r < 3; ++r) {
    const auto c = row_of(&b.student[r * 11], &b.teacher[r * 11], 11, 0, t[r], t[r]).softmaxes();
    real qq = 0, pp = 0, qp = 0;
    for (const auto& k : c) {
      const real p = k.p - 1.0L / 11, q = k.q - 1.0L / 11;
      qq += q * q, pp += p * p, qp += q * p;
    }
    CHECK(losses[r] == Approx(static_cast<double>(1 - qp / std::sqrt(qq * pp))).epsilon(1e-10));
  }
}
