// Filters with a memory: pseudo-labels, dual thresholds, CEMA, RS2; and top K per class.
#include <limbeck/core/random.hpp>
#include <limbeck/selection/cema.hpp>
#include <limbeck/selection/dual_thresholds.hpp>
#include <limbeck/selection/pseudo_labels.hpp>
#include <limbeck/selection/repeated_random_subsets.hpp>
#include <limbeck/selection/top_per_class.hpp>

#include "catch.hpp"

#include <algorithm>
#include <any>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace lk = limbeck;

namespace {

using indices = std::vector<std::size_t>;

/// The smallest archive that there is.
struct store {
  std::map<std::string, std::any> members;
  bool loading = false;
  std::string prefix;
  template <class T>
  void operator()(const char* name, T& value) {
    if constexpr (requires { value.serialize(*this); }) {
      const std::string outer = prefix;
      prefix += std::string(name) + ".";
      value.serialize(*this);
      prefix = outer;
    } else if (loading) {
      value = std::any_cast<T>(members.at(prefix + name));
    } else {
      members[prefix + name] = value;
    }
  }
};
template <class T>
store saved(T& x) {
  store s;
  x.serialize(s);
  s.loading = true;
  return s;
}

struct batch_of_logits {
  std::size_t samples, classes;
  std::vector<double> x;
  batch_of_logits(std::size_t n, std::size_t c, std::uint64_t seed, double scale = 2)
      : samples(n), classes(c), x(n * c) {
    lk::random_stream random(seed);
    for (double& v : x) v = scale * random.normal();
  }
  lk::rows<const double> view() const { return {x.data(), samples, classes}; }
  std::vector<double> p(std::size_t r) const {
    long double z = 0;
    for (std::size_t c = 0; c < classes; ++c) z += std::exp(static_cast<long double>(x[r * classes + c]));
    std::vector<double> result;
    for (std::size_t c = 0; c < classes; ++c)
      result.push_back(static_cast<double>(std::exp(static_cast<long double>(x[r * classes + c])) / z));
    return result;
  }
  std::size_t predicted(std::size_t r) const {
    const auto q = p(r);
    return static_cast<std::size_t>(std::max_element(q.begin(), q.end()) - q.begin());
  }
  double confidence(std::size_t r) const { return p(r)[predicted(r)]; }
  double entropy(std::size_t r) const {
    double h = 0;
    for (const double v : p(r)) h -= v * std::log(v);
    return h;
  }
};

}  // namespace

TEST_CASE("FixMatch labels keep what reaches the threshold", "[selection]") {
  const batch_of_logits b(200, 4, 1);
  std::vector<int> labels(200);
  const std::size_t kept = lk::fixmatch_labels{.threshold = 0.8}(b.view(), labels);
  std::size_t expected = 0;
  for (std::size_t r = 0; r < 200; ++r) {
    const bool keep = b.confidence(r) >= 0.8;
    expected += keep;
    CHECK(labels[r] == (keep ? static_cast<int>(b.predicted(r)) : -100));
  }
  CHECK(kept == expected);
  CHECK(lk::fixmatch_labels{.threshold = 0}(b.view(), labels) == 200);
  struct spread {  // a vector whose elements are two apart
    std::vector<int> all = std::vector<int>(400, 7);
    int* data() { return all.data(); }
    const int* data() const { return all.data(); }
    std::size_t size() const { return 200; }
    std::ptrdiff_t innerStride() const { return 2; }
  } apart, dual;
  lk::fixmatch_labels{.threshold = 0}(b.view(), apart);
  lk::dual_thresholds(4, {.teacher_scale = 0, .student_scale = 0})(b.view(), b.view(), dual);
  for (std::size_t r = 0; r < 200; ++r) CHECK((apart.all[2 * r] == labels[r] && apart.all[2 * r + 1] == 7));
  CHECK(dual.all == apart.all);
  std::vector<int> wrong(3);
  CHECK_THROWS_WITH(lk::fixmatch_labels{}(b.view(), wrong), "limbeck: labels has 3 elements, expected 200 (one a row)");
  CHECK_THROWS_WITH(lk::fixmatch_labels{.threshold = 1.5}(b.view(), labels),
                    "limbeck: threshold is 1.5, expected a fraction in [0, 1]");
  auto bad = b;
  bad.x[9] = NAN;
  CHECK_THROWS_WITH(lk::fixmatch_labels{}(bad.view(), labels), "limbeck: the pool is nan at row 2, column 1");
  bad.x[9] = INFINITY;
  CHECK_THROWS_WITH(lk::fixmatch_labels{}(bad.view(), labels),
                    "limbeck: the largest logit of row 2 is inf, expected a finite number");
}

TEST_CASE("FlexMatch against its definition, and a restart in the middle", "[selection]") {
  const std::size_t n = 60, classes = 3;
  lk::flexmatch_labels filter(n, classes, 0.7), resumed(n, classes, 0.7);
  std::vector<int> latest(n, -1);
  for (std::uint64_t step = 0; step < 12; ++step) {
    const batch_of_logits b(20, classes, step + 1);
    std::vector<int> rows(20), labels(20);
    for (std::size_t i = 0; i < 20; ++i) rows[i] = static_cast<int>((step * 7 + i * 3) % n);
    std::vector<double> count(classes + 1, 0);
    for (const int c : latest) ++count[static_cast<std::size_t>(c + 1)];
    const double most = *std::max_element(count.begin(), count.end());
    if (step == 5) {
      auto s = saved(filter);
      resumed.serialize(s);
    }
    filter(b.view(), rows, labels);
    for (std::size_t i = 0; i < 20; ++i) {
      const double beta = count[b.predicted(i) + 1] / most;
      const bool keep = b.confidence(i) >= 0.7 * beta / (2 - beta);
      CHECK(labels[i] == (keep ? static_cast<int>(b.predicted(i)) : -100));
    }
    if (step >= 5) {
      std::vector<int> again(20);
      resumed(b.view(), rows, again);
      CHECK(again == labels);
    }
    for (std::size_t i = 0; i < 20; ++i)
      if (b.confidence(i) >= 0.7) latest[static_cast<std::size_t>(rows[i])] = static_cast<int>(b.predicted(i));
  }
  const batch_of_logits b(1, classes, 1);
  std::vector<int> label(1);
  CHECK_THROWS_WITH(filter(b.view(), std::vector<int>{60}, label),
                    "limbeck: rows is 60 at position 0, expected a row of the pool, 0 to 59");
  lk::flexmatch_labels other(10, classes);
  auto s = saved(filter);
  CHECK_THROWS_WITH(other.serialize(s), "limbeck: the restored latest has 60 elements, expected 10");
  lk::flexmatch_labels fewer(n, 2);
  auto same_rows = saved(filter);
  CHECK_THROWS_AS(fewer.serialize(same_rows), lk::value_error);
}

TEST_CASE("FreeMatch against its definition, and a restart in the middle", "[selection]") {
  const std::size_t classes = 4, n = 32;
  lk::freematch_labels filter(classes, 0.9), resumed(classes, 0.9);
  double tau = 0.25;
  std::vector<double> m(classes, 0.25);
  CHECK(filter.threshold(2) == 0.25);
  for (std::uint64_t step = 0; step < 10; ++step) {
    const batch_of_logits b(n, classes, 50 + step);
    std::vector<long long> labels(n);
    if (step == 4) {
      auto s = saved(filter);
      resumed.serialize(s);
    }
    filter(b.view(), labels);
    double confidence = 0;
    std::vector<double> mean_p(classes, 0);
    for (std::size_t r = 0; r < n; ++r) {
      confidence += b.confidence(r) / static_cast<double>(n);
      for (std::size_t c = 0; c < classes; ++c) mean_p[c] += b.p(r)[c] / static_cast<double>(n);
    }
    tau = 0.9 * tau + 0.1 * confidence;
    for (std::size_t c = 0; c < classes; ++c) m[c] = 0.9 * m[c] + 0.1 * mean_p[c];
    const double most = *std::max_element(m.begin(), m.end());
    for (std::size_t c = 0; c < classes; ++c) CHECK(filter.threshold(c) == Approx(tau * m[c] / most).epsilon(1e-12));
    for (std::size_t r = 0; r < n; ++r) {
      const std::size_t y = b.predicted(r);
      CHECK(labels[r] == (b.confidence(r) >= tau * m[y] / most ? static_cast<long long>(y) : -100));
    }
    if (step >= 4) {
      std::vector<long long> again(n);
      resumed(b.view(), again);
      CHECK(again == labels);
    }
  }
  std::vector<int> labels(n);
  CHECK_THROWS_WITH(filter(batch_of_logits(n, 3, 1).view(), labels),
                    "limbeck: logits has shape 32 x 3, expected 32 x 4 (samples x classes)");
  lk::freematch_labels other(5);
  auto s = saved(filter);
  CHECK_THROWS_WITH(other.serialize(s), "limbeck: the restored of_class has 4 elements, expected 5");
  CHECK_THROWS_WITH(lk::freematch_labels(3, 2), "limbeck: momentum is 2, expected a fraction in [0, 1]");
}

TEST_CASE("dual thresholds: their definition, their limits, and a restart", "[selection]") {
  const std::size_t classes = 3, n = 40;
  lk::dual_thresholds filter(classes), resumed(classes), open(classes, {.teacher_scale = 0, .student_scale = 0});
  double g[2] = {-1, -1};
  std::vector<double> m[2] = {std::vector<double>(classes, -1), std::vector<double>(classes, -1)};
  for (std::uint64_t step = 0; step < 8; ++step) {
    const batch_of_logits student(n, classes, 2 * step + 1), teacher(n, classes, 2 * step + 2, 4);
    std::vector<int> labels(n);
    if (step == 3) {
      auto s = saved(filter);
      resumed.serialize(s);
    }
    const std::size_t kept = filter(student.view(), teacher.view(), labels);
    const auto signal_of = [&](int side, std::size_t r) {
      return side == 0 ? teacher.confidence(r) : student.entropy(r);
    };
    for (int side = 0; side < 2; ++side) {
      double all_rows = 0;
      std::vector<double> total(classes, 0), count(classes, 0);
      for (std::size_t r = 0; r < n; ++r) {
        all_rows += signal_of(side, r) / static_cast<double>(n);
        total[teacher.predicted(r)] += signal_of(side, r);
        ++count[teacher.predicted(r)];
      }
      g[side] = g[side] < 0 ? all_rows : 0.9 * g[side] + 0.1 * all_rows;
      for (std::size_t c = 0; c < classes; ++c)
        if (count[c] > 0)
          m[side][c] = m[side][c] < 0 ? total[c] / count[c] : 0.9 * m[side][c] + 0.1 * total[c] / count[c];
    }
    std::size_t expected = 0;
    for (std::size_t r = 0; r < n; ++r) {
      const std::size_t y = teacher.predicted(r);
      bool keep = true;
      for (int side = 0; side < 2; ++side)
        keep = keep && signal_of(side, r) >= g[side] * m[side][y] / *std::max_element(m[side].begin(), m[side].end());
      expected += keep;
      CHECK(labels[r] == (keep ? static_cast<int>(y) : -100));
    }
    CHECK(kept == expected);
    CHECK((kept > 0 && kept < n));
    if (step >= 3) {
      std::vector<int> again(n);
      resumed(student.view(), teacher.view(), again);
      CHECK(again == labels);
    }
    CHECK(open(student.view(), teacher.view(), labels) == n);  // plain pseudo-labels
  }
  lk::dual_thresholds other(4);
  auto s = saved(filter);
  CHECK_THROWS_WITH(other.serialize(s), "limbeck: the restored teacher has 3 elements, expected 4");
  CHECK_THROWS_WITH(lk::dual_thresholds(3, {.teacher_scale = -1}), "limbeck: teacher_scale is -1, expected at least 0");
}

TEST_CASE("a row at both thresholds is kept", "[selection]") {
  const std::vector<double> x{3, 0, 0};  // alone it is its own threshold
  const lk::rows<const double> row(x.data(), 1, 3);
  lk::dual_thresholds filter(3);
  std::vector<int> labels(1, -1);
  CHECK(filter(row, row, labels) == 1);
  CHECK(filter.teacher_threshold(0) == Approx(std::exp(3.0) / (std::exp(3.0) + 2)));
  CHECK(labels[0] == 0);
}

TEST_CASE("CEMA's exclusions against their definition, and a restart", "[selection]") {
  const std::size_t classes = 5, n = 30;
  const lk::cema settings{.highest_entropy = 0.6, .lowest_entropy = 0.05, .warm_up = 70, .similarity = 0.8};
  lk::cema_filter filter(classes, settings), resumed(classes, settings);
  const double bound = 0.6 * std::log(5.0);
  double total = 0, warm_mean = 0, seen = 0;
  std::vector<double> mean_p;
  for (std::uint64_t step = 0; step < 10; ++step) {
    const batch_of_logits b(n, classes, 100 + step, 3);
    if (step == 4) {
      auto s = saved(filter);
      resumed.serialize(s);
    }
    const indices kept = filter(b.view());
    for (std::size_t r = 0; r < n; ++r) total += b.entropy(r);
    seen += static_cast<double>(n);
    if (warm_mean <= 0 && seen >= 70) warm_mean = total / seen;
    const double high = warm_mean > 0 ? bound * (total / seen / warm_mean) * 0.6 : bound;
    CHECK(filter.highest_entropy() == Approx(high));
    indices expected;
    for (std::size_t r = 0; r < n; ++r) {
      if (b.entropy(r) >= high || b.entropy(r) <= 0.05 * std::log(5.0)) continue;
      double dot = 0, pp = 0, mm = 0;
      for (std::size_t c = 0; c < mean_p.size(); ++c) {
        dot += b.p(r)[c] * mean_p[c];
        pp += b.p(r)[c] * b.p(r)[c];
        mm += mean_p[c] * mean_p[c];
      }
      if (mean_p.empty() || std::abs(dot) / std::sqrt(pp * mm) < 0.8) expected.push_back(r);
    }
    CHECK(kept == expected);
    CHECK((!kept.empty() && kept.size() < n));
    std::vector<double> fresh(classes, 0);
    for (const std::size_t r : kept)
      for (std::size_t c = 0; c < classes; ++c) fresh[c] += b.p(r)[c] / static_cast<double>(kept.size());
    if (mean_p.empty()) {
      mean_p = fresh;
    } else {
      for (std::size_t c = 0; c < classes; ++c) mean_p[c] = 0.9 * mean_p[c] + 0.1 * fresh[c];
    }
    if (step >= 4) CHECK(resumed(b.view()) == kept);
  }
  const std::vector<double> flat(10, 0.0);  // entropy log C: never kept, as shipped
  CHECK(lk::cema_filter(5)(lk::rows<const double>(flat.data(), 2, 5)).empty());
  CHECK(lk::cema_filter(5, {.highest_entropy = 2})(lk::rows<const double>(flat.data(), 2, 5)).size() == 2);
  CHECK_THROWS_WITH(filter(batch_of_logits(2, 3, 1).view()),
                    "limbeck: logits has shape 2 x 3, expected 2 x 5 (samples x classes)");
  lk::cema_filter other(4);
  auto s = saved(filter);
  CHECK_THROWS_WITH(other.serialize(s), "limbeck: the restored mean has 5 elements, expected 4");
  CHECK_THROWS_WITH(lk::cema_filter(4, {.momentum = 1.1}), "limbeck: momentum is 1.1, expected a fraction in [0, 1]");
}

TEST_CASE("RS2: no row twice within a permutation, distinct rows within an epoch, a restart goes on", "[selection]") {
  lk::repeated_random_subsets subsets(103, {.fraction = 0.2, .seed = 7});
  CHECK(subsets.size() == 21);
  for (int round = 0; round < 3; ++round) {
    std::set<std::size_t> seen;
    for (int epoch = 0; epoch < 4; ++epoch)  // floor(103/21)
      for (const std::size_t r : subsets.next()) CHECK(seen.insert(r).second);
    CHECK(seen.size() == 84);
  }
  subsets.next();
  auto state = saved(subsets);
  lk::repeated_random_subsets resumed(103, {.fraction = 0.2, .seed = 0});
  resumed.serialize(state);
  for (int epoch = 0; epoch < 9; ++epoch) {
    const auto a = subsets.next(), b = resumed.next();
    CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()));
  }
  lk::repeated_random_subsets divides(100, {.fraction = 0.25, .seed = 1});
  std::vector<int> count(100, 0);
  for (int epoch = 0; epoch < 8; ++epoch)
    for (const std::size_t r : divides.next()) ++count[r];
  CHECK(std::count(count.begin(), count.end(), 2) == 100);

  lk::repeated_random_subsets with(100, {.fraction = 0.5, .replacement = true, .seed = 1});
  std::vector<int> drawn(100, 0);
  for (int epoch = 0; epoch < 400; ++epoch) {
    const auto rows = with.next();
    CHECK(std::set<std::size_t>(rows.begin(), rows.end()).size() == 50);
    for (const std::size_t r : rows) ++drawn[r];
  }
  CHECK(std::all_of(drawn.begin(), drawn.end(), [](int k) { return std::abs(k - 200) < 50; }));  // five deviations
  CHECK(lk::repeated_random_subsets(7, {.fraction = 1}).next().size() == 7);
  CHECK(lk::repeated_random_subsets(7, {.fraction = 0.01}).next().size() == 1);
  CHECK_THROWS_WITH(lk::repeated_random_subsets(0), "limbeck: the pool is empty");
  CHECK_THROWS_WITH(lk::repeated_random_subsets(7, {.fraction = 0}),
                    "limbeck: fraction is 0, expected a number in (0, 1]");
  lk::repeated_random_subsets other(8);
  auto s = saved(subsets);
  CHECK_THROWS_WITH(other.serialize(s),
                    "limbeck: the restored subsets are of other data: expected a permutation of 8 rows");
}

TEST_CASE("top K per class: counts, order, ties, and its limits in P", "[selection]") {
  const batch_of_logits b(300, 6, 9);
  for (const std::size_t among : {1U, 3U, 6U, 50U}) {
    const auto chosen = lk::top_per_class{.per_class = 20, .among = among}(b.view());
    std::vector<lk::labelled_row> expected;
    for (std::size_t c = 0; c < 6; ++c) {
      std::vector<lk::labelled_row> candidates;
      for (std::size_t r = 0; r < 300; ++r) {
        const auto p = b.p(r);
        const auto above = std::count_if(p.begin(), p.end(), [&](double v) { return v > p[c]; });
        if (static_cast<std::size_t>(above) < among) candidates.push_back({r, c, p[c]});
      }
      std::stable_sort(candidates.begin(), candidates.end(),
                       [](const auto& x, const auto& y) { return x.score > y.score; });
      candidates.resize((std::min)(candidates.size(), std::size_t{20}));
      expected.insert(expected.end(), candidates.begin(), candidates.end());
    }
    REQUIRE(chosen.size() == expected.size());
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      CHECK(chosen[i].row == expected[i].row);
      CHECK(chosen[i].label == expected[i].label);
      CHECK(chosen[i].score == Approx(expected[i].score).epsilon(1e-12));
    }
    if (among >= 6) CHECK(chosen.size() == 120);
    if (among == 1) {
      std::set<std::size_t> rows;
      for (const auto& r : chosen) CHECK(rows.insert(r.row).second);
    }
  }
  const std::vector<float> tied(12, 1.0F);
  const auto chosen = lk::top_per_class{.per_class = 2, .among = 1}(lk::rows<const float>(tied.data(), 4, 3));
  REQUIRE(chosen.size() == 2);
  CHECK((chosen[0].row == 0 && chosen[1].row == 1 && chosen[1].label == 0));
  CHECK_THROWS_WITH(lk::top_per_class{.per_class = 0}(b.view()), "limbeck: per_class is 0, expected at least 1");
  CHECK_THROWS_WITH((lk::top_per_class{.per_class = 1, .among = 0}(b.view())),
                    "limbeck: among is 0, expected at least 1");
  CHECK_THROWS_WITH(lk::top_per_class{.per_class = 1}(lk::rows<const float>(tied.data(), 0, 3)),
                    "limbeck: the pool is empty");
}
