// Farthest first and herding over shards: the rows, the distances and the radius of one machine.
#include "geometric_pools.hpp"
#include "ranks.hpp"

#include <limbeck/selection/herding.hpp>
#include <limbeck/selection/pcoreset.hpp>

#include <cmath>

namespace {

namespace lk = limbeck;
using limbeck_test::random_table;
using limbeck_test::table;
using ranks::on_any_ranks;

/// Where rank k's rows begin: uneven shards, one of them empty where there are three ranks or more.
std::size_t first_row(std::size_t n, int k, int ranks) {
  if (k >= ranks) return n;
  if (ranks > 2 && k == 1) return first_row(n, 2, ranks);
  return n * static_cast<std::size_t>(k * k) / static_cast<std::size_t>(ranks * ranks);
}
/// The rows of one rank.
template <class T>
table<T> shard(const table<T>& t, int k, int ranks) {
  const std::size_t begin = first_row(t.n, k, ranks), end = first_row(t.n, k + 1, ranks);
  // nobody asks how many columns no rows have
  return {end - begin, begin == end ? 0 : t.d, std::vector<T>(t.row(begin), t.row(end))};
}

bool same(const lk::covering& a, const lk::covering& b) {
  return a.rows == b.rows && a.distances == b.distances && a.radius == b.radius;
}

struct manhattan {
  template <class T>
  double operator()(std::span<const T> a, std::span<const T> b) const {
    double total = 0;
    for (std::size_t c = 0; c < a.size(); ++c) total += std::fabs(static_cast<double>(a[c]) - static_cast<double>(b[c]));
    return total;
  }
};

/// A pool that fails when it has been read for a while.
struct failing {
  using scalar = float;
  const table<float>& t;
  mutable int reads;
  std::size_t size() const { return t.n; }
  std::size_t columns() const { return t.d; }
  void read(std::size_t first, std::size_t count, float* out) const {
    if (reads-- == 0) throw std::runtime_error("the disk is gone");
    std::copy(t.row(first), t.row(first) + count * t.d, out);
  }
};

}  // namespace

TEMPLATE_TEST_CASE("k-center over ranks chooses the rows of one machine, bit for bit", "", float, double) {
  std::uint64_t seed = 0;
  for (const std::size_t n : {std::size_t{1}, std::size_t{5}, std::size_t{30}, std::size_t{400}})
    for (const std::size_t d : {std::size_t{1}, std::size_t{3}, std::size_t{20}, std::size_t{20000}}) {  // those of 20000 travel alone
      if (n * d > 600'000) continue;
      const std::size_t levels = ++seed % 2 * 3;  // whole numbers: ties abound
      const auto t = random_table<TestType>(n, d, seed, levels);
      const auto labelled = limbeck_test::some_rows(n, seed % 3 * n / 5, seed);
      const lk::query q{.budget = (n - labelled.size() + seed % 2) / (1 + seed % 2), .labelled = labelled};
      const lk::k_center<> selector{.first = n / 2};
      const lk::covering want = selector.cover(t.view(), q);
      on_any_ranks([&](const auto& comm) {
        const auto own = shard(t, comm.rank(), comm.size());
        EXPECT_ON_RANK(same(lk::over_ranks(comm, selector).cover(own.view(), q), want));
        EXPECT_ON_RANK(lk::over_ranks(comm, selector)(limbeck_test::reader<TestType>{own}, q) == want.rows);
      });
    }
}

TEST_CASE("k-center over ranks: weights, metrics, a radius that stops it, and ranks that have nothing left") {
  on_any_ranks([](const auto& comm) {
    for (std::uint64_t seed = 1; seed < 7; ++seed) {
      const std::size_t n = 50 * seed;
      const auto t = random_table<float>(n, 4, seed, 5);
      const auto own = shard(t, comm.rank(), comm.size());
      lk::random_stream random(seed);
      std::vector<float> w(n);
      for (float& x : w) x = static_cast<float>(random.below(4));
      const std::size_t begin = first_row(n, comm.rank(), comm.size());
      const lk::any_vector all(w.data(), n), mine(w.data() + begin, own.n);
      const lk::query q{.budget = n};
      EXPECT_ON_RANK(same(lk::over_ranks(comm, lk::k_center<>{.weights = mine}).cover(own.view(), q),
                          lk::k_center<>{.weights = all}.cover(t.view(), q)));
      EXPECT_ON_RANK(same(lk::over_ranks(comm, lk::k_center<manhattan>{.weights = mine}).cover(own.view(), {.budget = 20}),
                          lk::k_center<manhattan>{.weights = all}.cover(t.view(), {.budget = 20})));
      const auto stopped = lk::k_center<>{.radius = 2.5}.cover(t.view(), q);
      EXPECT_ON_RANK(stopped.rows.size() < n && same(lk::over_ranks(comm, lk::k_center<>{.radius = 2.5}).cover(own.view(), q), stopped));
    }
  });
}

TEST_CASE("PCoreSet over ranks, of logits that each rank reads") {
  on_any_ranks([](const auto& comm) {
    const auto ce = random_table<float>(700, 6, 1), kd = random_table<float>(700, 6, 2);
    const auto own_ce = shard(ce, comm.rank(), comm.size()), own_kd = shard(kd, comm.rank(), comm.size());
    const auto labelled = limbeck_test::some_rows(700, 30, 3);
    const lk::query q{.budget = 150, .labelled = labelled};
    const lk::mixing how{.share = 0.3, .temperature = 2};
    const lk::covering want = lk::pcoreset{}.cover(lk::mixed_heads(ce.view(), kd.view(), how), q);
    EXPECT_ON_RANK(same(lk::over_ranks(comm, lk::pcoreset{}).cover(lk::mixed_heads(own_ce.view(), own_kd.view(), how), q), want));
    const limbeck_test::reader<float> ce_blocks{own_ce}, kd_blocks{own_kd};
    EXPECT_ON_RANK(same(lk::over_ranks(comm, lk::pcoreset{}).cover(lk::mixed_heads(ce_blocks, kd_blocks, how), q), want));
  });
}

TEMPLATE_TEST_CASE("herding over ranks chooses the rows of one machine", "", float, double) {
  for (std::uint64_t seed = 1; seed < 9; ++seed) {
    const std::size_t d = seed == 4 ? 20000 : 5 * seed, n = d > 1000 ? 30 : 40 * seed;
    auto t = random_table<TestType>(n, d, seed);
    for (TestType& x : t.x) x = static_cast<TestType>(std::ldexp(static_cast<double>(x), static_cast<int>(seed) * 3));
    const auto labelled = limbeck_test::some_rows(n, seed % 3 * 7, seed);
    const lk::query q{.budget = 15, .labelled = labelled};
    const auto want = lk::herding{}(t.view(), q), directions = lk::herding<lk::cosine_distance>{}(t.view(), q);
    on_any_ranks([&](const auto& comm) {
      const auto own = shard(t, comm.rank(), comm.size());
      EXPECT_ON_RANK(lk::over_ranks(comm, lk::herding{})(own.view(), q) == want);
      EXPECT_ON_RANK(lk::over_ranks(comm, lk::herding<lk::cosine_distance>{})(limbeck_test::reader<TestType>{own}, q) == directions);
    });
  }
}

TEST_CASE("a sum over ranks that no order changes") {
  on_any_ranks([](const auto& comm) {
    for (const int scale : {-700, -41, -40, -39, -21, -20, -1, 0, 1, 19, 20, 21, 300}) {
      lk::random_stream random(4);
      std::vector<double> x(2000);
      long double exact = 0;
      for (double& v : x) exact += v = std::ldexp(random.normal(), static_cast<int>(random.below(60)) - 30 + scale);
      const auto over = [&](std::size_t begin, std::size_t end, const auto& with) {
        lk::detail::reproducible_sums sums(1);
        double largest = 0;
        for (std::size_t i = begin; i < end; ++i) largest = std::max(largest, std::fabs(x[i])), sums.add(&x[i], largest);
        return sums.over(with)[0];
      };
      const double total = over(first_row(x.size(), comm.rank(), comm.size()), first_row(x.size(), comm.rank() + 1, comm.size()), comm);
      EXPECT_ON_RANK(total == over(0, x.size(), lk::one_rank{}));
      std::sort(x.begin(), x.end(), [](double a, double b) { return std::fabs(a) < std::fabs(b); });  // the largest comes last
      EXPECT_ON_RANK(total == over(0, x.size(), lk::one_rank{}));
      std::reverse(x.begin(), x.end());
      EXPECT_ON_RANK(total == over(0, x.size(), lk::one_rank{}));
      EXPECT_ON_RANK(std::fabs(total - static_cast<double>(exact)) <= 1e-15 * std::fabs(total));
    }
  });
}

TEST_CASE("what is wrong on one rank is said on all, before or while they choose") {
  const auto t = random_table<float>(1000, 100, 1);
  const auto wide = random_table<float>(300, 3000, 1, 2);  // more than is kept of it
  on_any_ranks([&](const auto& comm) {
    const int last = comm.size() - 1;
    const std::string prefix =
        comm.size() == 1 ? "limbeck: " : "limbeck: rank " + std::to_string(last) + " of " + std::to_string(comm.size()) + ": ";
    auto own = shard(t, comm.rank(), comm.size());
    const auto choose = [&](const auto& pool, const lk::query& q, const lk::k_center<>& how = {}) {
      (void)lk::over_ranks(comm, how)(pool, q);
    };
    const auto fault = [&](const lk::query& q, const lk::k_center<>& how = {}) {
      return ranks::fault_of<lk::value_error>([&] { choose(own.view(), q, how); });
    };
    const std::vector<std::size_t> twice{999, 3, 999};
    EXPECT_ON_RANK(fault({.budget = 1, .labelled = twice}) == prefix + "labelled is 999 at position 2, a row that it has named before");
    EXPECT_ON_RANK(fault({.budget = 1}, {.first = 1000}).ends_with("first is 1000, expected a row of the pool, 0 to 999"));
    EXPECT_ON_RANK(fault({.budget = 1001}).ends_with("budget is 1001, but only 1000 rows of the pool are not labelled"));
    if (comm.size() > 1) {
      const bool other = comm.rank() == last;
      EXPECT_ON_RANK(fault({.budget = other ? 4u : 5u}) == prefix + "the budget is 4, unlike rank 0's 5; all ranks ask the same");
      const std::vector<float> ones(own.n, 1);
      const lk::any_vector given(ones.data(), own.n);
      const std::string weights = ranks::fault_of<lk::shape_error>(
          [&] { choose(own.view(), {.budget = 5}, {.weights = other ? lk::any_vector{} : given}); });
      EXPECT_ON_RANK(weights.starts_with(prefix + "weights has 0 elements"));
      EXPECT_ON_RANK(fault({.budget = 5}, {.first = other ? 1u : 0u}) ==
                     prefix + "the selector has other options, unlike rank 0; all ranks ask the same");
    }
    const auto own_wide = shard(wide, comm.rank(), comm.size());
    const int blocks = static_cast<int>(own_wide.n / 21);
    for (const int reads : {2, blocks + 3}) {  // while it is read through, and later
      const failing pool{own_wide, comm.rank() == last ? reads : 1 << 30};
      const std::string what = ranks::fault_of<std::runtime_error>([&] { choose(pool, {.budget = 60}); });
      EXPECT_ON_RANK(what == (comm.size() == 1 ? "" : prefix) + "the disk is gone");  // one rank throws what was thrown
    }
    if (comm.rank() == last) own.x[7 * 100 + 2] = NAN;
    EXPECT_ON_RANK(fault({.budget = 1}) == prefix + "the pool is nan at row 7, column 2, expected a finite number");
  });
}

TEST_CASE("a message brings several choices, and not much else") {
  on_any_ranks([](const auto& comm) {
    if (comm.size() == 1) return;
    const auto t = random_table<float>(4000, 10, 1, 0, false);
    const auto own = shard(t, comm.rank(), comm.size());
    const lk::counted<std::remove_cvref_t<decltype(comm)>> counted(comm);
    (void)lk::over_ranks(counted, lk::k_center{})(own.view(), {.budget = 400});
    const std::size_t others = static_cast<std::size_t>(comm.size() - 1), row = 10 * sizeof(float) + 40;
    EXPECT_ON_RANK(counted.calls() < 400 / 3);
    EXPECT_ON_RANK(counted.bytes() < 400 * 3 * row * others);
  });
}
