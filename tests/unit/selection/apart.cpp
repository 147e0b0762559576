// k-means++, k-means and what is made of them: BADGE against the matrix of gradients, CLUE and TypiClust against their
// definitions.

#include "catch.hpp"
#include "geometric_pools.hpp"

#include <limbeck/selection/badge.hpp>
#include <limbeck/selection/by_score.hpp>
#include <limbeck/selection/clue.hpp>
#include <limbeck/selection/mixture.hpp>
#include <limbeck/selection/typiclust.hpp>

#include <map>
#include <set>

namespace {

namespace lk = limbeck;
using namespace limbeck_test;
using indices = std::vector<std::size_t>;
using wide = table<double>;

long double squared(const wide& t, std::size_t i, std::size_t j) {
  long double sum = 0;
  for (std::size_t c = 0; c < t.d; ++c)
    sum += static_cast<long double>(t.row(i)[c] - t.row(j)[c]) * (t.row(i)[c] - t.row(j)[c]);
  return sum;
}

/// The textbook's D^2 sampling over a matrix, by the same draws.
indices drawn_apart(const wide& t, const lk::query& q, indices chosen, const indices& seeds,
                    const std::vector<double>& w) {
  lk::random_stream random(q.seed);
  std::set<std::size_t> gone(q.labelled.begin(), q.labelled.end());
  gone.insert(chosen.begin(), chosen.end());
  while (chosen.size() < q.budget) {
    std::vector<long double> mass(t.n, 0);
    long double total = 0, reached = 0;
    for (std::size_t i = 0; i < t.n; ++i) {
      if (gone.count(i)) continue;
      mass[i] = INFINITY;
      for (const std::size_t s : seeds) mass[i] = std::min(mass[i], squared(t, i, s));
      for (const std::size_t s : chosen) mass[i] = std::min(mass[i], squared(t, i, s));
      if (seeds.empty() && chosen.empty()) mass[i] = 1;
      total += mass[i] *= w[i];
    }
    const long double wanted = static_cast<long double>(random.uniform()) * total;
    for (std::size_t i = 0; i < t.n; ++i) {
      if (gone.count(i) || !(mass[i] > 0)) continue;
      reached += mass[i];
      if (!(reached > wanted)) continue;
      chosen.push_back(i);
      gone.insert(i);
      break;
    }
  }
  return chosen;
}

/// (p - onehot(argmax p)) (x) h, row by row.
wide gradients(const table<float>& logits, const table<float>& h) {
  wide g{logits.n, logits.d * h.d, {}};
  for (std::size_t i = 0; i < g.n; ++i) {
    const auto best =
        static_cast<std::size_t>(std::max_element(logits.row(i), logits.row(i) + logits.d) - logits.row(i));
    double total = 0;
    for (std::size_t c = 0; c < logits.d; ++c) total += std::exp(static_cast<double>(logits.row(i)[c]));
    for (std::size_t c = 0; c < logits.d; ++c)
      for (std::size_t k = 0; k < h.d; ++k)
        g.x.push_back((std::exp(static_cast<double>(logits.row(i)[c])) / total - (c == best)) *
                      static_cast<double>(h.row(i)[k]));
  }
  return g;
}

/// Tight groups of @p size rows around points that lie far apart.
table<float> groups(const indices& sizes, std::size_t width, std::uint64_t seed) {
  lk::random_stream random(seed);
  table<float> t{0, width, {}};
  for (std::size_t g = 0; g < sizes.size(); ++g)
    for (std::size_t r = 0; r < sizes[g]; ++r, ++t.n)
      for (std::size_t c = 0; c < width; ++c)
        t.x.push_back(
            static_cast<float>((c == g % width ? 20.0 + 30.0 * static_cast<double>(g / width) : 0) + random.normal()));
  return t;
}

}  // namespace

TEST_CASE("k-means++ draws what the textbook draws, from labelled rows, a first row, or a drawn one") {
  for (std::uint64_t seed = 1; seed < 9; ++seed) {
    const auto t = random_table<double>(20 * seed, 2 * seed + 1, seed, 0, false);
    const auto labelled = some_rows(t.n, seed % 3 == 0 ? 0 : 7 * seed / 3, seed);
    std::vector<double> w(t.n, 1.0);
    for (std::size_t r = 0; r < t.n && seed % 2 == 0; ++r) w[r] = static_cast<double>(r % 5);
    const lk::query q{.budget = 12, .labelled = labelled, .seed = seed};
    lk::k_means_plus_plus<> selector{.weights = lk::any_vector(w.data(), w.size())};
    CHECK(selector(t.view(), q) == drawn_apart(t, q, {}, labelled, w));
    CHECK(selector(reader<double>{t}, q) == selector(t.view(), q));
    selector.first = 3;
    CHECK(selector(t.view(), {.budget = 12, .seed = seed}) == drawn_apart(t, {.budget = 12, .seed = seed}, {3}, {}, w));
  }
}

TEST_CASE("k-means++ draws by the square of the distance; when all is covered, the lowest row") {
  const std::vector<double> points{0, 1, 2, 3, 0};
  const lk::rows<const double> pool(points.data(), 5, 1);
  std::map<std::size_t, int> count;
  for (std::uint64_t seed = 0; seed < 14000; ++seed)
    ++count[lk::k_means_plus_plus<>{.first = 0}(pool, {.budget = 2, .seed = seed})[1]];
  CHECK(count.size() == 3);  // 1 : 4 : 9 of 14
  for (const auto& [r, times] : count) CHECK(std::abs(times - 1000 * static_cast<int>(r * r)) < 300);
  count.clear();
  for (std::uint64_t seed = 0; seed < 5000; ++seed)
    ++count[lk::k_means_plus_plus<>{}(pool, {.budget = 1, .seed = seed})[0]];
  for (std::size_t r = 0; r < 5; ++r) CHECK(std::abs(count[r] - 1000) < 150);
  const std::vector<double> equal(6, 2.0);
  const indices labelled{1};
  CHECK(lk::k_means_plus_plus<>{}(lk::rows<const double>(equal.data(), 6, 1), {.budget = 4, .labelled = labelled}) ==
        indices{0, 2, 3, 4});
}

TEST_CASE("k-means++ of masses whose sum overflows, or of one that does") {
  const std::vector<double> line{0, 1, -1, 1.2}, large(4, 1e308), far{0, 1e10, 1}, w{1, 1e300, 1};
  std::size_t count[4] = {};
  for (std::uint64_t seed = 0; seed < 400; ++seed)
    ++count[lk::k_means_plus_plus<>{.weights = lk::any_vector(large.data(), 4), .first = 0}(lk::rows<const double>(line.data(), 4, 1),
                                                                                        {.budget = 2, .seed = seed})[1]];
  for (const std::size_t r : {1, 2, 3}) CHECK(count[r] > 60);
  const lk::k_means_plus_plus<> weighed{.weights = lk::any_vector(w.data(), 3), .first = 0};
  CHECK(message<lk::value_error>([&] { weighed(lk::rows<const double>(far.data(), 3, 1), {.budget = 2}); }) ==
        "limbeck: weight times squared distance is inf at row 1, expected a finite number");
}

TEST_CASE("BADGE chooses what k-means++ over the matrix of gradients chooses") {
  for (std::uint64_t seed = 1; seed < 9; ++seed) {
    const std::size_t n = 30 * seed;
    auto logits = random_table<float>(n, 1 + seed, seed, 0, false);
    const auto h = random_table<float>(n, 3 * seed, seed + 50);
    for (std::size_t r = 0; r < n; r += 3) logits.x[r * logits.d] += static_cast<float>(r % 7);  // some are sure
    const auto labelled = some_rows(n, 5, seed);
    const lk::query q{.budget = 15, .labelled = labelled, .seed = seed};
    const wide g = gradients(logits, h);
    std::size_t first = n;
    std::vector<double> lengths(n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t c = 0; c < g.d; ++c) lengths[i] += g.row(i)[c] * g.row(i)[c];
      if (std::find(labelled.begin(), labelled.end(), i) == labelled.end() &&
          (first == n || lengths[i] > lengths[first]))
        first = i;
    }
    const auto got = lk::badge(h.view())(logits.view(), q);
    CHECK(got == drawn_apart(g, q, {first}, {}, std::vector<double>(n, 1.0)));
    const reader<float> stored{h};
    CHECK(lk::badge(stored)(reader<float>{logits}, q) == got);
  }
}

TEST_CASE("BADGE takes the unsure first, and equal rows last") {
  auto logits = random_table<float>(40, 4, 1, 0, false), h = random_table<float>(40, 6, 2, 0, false);
  for (std::size_t r = 0; r < 40; r += 2)
    for (std::size_t c = 0; c < 4; ++c) logits.x[r * 4 + c] = c == 0 ? 1000.0F : 0.0F;  // no gradient at all
  const auto chosen = lk::badge(h.view())(logits.view(), {.budget = 25, .seed = 3});
  CHECK(std::count_if(chosen.begin(), chosen.begin() + 21, [](std::size_t r) { return r % 2 == 1; }) == 20);
  CHECK(std::is_sorted(chosen.begin() + 21, chosen.end()));  // one has no gradient, and the others are on it
  for (std::size_t r = 0; r < 40; ++r) {
    std::copy_n(logits.x.data() + 4, 4, logits.x.data() + r * 4);
    std::copy_n(h.x.data(), 6, h.x.data() + r * 6);
  }
  CHECK(lk::badge(h.view())(logits.view(), {.budget = 3}) == indices{0, 1, 2});
}

TEST_CASE("k-means ends where every row is nearest to its mean") {
  const auto t = groups({40, 25, 60, 5}, 3, 4);
  std::vector<double> w(t.n);
  for (std::size_t r = 0; r < t.n; ++r) w[r] = static_cast<double>(1 + r % 3);
  const lk::k_means<> found{.clusters = 4, .weights = lk::any_vector(w.data(), w.size())};
  const auto c = found(t.view(), 1);
  CHECK(c.steps < 20);
  std::vector<double> mass(4), sums(12);
  indices sizes(4);
  for (std::size_t r = 0; r < t.n; ++r) {
    mass[c.of[r]] += w[r];
    ++sizes[c.of[r]];
    for (std::size_t k = 0; k < 3; ++k) sums[c.of[r] * 3 + k] += w[r] * static_cast<double>(t.row(r)[k]);
    for (std::size_t k = 0; k < 4; ++k)
      CHECK(lk::detail::square_between(t.row(r), &c.centroids[3 * c.of[r]], 3) <=
            lk::detail::square_between(t.row(r), &c.centroids[3 * k], 3) * (1 + 1e-5));
  }
  CHECK(c.sizes == sizes);
  for (std::size_t k = 0; k < 12; ++k) CHECK(c.centroids[k] == Approx(sums[k] / mass[k / 3]).epsilon(1e-5));
  std::sort(sizes.begin(), sizes.end());
  CHECK(sizes == indices{5, 25, 40, 60});  // the groups
  CHECK(found(reader<float>{t}, 1).of == c.of);
  CHECK(lk::k_means<>{.clusters = t.n}(t.view()).steps == 1);
  CHECK(lk::k_means<>{.clusters = 1, .steps = 0}(t.view()).sizes == indices{t.n});
  CHECK(message<lk::value_error>([&] { lk::k_means<>{.clusters = 131}(t.view()); }) ==
        "limbeck: clusters is 131, expected 1 to 130, the rows of the pool");
}

TEST_CASE("CLUE: the entropies weigh, the nearest row to each centroid is chosen, none twice") {
  const auto h = random_table<float>(90, 4, 3, 0, false), logits = random_table<float>(90, 5, 4, 0, false);
  const auto labelled = some_rows(90, 20, 5);
  const lk::query q{.budget = 8, .labelled = labelled, .seed = 6};
  indices open;
  table<float> part{0, 4, {}};
  std::vector<double> w;
  for (std::size_t r = 0; r < 90; ++r) {
    if (std::find(labelled.begin(), labelled.end(), r) != labelled.end()) continue;
    open.push_back(r);
    ++part.n;
    part.x.insert(part.x.end(), h.row(r), h.row(r) + 4);
    double total = 0, entropy = 0;
    for (std::size_t c = 0; c < 5; ++c) total += std::exp(static_cast<double>(logits.row(r)[c]) / 0.5);
    for (std::size_t c = 0; c < 5; ++c) {
      const double p = std::exp(static_cast<double>(logits.row(r)[c]) / 0.5) / total;
      entropy -= p * std::log(p);
    }
    w.push_back(entropy);
  }
  const auto c = lk::k_means<>{.clusters = 8, .weights = lk::any_vector(w.data(), w.size())}(part.view(), 6);
  const auto got = lk::clue(h.view(), {.temperature = 0.5})(logits.view(), q);
  REQUIRE(got.size() == 8);
  for (std::size_t k = 0; k < 8; ++k) {
    std::size_t nearest = 0;
    const auto d = [&](std::size_t r) { return lk::detail::square_between(part.row(r), &c.centroids[4 * k], 4); };
    for (std::size_t r = 0; r < part.n; ++r)
      if (d(r) < d(nearest)) nearest = r;
    CHECK(got[k] == open[nearest]);  // here no two centroids have the same
  }
  const reader<float> stored{h};
  CHECK(lk::clue(stored, {.temperature = 0.5})(reader<float>{logits}, q) == got);

  // two groups; in each the rows that are unsure pull the centroid: with only one unsure row it is that row
  table<float> sure{60, 2, std::vector<float>(120)};
  const auto two = groups({30, 30}, 2, 9);
  for (std::size_t r = 0; r < 60; ++r) sure.x[2 * r] = r == 11 || r == 47 ? 0.0F : 50.0F;
  auto rows = lk::clue(two.view())(sure.view(), {.budget = 2});
  std::sort(rows.begin(), rows.end());
  CHECK(rows == indices{11, 47});
  // equal rows: every centroid has the same nearest row
  const table<float> equal{9, 2, std::vector<float>(18, 1.0F)};
  CHECK(lk::clue(equal.view())(equal.view(), {.budget = 9}).size() == 9);
  CHECK(lk::clue(h.view(), {.temperature = 1e-309})(logits.view(), q).size() == q.budget);  // x/T is no number
  CHECK(message<lk::value_error>([&] { lk::clue(h.view(), {.temperature = 0}); }) ==
        "limbeck: temperature is 0, expected a positive number");
}

TEST_CASE("TypiClust: the most typical row of the largest groups that have no label") {
  const auto t = groups({30, 50, 4, 20}, 4, 7);
  const auto group = [](std::size_t r) { return r < 30 ? 0 : r < 80 ? 1 : r < 84 ? 2 : 3; };
  const auto got = lk::typiclust<>{}(t.view(), {.budget = 4, .seed = 1});
  std::vector<int> order;
  for (const std::size_t r : got) order.push_back(group(r));
  CHECK(order == std::vector<int>{1, 0, 3, 1});  // four rows are too few for a typical one
  const auto typicality = [&](std::size_t r, std::size_t first, std::size_t end, std::size_t k) {
    std::vector<double> d;
    for (std::size_t j = first; j < end; ++j)
      if (j != r) d.push_back(std::sqrt(lk::detail::square_between(t.row(r), t.row(j), 4)));
    std::sort(d.begin(), d.end());
    double sum = 0;
    for (std::size_t j = 0; j < k; ++j) sum += d[j];
    return static_cast<double>(k) / sum;
  };
  for (std::size_t r = 30; r < 80; ++r) CHECK(typicality(r, 30, 80, 20) <= typicality(got[0], 30, 80, 20));
  for (std::size_t r = 0; r < 30; ++r) CHECK(typicality(r, 0, 30, 15) <= typicality(got[1], 0, 30, 15));

  const indices labelled{35, 40, 3};
  order.clear();
  for (const std::size_t r :
       lk::typiclust<>{.most_clusters = 4}(t.view(), {.budget = 3, .labelled = labelled, .seed = 1}))
    order.push_back(group(r));
  CHECK(order == std::vector<int>{3, 0, 1});  // no label, one label, two
  CHECK(lk::typiclust<lk::cosine_distance>{}(reader<float>{t}, {.budget = 9, .seed = 1}) ==
        lk::typiclust<lk::cosine_distance>{}(t.view(), {.budget = 9, .seed = 1}));
  CHECK(message<lk::value_error>([&] { lk::typiclust<>{.neighbours = 0}(t.view(), {.budget = 1}); }) ==
        "limbeck: neighbours is 0, expected at least 1");
  CHECK(message<lk::value_error>([&] { lk::typiclust<>{.most_clusters = 0}(t.view(), {.budget = 1}); }) ==
        "limbeck: most_clusters is 0, expected at least 1");
}

TEST_CASE("these selectors choose the whole pool and no row twice, work inside others, and name what is wrong") {
  const auto logits = random_table<float>(50, 4, 1, 3), h = random_table<float>(50, 3, 2, 3);  // ties abound
  const auto labelled = some_rows(50, 10, 3);
  const auto check = [&](const auto& selector) {
    for (const std::size_t budget : {1U, 7U, 40U}) {
      const auto rows = selector(logits.view(), {.budget = budget, .labelled = labelled, .seed = budget});
      std::set<std::size_t> all(rows.begin(), rows.end());
      CHECK(all.size() == budget);
      for (const std::size_t r : labelled) CHECK(all.count(r) == 0);
      CHECK(selector(reader<float>{logits}, {.budget = budget, .labelled = labelled, .seed = budget}) == rows);
    }
    const auto inner =
        lk::preselect(lk::entropy_sampling(), 2, selector)(logits.view(), {.budget = 12, .labelled = labelled});
    const auto unsure = lk::entropy_sampling()(logits.view(), {.budget = 24, .labelled = labelled});
    for (const std::size_t r : inner) CHECK(std::find(unsure.begin(), unsure.end(), r) != unsure.end());
    CHECK(message<lk::value_error>([&] { selector(logits.view(), {.budget = 0}); }) ==
          "limbeck: budget is 0, expected at least 1");
    auto broken = logits;
    broken.x[4 * 20 + 1] = NAN;
    CHECK(message<lk::value_error>([&] {
            selector(broken.view(), {.budget = 2});
          }).starts_with("limbeck: the pool is nan at row 20, column 1"));
  };
  check(lk::k_means_plus_plus<>{});
  check(lk::typiclust<>{});
  check(lk::badge(h.view()));
  check(lk::clue(h.view()));
  const auto other = random_table<float>(49, 3, 2);
  CHECK(message<lk::shape_error>([&] { lk::badge(other.view())(logits.view(), {.budget = 1}); }) ==
        "limbeck: the pool of embeddings has 49 rows, expected 50, as the pool beside it");
  auto broken = h;
  broken.x[3 * 30] = INFINITY;
  CHECK(message<lk::value_error>([&] { lk::badge(broken.view())(logits.view(), {.budget = 1}); }) ==
        "limbeck: the pool is inf at row 30, column 0, expected a finite number");
}
