// Sparse teachers: what is kept, what is drawn, the divergence with one bucket for the tail.

#include <limbeck/limbeck.hpp>

#include "cases.hpp"
#include "make_batch.hpp"

using namespace limbeck_test;
using Catch::Matchers::Contains;

namespace {

/// Value and gradient.
template <class T, class Loss, class Executor = lk::serial>
double evaluate(const Loss& loss, const matrix<T>& student, matrix<T>* gradient = nullptr, Executor on = {}) {
  const lk::objective objective{loss};
  if (gradient) return objective(student.in(), lk::into(gradient->out()), lk::on(on));
  return objective.value(student.in(), lk::on(on));
}

/// The definition, row by row in long double.
template <class T>
real reference(const lk::sparse_rows<T>& w, const matrix<T>& student) {
  real total = 0;
  for (std::size_t r = 0; r < student.samples; ++r) {
    const auto q = softmax(student.row(r), student.classes);
    real rest = 1;
    std::vector<bool> kept(student.classes);
    for (std::size_t i = w.offsets[r]; i < w.offsets[r + 1]; ++i) {
      const real p = std::exp(static_cast<real>(w.log_weights[i]));
      kept[static_cast<std::size_t>(w.ids[i])] = true;
      total += p * std::log(p / q[static_cast<std::size_t>(w.ids[i])]);
    }
    rest = 0;
    for (std::size_t c = 0; c < student.classes; ++c)
      if (!kept[c]) rest += q[c];
    if (!w.log_tails.empty() && std::isfinite(w.log_tails[r])) {
      const real p = std::exp(static_cast<real>(w.log_tails[r]));
      total += p * std::log(p / rest);
    }
  }
  return total / static_cast<real>(student.samples);
}

}  // namespace

TEMPLATE_TEST_CASE("the k best and the rest", "[target][sparse]", float, double) {
  using T = TestType;
  matrix<T> t(4, 40, 1, 3);
  t.row(0)[7] = t.row(0)[9] = t.row(0)[3] = T(9);  // ties
  t.row(1)[0] = static_cast<T>(masked);
  const auto store = lk::keep_top(t.in(), 5);
  const auto view = store.view();
  CHECK(view.samples() == 4);
  for (std::size_t r = 0; r < 4; ++r) {
    const auto p = softmax(t.row(r), 40);
    std::vector<std::size_t> order(40);
    for (std::size_t c = 0; c < 40; ++c) order[c] = c;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
    order.resize(5);
    std::sort(order.begin(), order.end());
    real rest = 1;
    for (std::size_t i = 0; i < 5; ++i) {
      const std::size_t at = view.offsets[r] + i;
      CHECK(static_cast<std::size_t>(view.ids[at]) == order[i]);
      CHECK(static_cast<double>(view.log_weights[at]) ==
            Approx(static_cast<double>(std::log(p[order[i]]))).epsilon(1e-5));
      rest -= p[order[i]];
    }
    CHECK(static_cast<double>(view.log_tails[r]) == Approx(static_cast<double>(std::log(rest))).epsilon(1e-5));
  }
  const auto two = lk::keep_top(matrix<double>(1, 3, {0, masked, -1000}).in(), 2);
  CHECK(two.ids == std::vector<std::int32_t>{0, 2});
  CHECK(two.log_tails[0] == masked);
  const auto far_tail = lk::keep_top(matrix<double>(1, 2, {0, -1000}).in(), 1);
  CHECK(far_tail.log_tails[0] == Approx(-1000));  // 1 - p would be 0
}

TEST_CASE("sparse rows as targets", "[target][sparse]") {
  const matrix<double> t(3, 30, 1, 3);
  const auto store = lk::keep_top(t.in(), 4);
  const auto spread = filled(lk::sparse_target(store)), dropped = filled(lk::sparse_target(store, lk::tail::drop));
  for (std::size_t r = 0; r < 3; ++r) {
    auto p = softmax(t.row(r), 30), q = p;
    real kept = 0;
    std::vector<bool> in(30);
    for (std::size_t i = store.offsets[r]; i < store.offsets[r + 1]; ++i)
      kept += p[static_cast<std::size_t>(store.ids[i])], in[static_cast<std::size_t>(store.ids[i])] = true;
    for (std::size_t c = 0; c < 30; ++c) {
      if (!in[c]) p[c] = (1 - kept) / 26, q[c] = 0;
      q[c] /= kept;
    }
    same_distribution(spread.row(r), p);
    same_distribution(dropped.row(r), q);
  }
  const auto whole = lk::keep_top(t.in(), 30);
  for (std::size_t r = 0; r < 3; ++r) same_distribution(filled(lk::sparse_target(whole)).row(r), softmax(t.row(r), 30));
}

TEMPLATE_TEST_CASE("one bucket for the tail", "[target][sparse]", float, double) {
  using T = TestType;
  const matrix<T> t(6, 50, 1, 3), s(6, 50, 2, 3);
  const double digits = sizeof(T) == 4 ? 2e-6 : 1e-13;
  for (const std::size_t k : {1U, 5U, 50U}) {
    const auto store = lk::keep_top(t.in(), k);
    matrix<T> g(6, 50);
    const double value = evaluate(lk::sparse_kl(store), s, &g);
    CHECK(value == Approx(static_cast<double>(reference(store.view(), s))).epsilon(10 * digits));
    CHECK(evaluate(lk::sparse_kl(store), s) == value);
    CHECK(evaluate(lk::sparse_kl(store), t) == Approx(0).margin(digits));  // nothing between equals
    if constexpr (sizeof(T) == 8) {
      matrix<T> moved = s;
      for (std::size_t i = 0; i < s.data.size(); i += 3) {
        const double h = 1e-5;
        moved.data[i] = s.data[i] + h;
        const double above = evaluate(lk::sparse_kl(store), moved);
        moved.data[i] = s.data[i] - h;
        const double below = evaluate(lk::sparse_kl(store), moved);
        moved.data[i] = s.data[i];
        CHECK(g.data[i] == Approx((above - below) / (2 * h)).epsilon(1e-6).margin(1e-9));
      }
    }
  }
  // all classes kept: the full KL, and with fewer never more
  real full = 0;
  for (std::size_t r = 0; r < 6; ++r) {
    const auto p = softmax(t.row(r), 50), q = softmax(s.row(r), 50);
    for (std::size_t c = 0; c < 50; ++c) full += p[c] * std::log(p[c] / q[c]) / 6;
  }
  const auto all = lk::keep_top(t.in(), 50), few = lk::keep_top(t.in(), 5);
  CHECK(evaluate(lk::sparse_kl(all), s) == Approx(static_cast<double>(full)).epsilon(10 * digits));
  CHECK(evaluate(lk::sparse_kl(few), s) <= static_cast<double>(full));
}

TEST_CASE("draws are unbiased", "[target][sparse]") {
  const matrix<double> t(1, 8, 3, 1.5), s(1, 8, 4, 1);
  const auto p = softmax(t.row(0), 8), q = softmax(s.row(0), 8);
  for (const double power : {1.0, 0.8}) {
    std::vector<double> mean(8, 0), gradient(8, 0);
    const int rounds = 20000;
    for (int i = 0; i < rounds; ++i) {
      const auto store = lk::draw_sparse(t.in(), 5, lk::random_stream(static_cast<std::uint64_t>(i)), power);
      double sum = 0;
      for (std::size_t j = 0; j < store.ids.size(); ++j) {
        mean[static_cast<std::size_t>(store.ids[j])] += std::exp(store.log_weights[j]) / rounds;
        sum += std::exp(store.log_weights[j]);
      }
      if (power == 1) CHECK(sum == Approx(1).epsilon(1e-12));
      if (i % 10) continue;
      matrix<double> g(1, 8);
      evaluate(lk::sparse_kl(store), s, &g);
      for (std::size_t c = 0; c < 8; ++c) gradient[c] += g.data[c] / (rounds / 10);
    }
    for (std::size_t c = 0; c < 8; ++c) {  // five standard errors of a mean of draws
      const double error = 5 * std::sqrt(static_cast<double>(p[c]) / (5.0 * rounds)) * 1.3;
      CHECK(std::fabs(mean[c] - static_cast<double>(p[c])) < error);
      CHECK(std::fabs(gradient[c] - static_cast<double>(q[c] - p[c])) < 4 * error);
    }
  }
  CHECK(lk::draw_sparse(t.in(), 9, lk::random_stream(1)).ids == lk::draw_sparse(t.in(), 9, lk::random_stream(1)).ids);
  const matrix<double> hole(1, 3, {masked, 0, masked});
  CHECK(lk::draw_sparse(hole.in(), 9, lk::random_stream(1)).ids == std::vector<std::int32_t>{1});
}

TEST_CASE("the optimum of a top-k without its tail is too sure", "[target][sparse]") {
  const matrix<double> t(1, 6, {3, 2, 1, 0, 0, 0});
  auto store = lk::keep_top(t.in(), 2);
  store.log_tails.clear();
  const double kept = std::exp(store.log_weights[0]) + std::exp(store.log_weights[1]);
  const matrix<double> best(1, 6, {3, 2, masked, masked, masked, masked});
  matrix<double> g(1, 6);
  evaluate(lk::sparse_kl(store), best, &g);
  for (const double x : g.data) CHECK(x == Approx(0).margin(1e-15));
  CHECK(kept < 1);
}

TEST_CASE("threads change no bit of the sparse divergence", "[target][sparse]") {
  const matrix<float> t(37, 65, 1, 3), s(37, 65, 2, 3);
  const auto store = lk::keep_top(t.in(), 7);
  matrix<float> one(37, 65), four(37, 65);
  const double a = evaluate(lk::sparse_kl(store), s, &one);
  const double b = evaluate(lk::sparse_kl(store), s, &four, lk::openmp{4});
  CHECK(a == b);
  CHECK(one.data == four.data);
}

TEST_CASE("what sparse rows refuse", "[target][sparse][errors]") {
  const matrix<double> t(2, 6, 1, 1), s(3, 6, 1, 1);
  auto store = lk::keep_top(t.in(), 2);
  CHECK_THROWS_WITH(evaluate(lk::sparse_kl(store), s), Contains("the sparse teacher has shape 2 x 6, expected 3 x 6"));
  CHECK_THROWS_WITH(lk::keep_top(t.in(), 0), Contains("k is 0"));
  CHECK_THROWS_WITH(lk::draw_sparse(t.in(), 0, lk::random_stream(1)), Contains("draws is 0"));
  CHECK_THROWS_WITH(lk::keep_top(matrix<double>(1, 2, {masked, masked}).in(), 1),
                    Contains("teacher row 0 has no softmax"));
  for (std::size_t at = 0; at < 6;
       ++at) {  // a NaN is found among kept classes, the others, and where all others are masked
    matrix<double> bad(2, 6, 1, 1);
    bad.row(1)[at] = std::nan("");
    CHECK_THROWS_WITH(evaluate(lk::sparse_kl(store), bad), Contains("student is nan at row 1, class " + std::to_string(at)));
    for (std::size_t c = 0; c < 6; ++c)
      if (c != at) bad.row(1)[c] = masked;
    CHECK_THROWS_WITH(evaluate(lk::sparse_kl(store), bad), Contains("student is nan at row 1, class " + std::to_string(at)));
  }
  matrix<double> masks_kept = t, everything(2, 6, std::vector<double>(12, masked));
  masks_kept.row(0)[static_cast<std::size_t>(store.ids[0])] = masked;
  CHECK(evaluate(lk::sparse_kl(store), masks_kept) == -masked);
  CHECK_THROWS_AS(evaluate(lk::sparse_kl(store), everything), lk::value_error);
  std::swap(store.ids[0], store.ids[1]);
  CHECK_THROWS_WITH(lk::sparse_target(store), Contains("of sparse row 0, expected rising ids below 6"));
  std::swap(store.ids[0], store.ids[1]);
  store.ids[1] = 6;
  CHECK_THROWS_AS(lk::sparse_kl(store), lk::value_error);
  store.offsets.back() = 3;
  CHECK_THROWS_WITH(lk::sparse_kl(store), Contains("do not run from 0 to the number of ids, 4"));
}

namespace {

/// Rows of k + 1 outcomes: the kept classes in the order of the store, then the log of what is left.
matrix<double> grouped(const matrix<double>& x, const lk::sparse_store<double>& store, double t) {
  const std::size_t k = store.offsets[1];
  matrix<double> out(x.samples, k + 1);
  for (std::size_t r = 0; r < x.samples; ++r) {
    matrix<double> scaled(1, x.classes, std::vector<double>(x.row(r), x.row(r) + x.classes));
    for (double& z : scaled.data) z /= t;
    const auto p = softmax(scaled.row(0), x.classes);
    real rest = 0;
    std::vector<bool> kept(x.classes);
    for (std::size_t i = 0; i < k; ++i) {
      const auto c = static_cast<std::size_t>(store.ids[store.offsets[r] + i]);
      kept[c] = true;
      out.row(r)[i] = static_cast<double>(std::log(p[c]));
    }
    for (std::size_t c = 0; c < x.classes; ++c) rest += kept[c] ? real(0) : p[c];
    out.row(r)[k] = static_cast<double>(std::log(rest));
  }
  return out;
}

}  // namespace

TEST_CASE("any divergence over kept classes and a tail is the dense one over the outcomes", "[target][sparse]") {
  const double t = 2;
  const matrix<double> teacher(5, 30, 1, 3), s(5, 30, 2, 3);
  const auto store = lk::keep_top(teacher.in(), 4, t);
  const auto check = [&](const auto& divergence) {
    const lk::objective dense{divergence};
    const lk::objective sparse{lk::at_temperature(t, lk::sparse_divergence(divergence, store))};
    const matrix<double> p = grouped(teacher, store, t), q = grouped(s, store, t);
    const double factor = std::pow(t, std::remove_cvref_t<decltype(divergence)>::temperature_power);
    matrix<double> g(5, 30), moved = s;
    CHECK(sparse(s.in(), lk::into(g.out())).loss == Approx(factor * dense.value(q.in(), p.in())).epsilon(1e-12));
    CHECK(sparse.value(teacher.in()) == Approx(0).margin(1e-13));
    for (std::size_t i = 0; i < s.data.size(); i += 7) {
      moved.data[i] = s.data[i] + 1e-5;
      const double above = sparse.value(moved.in());
      moved.data[i] = s.data[i] - 1e-5;
      CHECK(g.data[i] == Approx((above - sparse.value(moved.in())) / 2e-5).epsilon(1e-6).margin(1e-9));
      moved.data[i] = s.data[i];
    }
  };
  check(lk::forward_kl{});
  check(lk::reverse_kl{});
  check(lk::jensen_shannon{.beta = 0.3});
  check(lk::total_variation{});
}

TEST_CASE("sparse rows know their temperature", "[target][sparse][errors]") {
  const matrix<double> t(3, 12, 1, 3), s(3, 12, 2, 3);
  const auto at_2 = lk::keep_top(t.in(), 3, 2.0);
  CHECK(lk::objective{lk::at_temperature(2.0, lk::sparse_kl(at_2))}.value(t.in()) == Approx(0).margin(1e-14));
  CHECK_THROWS_WITH(lk::objective{lk::sparse_kl(at_2)}.value(s.in()),
                    Contains("the sparse rows were made at T = 2, and the term stands at T = 1"));
  // the student's own may differ
  const lk::objective apart{lk::at_temperature(3.0, 2.0, lk::sparse_kl(at_2))};
  matrix<double> scaled = t;
  for (double& z : scaled.data) z *= 1.5;
  CHECK(apart.value(scaled.in()) == Approx(0).margin(1e-13));
  const auto drawn = lk::draw_sparse(t.in(), 9, lk::random_stream(1), 1.0, 2.0);
  CHECK(drawn.temperature == 2);
  // as a dense target, a term at 2 sees the weights
  const auto whole = lk::keep_top(t.in(), 12, 2.0);
  const auto dense = filled(lk::sparse_target(whole));
  for (std::size_t r = 0; r < 3; ++r) same_distribution(dense.row(r), softmax(t.row(r), 12));
}

TEST_CASE("a sparse divergence is a loss of rows", "[target][sparse]") {
  const matrix<double> t(4, 12, 1, 3), s(4, 12, 2, 3);
  const auto store = lk::keep_top(t.in(), 3);
  const lk::objective kl{lk::sparse_kl(store)};
  std::vector<double> each(4), some(4), signal{0.5, 0, 2, 1};
  const double all = kl.value(s.in(), lk::row_losses(each));
  CHECK(all == Approx((each[0] + each[1] + each[2] + each[3]) / 4));
  const std::vector<int> padded{1, -100, 0, -100};
  const double mean = (lk::cross_entropy{} + lk::sparse_kl(store)).value(s.in(), padded, lk::row_losses(some));
  CHECK(mean == Approx((some[0] + some[2]) / 2));
  CHECK(some[1] == 0);
  const std::vector<double> weights{1, 0, 3, 0};
  matrix<double> g(4, 12, 3, 1);
  CHECK(kl(s.in(), lk::row_weights(weights), lk::into(g.out())).loss == Approx((each[0] + 3 * each[2]) / 4));
  CHECK(std::count(g.row(1), g.row(2), 0.0) == 12);
  CHECK(kl.value(s.in(), lk::mean_over(8)) == Approx(all / 2));
  CHECK((lk::given(signal) * lk::sparse_kl(store)).value(s.in(), lk::sum) ==
        Approx(0.5 * each[0] + 2 * each[2] + each[3]));
}

TEST_CASE("weights that are no probabilities", "[target][sparse][errors]") {
  const matrix<double> t(2, 6, 1, 1);
  const auto good = lk::keep_top(t.in(), 2);
  const auto refused = [&](auto change, const char* words) {
    auto bad = good;
    change(bad);
    CHECK_THROWS_WITH(lk::sparse_kl(bad), Contains(words));
    CHECK_THROWS_WITH(lk::sparse_target(bad), Contains(words));
  };
  refused([](auto& x) { x.log_weights[2] = 12, x.log_weights[3] = 9; }, "of sparse row 1 and its tail sum to 170858");
  refused([](auto& x) { x.log_weights[3] = std::nan(""); }, "log_weights is nan at class");
  refused([](auto& x) { x.log_weights[0] = 1e5; }, "of sparse row 0, expected the logarithm of a weight");
  refused([](auto& x) { x.log_tails[1] = std::nan(""); }, "sum to nan, expected 1");
  refused([](auto& x) { x.log_tails[0] = 0; }, "of sparse row 0 and its tail sum to");
  refused([](auto& x) { x.temperature = 0; }, "the temperature of the sparse rows is 0");
  refused([](auto& x) { x.log_tails.clear(), x.log_weights[0] = 0.5; }, "expected 1 at most");
  auto no_tail = good;
  no_tail.log_tails.clear();
  CHECK_NOTHROW(lk::sparse_kl(no_tail));
  CHECK_THROWS_WITH(lk::sparse_divergence(lk::reverse_kl{}, no_tail), Contains("these sparse rows have no tail"));
  CHECK_NOTHROW(lk::sparse_divergence(lk::jensen_shannon{}, no_tail));
}
