// Selectors over scores that are there, and selectors made of selectors.
#include <limbeck/selection/by_score.hpp>
#include <limbeck/selection/class_balanced.hpp>
#include <limbeck/selection/coverage.hpp>
#include <limbeck/selection/mixture.hpp>
#include <limbeck/selection/random_rows.hpp>

#include "catch.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

namespace lk = limbeck;

namespace {

using indices = std::vector<std::size_t>;

/// A pool of n rows x 2 columns: row r is (r, -r), but prediction 0 for r < n/4, and 1 after.
std::vector<double> pool_of(std::size_t n) {
  std::vector<double> x(2 * n);
  for (std::size_t r = 0; r < n; ++r) x[2 * r + (r < n / 4 ? 0 : 1)] = 1;
  return x;
}
lk::rows<const double> view(const std::vector<double>& x) { return {x.data(), x.size() / 2, 2}; }

lk::query ask(std::size_t budget, const indices& labelled = {}, std::uint64_t seed = 0) {
  lk::query q;
  q.budget = budget;
  q.labelled = labelled;
  q.seed = seed;
  return q;
}

/// Notes what it was asked, and takes the first rows that are not labelled.
struct note {
  std::vector<std::vector<std::size_t>>* labelled;
  template <class Pool>
  indices operator()(const Pool& pool, const lk::query& q) const {
    labelled->emplace_back(q.labelled.begin(), q.labelled.end());
    indices chosen;
    for (std::size_t r = 0; chosen.size() < q.budget && r < lk::as_reader(pool).size(); ++r)
      if (std::find(q.labelled.begin(), q.labelled.end(), r) == q.labelled.end()) chosen.push_back(r);
    return chosen;
  }
};

bool distinct(indices x) {
  std::sort(x.begin(), x.end());
  return std::adjacent_find(x.begin(), x.end()) == x.end();
}

}  // namespace

TEST_CASE("by a vector of scores: order, ties, rows that are labelled", "[selection]") {
  const auto x = pool_of(6);
  const std::vector<float> scores{3, 1, 4, 1, 5, 4};
  const indices labelled{4};
  CHECK(lk::by_highest(scores)(view(x), ask(3)) == indices{4, 2, 5});
  CHECK(lk::by_highest(scores)(view(x), ask(3, labelled)) == indices{2, 5, 0});
  CHECK(lk::by_lowest(scores)(view(x), ask(2)) == indices{1, 3});
  CHECK(lk::by_lowest(scores)(view(x), ask(6)) == indices{1, 3, 0, 2, 5, 4});
  CHECK_THROWS_WITH(lk::by_lowest(std::vector<float>(5))(view(x), ask(1)),
                    "limbeck: scores has 5 elements, expected 6 (one a row of the pool)");
  const std::vector<double> bad{1, 2, NAN, 1, 1, 1};
  CHECK_THROWS_WITH(lk::by_lowest(bad)(view(x), ask(1)), "limbeck: the score of row 2 is nan");
}

TEST_CASE("a wrong query is refused by every selector", "[selection]") {
  const auto x = pool_of(6);
  const std::vector<double> scores{3, 1, 4, 1, 5, 4}, nothing;
  const auto refuse = [&](const auto& selector) {
    CHECK_THROWS_WITH(selector(view(x), ask(0)), "limbeck: budget is 0, expected at least 1");
    CHECK_THROWS_WITH(selector(view(x), ask(7)), "limbeck: budget is 7, but only 6 rows of the pool are not labelled");
    const indices twice{1, 1}, beyond{6};
    CHECK_THROWS_WITH(selector(view(x), ask(1, twice)),
                      "limbeck: labelled is 1 at position 1, a row that it has named before");
    CHECK_THROWS_WITH(selector(view(x), ask(1, beyond)),
                      "limbeck: labelled is 6 at position 0, expected a row of the pool, 0 to 5");
    CHECK_THROWS_WITH(selector(view(nothing), ask(1)), "limbeck: the pool is empty");
  };
  refuse(lk::by_highest(scores));
  refuse(lk::random_rows{});
  refuse(lk::coverage_centric(scores));
  refuse(lk::balanced_by_prediction(lk::random_rows{}));
  refuse(lk::preselect(lk::random_rows{}, 2, lk::random_rows{}));
  refuse(lk::shares(lk::share(1, lk::random_rows{})));
  refuse(lk::among({0, 1, 2, 3, 4, 5}, lk::random_rows{}));
}

TEST_CASE("random rows: a seed decides, each row as likely as any other, none twice", "[selection]") {
  const auto x = pool_of(10);
  const indices labelled{0, 3};
  std::vector<int> count(10, 0);
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    const auto chosen = lk::random_rows{}(view(x), ask(2, labelled, seed));
    CHECK(chosen[0] != chosen[1]);
    for (const std::size_t r : chosen) ++count[r];
  }
  CHECK(count[0] + count[3] == 0);
  for (const std::size_t r : {1U, 2U, 4U, 9U}) CHECK(std::abs(count[r] - 1000) < 130);  // five deviations
  CHECK(lk::random_rows{}(view(x), ask(8, labelled, 5)) == lk::random_rows{}(view(x), ask(8, labelled, 5)));
  CHECK(lk::random_rows{}(view(x), ask(8, labelled, 5)) != lk::random_rows{}(view(x), ask(8, labelled, 6)));
}

TEST_CASE("budgets: equal shares, the small give all, the largest give what cannot be divided", "[selection]") {
  CHECK(lk::detail::allocate(7, indices{10, 10, 10}) == indices{2, 2, 3});
  CHECK(lk::detail::allocate(8, indices{10, 10, 10}) == indices{2, 3, 3});
  CHECK(lk::detail::allocate(9, indices{1, 10, 0, 5}) == indices{1, 4, 0, 4});
  CHECK(lk::detail::allocate(16, indices{1, 10, 0, 5}) == indices{1, 10, 0, 5});
  CHECK(lk::detail::allocate(1, indices{4, 9, 4}) == indices{0, 1, 0});
}

TEST_CASE("class balance by labels and by prediction", "[selection]") {
  const auto x = pool_of(12);  // predictions: 0 for rows 0, 1, 2; else 1
  std::vector<double> scores(12);
  for (std::size_t r = 0; r < 12; ++r) scores[r] = static_cast<double>(r);
  const auto best = lk::by_highest(scores);
  CHECK(lk::balanced_by_prediction(best)(view(x), ask(4)) == indices{2, 11, 1, 10});
  CHECK(lk::balanced_by_prediction(best)(view(x), ask(8)) == indices{2, 11, 1, 10, 0, 9, 8, 7});  // three are all
  const indices labelled{1, 11};
  CHECK(lk::balanced_by_prediction(best)(view(x), ask(4, labelled)) == indices{2, 10, 0, 9});

  const std::vector<int> labels{7, 7, 7, 7, -1, -1, -1, -1, 3, 3, 3, 3};
  auto q = ask(7);
  q.labels = lk::detail::view_vector(labels);
  CHECK(lk::class_balanced(best)(view(x), q) == indices{7, 11, 3, 6, 10, 2, 1});
  CHECK_THROWS_WITH(lk::class_balanced(best)(view(x), ask(2)),
                    "limbeck: class_balanced needs the labels of the query; of an unlabelled pool of logits, take "
                    "balanced_by_prediction");
  q.labels = lk::any_vector(labels.data(), 3).given();
  CHECK_THROWS_AS(lk::class_balanced(best)(view(x), q), lk::shape_error);

  std::vector<std::vector<std::size_t>> asked;
  lk::balanced_by_prediction(note{&asked})(view(x), ask(4, labelled));
  CHECK(asked == std::vector<std::vector<std::size_t>>{{1}, {8}});  // seeds, as rows of the class

  // classes draw from streams of their own
  std::vector<double> wide(2 * 200);
  for (std::size_t r = 0; r < 200; ++r) wide[2 * r + (r < 100 ? 0 : 1)] = 1;
  auto chosen = lk::balanced_by_prediction(lk::random_rows{})(view(wide), ask(20));
  std::set<std::size_t> low, high;
  for (const std::size_t r : chosen) (r < 100 ? low : high).insert(r < 100 ? r : r - 100);
  CHECK(low.size() == 10);
  CHECK(high.size() == 10);
  CHECK(low != high);
}

TEST_CASE("preselection: the second chooses among what the first has left, with the labelled rows as seeds",
          "[selection]") {
  const auto x = pool_of(12);
  std::vector<double> up(12), down(12);
  for (std::size_t r = 0; r < 12; ++r) up[r] = static_cast<double>(r), down[r] = -up[r];
  const indices labelled{0, 11};
  const auto selector = lk::preselect(lk::by_highest(up), 2.5, lk::by_highest(down));
  CHECK(selector(view(x), ask(2, labelled)) == indices{6, 7});  // among 10 ... 6
  CHECK(selector(view(x), ask(5, labelled)) == indices{1, 2, 3, 4, 5});
  CHECK(lk::preselect(lk::by_highest(up), 1, lk::by_highest(down))(view(x), ask(2)) == indices{10, 11});
  std::vector<std::vector<std::size_t>> asked;
  lk::preselect(lk::by_highest(up), 1, note{&asked})(view(x), ask(2, labelled));
  CHECK(asked == std::vector<std::vector<std::size_t>>{{0, 3}});  // rows 0, 9, 10, 11
  CHECK_THROWS_WITH(lk::preselect(lk::random_rows{}, 0.5, lk::random_rows{}),
                    "limbeck: factor is 0.5, expected at least 1");
}

TEST_CASE("shares: no row twice, each sees what was chosen before it, the last completes the budget", "[selection]") {
  const auto x = pool_of(12);
  std::vector<double> up(12);
  for (std::size_t r = 0; r < 12; ++r) up[r] = static_cast<double>(r);
  std::vector<std::vector<std::size_t>> asked;
  const indices labelled{10};
  const auto mixed = lk::shares(lk::share(2, lk::by_highest(up)), lk::share(1, note{&asked}));
  CHECK(mixed(view(x), ask(6, labelled)) == indices{11, 9, 8, 7, 0, 1});
  CHECK(asked.back() == indices{10, 11, 9, 8, 7});
  CHECK(mixed(view(x), ask(1)) == indices{11});
  CHECK(lk::shares(lk::share(0, lk::by_highest(up)), lk::share(1, lk::by_lowest(up)))(view(x), ask(2)) ==
        indices{0, 1});
  const auto three =
      lk::shares(lk::share(1, lk::random_rows{}), lk::share(1, lk::random_rows{}), lk::share(1, lk::random_rows{}));
  for (std::size_t budget = 1; budget <= 12; ++budget) {
    const auto chosen = three(view(x), ask(budget, {}, budget));
    CHECK(chosen.size() == budget);
    CHECK(distinct(chosen));
  }
  CHECK_THROWS_WITH(lk::share(-1, lk::random_rows{}), "limbeck: share is -1, expected a number of at least 0");
  CHECK_THROWS_WITH(lk::shares(lk::share(0, lk::random_rows{})), "limbeck: all shares are 0");
}

TEST_CASE("compositions nest: balanced preselection among kept rows knows the rows of the whole pool", "[selection]") {
  const auto x = pool_of(40);
  std::vector<double> up(40);
  for (std::size_t r = 0; r < 40; ++r) up[r] = static_cast<double>(r);
  indices kept{39, 2, 4, 6, 8, 12, 14, 16, 18, 2};
  const auto inner = lk::preselect(lk::by_highest(up), 2, lk::by_lowest(up));
  CHECK(lk::among(kept, lk::balanced_by_prediction(inner))(view(x), ask(4)) == indices{2, 14, 4, 16});
  CHECK_THROWS_WITH(lk::among({40}, inner)(view(x), ask(1)), "limbeck: among names row 40, but the pool has 40 rows");
  CHECK_THROWS_WITH(lk::among({1, 2}, inner)(view(x), ask(3)),
                    "limbeck: budget is 3, but only 2 rows of the pool are not labelled");
}

TEST_CASE("coverage-centric: the hardest go, every band gives its share", "[selection]") {
  const auto x = pool_of(100);
  std::vector<double> difficulty(100);
  for (std::size_t r = 0; r < 100; ++r) difficulty[r] = static_cast<double>((r * 37) % 100);  // each of 0 ... 99 once
  const auto selector = lk::coverage_centric(difficulty, {.prune_hardest = 0.2, .strata = 4});
  const auto chosen = selector(view(x), ask(20, {}, 3));
  CHECK(distinct(chosen));
  std::map<int, int> bands;
  for (const std::size_t r : chosen) {
    CHECK(difficulty[r] < 80);
    ++bands[static_cast<int>(4 * difficulty[r] / 79)];
  }
  CHECK((bands[0] == 5 && bands[1] == 5 && bands[2] == 5));
  CHECK(selector(view(x), ask(20, {}, 3)) == chosen);
  CHECK(selector(view(x), ask(20, {}, 4)) != chosen);
  CHECK(selector(view(x), ask(80)).size() == 80);
  CHECK_THROWS_WITH(selector(view(x), ask(81)), "limbeck: prune_hardest leaves 80 rows, fewer than the budget of 81");
  // a hard-only filter takes one end; of easy rows far from the rest, coverage takes all
  std::vector<double> skewed(100, 10.0);
  skewed[5] = skewed[6] = 0;
  const auto covered = lk::coverage_centric(skewed)(view(x), ask(10));
  CHECK(std::count(covered.begin(), covered.end(), 5U) + std::count(covered.begin(), covered.end(), 6U) == 2);
  // equal scores: one band, random choice; negative scores as any other
  CHECK(lk::coverage_centric(std::vector<double>(100, -1.0))(view(x), ask(10)).size() == 10);
  difficulty[9] = INFINITY;
  CHECK_THROWS_WITH(selector(view(x), ask(10)), "limbeck: the difficulty of row 9 is inf, expected a finite number");
  CHECK_THROWS_WITH(lk::coverage_centric(skewed, {.prune_hardest = 1}),
                    "limbeck: prune_hardest is 1, expected a fraction in [0, 1)");
  CHECK_THROWS_WITH(lk::coverage_centric(skewed, {.strata = 0}), "limbeck: strata is 0, expected at least 1");
}

TEST_CASE("a difficulty band keeps what lies between two quantiles, and the guard keeps every class", "[selection]") {
  const std::vector<double> x{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  CHECK(lk::difficulty_band{.low = 0.3, .high = 0.6}(x) == indices{3, 4, 5, 6});
  CHECK(lk::difficulty_band{}(x).size() == 11);
  const std::vector<int> labels{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1};
  CHECK(lk::difficulty_band{.low = 0.3, .high = 0.6}(x, labels) == indices{3, 4, 5, 6});  // class 1 is gone
  CHECK(lk::difficulty_band{.low = 0.3, .high = 0.6, .at_least = 2}(x, labels) == indices{3, 4, 5, 6, 8, 9});
  CHECK(lk::difficulty_band{.low = 0.3, .high = 0.6, .at_least = 6}(x, labels) == indices{2, 3, 4, 5, 6, 7, 8, 9, 10});
  CHECK_THROWS_WITH((lk::difficulty_band{.low = 0.7, .high = 0.6}(x)),
                    "limbeck: low is 0.7, expected at most high, 0.6");
  CHECK_THROWS_WITH((lk::difficulty_band{.low = -0.1}(x)), "limbeck: low is -0.1, expected a fraction in [0, 1]");
  CHECK_THROWS_WITH(lk::difficulty_band{}(x, std::vector<int>(3)),
                    "limbeck: labels has 3 elements, expected 11 (one a row)");
  CHECK_THROWS_AS(lk::difficulty_band{}(std::vector<double>{1, NAN}), lk::value_error);
  CHECK_THROWS_AS(lk::difficulty_band{}(std::vector<double>{}), lk::shape_error);
}
