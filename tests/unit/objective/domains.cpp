// Domains of classes, soft labels and smoothing.

#include "batch.hpp"
#include "catch.hpp"
#include "reference.hpp"

#include <limbeck/limbeck.hpp>
#include <initializer_list>

#include <cmath>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

template <class T>
struct result {
  double loss;
  std::vector<T> gradient;
};
template <class T, class Objective, class... Args>
result<T> run(const Objective& o, const batch<T>& b, const Args&... args) {
  result<T> r{0, std::vector<T>(b.size())};
  r.loss = o(b.s(), b.t(), b.labels, lk::unread_is_fine, lk::into(lk::rows<T>(r.gradient.data(), b.samples, b.classes)), args...).loss;
  return r;
}

}  // namespace

TEST_CASE("on<masked> is the loss over the classes of the mask alone") {
  for (const auto classes : std::initializer_list<std::size_t>{5, 16, 37}) {
    const auto b = random_batch<double>(6, classes);
    std::vector<unsigned char> mask(classes);
    std::vector<std::size_t> kept;
    for (std::size_t c = 0; c < classes; ++c)
      if ((mask[c] = c % 3 != 1)) kept.push_back(c);
    batch<double> cut{6, kept.size(), {}, {}, std::vector<int>(6)};
    for (std::size_t r = 0; r < 6; ++r)
      for (const std::size_t c : kept) {
        cut.student.push_back(b.student[r * classes + c]);
        cut.teacher.push_back(b.teacher[r * classes + c]);
      }
    const auto check = [&](const auto& loss) {
      const auto got = run(lk::at_temperature(2.0, lk::on<lk::masked>(loss)), b, lk::class_mask(mask));
      const auto expected = run(lk::at_temperature(2.0, loss), cut);
      CHECK(got.loss == Approx(expected.loss).epsilon(1e-12));
      for (std::size_t r = 0; r < 6; ++r)
        for (std::size_t c = 0, k = 0; c < classes; ++c)
          CHECK(got.gradient[r * classes + c] ==
                Approx(mask[c] ? expected.gradient[r * kept.size() + k++] : 0).epsilon(1e-11).margin(1e-16));
    };
    check(lk::forward_kl{});
    check(lk::total_variation{});
  }
}

TEST_CASE("a masked domain beside the others") {
  const auto b = random_batch<double>(6, 19);
  std::vector<float> mask(19, 1.0f);
  mask[3] = mask[18] = 0;
  const auto both =
      run(lk::forward_kl{} + 0.5 * lk::on<lk::masked>(lk::forward_kl{}) + lk::dkd{}, b, lk::class_mask(mask));
  const auto one = run(lk::objective{lk::forward_kl{}}, b), two = run(lk::objective{lk::dkd{}}, b);
  const auto three = run(lk::objective{lk::on<lk::masked>(lk::forward_kl{})}, b, lk::class_mask(mask));
  CHECK(both.loss == Approx(one.loss + two.loss + 0.5 * three.loss).epsilon(1e-12));
  for (std::size_t i = 0; i < b.size(); ++i)
    CHECK(both.gradient[i] ==
          Approx(one.gradient[i] + two.gradient[i] + 0.5 * three.gradient[i]).epsilon(1e-10).margin(1e-15));
}

TEST_CASE("a class mask that leaves nothing is refused") {
  const auto b = random_batch<double>(2, 19);
  const std::vector<int> mask(19, 0);
  const auto o = lk::objective{lk::on<lk::masked>(lk::forward_kl{})};
  CHECK_THROWS_AS(run(o, b, lk::class_mask(mask)), lk::value_error);
  const std::vector<int> shorter(18, 1);
  CHECK_THROWS_WITH(run(o, b, lk::class_mask(shorter)), Catch::Contains("class_mask") && Catch::Contains("18"));
}

TEST_CASE("DKD with beta = 1 - p_y is the forward KL, row by row") {
  const auto b = random_batch<double>(6, 23);
  for (std::size_t r = 0; r < 6; ++r) {
    batch<double> row{1, 23, {}, {}, {b.labels[r]}};
    row.student.assign(&b.student[r * 23], &b.student[r * 23] + 23);
    row.teacher.assign(&b.teacher[r * 23], &b.teacher[r * 23] + 23);
    const auto c = row_of(row.student.data(), row.teacher.data(), 23, 0, 3, 3).softmaxes();
    const double p = static_cast<double>(c[static_cast<std::size_t>(b.labels[r])].p);
    const auto decoupled = run(lk::at_temperature(3.0, lk::dkd{.alpha = 1, .beta = 1 - p}), row);
    const auto kl = run(lk::at_temperature(3.0, lk::forward_kl{}), row);
    CHECK(decoupled.loss == Approx(kl.loss).epsilon(1e-12));
    for (std::size_t i = 0; i < 23; ++i)
      CHECK(decoupled.gradient[i] == Approx(kl.gradient[i]).epsilon(1e-10).margin(1e-13));
  }
}

TEST_CASE("mixtures between forward and reverse KL") {
  const auto b = random_batch<double>(6, 23, 1, 1.0);
  const double forward = run(lk::objective{lk::forward_kl{}}, b).loss,
               reverse = run(lk::objective{lk::reverse_kl{}}, b).loss;
  CHECK(run(lk::objective{lk::skew_kl{.alpha = 1e-7}}, b).loss == Approx(forward).epsilon(1e-5));
  CHECK(run(lk::objective{lk::skew_reverse_kl{.alpha = 1e-7}}, b).loss == Approx(reverse).epsilon(1e-5));
  // JS / beta tends to KL(p || q), JS / (1 - beta) to KL(q || p)
  CHECK(run(lk::objective{lk::jensen_shannon{.beta = 1e-7}}, b).loss / 1e-7 == Approx(forward).epsilon(1e-5));
  CHECK(run(lk::objective{lk::jensen_shannon{.beta = 1 - 1e-7}}, b).loss / 1e-7 == Approx(reverse).epsilon(1e-5));
  const auto alpha = [&](double a) { return run(lk::objective{lk::alpha_divergence{.alpha = a}}, b); };
  CHECK(alpha(1).loss == forward);
  CHECK(alpha(0).loss == reverse);
  CHECK(alpha(1 - 1e-6).loss == Approx(forward).epsilon(1e-5));
  CHECK(alpha(1e-6).loss == Approx(reverse).epsilon(1e-5));
}

TEST_CASE("soft labels, with and without smoothing, beside hard ones") {
  for (const double smoothing : {0.0, 0.2})
    for (const auto classes : std::initializer_list<std::size_t>{4, 16, 33}) {
      const auto b = random_batch<double>(5, classes);
      std::vector<double> p(b.size());
      for (std::size_t i = 0; i < b.size(); ++i) p[i] = i % 5 == 0 ? 0 : std::fabs(b.teacher[i]);  // any sum will do
      const lk::rows<const double> labels(p.data(), 5, classes);
      const auto o = lk::at_temperature(2.0, lk::cross_entropy{.smoothing = smoothing});
      std::vector<double> g(b.size()), losses(5);
      o(b.s(), lk::soft_labels(labels), lk::into(lk::rows<double>(g.data(), 5, classes)), lk::row_losses(losses),
        lk::sum);
      for (std::size_t r = 0; r < 5; ++r) {
        auto row = row_of(&b.student[r * classes], &b.teacher[r * classes], classes, 0, 2.0, 2.0);
        std::vector<real> y;
        for (std::size_t c = 0; c < classes; ++c)
          y.push_back((1 - smoothing) * p[r * classes + c] + smoothing / static_cast<real>(classes));
        const auto expected = cross_entropy_row(row, y);
        CHECK(losses[r] == Approx(static_cast<double>(2 * expected.value)).epsilon(1e-12));
        for (std::size_t c = 0; c < classes; ++c)
          CHECK(g[r * classes + c] ==
                Approx(static_cast<double>(2 * expected.gradient[c])).epsilon(1e-11).margin(1e-13));
      }
      // one-hot rows of probabilities are labels
      std::fill(p.begin(), p.end(), 0.0);
      for (std::size_t r = 0; r < 5; ++r) p[r * classes + static_cast<std::size_t>(b.labels[r])] = 1;
      CHECK(o.value(b.s(), lk::soft_labels(labels)) == Approx(o.value(b.s(), b.labels)).epsilon(1e-13));
    }
}

TEST_CASE("cross-entropy with the teacher's probabilities as soft labels is soft_cross_entropy") {
  const auto b = random_batch<double>(5, 21);
  std::vector<double> p;
  for (std::size_t r = 0; r < 5; ++r)
    for (const auto& c : row_of(&b.student[r * 21], &b.teacher[r * 21], 21, 0, 1, 1).softmaxes())
      p.push_back(static_cast<double>(c.p));
  const double soft = lk::objective{lk::soft_cross_entropy{}}.value(b.s(), b.t());
  CHECK(lk::objective{lk::cross_entropy{}}.value(b.s(), lk::soft_labels(lk::rows<const double>(p.data(), 5, 21))) ==
        Approx(soft).epsilon(1e-13));
}

TEST_CASE("masked classes and soft labels of zero there") {
  auto b = random_batch<double>(1, 4);
  b.student[2] = -infinity<double>;
  const std::vector<double> p{0.25, 0.75, 0, 0};
  const auto o = lk::objective{lk::cross_entropy{}};
  std::vector<double> g(4);
  const double loss =
      o(b.s(), lk::soft_labels(lk::rows<const double>(p.data(), 1, 4)), lk::into(lk::rows<double>(g.data(), 1, 4)));
  CHECK(std::isfinite(loss));
  for (const double x : g) CHECK(std::isfinite(x));
  const std::vector<double> on_mask{0.25, 0.5, 0.25, 0};
  CHECK(o.value(b.s(), lk::soft_labels(lk::rows<const double>(on_mask.data(), 1, 4))) == infinity<double>);
}
