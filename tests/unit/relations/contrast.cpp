// Contrast: which pairs, two views, correlations across the sides, margins, and the line of PCME++: definitions, differences by
// both sides, identities, edges.

#include "catch.hpp"
#include "reference.hpp"

#include <limbeck/loss/relations/contrastive.hpp>
#include <limbeck/loss/relations/cross_correlation.hpp>
#include <limbeck/loss/relations/margins.hpp>
#include <limbeck/loss/relations/pair_logistic.hpp>
#include <limbeck/loss/relations/two_views.hpp>

#include <functional>
#include <limits>
#include <string>

namespace {

namespace lk = limbeck;
using limbeck_test::features;
using namespace reference;

/// One type for all losses, so that what is done with them is compiled once.
struct any_loss {
  std::function<double(const lk::batch<double>&)> in_double;
  std::function<double(const lk::batch<float>&)> in_float;
  double operator()(const lk::batch<double>& x) const { return in_double(x); }
  double operator()(const lk::batch<float>& x) const { return in_float(x); }
};
template <class Loss>
any_loss any(const Loss& l) {
  return {[l](const lk::batch<double>& x) { return l(x); }, [l](const lk::batch<float>& x) { return l(x); }};
}

using role_of = std::function<int(std::size_t, std::size_t)>;  // 0, 1, 2

/// -log softmax among candidates, the mean over positives, over anchors.
real contrast(const table& anchors, const table& candidates, real temperature, const role_of& role) {
  const table a = units(anchors), c = units(candidates);
  real sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    real total = 0, positives = 0, wanted = 0;
    for (std::size_t j = 0; j < c.size(); ++j) {
      const real logit = dot(a[i], c[j]) / temperature;
      if (role(i, j) > 0) total += std::exp(logit);
      if (role(i, j) == 2) positives += 1, wanted += logit;
    }
    if (positives > 0) sum += std::log(total) - wanted / positives;
  }
  return sum / static_cast<real>(a.size());
}
table stacked(table s, const table& t) {
  s.insert(s.end(), t.begin(), t.end());
  return s;
}
/// Columns standardised, as rows.
table standard(const table& x, real epsilon) {
  table z = transposed(x);
  for (auto& column : z) {
    real mean = 0, variance = 0;
    for (const real v : column) mean += v / static_cast<real>(column.size());
    for (real& v : column) v -= mean, variance += v * v / static_cast<real>(column.size());
    for (real& v : column) v = variance + epsilon > 0 ? v / std::sqrt(variance + epsilon) : 0;
  }
  return z;
}
real barlow(const table& s, const table& t, real weight, real epsilon) {
  const table a = standard(s, epsilon), b = standard(t, epsilon);
  real sum = 0;
  for (std::size_t c = 0; c < a.size(); ++c)
    for (std::size_t d = 0; d < b.size(); ++d) {
      const real apart = dot(a[c], b[d]) / static_cast<real>(s.size()) - (c == d ? 1 : 0);
      sum += (c == d ? 1 : weight) * apart * apart;
    }
  return sum;
}
/// As the code writes it.
real pcme(const table& s, const table& t, real scale, real shift, real alpha, real beta) {
  const std::size_t n = s.size(), d = s[0].size() / 2;
  table z(n, std::vector<real>(n));
  real kl = 0, loss = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      real distance = 0;
      for (std::size_t c = 0; c < d; ++c)
        distance += (s[i][c] - t[j][c]) * (s[i][c] - t[j][c]) + std::exp(s[i][d + c]) + std::exp(t[j][d + c]);
      z[i][j] = -scale * distance + shift;
    }
    for (const table* x : {&s, &t})
      for (std::size_t c = 0; c < d; ++c)
        kl -= (1 + (*x)[i][d + c] - (*x)[i][c] * (*x)[i][c] - std::exp((*x)[i][d + c])) / 2 / static_cast<real>(n * d);
  }
  const auto cross_entropy = [&](real logit, bool matched) {
    const real p = 1 / (1 + std::exp(-logit));
    return -std::log(matched ? p : 1 - p) / static_cast<real>(n * n);
  };
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      loss += 2 * cross_entropy(z[i][j], i == j) + alpha * (cross_entropy(z[i][j], z[i][j] >= z[i][i]) + cross_entropy(z[i][j], z[i][j] >= z[j][j]));
  return loss + beta * kl;
}

const std::vector<int> labels{0, 1, 0, 2, 1, 0, 3};
constexpr std::size_t samples = 7, width = 6;
const std::vector<unsigned char> roles = [] {
  std::vector<unsigned char> m(samples * samples);
  for (std::size_t i = 0; i < m.size(); ++i) m[i] = static_cast<unsigned char>((i * 5 + i / 9) % 3);
  std::fill(m.begin() + 2 * samples, m.begin() + 3 * samples, 1);  // no positive
  std::fill(m.begin() + 4 * samples, m.begin() + 5 * samples, 0);  // sees nobody
  return m;
}();
int by_mask(std::size_t i, std::size_t j) { return roles[i * samples + j]; }
int own(std::size_t i, std::size_t j) { return i == j ? 2 : 1; }
int other_class(std::size_t i, std::size_t j) { return i == j ? 2 : labels[i] != labels[j]; }
int of_class(std::size_t i, std::size_t j) { return labels[i] == labels[j] ? 2 : 1; }
int view(std::size_t i, std::size_t j) { return i == j ? 0 : i % samples == j % samples ? 2 : 1; }
int view_of_class(std::size_t i, std::size_t j) { return i == j ? 0 : labels[i % samples] == labels[j % samples] ? 2 : 1; }

lk::match_line<double> line(0.7, 1.5);
lk::match_line<float> line_in_float(0.7, 1.5);

struct contrast_case {
  const char* name;
  any_loss loss;
  std::function<real(const table&, const table&)> value;
};
const std::vector<contrast_case>& cases() {
  const lk::rows<const unsigned char> mask(roles.data(), samples, samples);
  static const std::vector<contrast_case> all{
      {"other classes", any(lk::info_nce{.temperature = 0.3}.over(lk::other_classes{})),
       [](const table& s, const table& t) { return contrast(s, t, 0.3L, other_class); }},
      {"same class", any(lk::info_nce{.temperature = 0.3}.over(lk::same_class{})),
       [](const table& s, const table& t) { return contrast(s, t, 0.3L, of_class); }},
      {"mask", any(lk::info_nce{.temperature = 0.3}.over(lk::pair_mask{mask})),
       [](const table& s, const table& t) { return contrast(s, t, 0.3L, by_mask); }},
      {"symmetric mask", any(lk::symmetric_info_nce{.temperature = 0.3}.over(lk::pair_mask{mask})),
       [](const table& s, const table& t) {
         return (contrast(s, t, 0.3L, by_mask) + contrast(t, s, 0.3L, [](std::size_t i, std::size_t j) { return by_mask(j, i); })) / 2;
       }},
      {"info_nce", any(lk::info_nce{.temperature = 0.3}), [](const table& s, const table& t) { return contrast(s, t, 0.3L, own); }},
      {"symmetric_info_nce", any(lk::symmetric_info_nce{.temperature = 0.3}),
       [](const table& s, const table& t) { return (contrast(s, t, 0.3L, own) + contrast(t, s, 0.3L, own)) / 2; }},
      {"nt_xent", any(lk::nt_xent{}),
       [](const table& s, const table& t) { return contrast(stacked(s, t), stacked(s, t), 0.5L, view); }},
      {"supervised_contrast", any(lk::supervised_contrast{.temperature = 0.2}),
       [](const table& s, const table& t) { return contrast(stacked(s, t), stacked(s, t), 0.2L, view_of_class); }},
      {"margin_cosine", any(lk::margin_cosine{.margin = 0.9}),
       [](const table& s, const table& t) {
         real sum = 0;
         for (std::size_t i = 0; i < s.size(); ++i) sum += std::fmax(real(0), 0.1L - dot(unit(s[i]), unit(t[i])));
         return sum / static_cast<real>(s.size());
       }},
      {"cosine_embedding", any(lk::cosine_embedding{.margin = 0.1}),
       [](const table& s, const table& t) {
         real sum = 0;
         for (std::size_t i = 0; i < s.size(); ++i)
           for (std::size_t j = 0; j < s.size(); ++j) {
             const real cosine = dot(unit(s[i]), unit(t[j]));
             sum += i == j ? 1 - cosine : std::fmax(real(0), cosine - 0.1L);
           }
         return sum / static_cast<real>(s.size());
       }},
      {"cross_correlation", any(lk::cross_correlation{.off_diagonal = 0.2, .epsilon = 0.01}),
       [](const table& s, const table& t) { return barlow(s, t, 0.2L, 0.01L); }},
      {"pair_logistic",
       {[](const lk::batch<double>& x) { return lk::pair_logistic(line, {.pseudo_positives = 0.4, .bottleneck = 0.3})(x); },
        [](const lk::batch<float>& x) { return lk::pair_logistic(line_in_float, {.pseudo_positives = 0.4, .bottleneck = 0.3})(x); }},
       [](const table& s, const table& t) { return pcme(s, t, 0.7L, 1.5L, 0.4L, 0.3L); }},
  };
  return all;
}
features<double> a_batch(std::uint32_t seed = 1) {
  features<double> x(samples, width, width, seed);
  x.labels = labels;
  return x;
}

TEST_CASE("contrast: values are those of the definition, gradients by both sides those of central differences") {
  for (const contrast_case& c : cases()) {
    CAPTURE(c.name);
    features<double> x = a_batch();
    const double value = x.run(c.loss);
    CHECK(value == Approx(static_cast<double>(c.value(numbers(x.student, samples), numbers(x.teacher, samples)))).epsilon(1e-12));
    CHECK(x.value(c.loss) == value);
    CHECK(x.difference(c.loss, 1e-6) < 1e-7);
    CHECK(x.teacher_difference(c.loss, 1e-6) < 1e-7);

    const std::vector<double> once = x.gradient, of_teacher = x.teacher_gradient;
    x.run(c.loss);
    x.over(c.loss, x.s(), x.t(), x.g(), -3, lk::serial{});
    for (std::size_t i = 0; i < once.size(); ++i) {
      CHECK(x.gradient[i] == Approx(-2 * once[i]).margin(1e-15));
      CHECK(x.teacher_gradient[i] == Approx(-2 * of_teacher[i]).margin(1e-15));
    }
  }
}

TEST_CASE("contrast: float, threads, strides") {
  for (const contrast_case& c : cases()) {
    CAPTURE(c.name);
    features<double> x = a_batch(3);
    x.teach();
    const double value = x.run(c.loss);
    const std::vector<double> gradient = x.gradient, of_teacher = x.teacher_gradient;
#if defined(_OPENMP)
    for (const int threads : {2, 5}) {
      CHECK(x.run_on(lk::openmp{threads}, c.loss) == value);
      CHECK(x.gradient == gradient);
      CHECK(x.teacher_gradient == of_teacher);
    }
#endif
    const std::size_t held = x.memory.size();
    x.run(c.loss);
    CHECK(x.memory.size() == held);
    features<float> f(x);
    CHECK(f.run(c.loss) == Approx(value).epsilon(1e-4));
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      worst = (std::max)(worst, std::fabs(static_cast<double>(f.gradient[i]) - gradient[i]));
      worst = (std::max)(worst, std::fabs(static_cast<double>(f.teacher_gradient[i]) - of_teacher[i]));
      largest = (std::max)(largest, std::fabs(gradient[i]));
    }
    CHECK(worst < 1e-4 * largest);
    std::vector<double> s(x.student.size()), t(s.size()), g(s.size());  // columns first
    for (std::size_t i = 0; i < samples; ++i)
      for (std::size_t k = 0; k < width; ++k) s[k * samples + i] = x.student[i * width + k], t[k * samples + i] = x.teacher[i * width + k];
    const lk::rows<const double> sv(s.data(), width, samples), tv(t.data(), width, samples);
    const lk::rows<double> gv = lk::rows<double>(g.data(), width, samples).transposed();
    CHECK(x.over(c.loss, sv.transposed(), tv.transposed(), gv, 1, lk::serial{}) == Approx(value).epsilon(1e-14));
    for (std::size_t i = 0; i < samples; ++i)
      for (std::size_t k = 0; k < width; ++k) CHECK(gv(i, k) == Approx(gradient[i * width + k]).margin(1e-14));
  }
}

TEST_CASE("contrast: more rows and columns than one tile of what is turned") {
  features<double> x(37, 21, 21, 5);
  const auto check = [&](const auto& loss, const std::function<real(const table&, const table&)>& definition) {
    CHECK(x.run(loss) == Approx(static_cast<double>(definition(numbers(x.student, 37), numbers(x.teacher, 37)))).epsilon(1e-12));
    CHECK(x.difference(loss, 1e-5) < 1e-7);
    CHECK(x.teacher_difference(loss, 1e-5) < 1e-7);
  };
  check(lk::symmetric_info_nce{.temperature = 0.3},
        [](const table& s, const table& t) { return (contrast(s, t, 0.3L, own) + contrast(t, s, 0.3L, own)) / 2; });
  check(lk::cross_correlation{.off_diagonal = 0.2}, [](const table& s, const table& t) { return barlow(s, t, 0.2L, 1e-5L); });
}

TEST_CASE("contrast: no samples, one, twins, zeros, numbers that are not finite") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const contrast_case& c : cases()) {
    CAPTURE(c.name);
    const bool masked = std::string(c.name).find("mask") != std::string::npos;
    features<double> x = a_batch(4);
    x.teach();
    const auto sane = [&](features<double>& y) {
      CHECK(std::isfinite(y.run(c.loss)));
      for (const double g : y.gradient) CHECK(std::isfinite(g));
      for (const double g : y.teacher_gradient) CHECK(std::isfinite(g));
    };
    for (const std::size_t n : {0u, 1u}) {
      if (masked) continue;
      features<double> few(n, width, width);
      few.labels.assign(n, 1);
      few.teach();
      sane(few);
    }
    std::fill(x.student.begin(), x.student.begin() + 2 * width, 0.0);
    sane(x);
    std::fill(x.student.begin(), x.student.end(), 0.3);
    std::fill(x.teacher.begin(), x.teacher.end(), 0.3);
    sane(x);
    features<double> narrow(samples, width, 4);
    narrow.labels = labels;
    CHECK_THROWS_AS(narrow.run(c.loss), lk::shape_error);
    for (const double bad : {nan, inf, -inf}) {  // in the row that the mask lets see nobody
      const std::string shown = bad != bad ? "nan" : bad > 0 ? "inf" : "-inf", rest = " is " + shown + " at row 4, column 1, expected a finite number";
      x = a_batch(5);
      x.teacher[4 * width + 1] = bad;
      CHECK_THROWS_WITH(x.run(c.loss), "limbeck: teacher" + rest);
      x.student[4 * width + 1] = bad;
      CHECK_THROWS_WITH(x.run(c.loss), "limbeck: student" + rest);
    }
  }
  features<double> x = a_batch();
  CHECK_THROWS_WITH(x.run(lk::nt_xent{.temperature = 0}), "limbeck: nt_xent.temperature is 0, expected a positive number");
  CHECK_THROWS_WITH(x.run(lk::cross_correlation{.epsilon = -1}),
                    "limbeck: cross_correlation.epsilon is -1, expected a number of at least 0");
  CHECK_THROWS_WITH(x.run(lk::cross_correlation{.off_diagonal = nan}),
                    "limbeck: cross_correlation.off_diagonal is nan, expected a number of at least 0");
  CHECK_THROWS_WITH(x.run(lk::margin_cosine{.margin = nan}), "limbeck: margin_cosine.margin is nan, expected a finite number");
  CHECK_THROWS_WITH(x.run(lk::cosine_embedding{.margin = inf}), "limbeck: cosine_embedding.margin is inf, expected a finite number");
  auto odd_roles = roles;
  odd_roles[9] = 3;
  CHECK_THROWS_WITH(x.run(lk::info_nce{}.over(lk::pair_mask{{odd_roles.data(), 7, 7}})),
                    "limbeck: pair_mask is 3 at row 1, column 2, expected 0 (ignored), 1 (negative) or 2 (positive)");
  CHECK_THROWS_WITH(x.run(lk::info_nce{}.over(lk::pair_mask{{roles.data(), 3, 4}})),
                    "limbeck: pair_mask is 3 x 4, expected 7 x 7, rows of the call on both sides");
  CHECK_THROWS_AS(lk::pair_logistic(line, {.bottleneck = -1}), lk::value_error);
  CHECK_THROWS_AS(features<double>(3, 5, 5).run(lk::pair_logistic(line)), lk::shape_error);
  CHECK_THROWS_AS(lk::match_line<double>(nan), lk::value_error);
}

TEST_CASE("contrast: labels that are all different, and all the same") {
  features<double> x = a_batch();
  x.labels = {4, 6, 0, 1, 2, 3, 5};
  const double alone = x.run(lk::info_nce{}), views = x.run(lk::nt_xent{.temperature = 0.2});
  CHECK(x.run(lk::info_nce{}.over(lk::other_classes{})) == Approx(alone).epsilon(1e-14));
  CHECK(x.run(lk::info_nce{}.over(lk::same_class{})) == Approx(alone).epsilon(1e-14));
  CHECK(x.run(lk::supervised_contrast{.temperature = 0.2}) == views);
  x.labels.assign(samples, 2);
  x.teach();
  CHECK(x.run(lk::info_nce{}.over(lk::other_classes{})) == 0);  // nobody is seen but the positive
  for (const double g : x.gradient) CHECK(g == 0);
  for (const double g : x.teacher_gradient) CHECK(g == 0);
}

TEST_CASE("contrast: two views that are all alike have log(2n - 1); the sides may be exchanged") {
  features<double> x(samples, width, width);
  std::fill(x.student.begin(), x.student.end(), 0.5);
  x.teacher = x.student;
  CHECK(x.run(lk::nt_xent{}) == Approx(std::log(2.0 * samples - 1)));
  x = a_batch(8);
  x.teach();
  const double value = x.run(lk::nt_xent{});
  const auto of_student = x.gradient, of_teacher = x.teacher_gradient;
  x.student.swap(x.teacher);
  CHECK(x.run(lk::nt_xent{}) == Approx(value).epsilon(1e-14));
  for (std::size_t i = 0; i < of_student.size(); ++i) {
    CHECK(x.gradient[i] == Approx(of_teacher[i]).margin(1e-15));
    CHECK(x.teacher_gradient[i] == Approx(of_student[i]).margin(1e-15));
  }
}

TEST_CASE("contrast: cross-correlation of columns that are orthogonal is that of a batch with itself, 0") {
  features<double> x(4, 3, 3);
  x.student = {1, 1, 1, 1, -1, -1, -1, 1, -1, -1, -1, 1};
  for (std::size_t i = 0; i < 12; ++i) x.teacher[i] = x.student[i] * static_cast<double>(i % 3 + 1) + 7;
  CHECK(x.run(lk::cross_correlation{.epsilon = 0}) == Approx(0).margin(1e-15));
  for (const double g : x.gradient) CHECK(g == Approx(0).margin(1e-15));
  for (double& v : x.teacher) v = -v;
  CHECK(x.run(lk::cross_correlation{.epsilon = 0}) == Approx(12));
  std::fill(x.student.begin(), x.student.end(), 2.0);  // no variance
  CHECK(x.run(lk::cross_correlation{.epsilon = 0}) == 3);
  for (const double g : x.gradient) CHECK(g == 0);
}

TEST_CASE("contrast: margins") {
  features<double> x = a_batch();
  x.teach();
  CHECK(x.run(lk::margin_cosine{.margin = 2}) == 0);
  for (const double g : x.gradient) CHECK(g == 0);
  x.teacher = x.student;
  CHECK(x.run(lk::margin_cosine{.margin = 0}) == Approx(0).margin(1e-15));
  x = a_batch(2);
  // without what others add, the margin at its end
  CHECK(x.run(lk::cosine_embedding{.margin = 1}) == Approx(x.run(lk::margin_cosine{.margin = 0})).epsilon(1e-14));
}

TEST_CASE("contrast: the line of pair_logistic learns") {
  features<double> x = a_batch(6);
  const lk::pair_logistic_settings settings{.pseudo_positives = 0.4, .bottleneck = 0.3};
  lk::match_line<double> l(0.7, 1.5);
  const auto loss = lk::pair_logistic(l, settings);
  x.run(loss, 2);
  x.value(loss);  // leaves it alone
  const double h = 1e-6;
  const auto at = [&](double scale, double shift) {
    lk::match_line<double> other(scale, shift);
    return x.value(lk::pair_logistic(other, settings));
  };
  CHECK(l.gradients()[0][0] == Approx((at(0.7 + h, 1.5) - at(0.7 - h, 1.5)) / h).epsilon(1e-6));
  CHECK(l.gradients()[0][1] == Approx((at(0.7, 1.5 + h) - at(0.7, 1.5 - h)) / h).epsilon(1e-6));
  const double before = l.gradients()[0][0];
  x.student[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(x.run(loss), lk::value_error);
  CHECK(l.gradients()[0][0] == before);
  l.zero_gradients();
  CHECK(l.gradients()[0][1] == 0);
  CHECK(l.scale() == 0.7);
  CHECK(l.shift() == 1.5);
}

}  // namespace
