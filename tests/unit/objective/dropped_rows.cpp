// A call costs what it leaves: rows that nothing counts are not read, asked for, multiplied or compared. Counted, not timed.

#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <random>
#include <utility>
#include <vector>

namespace lk = limbeck;

namespace {

constexpr std::size_t n = 40, m = 37, width = 5;
const double not_a_number = std::numeric_limits<double>::quiet_NaN();

bool stays(std::size_t r) { return r % 5 == 2; }

std::vector<double> numbers(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> x(count);
  for (double& v : x) v = normal(random);
  return x;
}
lk::rows<const double> view(const std::vector<double>& x) { return {x.data(), n, x.size() / n}; }
lk::rows<double> view(std::vector<double>& x) { return {x.data(), n, x.size() / n}; }

/// A teacher that counts the rows for which it is asked.
struct counting_teacher {
  using limbeck_target = void;
  using scalar = double;
  static constexpr std::size_t scratch_rows = 0;
  const std::vector<double>* logits;
  std::size_t* asked;
  std::size_t samples() const { return n; }
  std::size_t classes() const { return m; }
  template <class Row>
  void fill(const Row& r) const {
    ++*asked;
    for (std::size_t c = 0; c < m; ++c) r.out[c] = static_cast<typename Row::scalar>((*logits)[r.index * m + c]);
  }
};

std::size_t compared = 0;

/// Reverse KL that counts the packs that it sees.
struct counting_kl {
  using limbeck_loss = lk::pointwise;
  static constexpr int temperature_power = 2;
  template <class X>
  static X value(const lk::point<X>& x) {
    ++compared;
    return lk::reverse_kl::value(x);
  }
  template <class X>
  static X flow(const lk::point<X>& x) {
    return lk::reverse_kl::flow(x);
  }
};

std::size_t multiplied = 0;

/// Hidden states whose products count their rows.
struct counting_hidden {
  const std::vector<double>& data;
};

}  // namespace

template <>
struct limbeck::tensor_traits<counting_hidden> : limbeck::tensor_traits<limbeck::rows<const double>> {
  static lk::rows<const double> view(const counting_hidden& x) { return {x.data.data(), n, width}; }
  template <class T>
  static const lk::dense_primitives<T>& dense() {
    static constexpr lk::dense_primitives<T> products{
        [](T alpha, const lk::rows<const T>& a, const lk::rows<const T>& b, T beta, const lk::rows<T>& c, lk::scratch& memory,
           const lk::executor_ref& on) {
          multiplied += a.samples * a.classes * b.classes;
          lk::detail::packed<T, lk::detail::as_compiled>::multiply(alpha, a, b, beta, c, memory, on);
        }};
    return products;
  }
};

TEST_CASE("rows that do not count are not asked for", "[objective][dropped]") {
  const auto s = numbers(n * m, 1), t = numbers(n * m, 2);
  std::vector<int> y(n);
  std::vector<double> mask(n), g(n * m), expected(n * m);
  for (std::size_t r = 0; r < n; ++r) mask[r] = stays(r) ? 1 : 0, y[r] = stays(r) ? static_cast<int>(r % m) : -100;
  std::size_t asked = 0;
  const counting_teacher teacher{&t, &asked};
  const auto kl = lk::at_temperature(2.0, lk::forward_kl{});
  const auto by_mask = lk::objective{kl}(view(s), teacher, lk::row_mask(mask), lk::into(view(expected)));
  CHECK(asked == n / 5);
  asked = 0;
  const auto same = [&](const lk::evaluation& e, double share) {
    CHECK(asked == n / 5);
    CHECK(e.loss == Approx(by_mask.loss * share));
    for (std::size_t i = 0; i < g.size(); ++i) CHECK(g[i] == Approx(expected[i] * share).margin(1e-300));
    asked = 0;
  };
  same(lk::objective{kl}(view(s), teacher, lk::row_weights(mask), lk::into(view(g))), 1);
  same(lk::objective{kl + 0.0 * lk::cross_entropy{}}(view(s), teacher, y, lk::into(view(g))), 1);
  // these count, as zeros: the mean is over all rows
  same(lk::objective{lk::given(mask) * kl}(view(s), teacher, lk::into(view(g))), 0.2);
  same(lk::objective{(lk::given(mask) > 0.5) * kl + lk::given(mask) * (0.0 * lk::forward_kl{})}(view(s), teacher, lk::into(view(g))), 0.2);
  (void)lk::objective{lk::given(mask) * kl + lk::forward_kl{}}.value(view(s), teacher);
  CHECK(asked == n);
}

TEST_CASE("what a signal leaves nothing is not compared", "[objective][dropped]") {
  auto s = numbers(n * m, 1);
  const auto t = numbers(n * m, 2);
  const auto uncertainty = lk::of_student(lk::entropy{});
  std::vector<double> entropies(n);
  lk::measure(uncertainty, view(std::as_const(s)), entropies);
  std::vector<double> sorted = entropies, g(n * m, 7.0), all(n * m);
  std::sort(sorted.begin(), sorted.end());
  const double limit = (sorted[n - 9] + sorted[n - 8]) / 2;  // eight are above
  const auto calls = [&](const auto& objective, std::vector<double>& gradient) {
    compared = 0;
    const double loss = objective(view(std::as_const(s)), view(t), lk::into(view(gradient))).loss;
    return std::pair{compared, loss};
  };
  const auto whole = calls(lk::objective{counting_kl{}}, all), part = calls(lk::objective{(uncertainty > limit) * counting_kl{}}, g);
  CHECK(part.first * 5 == whole.first);
  CHECK(part.second > 0);
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < m; ++c) CHECK(g[r * m + c] == (entropies[r] > limit ? all[r * m + c] : 0.0));
  s[3 * m] = not_a_number;  // a row that a signal has to read is looked at
  CHECK_THROWS_WITH(calls(lk::objective{(uncertainty > limit) * counting_kl{}}, g),
                    "limbeck: student is nan at row 3, class 0; logits are finite, or -inf for a masked class");
}

TEST_CASE("a head multiplies the rows that count", "[objective][dropped][heads]") {
  auto h = numbers(n * width, 1);
  const auto w = numbers(m * width, 2), b = numbers(m, 3), t = numbers(n * m, 4);
  std::vector<double> z(n * m), g(n * m), dh(n * width), dw(m * width), db(m);
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < m; ++c) {
      z[r * m + c] = b[c];
      for (std::size_t k = 0; k < width; ++k) z[r * m + c] += h[r * width + k] * w[c * width + k];
    }
  const lk::rows<const double> weights(w.data(), m, width);
  const auto objective = lk::objective{lk::at_temperature(2.0, lk::forward_kl{})};
  const auto call = [&](const std::vector<double>& mask) {
    multiplied = 0;
    return objective(lk::logits_of(counting_hidden{h}, weights, b), view(t), lk::row_mask(mask),
                     lk::into(lk::head_gradient(view(dh), lk::rows<double>(dw.data(), m, width), db)));
  };
  std::vector<double> mask(n, 1.0);
  call(mask);
  const std::size_t whole = multiplied;
  for (const std::size_t every : {std::size_t{2}, std::size_t{5}, std::size_t{10}}) {
    for (std::size_t r = 0; r < n; ++r) {
      mask[r] = r % every == 1 ? 1 : 0;
      for (std::size_t k = 0; k < width; ++k) dh[r * width + k] = 9;
    }
    for (std::size_t r = 0; r < n; ++r)
      if (mask[r] == 0) h[r * width] = not_a_number;
    const auto e = call(mask);
    CHECK(multiplied * every == whole);
    const auto flat = objective(view(z), view(t), lk::row_mask(mask), lk::into(view(g)));
    CHECK(e.loss == Approx(flat.loss));
    CHECK(e.rows == flat.rows);
    std::vector<double> of_weights(m * width), of_bias(m);
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t k = 0; k < width; ++k) {
        double of_hidden = 0;
        for (std::size_t c = 0; c < m; ++c) {
          of_hidden += g[r * m + c] * w[c * width + k];
          if (mask[r] != 0) of_weights[c * width + k] += g[r * m + c] * h[r * width + k];
          if (k == 0) of_bias[c] += g[r * m + c];
        }
        CHECK(dh[r * width + k] == Approx(of_hidden).margin(1e-14));
      }
    for (std::size_t i = 0; i < dw.size(); ++i) CHECK(dw[i] == Approx(of_weights[i]).margin(1e-14));
    for (std::size_t c = 0; c < m; ++c) CHECK(db[c] == Approx(of_bias[c]).margin(1e-14));
    h = numbers(n * width, 1);
  }
}
