// Pools that are read: every selector chooses what it chooses from memory, in few calls of `read`, in blocks; and the
// tools of a selector of one's own.

#include "catch.hpp"
#include "geometric_pools.hpp"

#include <limbeck/loss/logits/kl.hpp>
#include <limbeck/selection/by_score.hpp>
#include <limbeck/selection/class_balanced.hpp>
#include <limbeck/selection/coverage.hpp>
#include <limbeck/selection/facility_location.hpp>
#include <limbeck/selection/herding.hpp>
#include <limbeck/selection/k_means_plus_plus.hpp>
#include <limbeck/selection/mixture.hpp>
#include <limbeck/selection/pcoreset.hpp>
#include <limbeck/selection/robust_active.hpp>
#include <limbeck/selection/top_per_class.hpp>
#include <limbeck/selection/typiclust.hpp>

#include <cmath>

namespace {

namespace lk = limbeck;
using namespace limbeck_test;
using indices = std::vector<std::size_t>;

/// A pool that counts what is read of it.
struct counting {
  using scalar = float;
  const table<float>& t;
  mutable std::size_t calls = 0, rows = 0, longest = 0;
  std::size_t size() const { return t.n; }
  std::size_t columns() const { return t.d; }
  void read(std::size_t first, std::size_t count, float* out) const {
    REQUIRE(count > 0);
    REQUIRE(first + count <= t.n);
    ++calls;
    rows += count;
    longest = std::max(longest, count);
    std::copy(t.row(first), t.row(first) + count * t.d, out);
  }
};

/// At least so many rows a call, at most so many times the pool; and no call asks for more than a block.
template <class Selector>
void check(const char* name, const Selector& selector, const table<float>& t, const lk::query& q, double rows_a_call,
           double pools) {
  const counting pool{t};
  const indices from_memory = selector(t.view(), q), streamed = selector(pool, q);
  INFO(name << ": " << pool.calls << " calls, " << pool.rows << " rows of " << t.n);
  CHECK(streamed == from_memory);
  CHECK(static_cast<double>(pool.rows) >= rows_a_call * static_cast<double>(pool.calls));
  CHECK(static_cast<double>(pool.rows) <= pools * static_cast<double>(t.n));
  CHECK(pool.longest <= std::max<std::size_t>(1, 65536 / t.d));
}

struct of_softmax {
  template <class Pool>
  indices operator()(const Pool& pool, const lk::query& q) const {
    return lk::pcoreset{}(lk::mixed_heads(pool, pool), q);
  }
};
/// A metric that is a function of two rows.
struct manhattan {
  double operator()(std::span<const float> a, std::span<const float> b) const {
    double sum = 0;
    for (std::size_t c = 0; c < a.size(); ++c) sum += std::fabs(static_cast<double>(a[c] - b[c]));
    return sum;
  }
};

}  // namespace

TEST_CASE("greedy selectors read blocks, and not row by row", "[selection][stream]") {
  {  // twelve blocks: more than is kept, so that rows are read again
    auto t = random_table<float>(12000, 64, 1);
    for (std::size_t r = 0; r < t.n; ++r)
      for (std::size_t c = 0; c < t.d; ++c) t.x[r * t.d + c] += r % 20 == c ? 8 : 0;
    const auto labelled = some_rows(t.n, 20, 1);
    check("k_center", lk::k_center{}, t, {.budget = 300, .labelled = labelled}, 200, 5);
    check("k_center of none", lk::k_center{}, t, {.budget = 300}, 300, 7);
    check("k_center of cosines", lk::k_center<lk::cosine_distance>{}, t, {.budget = 300, .labelled = labelled}, 200, 5);
    check("k_center of a function", lk::k_center<manhattan>{}, t, {.budget = 40}, 300, 5);
    std::vector<double> weights(t.n);
    for (std::size_t r = 0; r < t.n; ++r) weights[r] = static_cast<double>(r % 4);
    const lk::k_center<> weighted{.weights = lk::any_vector(weights.data(), t.n)};
    check("k_center with weights", weighted, t, {.budget = 300}, 300, 5);
    CHECK(weighted.cover(counting{t}, {.budget = 30}).radius == weighted.cover(t.view(), {.budget = 30}).radius);
    check("herding", lk::herding{}, t, {.budget = 5, .labelled = labelled}, 500, 6.1);
  }
  {  // many are equal, and most are on a centre in the end
    auto t = random_table<float>(9000, 33, 2, 2);
    for (std::size_t r = 300; r < t.n; ++r) std::copy_n(t.row(r % 300), t.d, t.x.data() + r * t.d);
    check("k_center of equals", lk::k_center{}, t, {.budget = 400}, 200, 4);
    CHECK(lk::k_center{}.cover(counting{t}, {.budget = 400}).radius == 0);
  }
  {
    const auto t = random_probabilities<float>(60000, 10, 3, 2);
    const auto labelled = some_rows(t.n, 10, 1);
    check("PCoreSet", lk::pcoreset{}, t, {.budget = 300, .labelled = labelled}, 1000, 5);
  }
  const auto t = random_table<float>(6000, 20, 4);
  const auto labelled = some_rows(t.n, 10, 1);
  check("PCoreSet of logits", of_softmax{}, t, {.budget = 50, .labelled = labelled}, 400, 3);  // two heads
  check("k-means++", lk::k_means_plus_plus<>{}, t, {.budget = 10, .labelled = labelled}, 400, 10.1);
  check("TypiClust", lk::typiclust<>{.steps = 3}, t, {.budget = 4}, 400, 13);
  const auto small = random_table<float>(700, 20, 4);
  check("facility location", lk::facility_location{}, small, {.budget = 20}, 100, 400);
}

TEST_CASE("selectors by score, and selectors within selectors, read blocks", "[selection][stream]") {
  const auto t = random_table<float>(20000, 10, 5);
  const auto labelled = some_rows(t.n, 10, 1);
  std::vector<int> labels(t.n);
  for (std::size_t r = 0; r < t.n; ++r) labels[r] = static_cast<int>((r * 31 / 7) % 10);
  const lk::query q{.budget = 100, .labelled = labelled, .labels = lk::any_vector(labels.data(), t.n)};
  const auto by_entropy = lk::entropy_sampling();
  check("by entropy", by_entropy, t, q, 5000, 1);
  check("by loss", lk::by_highest(lk::label_loss{}), t, q, 5000, 1);
  check("coverage", lk::coverage_centric(lk::entropy{}), t, q, 5000, 1);
  check("balanced k_center", lk::class_balanced(lk::k_center{}), t, q, 1000, 12);
  check("balanced by prediction", lk::balanced_by_prediction(by_entropy), t, q, 1000, 12);
  check("preselected", lk::preselect(by_entropy, 10, lk::k_center{}), t, q, 500, 3);
  check("shares", lk::shares(lk::share(1, by_entropy), lk::share(1, lk::k_center{})), t, q, 500, 3);
  check("among", lk::among(some_rows(t.n, 5000, 2), lk::herding{}), t, {.budget = 3, .labelled = labelled}, 1000, 5);

  const counting student{t}, teacher{t};
  const auto divergence = lk::by_highest(lk::divergence_of(lk::reverse_kl{}), teacher);
  CHECK(lk::class_balanced(divergence)(student, q) == lk::class_balanced(divergence)(t.view(), q));
  CHECK(teacher.rows >= 1000 * teacher.calls);
  const counting pool{t};
  const auto best = lk::top_per_class{5}(pool), want = lk::top_per_class{5}(t.view());
  REQUIRE(best.size() == want.size());
  for (std::size_t i = 0; i < best.size(); ++i) CHECK(best[i].row == want[i].row);
  CHECK(pool.rows == t.n);
  CHECK(pool.calls == 4);

  auto gains = random_table<float>(70000, 1, 6);
  for (float& g : gains.x) g = std::fabs(g);
  check("robust active", lk::robust_active{3}, gains, {.budget = 10}, 30000, 1);
}

TEST_CASE("rows of a pool are handed on in the order in which they are named", "[selection][stream]") {
  const auto t = random_table<float>(2000, 3, 7);
  const counting pool{t};
  const indices few{3, 4, 5, 70, 134, 1999, 1999, 0, 900, 700};
  for (const indices& rows : {few, indices{}, some_rows(t.n, 500, 3)}) {
    std::size_t next = 0;
    const auto compare = [&](std::size_t r, std::span<const float> x) {
      REQUIRE(next < rows.size());
      CHECK(r == rows[next++]);
      CHECK(std::equal(x.begin(), x.end(), t.row(r), t.row(r) + t.d));
    };
    lk::for_each_row(pool, rows, compare);
    CHECK(next == rows.size());
    next = 0;
    lk::for_each_row(t.view(), rows, compare);
    CHECK(next == rows.size());
  }
  const counting again{t};
  lk::for_each_row(again, few, [](std::size_t, auto) {});
  CHECK(again.calls == 5);  // 0 to 5; 70 to 134, which are 64 apart; 700; 900; 1999
  CHECK(again.rows == 6 + 65 + 1 + 1 + 1);

  std::size_t next = 0;
  lk::for_each_row(counting{t}, [&](std::size_t r, std::span<const float> x) {
    CHECK(r == next++);
    CHECK(x[2] == t.row(r)[2]);
  });
  CHECK(next == t.n);
  const float* where = nullptr;  // in memory: in place
  lk::for_each_row(t.view(), [&](std::size_t r, std::span<const float> x) {
    if (r == 5) where = x.data();
  });
  CHECK(where == t.row(5));
  CHECK(message<lk::shape_error>([&] {
          lk::for_each_row(lk::rows<const float>(t.x.data(), 4, 0), [](std::size_t, auto) {});
        }) == "limbeck: the pool has no columns");
}
