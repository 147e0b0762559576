// Selection by scores, balance, coverage, facility location: the rows that one machine chooses of the whole pool.
#include "ranks.hpp"

#include <limbeck/core/random.hpp>
#include <limbeck/loss/logits/kl.hpp>
#include <limbeck/selection/by_score.hpp>
#include <limbeck/selection/class_balanced.hpp>
#include <limbeck/selection/coverage.hpp>
#include <limbeck/selection/facility_location.hpp>
#include <limbeck/selection/mixture.hpp>
#include <limbeck/selection/random_rows.hpp>
#include <limbeck/selection/top_per_class.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace {

namespace lk = limbeck;
using ranks::on_any_ranks;

/// A pool that is read in blocks.
template <class T>
struct blocks {
  using scalar = T;
  lk::rows<const T> all;
  std::size_t size() const { return all.samples; }
  std::size_t columns() const { return all.classes; }
  void read(std::size_t first, std::size_t count, T* out) const {
    for (std::size_t r = first; r < first + count; ++r) out = std::copy_n(all.row(r), all.classes, out);
  }
};

/// The whole pool, and what of it is this rank's: at random, and nothing where there are more than two and this is rank 1.
template <class T>
struct pool_of_ranks {
  std::size_t n, columns, first, count;
  std::vector<T> x, teacher;
  std::vector<int> labels;
  std::vector<double> scores;
  std::vector<std::size_t> labelled;
  template <class C>
  pool_of_ranks(const C& comm, std::size_t rows_of_pool, std::size_t width, std::uint64_t seed)
      : n(rows_of_pool), columns(width), x(n * width), teacher(n * width), labels(n), scores(n) {
    lk::random_stream random(seed);
    for (T& v : x) v = static_cast<T>(std::round(8 * random.normal()) / 8);
    for (T& v : teacher) v = static_cast<T>(random.normal());
    for (int& y : labels) y = static_cast<int>(random.below(4)) * 10 - 10;
    for (double& s : scores) s = std::round(2 * random.normal());  // many ties
    for (std::size_t r = 0; r < n; ++r)
      if (n > 2 && random.below(10) == 0) labelled.push_back(r);
    std::reverse(labelled.begin(), labelled.end());
    std::vector<std::size_t> cuts{0, n};
    for (int k = 1; k < comm.size(); ++k) cuts.push_back(random.below(n + 1));
    std::sort(cuts.begin(), cuts.end());
    if (comm.size() > 2) cuts[2] = cuts[1];
    const auto rank = static_cast<std::size_t>(comm.rank());
    first = cuts[rank], count = cuts[rank + 1] - first;
  }
  lk::rows<const T> whole() const { return {x.data(), n, columns}; }
  lk::rows<const T> own() const { return {x.data() + first * columns, count, columns}; }
  template <class V>
  std::vector<V> own(const std::vector<V>& of_rows) const {
    const auto at = of_rows.begin() + static_cast<std::ptrdiff_t>(first);
    return {at, at + static_cast<std::ptrdiff_t>(count)};
  }
};

}  // namespace

TEST_CASE("The rows with the best scores, of one class each or of all, are those of one machine") {
  on_any_ranks([](const auto& comm) {
    for (const std::size_t n : std::vector<std::size_t>{1, 2, 7, 100, 900}) {
      const pool_of_ranks<double> p(comm, n, 5, n);
      const std::vector<double> my_scores = p.own(p.scores);
      const std::vector<int> my_labels = p.own(p.labels);
      const lk::query all{.budget = std::max<std::size_t>(1, n / 3), .labelled = p.labelled,
                          .labels = lk::detail::view_vector(p.labels), .seed = n};
      lk::query mine = all;
      mine.labels = lk::detail::view_vector(my_labels);
      const auto same = [&](const auto& selector, const auto& of_own) {
        const std::vector<std::size_t> expected = selector(p.whole(), all);
        EXPECT_ON_RANK(expected.size() == all.budget);
        EXPECT_ON_RANK(lk::over_ranks(comm, of_own)(p.own(), mine) == expected);
        EXPECT_ON_RANK(lk::over_ranks(comm, of_own)(blocks<double>{p.own()}, mine) == expected);
      };
      same(lk::by_highest(p.scores), lk::by_highest(my_scores));
      same(lk::by_lowest(p.scores), lk::by_lowest(my_scores));
      same(lk::margin_sampling(), lk::margin_sampling());
      same(lk::entropy_sampling(), lk::entropy_sampling());
      const lk::rows<const double> teacher(p.teacher.data(), n, 5), my_teacher(teacher.row(p.first), p.count, 5);
      const auto gap = lk::divergence_of(lk::forward_kl{});
      same(lk::by_highest(gap, teacher), lk::by_highest(gap, my_teacher));
      same(lk::class_balanced(lk::by_highest(gap, teacher)), lk::class_balanced(lk::by_highest(gap, my_teacher)));
      same(lk::random_rows{}, lk::random_rows{});
      same(lk::class_balanced(lk::by_highest(p.scores)), lk::class_balanced(lk::by_highest(my_scores)));
      same(lk::class_balanced(lk::random_rows{}), lk::class_balanced(lk::random_rows{}));
      same(lk::balanced_by_prediction(lk::margin_sampling()), lk::balanced_by_prediction(lk::margin_sampling()));
      same(lk::coverage_centric(p.scores, {.prune_hardest = 0.3, .strata = 6}),
           lk::coverage_centric(my_scores, {.prune_hardest = 0.3, .strata = 6}));
      same(lk::class_balanced(lk::coverage_centric(lk::entropy{})), lk::class_balanced(lk::coverage_centric(lk::entropy{})));
      const auto within = [](const auto& by_score) {
        return lk::shares(lk::share(1, lk::preselect(by_score, 2, lk::random_rows{})), lk::share(2, lk::class_balanced(lk::random_rows{})));
      };
      same(within(lk::by_highest(p.scores)), within(lk::by_highest(my_scores)));
      std::vector<std::size_t> kept;
      for (std::size_t r = n; r-- > 0;)
        if (r % 4 != 1) kept.push_back(r);
      same(lk::among(kept, lk::by_lowest(p.scores)), lk::among(kept, lk::by_lowest(my_scores)));

      for (const lk::difficulty_band band : {lk::difficulty_band{0.2, 0.6, 0}, lk::difficulty_band{0.4, 0.5, n / 6}}) {
        EXPECT_ON_RANK(band(comm, my_scores) == band(p.scores));
        EXPECT_ON_RANK(band(comm, my_scores, my_labels) == band(p.scores, p.labels));
      }
      const auto expected = lk::top_per_class{.per_class = 3, .among = 2}(p.whole());
      const auto got = lk::top_per_class{.per_class = 3, .among = 2}(comm, p.own());
      EXPECT_ON_RANK(std::equal(got.begin(), got.end(), expected.begin(), expected.end(), [](const auto& a, const auto& b) {
        return a.row == b.row && a.label == b.label && a.score == b.score;
      }));
      for (const std::size_t k : std::vector<std::size_t>{1, (n + 1) / 2, n}) {
        EXPECT_ON_RANK(lk::top_k(comm, my_scores, k) == lk::top_k(p.scores, k));
        EXPECT_ON_RANK(lk::bottom_k(comm, my_scores, k) == lk::bottom_k(p.scores, k));
      }
    }
  });
}

TEST_CASE("Where many rows are asked for, nearly only those travel that are chosen") {
  on_any_ranks([](const auto& comm) {
    const pool_of_ranks<double> p(comm, 4000, 1, 3);
    const auto n = static_cast<std::size_t>(comm.size());
    const lk::shards even = lk::shards::even(comm, p.n);
    const std::vector<double> mine(p.scores.begin() + static_cast<std::ptrdiff_t>(even.first()),
                                   p.scores.begin() + static_cast<std::ptrdiff_t>(even.first() + even.count()));
    const lk::counted<std::remove_cvref_t<decltype(comm)>> counted(comm);
    EXPECT_ON_RANK(lk::top_k(counted, mine, 300) == lk::top_k(p.scores, 300));
    EXPECT_ON_RANK(counted.bytes() <= (n - 1) * (8 * 2048 + 100 + 16 * 300));
  });
}

TEST_CASE("Faults of scores and labels are seen on all ranks") {
  on_any_ranks([](const auto& comm) {
    const pool_of_ranks<double> p(comm, 50, 3, 1);
    std::vector<double> scores = p.scores;
    scores[0] = std::nan("");
    const auto fault = [&](const auto& selector) {
      return ranks::fault_of<lk::value_error>([&] { (void)lk::over_ranks(comm, selector)(p.own(), {.budget = 3}); });
    };
    EXPECT_ON_RANK(fault(lk::by_lowest(p.own(scores))).ends_with("the score of row 0 is nan"));
    EXPECT_ON_RANK(fault(lk::coverage_centric(p.own(scores))).ends_with("the difficulty of row 0 is nan, expected a finite number"));
    EXPECT_ON_RANK(fault(lk::class_balanced(lk::random_rows{})).find("class_balanced needs the labels of the query") != std::string::npos);
    EXPECT_ON_RANK(fault(lk::coverage_centric(p.own(p.scores), {.prune_hardest = 0.98})).ends_with("fewer than the budget of 3"));
  });
}

struct disk_fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// A pool whose disk fails at one of its reads.
struct failing : blocks<float> {
  mutable std::size_t left = 0;
  void read(std::size_t first, std::size_t count, float* out) const {
    if (left-- == 0) throw disk_fault("the disk is gone");
    blocks<float>::read(first, count, out);
  }
};

TEST_CASE("A rank whose rows cannot be read ends the choice on all, whenever that is") {
  on_any_ranks([](const auto& comm) {
    const std::vector<float> x(80, 0.5f);
    const auto even = lk::shards::even(comm, 40);
    for (std::size_t at = 0; at < 12; ++at) {
      failing own{{lk::rows<const float>(x.data(), even.count(), 2)}, comm.rank() + 1 == comm.size() ? at : 1000};
      const auto fault = ranks::fault_of<std::runtime_error>([&] {
        (void)lk::over_ranks(comm, lk::facility_location<lk::gaussian_similarity>{})(own, {.budget = 10});
      });
      EXPECT_ON_RANK(fault.ends_with("the disk is gone"));
      own.left = at;
      EXPECT_ON_RANK(comm.size() > 1 || ranks::fault_of<disk_fault>([&] {
                                          (void)lk::over_ranks(comm, lk::facility_location<lk::gaussian_similarity>{})(own, {.budget = 10});
                                        }) == "the disk is gone");  // one rank throws what was thrown
    }
    failing own{{lk::rows<const float>(x.data(), even.count(), 2)}, comm.rank() + 1 == comm.size() ? std::size_t{0} : 1000};
    EXPECT_ON_RANK(ranks::fault_of<std::runtime_error>([&] { (void)lk::over_ranks(comm, lk::margin_sampling())(own, {.budget = 3}); })
                       .ends_with("the disk is gone"));
  });
}

TEST_CASE("Facility location over ranks has the gains of one machine, bit for bit") {
  on_any_ranks([](const auto& comm) {
    const auto same = [&]<class T>(const pool_of_ranks<T>& p, std::size_t budget, const auto& selector) {
      const lk::query q{.budget = budget, .labelled = p.labelled};
      const std::vector<std::size_t> expected = selector(p.whole(), q);
      EXPECT_ON_RANK(lk::over_ranks(comm, selector)(p.own(), q) == expected);
      EXPECT_ON_RANK(lk::over_ranks(comm, selector)(blocks<T>{p.own()}, q) == expected);
    };
    for (const std::size_t n : std::vector<std::size_t>{1, 2, 63, 65, 200, 330}) {
      same(pool_of_ranks<float>(comm, n, 1 + n % 6, n), 1 + n / 4, lk::facility_location<lk::gaussian_similarity>{});
      const lk::facility_location<lk::gaussian_similarity> wide{lk::gaussian_similarity(0.2)};
      same(pool_of_ranks<double>(comm, n, 9, n + 1), 1 + n / 8, wide);
    }
    const pool_of_ranks<float> p(comm, 150, 4, 5);
    std::vector<float> moved = p.x;
    for (float& v : moved) v += 0.3f;  // no row has no direction
    const std::size_t first = p.first * 4;
    const lk::rows<const float> own(moved.data() + first, p.count, 4), whole(moved.data(), p.n, 4);
    const std::vector<int> my_labels = p.own(p.labels);
    lk::query q{.budget = 30, .labelled = p.labelled, .labels = lk::detail::view_vector(p.labels)}, mine = q;
    mine.labels = lk::detail::view_vector(my_labels);
    const auto balanced = lk::class_balanced(lk::facility_location{});
    EXPECT_ON_RANK(lk::over_ranks(comm, balanced)(own, mine) == balanced(whole, q));

    const std::string fault = ranks::fault_of<lk::value_error>([&] {
      (void)lk::over_ranks(comm, lk::facility_location<lk::gaussian_similarity>{lk::gaussian_similarity(1 + comm.rank())})(own, mine);
    });
    EXPECT_ON_RANK(comm.size() == 1 || fault.find("the selector has other options") != std::string::npos);
  });
}
