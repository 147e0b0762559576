// Numbers of a row as options of losses, numbers of all rows inside of signals, temperatures of each side: each against calls
// that have them as constants.

#include "catch.hpp"

#include <limbeck/limbeck.hpp>
#include <limbeck/tokens/segments.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace lk = limbeck;

namespace {

constexpr std::size_t samples = 9, classes = 13;

struct data {
  std::vector<double> student, teacher, weights, mask;
  std::vector<int> labels;
  data() {
    lk::random_stream random(21);
    for (std::size_t i = 0; i < samples * classes; ++i) {
      student.push_back(2 * random.normal());
      teacher.push_back(2 * random.normal());
    }
    for (std::size_t r = 0; r < samples; ++r) {
      labels.push_back(static_cast<int>(random.below(classes)));
      weights.push_back(r == 3 ? 0 : 0.5 + random.uniform());
      mask.push_back(r == 5 ? 0 : 1);
    }
    labels[7] = -100;
  }
  lk::rows<const double> s() const { return {student.data(), samples, classes}; }
  lk::rows<const double> t() const { return {teacher.data(), samples, classes}; }
  bool counts(std::size_t r) const { return r != 3 && r != 5 && r != 7; }
};

struct outcome {
  double loss = 0;
  std::vector<double> gradient = std::vector<double>(samples * classes), rows = std::vector<double>(samples);
};
template <class Objective, class... More>
outcome run(const Objective& o, const data& d, More&&... more) {
  outcome x;
  x.loss = o(d.s(), d.t(), d.labels, lk::row_weights(d.weights), lk::row_mask(d.mask), lk::unread_is_fine,
             lk::into(lk::rows<double>(x.gradient.data(), samples, classes)), lk::row_losses(x.rows), more...);
  return x;
}
void same(const outcome& a, const outcome& b) {
  CHECK(a.loss == Approx(b.loss).epsilon(1e-12));
  for (std::size_t i = 0; i < a.gradient.size(); ++i)
    CHECK(a.gradient[i] == Approx(b.gradient[i]).epsilon(1e-11).margin(1e-15));
}

/// Row by row, each with a loss of its own.
template <class LossOfRow>
outcome by_rows(const data& d, const LossOfRow& loss_of) {
  outcome x;
  double weight = 0;
  for (std::size_t r = 0; r < samples; ++r) weight += d.counts(r) ? d.weights[r] : 0;
  for (std::size_t r = 0; r < samples; ++r) {
    if (!d.counts(r)) continue;
    const double share = d.weights[r] / weight;
    std::vector<double> g(classes);
    const std::vector<int> label{d.labels[r]};
    const lk::rows<const double> s(d.student.data() + r * classes, 1, classes), t(d.teacher.data() + r * classes, 1, classes);
    x.loss += share * loss_of(r)(s, t, label, lk::unread_is_fine, lk::into(lk::rows<double>(g.data(), 1, classes))).loss;
    for (std::size_t c = 0; c < classes; ++c) x.gradient[r * classes + c] = share * g[c];
  }
  return x;
}

/// A loss of whole rows: sum of |s/T - t/T|^(2 + e) / (2 + e).
struct powers {
  using limbeck_loss = lk::rowwise;
  static constexpr int temperature_power = 1;
  double exponent = 0;
  template <class T, class Team>
  LIMBECK_HOST_DEVICE T operator()(const lk::row<T, Team>& x) const {
    const T k = T(2) + static_cast<T>(exponent);
    T value(0);
    x.each_own([&](std::size_t c) {
      const T d = (x.student[c] - x.teacher[c]) / x.student_temperature, size = std::fabs(d);
      value += std::pow(size, k) / k;
      if (!x.gradient.empty()) x.gradient[c] += x.scale * std::pow(size, k - T(1)) * (d < T(0) ? T(-1) : T(1)) / x.student_temperature;
    });
    return x.sum(value);
  }
};

/// KL times a number, which is infinite where the student masks a class of the teacher's, if the number is not 0.
struct sized_kl {
  using limbeck_loss = lk::pointwise;
  static constexpr int temperature_power = 2;
  double size = 0;
  template <class X>
  LIMBECK_INLINE constexpr X value(const lk::point<X>& x) const {
    return X(static_cast<typename X::scalar>(size)) * x.excess;
  }
  template <class X>
  LIMBECK_INLINE constexpr X flow(const lk::point<X>& x) const {
    return X(static_cast<typename X::scalar>(size)) * (x.q - x.p);
  }
};

std::vector<double> measured(const data& d, const auto& signal) {
  std::vector<double> all(samples), out;
  lk::measure(signal, d.s(), d.t(), d.labels, lk::unread_is_fine, all);
  for (std::size_t r = 0; r < samples; ++r)
    if (d.counts(r)) out.push_back(all[r]);
  return out;
}

}  // namespace

TEST_CASE("numbers: an option that is a number of a row", "[signal][numbers]") {
  const data d;
  std::vector<double> alpha, smoothing;
  for (std::size_t r = 0; r < samples; ++r) {
    alpha.push_back(0.05 + 0.05 * static_cast<double>(r));
    smoothing.push_back(0.02 * static_cast<double>(r));
  }
  same(run(lk::with<&lk::skew_kl::alpha>(lk::given(alpha), lk::skew_kl{}), d),
       by_rows(d, [&](std::size_t r) { return lk::objective{lk::skew_kl{alpha[r]}}; }));
  // labelled, at a temperature, beside another term and below a weight by a signal
  const auto entropy = lk::of_teacher(lk::entropy{});
  same(run(0.5 * (entropy * lk::with<&lk::cross_entropy::smoothing>(lk::given(smoothing), lk::cross_entropy{})) +
               lk::at_temperature(2.0, lk::with<&lk::jensen_shannon::beta>(lk::of_student(lk::confidence{}), lk::jensen_shannon{})),
           d),
       by_rows(d, [&](std::size_t r) {
         std::vector<double> beta(1);
         lk::measure(lk::at_temperature(2.0, lk::confidence{}), lk::rows<const double>(d.student.data() + r * classes, 1, classes), beta);
         return 0.5 * (entropy * lk::cross_entropy{smoothing[r]}) + lk::at_temperature(2.0, lk::jensen_shannon{beta[0]});
       }));
  // two options of one loss, one a schedule; rowwise
  const auto two = lk::with<&lk::dkd::beta>(lk::linear(2.0, 6.0), lk::dkd{});
  same(run(two, d, lk::progress(0.5)), run(lk::objective{lk::dkd{.beta = 4}}, d));
  same(run(lk::at_temperature(1.5, lk::with<&powers::exponent>(lk::given(alpha), powers{})), d),
       by_rows(d, [&](std::size_t r) { return lk::at_temperature(1.5, powers{alpha[r]}); }));
  const auto o = lk::with<&lk::skew_kl::alpha>(lk::given(alpha), lk::skew_kl{});
  CHECK(o.plan().str().find("skew_kl{0.1} with alpha = given(9 rows)") != std::string::npos);
}

TEST_CASE("numbers: what an option does not take", "[signal][numbers]") {
  const data d;
  std::vector<double> alpha(samples, 0.1);
  const auto o = lk::with<&lk::skew_kl::alpha>(lk::given(alpha), lk::skew_kl{});
  alpha[3] = 7;  // has no weight: nobody looks
  CHECK_NOTHROW(run(o, d));
  alpha[4] = 7;
  CHECK_THROWS_WITH(run(o, d), "limbeck: with: the signal at row 4 is a number that the loss does not take for this setting");
  alpha[4] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(run(o, d), "limbeck: a signal is not finite at row 4; it weighs a loss, is a setting of one, or is measured");
  CHECK_THROWS_AS(run(lk::with<&lk::skew_kl::alpha>(2.0, lk::skew_kl{}), d), lk::value_error);
  alpha[4] = 0.1, alpha[6] = 7;  // in a row that a signal leaves nothing, nobody looks
  std::vector<double> on(samples, 1.0);
  on[6] = 0;
  CHECK_NOTHROW(run(lk::given(on) * o, d));
  CHECK_NOTHROW(run((lk::of_student(lk::entropy{}) > 9) * o, d));
  alpha.resize(4);
  CHECK_THROWS_AS(run(lk::with<&lk::skew_kl::alpha>(lk::given(alpha), lk::skew_kl{}), d), lk::shape_error);
}

TEST_CASE("numbers: a class that one side masks, at an option that is the limit in some rows", "[signal][numbers]") {
  data d;
  d.student[2] = d.student[classes + 2] = -std::numeric_limits<double>::infinity();
  std::vector<double> size(samples, 0.0);
  const auto o = lk::with<&sized_kl::size>(lk::given(size), sized_kl{});
  CHECK(run(o, d).loss == 0);
  size[1] = 1;
  const outcome x = run(o, d);
  CHECK(x.rows[0] < 1e3);
  CHECK(x.rows[1] == std::numeric_limits<double>::infinity());
}

TEST_CASE("numbers: of all rows", "[signal][numbers]") {
  const data d;
  const auto u = 1 - lk::of_teacher(lk::label_probability{});
  std::vector<double> values = measured(d, u), sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t n = sorted.size();
  CHECK(n == 6);
  const double median = sorted[2], quantile = sorted[1] + 0.25 * (sorted[2] - sorted[1]);  // 0.25 (n - 1) = 1.25
  same(run((u < lk::median_of(u)) * lk::forward_kl{}, d), run((u < median) * lk::forward_kl{}, d));
  same(run((u >= lk::quantile_of(u, 0.25)) * lk::forward_kl{}, d), run((u >= quantile) * lk::forward_kl{}, d));
  same(run(lk::quantile_of(u, 1.0) * lk::forward_kl{}, d), run(sorted[n - 1] * lk::forward_kl{}, d));
  same(run(lk::quantile_of(-u, lk::linear(0.0, 0.5)) * lk::forward_kl{}, d, lk::progress(0.0)), run(-sorted[n - 1] * lk::forward_kl{}, d));
  double mean = 0, weight = 0, hard = 0;
  for (std::size_t r = 0, k = 0; r < samples; ++r) {
    if (!d.counts(r)) continue;
    mean += d.weights[r] * values[k], weight += d.weights[r];
    hard += values[k] >= median ? d.weights[r] : 0;
    ++k;
  }
  same(run((u / lk::mean_of(u)) * lk::mse{}, d), run((u / (mean / weight)) * lk::mse{}, d));
  // one within another, and a mean over the hard rows alone
  const auto is_hard = u >= lk::median_of(u / lk::mean_of(u)) * lk::mean_of(u) * (1 - 1e-12);
  same(run((is_hard / lk::share_of(is_hard)) * lk::forward_kl{}, d), run(((u >= median) * (weight / hard)) * lk::forward_kl{}, d));
  CHECK(run((is_hard * (u > 9)) * lk::forward_kl{}, d).loss == 0);
  // as a temperature, and as one of each side
  const auto relative = lk::exp(-0.5 * (u / lk::median_of(u)));
  std::vector<double> t(samples), all(samples);
  lk::measure(u, d.s(), d.t(), d.labels, lk::unread_is_fine, all);
  for (std::size_t r = 0; r < samples; ++r) t[r] = std::exp(-0.5 * all[r] / median);
  same(run(lk::at_temperature(relative, lk::forward_kl{}), d), run(lk::at_temperature(lk::per_row{}, lk::forward_kl{}), d, lk::row_temperatures(t)));
  CHECK_THROWS_WITH(run(lk::quantile_of(u, 1.5) * lk::forward_kl{}, d), "limbeck: quantile_of: the share is 1.5, expected 0 to 1");
}

TEST_CASE("numbers: of all rows, of logits in float, of none, of tensors of two widths", "[signal][numbers]") {
  // a median is a number that a row has, not rounded to the logits' type
  const std::vector<float> logits{1, 2, 0, 1, 3, 1, 0, 0, 1, 1};
  const std::vector<double> x{0.6, 0.7, 0.8, 0.9, 1.0};
  const lk::rows<const float> five(logits.data(), 5, 2);
  std::vector<float> at_least(5);
  lk::measure(lk::given(x) >= lk::median_of(lk::given(x)), five, at_least);
  CHECK(at_least == std::vector<float>{0, 0, 1, 1, 1});
  const auto u = 1 - lk::of_teacher(lk::confidence{});
  const auto hard = u >= lk::median_of(u);
  for (std::size_t r = 0; r < 5; ++r) {  // the only row is its own median, and none is below it
    const lk::rows<const float> one(logits.data() + 2 * r, 1, 2), other(logits.data(), 1, 2);
    const double alone = lk::objective{lk::forward_kl{}}.value(other, one);
    CHECK(((hard / lk::share_of(hard)) * lk::forward_kl{}).value(other, one) == Approx(alone));
    CHECK((((!hard) / lk::share_of(!hard)) * lk::forward_kl{}).value(other, one) == 0);
  }
  const std::vector<double> narrow(24, 0.5), wide(42, 0.25);
  const lk::rows<const double> s(narrow.data(), 6, 4), t(wide.data(), 6, 7);
  std::vector<double> w{1, 2, 3, 4, 5, 6};
  CHECK(((lk::given(w) / lk::mean_of(lk::given(w))) * lk::nst{}).value(s, t) ==
        Approx((lk::given(w) * lk::nst{}).value(s, t) / 3.5));
}

TEST_CASE("numbers: of each sequence", "[signal][numbers]") {
  const data d;
  const lk::segments all({0, 4, 4, 9});
  const auto u = lk::of_student(lk::entropy{});
  std::vector<double> entropies(samples), threshold(samples);
  lk::measure(u, d.s(), d.t(), d.labels, lk::unread_is_fine, entropies);
  for (std::size_t r = 0; r < samples; ++r) {
    std::vector<double> own;
    for (std::size_t q = r < 4 ? 0 : 4; q < (r < 4 ? 4U : 9U); ++q)
      if (d.counts(q)) own.push_back(entropies[q]);
    std::sort(own.begin(), own.end());
    threshold[r] = own[(own.size() - 1) / 2];
  }
  same(run((u > lk::median_of(u, all)) * lk::forward_kl{}, d), run((u > lk::given(threshold)) * lk::forward_kl{}, d));
  CHECK(((u > lk::median_of(u, all)) * lk::forward_kl{}).plan().str().find("median_of(of_student(entropy), of each sequence)") !=
        std::string::npos);
  const lk::segments other({0, 4});
  CHECK_THROWS_AS(run((u > lk::median_of(u, other)) * lk::forward_kl{}, d), lk::shape_error);
}

TEST_CASE("numbers: a temperature of each side", "[signal][numbers]") {
  const data d;
  std::vector<double> mine, theirs;
  for (std::size_t r = 0; r < samples; ++r) mine.push_back(1 + 0.1 * static_cast<double>(r)), theirs.push_back(3 - 0.2 * static_cast<double>(r));
  same(run(lk::unscaled(lk::at_temperature(lk::given(mine), lk::given(theirs), lk::forward_kl{})), d),
       by_rows(d, [&](std::size_t r) { return lk::unscaled(lk::at_temperature(mine[r], theirs[r], lk::forward_kl{})); }));
  same(run(lk::at_temperature(2.0, lk::of_teacher(lk::entropy{}) + 1, lk::forward_kl{}), d), by_rows(d, [&](std::size_t r) {
         std::vector<double> h(1);
         lk::measure(lk::entropy{}, lk::rows<const double>(d.teacher.data() + r * classes, 1, classes), h);
         return lk::at_temperature(2.0, h[0] + 1, lk::forward_kl{});
       }));
  theirs[4] = -1;
  CHECK_THROWS_WITH(run(lk::at_temperature(lk::given(mine), lk::given(theirs), lk::forward_kl{}), d),
                    "limbeck: the teacher's temperature is -1 at row 4, expected a positive number");
}

TEST_CASE("numbers: a second call allocates nothing", "[signal][numbers]") {
  const data d;
  lk::workspace ws;
  const auto u = lk::of_student(lk::entropy{});
  const auto o = (u < lk::median_of(u)) * lk::with<&lk::skew_kl::alpha>(u / lk::mean_of(u) * 0.1, lk::skew_kl{});
  outcome x;
  const auto call = [&] { return o(d.s(), d.t(), lk::into(lk::rows<double>(x.gradient.data(), samples, classes)), ws).loss; };
  const double first = call();
  const std::byte* const memory = lk::detail::memory_of_numbers(ws).reserve(0);
  CHECK(call() == first);
  CHECK(lk::detail::memory_of_numbers(ws).reserve(0) == memory);
}
