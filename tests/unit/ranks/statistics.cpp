// Numbers that lie on all ranks are those of one machine: quantiles and masks, moments, counts, prototypes, thresholds.
#include "ranks.hpp"

#include <limbeck/core/exact_sum.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/dense/mean_iou.hpp>
#include <limbeck/ranks/statistics.hpp>
#include <limbeck/selection/dual_thresholds.hpp>
#include <limbeck/selection/pseudo_labels.hpp>
#include <limbeck/selection/quantile.hpp>
#include <limbeck/selection/top_share.hpp>
#include <limbeck/target/prototypes.hpp>
#include <limbeck/trainer/metrics.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace {

namespace lk = limbeck;
using ranks::on_any_ranks;

/// n numbers with ties, zeros of both signs, infinities and any size; or tame ones.
std::vector<double> numbers(std::size_t n, std::uint64_t seed, bool wild) {
  lk::random_stream random(seed);
  std::vector<double> x(n);
  for (double& v : x) {
    v = wild ? std::ldexp(random.normal(), static_cast<int>(random.below(600)) - 300) : std::round(4 * random.normal());
    if (wild && random.below(50) == 0) v = random.below(2) == 0 ? std::numeric_limits<double>::infinity() : -0.0;
  }
  return x;
}
/// The beginning of each rank's part of @p n; rank 1 has none where there are more than two.
std::size_t begin_of(int k, int ranks, std::size_t n) {
  if (k == 0) return 0;
  if (k >= ranks) return n;
  return ranks > 2 && k == 2 ? begin_of(1, ranks, n) : n * static_cast<std::size_t>(k) / static_cast<std::size_t>(ranks) / 2;
}
template <class V, class C>
V part_of(const V& x, const C& comm, std::size_t width = 1) {
  const auto at = [&](int k) {
    return x.begin() + static_cast<std::ptrdiff_t>(width * begin_of(k, comm.size(), x.size() / width));
  };
  return V(at(comm.rank()), at(comm.rank() + 1));
}

}  // namespace

TEST_CASE("Quantiles and medians of all ranks are those of one machine") {
  on_any_ranks([](const auto& comm) {
    for (const std::size_t n : std::vector<std::size_t>{1, 2, 3, 10, 257, 2000})
      for (const bool wild : {false, true}) {
        const std::vector<double> all = numbers(n, n, wild), mine = part_of(all, comm);
        for (const double q : {0.0, 0.1, 0.25, 0.5, 0.9, 1.0}) {
          EXPECT_ON_RANK(lk::quantile(comm, mine, q) == lk::quantile(all, q));
          std::vector<float> mask(mine.size()), expected(n);
          const std::vector<int> used = [&] {
            std::vector<int> u(n);
            for (std::size_t i = 0; i < n; ++i) u[i] = i % 3 != 1;
            return u;
          }();
          lk::workspace ws;
          EXPECT_ON_RANK(lk::quantile_mask(comm, mine, q, part_of(used, comm), mask) == lk::quantile_mask(all, q, used, expected, ws));
          EXPECT_ON_RANK(mask == part_of(expected, comm));
          EXPECT_ON_RANK(lk::top_share_mask(comm, mine, q, mask) == lk::top_share_mask(all, q, expected, ws));
          EXPECT_ON_RANK(mask == part_of(expected, comm));
          EXPECT_ON_RANK(lk::top_share_mask(comm, mine, q, part_of(used, comm), mask) == lk::top_share_mask(all, q, used, expected, ws));
          EXPECT_ON_RANK(mask == part_of(expected, comm));
        }
        std::vector<double> sorted = all;
        std::sort(sorted.begin(), sorted.end());
        EXPECT_ON_RANK(lk::median_of(comm, mine) == sorted[(n - 1) / 2]);
      }
    const std::vector<float> none;
    EXPECT_ON_RANK(ranks::fault_of<lk::shape_error>([&] { (void)lk::quantile(comm, none, 0.5); }) == "limbeck: a quantile of no values");
    std::vector<float> wrong{1, 2};
    if (comm.rank() + 1 == comm.size()) wrong[1] = std::nanf("");
    EXPECT_ON_RANK(ranks::fault_of<lk::value_error>([&] { (void)lk::median_of(comm, wrong); }).ends_with("the value at position 1 is nan"));
    const std::vector<int> two{1, 2};
    const std::string fault = ranks::fault_of<lk::value_error>([&] { (void)lk::quantile(comm, two, comm.rank() == 0 ? 0.5 : 0.25); });
    EXPECT_ON_RANK(comm.size() == 1 || fault == "limbeck: q is 0.5 on rank 0 and 0.25 on rank 1, expected the same on all");
  });
}

TEST_CASE("A quantile sends 12 messages, however many numbers there are") {
  on_any_ranks([](const auto& comm) {
    const lk::counted<std::remove_cvref_t<decltype(comm)>> counted(comm);
    (void)lk::quantile(counted, numbers(5000, 1, true), 0.3);
    const auto others = static_cast<std::size_t>(comm.size() - 1);
    EXPECT_ON_RANK(counted.bytes() <= (8 * 2048 + 64) * others);
    EXPECT_ON_RANK(counted.calls() <= 12);
  });
}

TEST_CASE("An exact sum is rounded once, in any order") {
  const auto sum_of = [](const std::vector<double>& x) {
    lk::exact_sum total;
    for (const double v : x) total.add(v);
    return total.value();
  };
  const double tiny = std::numeric_limits<double>::denorm_min(), huge = (std::numeric_limits<double>::max)();
  CHECK(sum_of({}) == 0);
  CHECK(sum_of({1e300, 1, -1e300}) == 1);
  CHECK(sum_of({huge, huge, -huge, tiny, -huge}) == tiny);
  CHECK(sum_of({-1, -std::ldexp(1, -53)}) == -1);  // a tie goes to the even one
  CHECK(sum_of({-1, -std::ldexp(1, -53), -tiny}) == -1 - std::ldexp(1, -52));
  CHECK(sum_of({huge, huge}) == std::numeric_limits<double>::infinity());
  CHECK(sum_of({std::ldexp(1.5, -1022), -std::ldexp(1, -1022)}) == std::ldexp(1, -1023));
  lk::random_stream random(3);
  for (int round = 0; round < 300; ++round) {  // against sums of whole numbers
    std::int64_t whole = 0;
    lk::exact_sum total;
    for (int i = 0; i < 40; ++i) {
      const auto v = static_cast<std::int64_t>(random.below(std::uint64_t{1} << (10 + i))) * (random.below(2) == 0 ? 1 : -1);
      whole += v, total.add(std::ldexp(static_cast<double>(v), round - 150));
    }
    CHECK(total.value() == std::ldexp(static_cast<double>(whole), round - 150));
  }
}

TEST_CASE("Means and moments of all ranks do not depend on how many there are") {
  on_any_ranks([](const auto& comm) {
    for (const std::size_t n : std::vector<std::size_t>{1, 2, 1000}) {
      std::vector<double> all = numbers(n, n + 1, false), weights(n);
      for (std::size_t i = 0; i < n; ++i) {
        all[i] = std::ldexp(all[i] + 0.1, static_cast<int>(i % 40));
        weights[i] = static_cast<double>(i % 3);
      }
      EXPECT_ON_RANK(lk::mean_of(comm, part_of(all, comm)) == lk::mean_of(lk::one_rank{}, all));
      if (n > 1) EXPECT_ON_RANK(lk::mean_of(comm, part_of(all, comm), part_of(weights, comm)) == lk::mean_of(lk::one_rank{}, all, weights));
      const auto got = lk::moments_of(comm, part_of(all, comm)), expected = lk::moments_of(lk::one_rank{}, all);
      EXPECT_ON_RANK(got.count == n && got.mean == expected.mean && got.variance == expected.variance);
      double total = 0, square = 0;
      for (const double v : all) total += v;
      for (const double v : all) square += (v - total / static_cast<double>(n)) * (v - total / static_cast<double>(n));
      EXPECT_ON_RANK(std::abs(got.mean * static_cast<double>(n) - total) <= 1e-12 * std::abs(total));
      EXPECT_ON_RANK(std::abs(got.variance * static_cast<double>(n) - square) <= 1e-12 * square);
    }
    EXPECT_ON_RANK(std::isnan(lk::mean_of(comm, std::vector<float>{})));
    const std::vector<float> one{1};
    EXPECT_ON_RANK(ranks::fault_of<lk::shape_error>([&] { (void)lk::mean_of(comm, one, std::vector<float>(comm.rank() == 0 ? 2 : 1)); })
                       .ends_with("weights has 2 elements, expected 1 (one a number)"));
  });
}

TEST_CASE("Counts, prototypes and thresholds of all ranks") {
  on_any_ranks([](const auto& comm) {
    constexpr std::size_t n = 200, classes = 5;
    lk::random_stream random(9);
    std::vector<double> x(n * classes);
    std::vector<int> labels(n), guesses(n);
    for (double& v : x) v = std::round(16 * random.normal()) / 4;  // sums of features are exact
    for (int& y : labels) y = static_cast<int>(random.below(classes + 1)) - 1;
    for (int& y : guesses) y = static_cast<int>(random.below(classes));
    for (int& y : labels) y = y < 0 ? -100 : y;
    const std::vector<double> mine = part_of(x, comm, classes);
    const std::vector<int> my_labels = part_of(labels, comm), my_guesses = part_of(guesses, comm);
    const lk::rows<const double> all_rows(x.data(), n, classes), my_rows(mine.data(), my_labels.size(), classes);

    lk::confusion_matrix own(classes), whole(classes);
    own.update(my_labels, my_guesses), whole.update(labels, guesses);
    const auto counts = lk::all_reduce_sum(comm, own);
    for (std::size_t a = 0; a < classes; ++a)
      for (std::size_t b = 0; b < classes; ++b) EXPECT_ON_RANK(counts.count(a, b) == whole.count(a, b));
    EXPECT_ON_RANK(lk::all_reduce_sum(comm, own).mean_iou() == whole.mean_iou());  // its own counts are still its own
    const std::string fault = ranks::fault_of<lk::value_error>(
        [&] { (void)lk::all_reduce_sum(comm, lk::confusion_matrix(comm.rank() == 0 ? 2 : 3)); });
    EXPECT_ON_RANK(comm.size() == 1 || fault == "limbeck: the number of sums is 4 on rank 0 and 9 on rank 1, expected the same on all");

    lk::classification_metrics my_metrics, metrics;
    if (!my_labels.empty()) my_metrics.add(my_rows, my_labels);
    metrics.add(all_rows, labels);
    const auto measured = lk::all_reduce_sum(comm, my_metrics);
    EXPECT_ON_RANK(measured.rows_counted() == metrics.rows_counted() && measured.accuracy() == metrics.accuracy());
    EXPECT_ON_RANK(std::abs(measured.nll() - metrics.nll()) < 1e-13 && std::abs(measured.ece() - metrics.ece()) < 1e-13);

    lk::prototypes<double> p(classes, classes, {.decay = 0.5}), expected(classes, classes, {.decay = 0.5});
    const std::vector<double> weights = [&] {
      std::vector<double> w(n);
      for (std::size_t i = 0; i < n; ++i) w[i] = static_cast<double>(i % 4) / 2;
      return w;
    }();
    p.update(comm, my_rows, my_labels), expected.update(all_rows, labels);
    p.update(comm, my_rows, my_labels, part_of(weights, comm)), expected.update(all_rows, labels, weights);
    for (std::size_t c = 0; c < classes; ++c) {
      EXPECT_ON_RANK(p.count(c) == expected.count(c));
      for (std::size_t j = 0; j < classes; ++j) EXPECT_ON_RANK(p.means()(c, j) == expected.means()(c, j));
    }
    std::vector<int> wrong = my_labels;
    const bool has_one = comm.rank() == 0 && !wrong.empty();
    if (has_one) wrong[0] = 7;
    EXPECT_ON_RANK(comm.size() == 1 || ranks::fault_of<lk::value_error>([&] { p.update(comm, my_rows, wrong); })
                                               .find("label 7 in row 0, expected 0 to 4") != std::string::npos ||
                   begin_of(1, comm.size(), n) == 0);
    EXPECT_ON_RANK(p.count(2) == expected.count(2));

    lk::dual_thresholds thresholds(classes), of_all(classes);
    lk::freematch_labels free(classes, 0.5), free_of_all(classes, 0.5);
    std::vector<int> kept(my_labels.size()), kept_of_all(n);
    std::vector<double> student = x;
    std::reverse(student.begin(), student.end());
    const std::vector<double> my_student = part_of(student, comm, classes);
    const lk::rows<const double> all_students(student.data(), n, classes), my_students(my_student.data(), my_labels.size(), classes);
    for (int step = 0; step < 2; ++step) {
      EXPECT_ON_RANK(thresholds(comm, my_students, my_rows, kept) == of_all(all_students, all_rows, kept_of_all));
      EXPECT_ON_RANK(kept == part_of(kept_of_all, comm));
      EXPECT_ON_RANK(free(comm, my_rows, kept) == free_of_all(all_rows, kept_of_all));
      EXPECT_ON_RANK(kept == part_of(kept_of_all, comm));
      for (std::size_t c = 0; c < classes; ++c) {
        EXPECT_ON_RANK(std::abs(thresholds.teacher_threshold(c) - of_all.teacher_threshold(c)) < 1e-13);
        EXPECT_ON_RANK(std::abs(thresholds.student_threshold(c) - of_all.student_threshold(c)) < 1e-13);
        EXPECT_ON_RANK(std::abs(free.threshold(c) - free_of_all.threshold(c)) < 1e-13);
      }
    }
  });
}
