// A vocabulary in shards: value, gradient, signals, temperatures and faults of a call of which each rank has some classes of each
// row, against the call that has them all.
#include "ranks.hpp"

#include <limbeck/limbeck.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>

namespace {

namespace lk = limbeck;
using ranks::on_any_ranks;

template <class T>
constexpr T minus_infinity = -std::numeric_limits<T>::infinity();

/// Rows as a whole, and what goes with them.
template <class T>
struct batch {
  std::size_t n, classes;
  std::vector<T> student, teacher, soft, weights, temperatures;
  std::vector<int> labels;
  std::vector<unsigned char> mask;
  batch(std::size_t rows, std::size_t c, unsigned seed) : n(rows), classes(c) {
    lk::random_stream random(seed);
    for (std::size_t r = 0; r < n; ++r) {
      const double size = 0.3 + 3.0 * static_cast<double>(r % 3), shift = r % 5 == 4 ? 50 : 0;
      double total = 0;
      std::vector<double> p(c);
      for (double& x : p) total += x = std::exp(random.normal());
      for (std::size_t k = 0; k < c; ++k) {
        student.push_back(static_cast<T>(size * random.normal() - shift));
        // every seventh row: student and teacher are close
        teacher.push_back(r % 7 == 6 ? student.back() + static_cast<T>(1e-3 * random.normal()) : static_cast<T>(size * random.normal()));
        soft.push_back(static_cast<T>(p[k] / total));
      }
      labels.push_back(r % 9 == 8 ? -100 : static_cast<int>(random.below(c)));
      weights.push_back(r % 6 == 5 ? T(0) : static_cast<T>(0.5 + random.uniform()));
      temperatures.push_back(static_cast<T>(0.7 + random.uniform()));
    }
    for (std::size_t k = 0; k < c; ++k) mask.push_back(k % 4 != 1);
  }
  /// Some classes are masked: of one side, of both, and rank-sized stretches of them.
  void mask_some(std::size_t first, std::size_t count) {
    for (std::size_t r = 0; r < n; r += 2)
      for (std::size_t k = first; k < first + count; ++k) {
        student[r * classes + k] = teacher[r * classes + k] = minus_infinity<T>;
        if (labels[r] == static_cast<int>(k)) labels[r] = first == 0 ? static_cast<int>(classes - 1) : 0;
      }
  }
};

template <class T>
struct outcome {
  double loss = 0;
  std::array<double, 8> by_temperature{};
  std::vector<T> gradient, values, by_row;
};

enum parts : unsigned { nothing = 0, with_soft = 1, with_mask = 2, with_labels = 4, with_temperatures = 8, no_teacher = 16 };

/// A call on classes [first, first + count).
template <unsigned Parts, class T, class O, class... More>
outcome<T> call(const O& o, const batch<T>& b, std::size_t first, std::size_t count, More&&... more) {
  const auto columns = [&](const auto& x) {
    std::vector<T> own;
    for (std::size_t r = 0; r < b.n; ++r)
      for (std::size_t k = first; k < first + count; ++k) own.push_back(x[r * b.classes + k]);
    return own;
  };
  const std::vector<T> s = columns(b.student), t = columns(b.teacher), p = columns(b.soft);
  const std::vector<unsigned char> mask(b.mask.begin() + static_cast<std::ptrdiff_t>(first),
                                        b.mask.begin() + static_cast<std::ptrdiff_t>(first + count));
  outcome<T> out;
  out.gradient.assign(b.n * count, T(77));
  out.values.resize(b.n), out.by_row.resize(b.n);
  const auto view = [&](const std::vector<T>& x) { return lk::rows<const T>(x.data(), b.n, count); };
  const auto run = [&](const auto&... all) {
    const lk::evaluation e = o(view(s), all..., lk::into(lk::rows<T>(out.gradient.data(), b.n, count)), lk::row_losses(out.values),
                               lk::row_weights(b.weights), lk::unread_is_fine, more...);
    out.loss = e.loss, out.by_temperature = e.temperature_gradient;
  };
  const auto labelled = [&](const auto&... all) {
    if constexpr ((Parts & with_labels) != 0) {
      run(all..., b.labels);
    } else {
      run(all...);
    }
  };
  const auto extra = [&](const auto&... all) {
    if constexpr ((Parts & with_soft) != 0) {
      labelled(all..., lk::soft_labels(view(p)));
    } else if constexpr ((Parts & with_mask) != 0) {
      labelled(all..., lk::class_mask(mask));
    } else if constexpr ((Parts & with_temperatures) != 0) {
      labelled(all..., lk::row_temperatures(b.temperatures), lk::row_temperature_gradient(out.by_row));
    } else {
      labelled(all...);
    }
  };
  if constexpr ((Parts & no_teacher) != 0) {
    extra();
  } else {
    extra(view(t));
  }
  return out;
}

/// Where each rank's classes begin; some ranks may have none.
std::vector<std::size_t> cut(std::size_t classes, int ranks, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::size_t> at{0};
  for (int k = 1; k < ranks; ++k) at.push_back(seed % 3 == 0 ? classes * static_cast<std::size_t>(k) / static_cast<std::size_t>(ranks) : random() % (classes + 1));
  if (seed % 3 == 1 && ranks > 1) at[1] = 0;  // the first has none
  at.push_back(classes);
  std::sort(at.begin(), at.end());
  return at;
}


template <class T>
void same(const outcome<T>& got, const outcome<T>& whole, std::size_t n, std::size_t classes, std::size_t first, std::size_t count) {
  const double ulps = 64 * static_cast<double>(std::numeric_limits<T>::epsilon());
  const auto is_near = [&](double a, double b, double scale) { return a == b || std::abs(a - b) <= ulps * scale; };
  EXPECT_ON_RANK(is_near(got.loss, whole.loss, std::abs(whole.loss)));
  for (std::size_t i = 0; i < 8; ++i)
    EXPECT_ON_RANK(is_near(got.by_temperature[i], whole.by_temperature[i], 8 * std::abs(whole.by_temperature[i]) + 0.1 * std::abs(whole.loss)));
  for (std::size_t r = 0; r < n; ++r) {
    const double value = static_cast<double>(whole.values[r]);
    EXPECT_ON_RANK(is_near(static_cast<double>(got.values[r]), value, std::abs(value)));
    EXPECT_ON_RANK(is_near(static_cast<double>(got.by_row[r]), static_cast<double>(whole.by_row[r]), 8 * std::max(1.0, std::abs(value))));
    double most = 0;
    for (std::size_t k = 0; k < classes; ++k) most = (std::max)(most, std::abs(static_cast<double>(whole.gradient[r * classes + k])));
    for (std::size_t k = 0; k < count; ++k)
      EXPECT_ON_RANK(is_near(static_cast<double>(got.gradient[r * count + k]), static_cast<double>(whole.gradient[r * classes + first + k]), most));
  }
}

/// Over 1 to 4 ranks, cut in several ways; more than one block of rows.
template <unsigned Parts = with_labels, class T = float, class O>
void check(const O& o, bool masks = true, std::size_t n = 21, std::size_t classes = 37) {
  on_any_ranks([&](const auto& comm) {
    lk::workspace ws;
    for (unsigned seed = 0; seed < 3; ++seed) {
      batch<T> b(n, classes, seed);
      const auto at = cut(classes, comm.size(), seed);
      const std::size_t k = static_cast<std::size_t>(comm.rank());
      if (masks && seed == 2 && comm.size() > 1) b.mask_some(at[1], at[2] - at[1]);  // all that one rank has
      if (masks && seed == 1) b.mask_some(3, 2);
      const auto whole = call<Parts>(o, b, 0, classes);
      const auto got = call<Parts>(o, b, at[k], at[k + 1] - at[k], lk::classes_over(comm, {.block_rows = 8}), ws);
      same(got, whole, n, classes, at[k], at[k + 1] - at[k]);
      const auto alike = lk::all_gather(comm, got.loss);
      EXPECT_ON_RANK(std::all_of(alike.begin(), alike.end(), [&](double x) { return x == alike[0]; }));
    }
  });
}

}  // namespace

TEST_CASE("Divergences over shards are those of one machine") {
  check<nothing>(lk::objective{lk::at_temperature(2, lk::forward_kl{}) + 0.3 * lk::reverse_kl{} + 0.1 * lk::soft_cross_entropy{} + 0.2 * lk::total_variation{} +
                      lk::jensen_shannon{.beta = 0.2} + lk::at_temperature(2, 3, lk::unscaled(lk::skew_kl{.alpha = 0.1})) +
                      lk::skew_reverse_kl{.alpha = 0.3} + lk::squared_hellinger{} + lk::alpha_divergence{.alpha = 0.5} +
                      lk::alpha_beta{.alpha = 0.5, .beta = 0.2} + 0.1 * lk::squared_probabilities{} + 0.1 * lk::student_entropy{}});
}
TEST_CASE("Losses of labels over shards, wherever the label is") {
  check(lk::objective{lk::cross_entropy{.smoothing = 0.1} + 0.5 * lk::dkd{.alpha = 1, .beta = 2} + lk::reverse_cross_entropy{} + lk::nkd{}}, false);
  check<with_labels, double>(lk::objective{lk::cross_entropy{} + lk::ofa{.gamma = 1.2} + 0.1 * lk::target_reverse_kl{} + lk::on<lk::non_target>(lk::forward_kl{})});
}
TEST_CASE("Close rows, rows of many classes, and none of two blocks alike") {
  check<nothing, double>(lk::objective{lk::forward_kl{}}, true, 37, 2100);
  check<nothing, double>(lk::objective{lk::forward_kl{}}, false, 16, 5);
}
TEST_CASE("Domains and probabilities over shards") {
  check<with_mask | with_labels>(lk::objective{lk::on<lk::masked>(lk::forward_kl{}) + lk::on<lk::non_target>(lk::reverse_kl{})}, false);
  check<with_soft | no_teacher>(lk::objective{lk::cross_entropy{.smoothing = 0.1}}, false);
}
TEST_CASE("Losses without a softmax over shards: one may be masked as a whole") {
  check<nothing>(lk::objective{lk::mse{} + 0.1 * lk::l1{} + 0.2 * lk::smooth_l1{} + lk::barron{}}, false);
  check<nothing>(lk::objective{lk::mse{}});
  check<nothing, double>(lk::objective{lk::bernoulli{lk::forward_kl{}}}, false);
}
TEST_CASE("Signals and temperatures over shards") {
  check(lk::objective{lk::exp(-lk::of_teacher(lk::entropy{})) * lk::forward_kl{} + (lk::of_student(lk::margin{}) > 0.1) * lk::cross_entropy{} +
                      lk::of_teacher(lk::label_probability{}) * lk::divergence_of(lk::reverse_kl{}) * lk::reverse_kl{}}, false);
  check<with_temperatures>(lk::objective{lk::at_temperature(lk::per_row{}, lk::forward_kl{} + lk::reverse_kl{})}, false);
}
