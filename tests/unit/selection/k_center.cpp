// k-center against the textbook's loop, its guarantee, its metrics, its streams and its errors.

#include "catch.hpp"
#include "geometric_pools.hpp"

#include <limbeck/selection/k_center.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

namespace {

namespace lk = limbeck;
using namespace limbeck_test;

/// The textbook: after each choice, every row's distance is brought up to date.
lk::covering textbook(std::size_t n, const lk::query& q,
                      const std::function<double(std::size_t, std::size_t)>& distance,
                      const std::vector<double>& weights = {}) {
  std::vector<double> least(n, INFINITY);
  std::vector<bool> taken(n);
  lk::covering out;
  const auto weighted = [&](std::size_t i) { return (weights.empty() ? 1.0 : weights[i]) * least[i]; };
  const auto add = [&](std::size_t s) {
    taken[s] = true;
    for (std::size_t i = 0; i < n; ++i) least[i] = std::min(least[i], distance(i, s));
  };
  for (const std::size_t s : q.labelled) add(s);
  if (q.labelled.empty()) {
    out.rows.push_back(0);
    out.distances.push_back(INFINITY);
    add(0);
  }
  const auto farthest = [&] {
    std::size_t best = n;
    for (std::size_t i = 0; i < n; ++i)
      if (!taken[i] && (best == n || weighted(i) > weighted(best))) best = i;
    return best;
  };
  while (out.rows.size() < q.budget) {
    const std::size_t i = farthest();
    out.rows.push_back(i);
    out.distances.push_back(weighted(i));
    add(i);
  }
  const std::size_t rest = farthest();
  out.radius = rest == n ? 0 : weighted(rest);
  return out;
}

template <class T>
double exact_square(const table<T>& t, std::size_t i, std::size_t j) {
  double sum = 0;
  for (std::size_t c = 0; c < t.d; ++c) {
    const double e = static_cast<double>(t.row(i)[c]) - static_cast<double>(t.row(j)[c]);
    sum += e * e;
  }
  return sum;
}

/// The library's own distance of two rows.
template <class T>
double same_square(const table<T>& t, std::size_t i, std::size_t j) {
  using K = lk::host_lanes<T>;
  constexpr std::size_t together = lk::detail::centres_a_block<T>;
  std::vector<T> block(t.d * together);
  for (std::size_t c = 0; c < t.d; ++c)
    for (std::size_t l = 0; l < together; ++l) block[c * together + l] = t.row(j)[c];
  return static_cast<double>(K::lowest(lk::detail::squared_distances<K>(t.row(i), t.d, block.data()).v));
}

struct manhattan {
  template <class T>
  double operator()(std::span<const T> a, std::span<const T> b) const {
    double sum = 0;
    for (std::size_t c = 0; c < a.size(); ++c) sum += std::fabs(static_cast<double>(a[c]) - static_cast<double>(b[c]));
    return sum;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("k-center chooses what the textbook's loop chooses", "", float, double) {
  std::uint64_t seed = 0;
  for (const std::size_t n : std::vector<std::size_t>{1, 2, 3, 16, 17, 100, 500})
    for (const std::size_t d : std::vector<std::size_t>{1, 2, 3, 4, 7, 33, 70}) {
      const std::size_t labelled = ++seed % 3 == 0 ? 0 : (seed % 3 == 1 ? n / 10 : n / 2);
      const auto seeds = some_rows(n, labelled, seed);
      const lk::query q{.budget = std::max<std::size_t>(1, (n - labelled) / (1 + seed % 2)), .labelled = seeds};
      INFO(n << " x " << d << ", labelled " << labelled << ", budget " << q.budget);
      {  // whole numbers: any arithmetic gives the same distances, and many are equal
        const auto t = random_table<TestType>(n, d, seed, 3);
        const auto want =
            textbook(n, q, [&](std::size_t i, std::size_t j) { return std::sqrt(exact_square(t, i, j)); });
        const auto got = lk::k_center{}.cover(t.view(), q);
        CHECK(got.rows == want.rows);
        CHECK(got.distances == want.distances);
        CHECK(got.radius == want.radius);
        CHECK(lk::k_center{}(t.view(), q) == want.rows);
      }
      {  // real numbers: the same routine
        const auto t = random_table<TestType>(n, d, seed);
        const auto want = textbook(n, q, [&](std::size_t i, std::size_t j) { return same_square(t, i, j); });
        const auto got = lk::k_center{}.cover(t.view(), q);
        CHECK(got.rows == want.rows);
        CHECK(got.radius == std::sqrt(want.radius));
        CHECK(lk::k_center{}(reader<TestType>{t}, q) == want.rows);
        CHECK(std::is_sorted(got.distances.rbegin(), got.distances.rend()));
      }
    }
}

TEST_CASE("k-center with weights, and in a metric of the user's") {
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    const std::size_t n = 20 * seed;
    const auto t = random_table<float>(n, 5, seed, 4);
    lk::random_stream random(seed);
    std::vector<double> weights(n);
    for (double& w : weights) w = static_cast<double>(random.below(4));
    const auto seeds = some_rows(n, seed % 3, seed);
    const lk::query q{.budget = n / 2, .labelled = seeds};
    const lk::any_vector w(weights.data(), n);
    const auto l2 = [&](std::size_t i, std::size_t j) { return exact_square(t, i, j); };
    const auto l1 = [&](std::size_t i, std::size_t j) {
      return manhattan{}(std::span<const float>(t.row(i), t.d), std::span<const float>(t.row(j), t.d));
    };
    auto squares = weights;
    for (double& x : squares) x *= x;
    CHECK(lk::k_center<>{.weights = w}(t.view(), q) == textbook(n, q, l2, squares).rows);
    CHECK(lk::k_center<manhattan>{}(t.view(), q) == textbook(n, q, l1).rows);
    const auto got = lk::k_center<manhattan>{.weights = w}.cover(t.view(), q);
    const auto want = textbook(n, q, l1, weights);
    CHECK(got.rows == want.rows);
    CHECK(got.distances == want.distances);
  }
}

TEST_CASE("cosine and Hellinger distances are what they say") {
  auto t = random_table<double>(60, 6, 5, 0, false);
  const auto dot = [&](std::size_t i, std::size_t j) {
    double sum = 0;
    for (std::size_t c = 0; c < t.d; ++c) sum += t.row(i)[c] * t.row(j)[c];
    return sum;
  };
  const lk::query q{.budget = 30};
  const auto chord = [&](std::size_t i, std::size_t j) {
    return std::sqrt(std::max(0.0, 2 - 2 * dot(i, j) / std::sqrt(dot(i, i) * dot(j, j))));
  };
  auto got = lk::k_center<lk::cosine_distance>{}.cover(t.view(), q);
  auto want = textbook(t.n, q, chord);
  CHECK(got.rows == want.rows);
  CHECK(got.radius == Approx(want.radius));
  CHECK(lk::k_center<lk::cosine_distance>{}(reader<double>{t}, q) == got.rows);
  auto longer = t;  // lengths do not matter, not even those whose squares overflow
  for (std::size_t i = 0; i < t.n; ++i)
    for (std::size_t c = 0; c < t.d; ++c) longer.x[i * t.d + c] *= i % 2 ? 0x1p+900 : 0x1p-900;
  CHECK(lk::k_center<lk::cosine_distance>{}(longer.view(), q) == got.rows);

  for (std::size_t i = 0; i < t.n; ++i) {
    double sum = 0;
    for (std::size_t c = 0; c < t.d; ++c) sum += t.x[i * t.d + c] = std::exp(t.x[i * t.d + c]);
    for (std::size_t c = 0; c < t.d; ++c) t.x[i * t.d + c] /= sum;
  }
  const auto hellinger = [&](std::size_t i, std::size_t j) {
    double sum = 0;
    for (std::size_t c = 0; c < t.d; ++c) sum += std::sqrt(t.row(i)[c] * t.row(j)[c]);
    return std::sqrt(std::max(0.0, 1 - sum));
  };
  got = lk::k_center<lk::hellinger_distance>{}.cover(t.view(), q);
  want = textbook(t.n, q, hellinger);
  CHECK(got.rows == want.rows);
  for (std::size_t k = 1; k < q.budget; ++k) CHECK(got.distances[k] == Approx(want.distances[k]).epsilon(1e-9));
}

TEST_CASE("the radius is at most twice the least possible") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const auto t = random_table<double>(10, 2, seed, 0, false);
    double least = INFINITY;  // over every choice of three of ten
    for (std::size_t a = 0; a < 10; ++a)
      for (std::size_t b = a + 1; b < 10; ++b)
        for (std::size_t c = b + 1; c < 10; ++c) {
          double radius = 0;
          for (std::size_t i = 0; i < 10; ++i)
            radius = std::max(radius, std::min({exact_square(t, i, a), exact_square(t, i, b), exact_square(t, i, c)}));
          least = std::min(least, std::sqrt(radius));
        }
    CHECK(lk::k_center{}.cover(t.view(), {.budget = 3}).radius <= 2 * least);
  }
}

TEST_CASE("k-center stops when the radius is reached, and starts where it is told") {
  const auto t = random_table<float>(300, 3, 11);
  const auto all = lk::k_center{}.cover(t.view(), {.budget = 100});
  const double radius = all.distances[40];
  const auto got = lk::k_center<>{.radius = radius}.cover(t.view(), {.budget = 100});
  CHECK(got.rows == std::vector<std::size_t>(all.rows.begin(), all.rows.begin() + 40));
  CHECK(got.radius == radius);
  CHECK(lk::k_center<>{.first = 7}(t.view(), {.budget = 2})[0] == 7);
  CHECK(all.rows[0] == 0);
  CHECK(lk::k_center{}.cover(t.view(), {.budget = 300}).radius == 0);
}

TEST_CASE("views with strides, and narrow and wide scalars, choose the same") {
  const auto t = random_table<float>(200, 9, 4, 5);
  table<double> wide{t.n, t.d, std::vector<double>(t.x.begin(), t.x.end())};
  table<float> turned{t.d, t.n, std::vector<float>(t.x.size())};
  for (std::size_t i = 0; i < t.n; ++i)
    for (std::size_t c = 0; c < t.d; ++c) turned.x[c * t.n + i] = t.row(i)[c];
  const lk::query q{.budget = 50};
  const auto want = lk::k_center{}(t.view(), q);
  CHECK(lk::k_center{}(wide.view(), q) == want);
  CHECK(lk::k_center{}(turned.view().transposed(), q) == want);
}

TEST_CASE("k-center names what is wrong") {
  auto t = random_table<float>(10, 3, 1);
  const auto error = [&](auto selector, lk::query q) {
    return message<lk::value_error>([&] { selector(t.view(), q); });
  };
  using strings = std::vector<std::size_t>;
  const strings twice{3, 3}, outside{10};
  CHECK(error(lk::k_center{}, {.budget = 0}) == "limbeck: budget is 0, expected at least 1");
  CHECK(error(lk::k_center{}, {.budget = 11}) ==
        "limbeck: budget is 11, but only 10 rows of the pool are not labelled");
  CHECK(error(lk::k_center{}, {.budget = 1, .labelled = twice}) ==
        "limbeck: labelled is 3 at position 1, a row that it has named before");
  CHECK(error(lk::k_center{}, {.budget = 1, .labelled = outside}) ==
        "limbeck: labelled is 10 at position 0, expected a row of the pool, 0 to 9");
  CHECK(error(lk::k_center<>{.first = 10}, {.budget = 1}) ==
        "limbeck: first is 10, expected a row of the pool, 0 to 9");
  std::vector<float> w(10, 1.0F);
  w[4] = -1;
  CHECK(error(lk::k_center<>{.weights = {w.data(), 10}}, {.budget = 1}) ==
        "limbeck: weights is -1 in row 4, expected a finite number >= 0");
  CHECK(message<lk::shape_error>([&] {
          lk::k_center<>{.weights = {w.data(), 9}}(t.view(), {.budget = 1});
        }) == "limbeck: weights has 9 elements, expected 10 (one a row)");
  CHECK(message<lk::shape_error>([] { lk::k_center{}(lk::rows<const float>(nullptr, 0, 3), {.budget = 1}); }) ==
        "limbeck: the pool is empty");
  CHECK(message<lk::shape_error>([] { lk::k_center{}(lk::rows<const float>(nullptr, 3, 0), {.budget = 1}); }) ==
        "limbeck: the pool has no columns");
  t.x[7 * 3 + 2] = NAN;
  CHECK(error(lk::k_center{}, {.budget = 1}) ==
        "limbeck: the pool is nan at row 7, column 2, expected a finite number");
  t.x[7 * 3 + 2] = INFINITY;
  CHECK(message<lk::value_error>([&] { lk::k_center{}(reader<float>{t}, {.budget = 1}); }) ==
        "limbeck: the pool is inf at row 7, column 2, expected a finite number");
  t.x[7 * 3] = t.x[7 * 3 + 1] = t.x[7 * 3 + 2] = 0;
  CHECK(error(lk::k_center<lk::cosine_distance>{}, {.budget = 1}) ==
        "limbeck: row 7 of the pool is zero, it has no direction");
  for (float& x : t.x) x = 0.25F;
  CHECK(error(lk::k_center<lk::hellinger_distance>{}, {.budget = 1}) ==
        "limbeck: row 0 of the pool sums to 0.75, expected probabilities that sum to 1");
  const auto broken = [](std::span<const float>, std::span<const float>) { return NAN; };
  CHECK(error(lk::k_center<decltype(broken)>{broken}, {.budget = 1}) ==
        "limbeck: the metric returned nan, expected a distance");
}

TEST_CASE("k-center: coordinates whose squares floats cannot hold are refused", "[selection][errors]") {
  std::vector<float> x{0, 1, 2, 3, 5, 8, 13, 21};
  const limbeck::rows<const float> pool(x.data(), 4, 2);
  const std::vector<std::size_t> expected = limbeck::k_center{}(pool, {.budget = 2});
  for (const float scale : {1e-14F, 1e-10F, 1e10F, 1e16F}) {
    std::vector<float> y = x;
    for (float& v : y) v *= scale;
    CHECK(limbeck::k_center{}(limbeck::rows<const float>(y.data(), 4, 2), {.budget = 2}) == expected);
  }
  x[5] = 1e19F;
  CHECK_THROWS_WITH(limbeck::k_center{}(pool, {.budget = 2}), Catch::Contains(" at row 2, column 1, whose square is no number"));
  for (float& v : x) v = 1e-30F;
  CHECK_THROWS_WITH(limbeck::k_center{}(pool, {.budget = 2}), Catch::Contains("whose square is nothing; scale the pool"));
}
