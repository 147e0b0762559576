// What the arguments of a call do: reductions, weights, masks, labels that are ignored, outputs.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/limbeck.hpp>
#include <initializer_list>

#include <cmath>
#include <cstdint>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

const auto objective = 0.3 * lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{});

template <class T>
lk::rows<T> into_rows(std::vector<T>& g, const batch<T>& b) {
  g.assign(b.size(), T(55));
  return {g.data(), b.samples, b.classes};
}

/// The loss of each row of a batch, from calls with one row.
std::vector<double> row_by_row(const batch<double>& b) {
  std::vector<double> values;
  for (std::size_t r = 0; r < b.samples; ++r) {
    const std::vector<int> y{b.labels[r]};
    values.push_back(objective.value(lk::rows<const double>(&b.student[r * b.classes], 1, b.classes),
                                     lk::rows<const double>(&b.teacher[r * b.classes], 1, b.classes), y));
  }
  return values;
}

}  // namespace

TEST_CASE("mean, sum, none") {
  const auto b = random_batch<double>(7, 11);
  const auto rows = row_by_row(b);
  double total = 0;
  for (const double v : rows) total += v;
  std::vector<double> mean_g, sum_g, none_g, losses(7);
  const auto mean = objective(b.s(), b.t(), b.labels, lk::into(into_rows(mean_g, b)));
  const auto sum = objective(b.s(), b.t(), b.labels, lk::into(into_rows(sum_g, b)), lk::sum);
  objective(b.s(), b.t(), b.labels, lk::into(into_rows(none_g, b)), lk::none, lk::row_losses(losses));
  CHECK(mean.loss == Approx(total / 7).epsilon(1e-14));
  CHECK(sum.loss == Approx(total).epsilon(1e-14));
  CHECK(mean.rows == 7);
  CHECK(mean.weight == 7);
  CHECK(static_cast<double>(mean) == mean.loss);
  CHECK(losses == rows);
  CHECK(same_bits(none_g, sum_g));
  for (std::size_t i = 0; i < b.size(); ++i) CHECK(mean_g[i] == Approx(sum_g[i] / 7).epsilon(1e-14).margin(1e-17));
}

TEST_CASE("the value alone is the value of the full call") {
  const auto b = random_batch<float>(9, 37);
  lk::workspace ws;
  std::vector<float> g;
  const auto full = objective(b.s(), b.t(), b.labels, lk::into(into_rows(g, b)), ws);
  CHECK(objective.value(b.s(), b.t(), b.labels, ws) == full.loss);
  CHECK(objective.value(b.s(), b.t(), b.labels) == full.loss);
}

TEST_CASE("without into, a gradient comes back") {
  const auto b = random_batch<float>(9, 37);
  std::vector<float> g;
  const auto full = objective(b.s(), b.t(), b.labels, lk::into(into_rows(g, b)));
  const auto [loss, gradient] = objective(b.s(), b.t(), b.labels);
  CHECK(loss == full.loss);
  CHECK(same_bits(gradient, g));
}

TEST_CASE("a batch split into micro-batches gives the same gradients, bit by bit") {
  const auto b = random_batch<float>(29, 17);
  std::vector<float> whole;
  const auto all = objective(b.s(), b.t(), b.labels, lk::into(into_rows(whole, b)));
  for (const auto part : std::initializer_list<std::size_t>{1, 4, 10, 28}) {
    std::vector<float> g(b.size());
    double loss = 0;
    for (std::size_t first = 0; first < b.samples; first += part) {
      const std::size_t n = std::min(part, b.samples - first), at = first * b.classes;
      const std::vector<int> y(b.labels.begin() + static_cast<std::ptrdiff_t>(first),
                               b.labels.begin() + static_cast<std::ptrdiff_t>(first + n));
      loss += objective(lk::rows<const float>(&b.student[at], n, b.classes),
                        lk::rows<const float>(&b.teacher[at], n, b.classes), y,
                        lk::into(lk::rows<float>(&g[at], n, b.classes)), lk::mean_over(29))
                  .loss;
    }
    CHECK(same_bits(g, whole));
    CHECK(loss == Approx(all.loss).epsilon(1e-14));
  }
}

TEST_CASE("row weights") {
  const auto b = random_batch<double>(6, 13);
  const auto rows = row_by_row(b);
  const std::vector<double> w{0.5, 2, 0, 1, 3, 0.25};
  double sum = 0, weight = 0;
  for (std::size_t r = 0; r < 6; ++r) sum += w[r] * rows[r], weight += w[r];
  std::vector<double> g, g_sum, losses(6);
  const auto e =
      objective(b.s(), b.t(), b.labels, lk::into(into_rows(g, b)), lk::row_weights(w), lk::row_losses(losses));
  CHECK(e.loss == Approx(sum / weight).epsilon(1e-14));
  CHECK(e.weight == Approx(weight));
  CHECK(e.rows == 5);
  auto counted = rows;  // not weighted; one of weight 0 does not count
  counted[2] = 0;
  CHECK(losses == counted);
  CHECK(objective(b.s(), b.t(), b.labels, lk::into(into_rows(g_sum, b)), lk::row_weights(w), lk::sum).loss ==
        Approx(sum).epsilon(1e-14));
  for (std::size_t i = 2 * b.classes; i < 3 * b.classes; ++i) CHECK(g[i] == 0);
  // weights in any arithmetic type
  const std::vector<float> wf(w.begin(), w.end());
  CHECK(objective.value(b.s(), b.t(), b.labels, lk::row_weights(wf)) == e.loss);
  const std::vector<int> twos(6, 2);
  CHECK(objective.value(b.s(), b.t(), b.labels, lk::row_weights(twos)) ==
        Approx(objective.value(b.s(), b.t(), b.labels)).epsilon(1e-14));
}

TEST_CASE("a row of weight zero with an infinite loss does not spoil the mean") {
  auto b = random_batch<double>(3, 4);
  b.student[4] = -infinity<double>;  // row 1
  const std::vector<double> w{1, 0, 1};
  std::vector<double> g;
  const auto e = objective(b.s(), b.t(), b.labels, lk::into(into_rows(g, b)), lk::row_weights(w));
  CHECK(std::isfinite(e.loss));
  for (const double x : g) CHECK(std::isfinite(x));
}

TEST_CASE("rows that do not count: ignore_index and row_mask") {
  const auto b = random_batch<double>(6, 13);
  const auto rows = row_by_row(b);
  auto y = b.labels;
  y[1] = -100;
  y[4] = -100;
  auto spoilt = b;
  for (std::size_t i = 13; i < 26; ++i) spoilt.student[i] = std::nan("");  // row 1 is not looked at
  const double expected = (rows[0] + rows[2] + rows[3] + rows[5]) / 4;
  std::vector<double> g, losses(6, -1);
  const auto e = objective(spoilt.s(), spoilt.t(), y, lk::into(into_rows(g, b)), lk::row_losses(losses));
  CHECK(e.loss == Approx(expected).epsilon(1e-14));
  CHECK(e.rows == 4);
  CHECK(e.weight == 4);
  for (const auto r : std::initializer_list<std::size_t>{1, 4}) {
    CHECK(losses[r] == 0);
    for (std::size_t c = 0; c < 13; ++c) CHECK(g[r * 13 + c] == 0);
  }
  auto other = y;
  other[1] = other[4] = 255;
  CHECK(objective.value(spoilt.s(), spoilt.t(), other, lk::ignore_index(255)) == e.loss);
  const std::vector<unsigned char> mask{1, 0, 1, 1, 0, 1};
  CHECK(objective.value(spoilt.s(), spoilt.t(), b.labels, lk::row_mask(mask)) == e.loss);
  // both together
  const std::vector<unsigned char> all_but_last{1, 0, 1, 1, 1, 0};
  CHECK(objective.value(spoilt.s(), spoilt.t(), y, lk::row_mask(all_but_last)) ==
        Approx((rows[0] + rows[2] + rows[3]) / 3).epsilon(1e-14));
}

TEST_CASE("no rows, and no valid rows, give 0") {
  const auto b = random_batch<float>(3, 5);
  const lk::rows<const float> none(nullptr, 0, 5);
  std::vector<int> y;
  lk::rows<float> g(nullptr, 0, 5);
  const auto e = objective(none, none, y, lk::into(g));
  CHECK(e.loss == 0);
  CHECK(e.rows == 0);
  y.assign(3, -100);
  std::vector<float> gradient;
  const auto ignored = objective(b.s(), b.t(), y, lk::into(into_rows(gradient, b)));
  CHECK(ignored.loss == 0);
  CHECK(ignored.rows == 0);
  CHECK(ignored.weight == 0);
  for (const float x : gradient) CHECK(x == 0);
}

TEST_CASE("labels of every integer type") {
  const auto b = random_batch<float>(5, 9);
  const double expected = objective.value(b.s(), b.t(), b.labels);
  const auto check = [&]<class I>(I) {
    const std::vector<I> y(b.labels.begin(), b.labels.end());
    CHECK(objective.value(b.s(), b.t(), y) == expected);
    CHECK(objective.value(b.s(), b.t(), std::span<const I>(y)) == expected);
  };
  check(std::int64_t{});
  check(std::int8_t{});
  check(std::uint16_t{});
  check(std::uint64_t{});
}

TEST_CASE("strided rows") {
  const auto b = random_batch<float>(5, 37);
  std::vector<float> g;
  const auto expected = objective(b.s(), b.t(), b.labels, lk::into(into_rows(g, b)));
  // student with a row pitch, teacher with classes two apart, gradient with samples in columns
  std::vector<float> s(5 * 50), t(2 * 5 * 37), out(5 * 37, 9.0f);
  for (std::size_t r = 0; r < 5; ++r)
    for (std::size_t c = 0; c < 37; ++c)
      s[r * 50 + c] = b.student[r * 37 + c], t[2 * (r * 37 + c)] = b.teacher[r * 37 + c];
  const auto e = objective(lk::rows<const float>(s.data(), 5, 37, 50), lk::rows<const float>(t.data(), 5, 37, 74, 2),
                           b.labels, lk::into(lk::rows<float>(out.data(), 5, 37, 1, 5)));
  CHECK(e.loss == expected.loss);
  for (std::size_t r = 0; r < 5; ++r)
    for (std::size_t c = 0; c < 37; ++c) CHECK(out[c * 5 + r] == g[r * 37 + c]);
  // rows from the last to the first
  const lk::rows<const float> back(&b.student[4 * 37], 5, 37, -37), back_t(&b.teacher[4 * 37], 5, 37, -37);
  const std::vector<int> y(b.labels.rbegin(), b.labels.rend());
  CHECK(objective.value(back, back_t, y) == Approx(expected.loss).epsilon(1e-14));
  // samples in columns
  std::vector<float> sc(b.size()), tc(b.size());
  for (std::size_t r = 0; r < 5; ++r)
    for (std::size_t c = 0; c < 37; ++c) sc[c * 5 + r] = b.student[r * 37 + c], tc[c * 5 + r] = b.teacher[r * 37 + c];
  const lk::rows<const float> s_columns(sc.data(), 37, 5), t_columns(tc.data(), 37, 5);
  lk::rows<float> g_columns(out.data(), 37, 5);
  CHECK(objective(lk::samples_in_columns(s_columns), lk::samples_in_columns(t_columns), b.labels,
                  lk::into(lk::samples_in_columns(g_columns)))
            .loss == expected.loss);
  for (std::size_t r = 0; r < 5; ++r)
    for (std::size_t c = 0; c < 37; ++c) CHECK(out[c * 5 + r] == g[r * 37 + c]);
}

TEST_CASE("nothing is written beyond the gradient, and nothing read beyond the logits") {
  for (std::size_t classes = 2; classes < 40; ++classes) {
    const auto b = random_batch<float>(3, classes);
    std::vector<float> g(b.size() + 64, 123.0f);
    objective(b.s(), b.t(), b.labels, lk::into(lk::rows<float>(g.data() + 32, 3, classes)));
    bool intact = true;
    for (std::size_t i = 0; i < 32; ++i) intact = intact && g[i] == 123.0f && g[g.size() - 1 - i] == 123.0f;
    CHECK(intact);
  }
}
