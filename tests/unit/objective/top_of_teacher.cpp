// The domains of the teacher's top: renormalised, and with all other classes as one outcome.

#include "batch.hpp"
#include "catch.hpp"
#include "reference.hpp"

#include <limbeck/limbeck.hpp>
#include <limbeck/targets.hpp>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <numeric>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

/// The k highest classes of a row, of equal ones the first; none that is masked.
template <class T>
std::vector<std::size_t> top(const T* x, std::size_t n, std::size_t k) {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return x[a] > x[b]; });
  order.resize((std::min)(k, n));
  order.erase(std::remove_if(order.begin(), order.end(), [&](std::size_t c) { return x[c] == -infinity<T>; }),
              order.end());
  std::sort(order.begin(), order.end());
  return order;
}

template <class T>
struct result {
  double loss;
  std::vector<T> gradient, rows;
};
template <class T, class Objective, class... Args>
result<T> run(const Objective& o, const batch<T>& b, const Args&... args) {
  result<T> r{0, std::vector<T>(b.size()), std::vector<T>(b.samples)};
  r.loss = o(b.s(), b.t(), lk::into(lk::rows<T>(r.gradient.data(), b.samples, b.classes)), lk::row_losses(r.rows),
             lk::sum, args...)
               .loss;
  return r;
}

/// Row r alone, of its top.
batch<double> cut(const batch<double>& b, std::size_t r, const std::vector<std::size_t>& kept) {
  batch<double> row{1, kept.size(), {}, {}, {}};
  for (const std::size_t c : kept) {
    row.student.push_back(b.student[r * b.classes + c]);
    row.teacher.push_back(b.teacher[r * b.classes + c]);
  }
  return row;
}
/// Row r alone as k + 1 outcomes, T times their log-probabilities at T.
batch<double> grouped(const batch<double>& b, std::size_t r, const std::vector<std::size_t>& kept, double t) {
  batch<double> row{1, kept.size() + 1, {}, {}, {}};
  for (auto [from, to] : {std::pair{&b.student, &row.student}, {&b.teacher, &row.teacher}}) {
    std::vector<real> x;
    for (std::size_t c = 0; c < b.classes; ++c) x.push_back(static_cast<real>((*from)[r * b.classes + c]) / t);
    const auto log_p = log_softmax(x);
    real rest = 0;
    for (std::size_t c = 0; c < b.classes; ++c)
      if (!std::binary_search(kept.begin(), kept.end(), c)) rest += std::exp(log_p[c]);
    for (const std::size_t c : kept) to->push_back(static_cast<double>(t * log_p[c]));
    to->push_back(static_cast<double>(t * std::log(rest)));
  }
  return row;
}

template <std::size_t K, class Loss>
void check_renormalised(const Loss& loss, std::size_t classes, double t) {
  auto b = random_batch<double>(11, classes, 7);
  b.teacher[classes + 1] = b.teacher[classes];  // ties
  for (std::size_t c = 0; c < classes; ++c) b.teacher[4 * classes + c] = static_cast<double>(c % 3);
  const auto got = run(lk::at_temperature(t, lk::on<lk::top_of_teacher<K>>(loss)), b);
  for (std::size_t r = 0; r < b.samples; ++r) {
    const auto kept = top(&b.teacher[r * classes], classes, K);
    const auto expected = run(lk::at_temperature(t, loss), cut(b, r, kept));
    CHECK(got.rows[r] == Approx(expected.loss).epsilon(1e-11).margin(1e-15));
    for (std::size_t c = 0, k = 0; c < classes; ++c) {
      const bool in = k < kept.size() && kept[k] == c;
      CHECK(got.gradient[r * classes + c] == Approx(in ? expected.gradient[k++] : 0).epsilon(1e-10).margin(1e-14));
    }
  }
}
template <std::size_t K, class Loss>
void check_grouped(const Loss& loss, std::size_t classes, double t, double apart = -1) {
  auto b = random_batch<double>(9, classes, 8, 2, apart);
  const auto o = lk::at_temperature(t, lk::on<lk::top_of_teacher_and_rest<K>>(loss));
  const auto got = run(o, b);
  for (std::size_t r = 0; r < b.samples; ++r) {
    const auto kept = top(&b.teacher[r * classes], classes, K);
    const auto groups = grouped(b, r, kept, t);
    const auto expected = run(lk::at_temperature(t, loss), groups);
    CHECK(got.rows[r] == Approx(expected.loss).epsilon(1e-9).margin(1e-15));
    // d/ds_j = sum over outcomes of g_o [o holds j] q_j/q_o, since the outcomes' own shift is none
    real z = 0, rest = 0;
    std::vector<real> q;
    for (std::size_t c = 0; c < classes; ++c) z += std::exp(static_cast<real>(b.student[r * classes + c]) / t);
    for (std::size_t c = 0; c < classes; ++c) {
      q.push_back(std::exp(static_cast<real>(b.student[r * classes + c]) / t) / z);
      if (!std::binary_search(kept.begin(), kept.end(), c)) rest += q[c];
    }
    for (std::size_t c = 0, k = 0; c < classes; ++c) {
      const bool in = k < kept.size() && kept[k] == c;
      const double g = in ? expected.gradient[k++] : static_cast<double>(expected.gradient.back() * q[c] / rest);
      CHECK(got.gradient[r * classes + c] == Approx(g).epsilon(1e-8).margin(1e-14));
    }
  }
}

}  // namespace

TEST_CASE("on<top_of_teacher> is the loss over the classes that the teacher of the row rates highest") {
  for (const std::size_t classes : {5u, 16u, 37u, 150u})
    for (const double t : {1.0, 3.0}) {
      check_renormalised<4>(lk::forward_kl{}, classes, t);
      check_renormalised<4>(lk::reverse_kl{}, classes, t);
      check_renormalised<5>(lk::jensen_shannon{.beta = 0.3}, classes, t);
      check_renormalised<16>(lk::alpha_divergence{.alpha = 0.7}, classes, t);
      check_renormalised<20>(lk::total_variation{}, classes, t);
      check_renormalised<2>(lk::soft_cross_entropy{}, classes, t);
      check_renormalised<1000>(lk::skew_kl{}, classes, t);
    }
}

TEST_CASE("on<top_of_teacher_and_rest> is the loss of k + 1 outcomes") {
  for (const std::size_t classes : {6u, 16u, 37u, 150u})
    for (const double t : {1.0, 3.0}) {
      check_grouped<4>(lk::forward_kl{}, classes, t);
      check_grouped<4>(lk::reverse_kl{}, classes, t);
      check_grouped<1>(lk::forward_kl{}, classes, t);
      check_grouped<5>(lk::jensen_shannon{.beta = 0.3}, classes, t);
      check_grouped<3>(lk::alpha_beta{}, classes, t);
      check_grouped<2>(lk::total_variation{}, classes, t);
      check_grouped<2>(lk::soft_cross_entropy{}, classes, t);
      check_grouped<5>(lk::squared_hellinger{}, classes, t);
      check_grouped<5>(lk::skew_reverse_kl{}, classes, t, 0.1);
    }
}

TEST_CASE("the top with the rest is the sparse divergence of keep_top, in the sweep") {
  const auto b = random_batch<double>(12, 100, 3);
  const auto kept = lk::keep_top(b.t(), 7, 2.0);
  const auto check = [&](const auto& loss) {
    const auto dense = run(lk::at_temperature(2.0, lk::on<lk::top_of_teacher_and_rest<7>>(loss)), b);
    std::vector<double> g(b.size());
    const double sparse = lk::at_temperature(2.0, lk::sparse_divergence(loss, kept))(
                              b.s(), lk::into(lk::rows<double>(g.data(), 12, 100)), lk::sum)
                              .loss;
    CHECK(dense.loss == Approx(sparse).epsilon(1e-11));
    for (std::size_t i = 0; i < g.size(); ++i) CHECK(dense.gradient[i] == Approx(g[i]).epsilon(1e-9).margin(1e-14));
  };
  check(lk::forward_kl{});
  check(lk::jensen_shannon{});
}

TEST_CASE("of no class left over, the top and the top with the rest are the loss over all") {
  const auto b = random_batch<double>(5, 12, 9);
  const auto whole = run(lk::at_temperature(2.0, lk::reverse_kl{}), b);
  const auto one = run(lk::at_temperature(2.0, lk::on<lk::top_of_teacher<12>>(lk::reverse_kl{})), b);
  const auto other = run(lk::at_temperature(2.0, lk::on<lk::top_of_teacher_and_rest<40>>(lk::reverse_kl{})), b);
  CHECK(one.loss == Approx(whole.loss).epsilon(1e-14));
  CHECK(other.loss == Approx(whole.loss).epsilon(1e-14));
  for (std::size_t i = 0; i < b.size(); ++i) {
    CHECK(one.gradient[i] == Approx(whole.gradient[i]).epsilon(1e-12).margin(1e-16));
    CHECK(other.gradient[i] == Approx(whole.gradient[i]).epsilon(1e-12).margin(1e-16));
  }
}

TEST_CASE("of equal teacher logits the lowest classes are taken") {
  batch<double> b{1, 20, std::vector<double>(20), std::vector<double>(20, 1.0), {0}};
  for (std::size_t c = 0; c < 20; ++c) b.student[c] = 0.1 * static_cast<double>(c);
  b.teacher[19] = 2;
  const auto got = run(lk::objective{lk::on<lk::top_of_teacher<3>>(lk::forward_kl{})}, b);
  for (std::size_t c = 0; c < 20; ++c) CHECK((got.gradient[c] != 0) == (c < 2 || c == 19));
}

TEST_CASE("tops of several sizes beside other domains, weights and threads") {
  auto b = random_batch<double>(40, 61, 5);
  const auto first = lk::on<lk::top_of_teacher<3>>(lk::forward_kl{});
  const auto second = lk::on<lk::top_of_teacher_and_rest<9>>(lk::jensen_shannon{});
  const auto third = lk::at_temperature(2.0, lk::on<lk::top_of_teacher<20>>(lk::reverse_kl{}));
  std::vector<double> weights(40);
  for (std::size_t r = 0; r < 40; ++r) weights[r] = r % 4 == 0 ? 0 : static_cast<double>(r);
  const auto w = lk::row_weights(weights);
  const auto all = lk::forward_kl{} + 0.5 * first + 2.0 * second + third;
  const auto sum = run(all, b, w);
  const auto a = run(lk::objective{first}, b, w), c = run(lk::objective{second}, b, w), d = run(third, b, w),
             e = run(lk::objective{lk::forward_kl{}}, b, w);
  CHECK(sum.loss == Approx(e.loss + 0.5 * a.loss + 2 * c.loss + d.loss).epsilon(1e-13));
  for (std::size_t i = 0; i < b.size(); ++i)
    CHECK(sum.gradient[i] ==
          Approx(e.gradient[i] + 0.5 * a.gradient[i] + 2 * c.gradient[i] + d.gradient[i]).epsilon(1e-10).margin(1e-13));
#if defined(_OPENMP)
  lk::openmp pool{3};
  const auto threaded = run(all, b, w, lk::on(pool));
  CHECK(same_bits(threaded.gradient, sum.gradient));
#endif
  // with labels beside, and rows that lie otherwise
  b.labels[2] = -100;
  std::vector<double> columns(b.size());
  for (std::size_t r = 0; r < 40; ++r)
    for (std::size_t k = 0; k < 61; ++k) columns[k * 40 + r] = b.teacher[r * 61 + k];
  const auto labelled = lk::cross_entropy{} + lk::dkd{} + second;
  CHECK(same_bits(labelled.value(b.s(), b.t(), b.labels),
                  labelled.value(b.s(), lk::rows<const double>(columns.data(), 61, 40).transposed(), b.labels)));
  const std::string plan = all.plan().str();
  CHECK_THAT(plan, Catch::Contains(", top 3 of the teacher\n") &&
                       Catch::Contains(", top 9 of the teacher, and the rest\n") &&
                       Catch::Contains("all but the top 9 of the teacher"));
}

TEST_CASE("learned temperatures of the teacher's top, against central differences") {
  const auto b = random_batch<double>(6, 30, 2);
  const auto check = [&](auto make) {
    double s = 1.7, t = 2.3;
    const auto at = [&](double x, double y) { return make(x, y).value(b.s(), b.t(), lk::sum); };
    std::vector<double> g(b.size());
    const auto got =
        make(lk::learned(s), lk::learned(t))(b.s(), b.t(), lk::sum, lk::into(lk::rows<double>(g.data(), 6, 30)));
    const double h = 1e-5;
    CHECK(got.temperature_gradient[0] == Approx((at(s + h, t) - at(s - h, t)) / (2 * h)).epsilon(1e-7).margin(1e-8));
    CHECK(got.temperature_gradient[1] == Approx((at(s, t + h) - at(s, t - h)) / (2 * h)).epsilon(1e-7).margin(1e-8));
  };
  check([](const auto& s, const auto& t) {
    return lk::at_temperature(s, t, lk::on<lk::top_of_teacher<5>>(lk::forward_kl{}));
  });
  check([](const auto& s, const auto& t) {
    return lk::at_temperature(s, t, lk::on<lk::top_of_teacher_and_rest<5>>(lk::forward_kl{}));
  });
  check([](const auto& s, const auto& t) {
    return lk::at_temperature(s, t, lk::on<lk::top_of_teacher_and_rest<5>>(lk::jensen_shannon{}));
  });
  check([](const auto& s, const auto& t) {
    return lk::at_temperature(s, t, lk::on<lk::top_of_teacher_and_rest<5>>(lk::soft_cross_entropy{}));
  });
}

TEST_CASE("masked classes at the teacher's top, on either side") {
  auto b = random_batch<double>(1, 8, 4);
  for (std::size_t c = 3; c < 8; ++c) b.teacher[c] = -infinity<double>;  // of 8, three are left
  const auto three = cut(b, 0, {0, 1, 2});
  for (const auto& [got, expected] : {std::pair{run(lk::objective{lk::on<lk::top_of_teacher<5>>(lk::reverse_kl{})}, b),
                                                run(lk::objective{lk::reverse_kl{}}, three)},
                                      {run(lk::objective{lk::on<lk::top_of_teacher<5>>(lk::forward_kl{})}, b),
                                       run(lk::objective{lk::forward_kl{}}, three)}})
    CHECK(got.loss == Approx(expected.loss).epsilon(1e-13));
  // the rest has nothing of the teacher and something of the student
  const auto finite = run(lk::objective{lk::on<lk::top_of_teacher_and_rest<5>>(lk::forward_kl{})}, b);
  CHECK(finite.loss == Approx(run(lk::objective{lk::forward_kl{}}, b).loss).epsilon(1e-13));
  const auto infinite = run(lk::objective{lk::on<lk::top_of_teacher_and_rest<5>>(lk::reverse_kl{})}, b);
  CHECK(infinite.loss == infinity<double>);
  for (const double g : infinite.gradient) CHECK(std::isfinite(g));
  // the student masks one of the top: infinite; one of the rest: its share is that of the others
  b = random_batch<double>(1, 8, 4);
  const auto kept = top(b.teacher.data(), 8, 3);
  const auto others = [&](std::size_t c) { return !std::binary_search(kept.begin(), kept.end(), c); };
  const auto kl = lk::objective{lk::on<lk::top_of_teacher_and_rest<3>>(lk::forward_kl{})};
  auto masked = b;
  masked.student[kept[1]] = -infinity<double>;
  CHECK(run(kl, masked).loss == infinity<double>);
  CHECK(run(lk::objective{lk::on<lk::top_of_teacher<3>>(lk::forward_kl{})}, masked).loss == infinity<double>);
  CHECK(std::isfinite(run(lk::objective{lk::on<lk::top_of_teacher_and_rest<3>>(lk::jensen_shannon{})}, masked).loss));
  masked = b;
  std::size_t last = 0;
  for (std::size_t c = 0; c < 8; ++c)
    if (others(c)) last = c;
  masked.student[last] = -infinity<double>;
  const auto less = run(kl, masked);
  CHECK(std::isfinite(less.loss));
  CHECK(less.gradient[last] == 0);
  for (std::size_t c = 0; c < 8; ++c)
    if (others(c)) masked.student[c] = -infinity<double>;
  CHECK(run(kl, masked).loss == infinity<double>);
}

TEST_CASE("what is wrong outside the teacher's top is wrong") {
  auto b = random_batch<float>(3, 21, 4);
  const auto o = lk::objective{lk::on<lk::top_of_teacher<2>>(lk::forward_kl{})};
  const auto outside = [&](const std::vector<float>& x) {
    const auto kept = top(&x[21], 21, 2);
    return kept[0] == 0 || kept[1] == 0 ? (kept[0] == 1 || kept[1] == 1 ? 2u : 1u) : 0u;
  };
  const std::size_t c = outside(b.teacher);
  auto bad = b;
  bad.teacher[21 + c] = std::nanf("");
  CHECK_THROWS_WITH(run(o, bad), Catch::Contains("teacher is nan at row 1, class " + std::to_string(c)));
  bad = b;
  bad.student[21 + c] = infinity<float>;
  CHECK_THROWS_WITH(run(o, bad), Catch::Contains("student is inf at row 1, class " + std::to_string(c)));
  bad = b;
  for (std::size_t i = 21; i < 42; ++i) bad.teacher[i] = -infinity<float>;
  CHECK_THROWS_WITH(run(o, bad), Catch::Contains("teacher is -inf at row 1"));
}

TEST_CASE("the rest keeps its digits where student and teacher agree, in float too") {
  for (const double scale : {0.1, 6.0}) {  // the rest has most of the mass, or little
    const auto b = random_batch<float>(20, 400, 6, scale, 1e-3);
    const auto got = run(lk::objective{lk::on<lk::top_of_teacher_and_rest<10>>(lk::forward_kl{})}, b);
    batch<double> wide{20, 400, {b.student.begin(), b.student.end()}, {b.teacher.begin(), b.teacher.end()}, b.labels};
    const auto exact = run(lk::objective{lk::on<lk::top_of_teacher_and_rest<10>>(lk::forward_kl{})}, wide);
    for (std::size_t r = 0; r < 20; ++r) CHECK(static_cast<double>(got.rows[r]) == Approx(exact.rows[r]).epsilon(3e-4));
    for (std::size_t r = 0; r < 20; ++r) {
      real value = 0;
      const auto kept = top(&wide.teacher[r * 400], 400, 10);
      std::vector<real> s, t;
      for (std::size_t c = 0; c < 400; ++c)
        s.push_back(wide.student[r * 400 + c]), t.push_back(wide.teacher[r * 400 + c]);
      const auto p = log_softmax(t), q = log_softmax(s);
      real rest_p = 0, rest_q = 0;
      for (std::size_t c = 0; c < 400; ++c) {
        if (std::binary_search(kept.begin(), kept.end(), c)) {
          value += reference_excess(std::exp(p[c]), std::exp(q[c]), p[c] - q[c]);
        } else {
          rest_p += std::exp(p[c]), rest_q += std::exp(q[c]);
        }
      }
      value += reference_excess(rest_p, rest_q, std::log(rest_p / rest_q));
      CHECK(exact.rows[r] == Approx(static_cast<double>(value)).epsilon(1e-10));
    }
  }
}
