// Published systems that are compositions of what the library has (docs/catalogue/papers.tsv: recipe, ours): each
// family against the formula of its papers, written naively in long double with the reductions that their code has, and
// its gradient against central differences.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <vector>

namespace lk = limbeck;
using namespace limbeck_test;
using real = long double;

namespace {

/// softmax(x/T) of one row.
std::vector<real> softmax(std::span<const double> x, real t = 1) {
  std::vector<real> p;
  real z = 0;
  for (const double v : x) z += p.emplace_back(std::exp(v / t));
  for (real& v : p) v /= z;
  return p;
}
real kl(const std::vector<real>& p, const std::vector<real>& q) {
  real sum = 0;
  for (std::size_t c = 0; c < p.size(); ++c) sum += p[c] * std::log(p[c] / q[c]);
  return sum;
}
/// p without its element @p y, normalised.
std::vector<real> without(std::vector<real> p, std::size_t y) {
  const real rest = 1 - p[y];
  p.erase(p.begin() + static_cast<std::ptrdiff_t>(y));
  for (real& v : p) v /= rest;
  return p;
}

struct rows_of : batch<double> {
  rows_of(std::size_t n, std::size_t width, std::uint32_t seed) : batch<double>(random_batch<double>(n, width, seed)) {}
  std::span<const double> s(std::size_t r) const { return {&student[r * classes], classes}; }
  std::span<const double> t(std::size_t r) const { return {&teacher[r * classes], classes}; }
  using batch<double>::s;
  using batch<double>::t;
  std::size_t y(std::size_t r) const { return static_cast<std::size_t>(labels[r]); }
};

/// The objective's value is the definition's, and its gradient the difference of its values. @p call takes the
/// objective's function and its arguments; @p more are those after the labels.
template <class Objective, class... More>
void check(const Objective& o, rows_of& b, const std::function<real()>& definition, const More&... more) {
  std::vector<double> g(b.size());
  const auto result = o(b.s(), b.t(), b.labels, lk::into(lk::rows<double>(g.data(), b.samples, b.classes)),
                        lk::unread_is_fine, more...);
  CHECK(result.loss == Approx(static_cast<double>(definition())).epsilon(1e-12));
  double worst = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const double at = b.student[i], h = 1e-4;
    b.student[i] = at + h;
    const real up = definition();
    b.student[i] = at - h;
    const real down = definition();
    b.student[i] = at;
    worst = std::max(worst, std::fabs(g[i] - static_cast<double>((up - down) / (2 * static_cast<real>(h)))));
  }
  CHECK(worst < 1e-7);
}

}  // namespace

TEST_CASE("recipes: labels that a teacher wrote", "[recipes]") {
  // IPTC, Pheme: the mean over the answers that could be read of -log q at the label
  rows_of b(12, 17, 1);
  std::vector<int> written;
  for (std::size_t r = 0; r < b.samples; ++r) {
    const auto t = b.t(r);
    written.push_back(r % 5 == 2 ? -100 : static_cast<int>(std::max_element(t.begin(), t.end()) - t.begin()));
  }
  b.labels = written;
  check(lk::objective{lk::cross_entropy{}}, b, [&] {
    real sum = 0, n = 0;
    for (std::size_t r = 0; r < b.samples; ++r)
      if (b.labels[r] != -100) sum -= std::log(softmax(b.s(r))[b.y(r)]), n += 1;
    return sum / n;
  });
}

TEST_CASE("recipes: Hinton's loss, its parts and its temperatures", "[recipes]") {
  rows_of b(9, 8, 2);
  const auto hard = [&] {
    real sum = 0;
    for (std::size_t r = 0; r < b.samples; ++r) sum -= std::log(softmax(b.s(r))[b.y(r)]);
    return sum / static_cast<real>(b.samples);
  };
  const auto soft = [&](real t) {
    real sum = 0;
    for (std::size_t r = 0; r < b.samples; ++r) sum += kl(softmax(b.t(r), t), softmax(b.s(r), t));
    return sum / static_cast<real>(b.samples);
  };
  // (1 - a) CE + a T^2 KL, batchmean
  check(0.5 * lk::cross_entropy{} + 0.5 * lk::at_temperature(4.0, lk::forward_kl{}), b,
        [&] { return 0.5L * hard() + 0.5L * 16 * soft(4); });
  // DHO: the head of the teacher, over labelled and unlabelled rows
  check(0.5 * lk::at_temperature(2.0, lk::forward_kl{}), b, [&] { return 0.5L * 4 * soft(2); });
  // the priors of ARBooth, T = 1
  check(lk::objective{0.5 * lk::forward_kl{}}, b, [&] { return 0.5L * soft(1); });
  // soft labels at the teacher's temperature, without T^2: their cross-entropy
  check(lk::unscaled(lk::at_temperature(20.0, lk::soft_cross_entropy{})), b, [&] {
    real sum = 0;
    for (std::size_t r = 0; r < b.samples; ++r) {
      const auto p = softmax(b.t(r), 20), q = softmax(b.s(r), 20);
      for (std::size_t c = 0; c < b.classes; ++c) sum -= p[c] * std::log(q[c]);
    }
    return sum / static_cast<real>(b.samples);
  });
}

TEST_CASE("recipes: the elementwise mean of a KL divergence", "[recipes]") {
  // PromptKD, m2mKD, RSLAD and MTARD divide by batch x classes, as PyTorch's reduction "mean" does
  rows_of b(7, 11, 3);
  const double classes = 11;
  const auto mean = [&](real t) {
    real sum = 0;
    for (std::size_t r = 0; r < b.samples; ++r) {
      const auto p = softmax(b.t(r), t), q = softmax(b.s(r), t);
      for (std::size_t c = 0; c < b.classes; ++c) sum += p[c] * (std::log(p[c]) - std::log(q[c]));
    }
    return t * t * sum / static_cast<real>(b.size());
  };
  check((1000.0 / classes) * lk::forward_kl{}, b, [&] { return 1000 * mean(1); });
  check((1.0 / classes) * lk::at_temperature(3.0, lk::forward_kl{}), b, [&] { return mean(3); });
  check(0.5 * lk::cross_entropy{} + (0.5 / classes) * lk::forward_kl{}, b, [&] {
    real hard = 0;
    for (std::size_t r = 0; r < b.samples; ++r) hard -= std::log(softmax(b.s(r))[b.y(r)]);
    return 0.5L * hard / static_cast<real>(b.samples) + 0.5L * mean(1);
  });
  // the authors' 1e-5 in the teacher's logarithm is a constant: another value, the same gradient
  check((5.0 / 6 / classes) * lk::forward_kl{}, b, [&] { return 5 * mean(1) / 6; });
}

TEST_CASE("recipes: channel-wise distillation, whose rows are channels", "[recipes]") {
  // pictures of N x C x H x W as they lie in memory are N C rows of H W positions
  const std::size_t pictures = 3, channels = 4, height = 2, width = 5;
  rows_of b(pictures * channels, height * width, 4);
  const real t = 4;
  const auto at = [&](const std::vector<double>& x, std::size_t n, std::size_t c, std::size_t i, std::size_t j) {
    return std::exp(x[((n * channels + c) * height + i) * width + j] / t);
  };
  const auto definition = [&] {
    real sum = 0;
    for (std::size_t n = 0; n < pictures; ++n)
      for (std::size_t c = 0; c < channels; ++c) {
        real zs = 0, zt = 0;
        for (std::size_t i = 0; i < height; ++i)
          for (std::size_t j = 0; j < width; ++j) zs += at(b.student, n, c, i, j), zt += at(b.teacher, n, c, i, j);
        for (std::size_t i = 0; i < height; ++i)
          for (std::size_t j = 0; j < width; ++j) {
            const real p = at(b.teacher, n, c, i, j) / zt, q = at(b.student, n, c, i, j) / zs;
            sum += p * std::log(p / q);
          }
      }
    return t * t * sum / static_cast<real>(pictures * channels);
  };
  check(lk::at_temperature(4.0, lk::forward_kl{}), b, definition);
  check(3 * lk::at_temperature(4.0, lk::forward_kl{}), b, [&] { return 3 * definition(); });

  // a constant added to a channel changes nothing
  const lk::objective cwd{lk::at_temperature(4.0, lk::forward_kl{})};
  const double before = cwd.value(b.s(), b.t());
  for (std::size_t i = 0; i < b.classes; ++i) b.student[2 * b.classes + i] += 3;
  CHECK(cwd.value(b.s(), b.t()) == Approx(before).epsilon(1e-12));
}

TEST_CASE("recipes: two parts of the forward KL, weighed by uncertainty", "[recipes]") {
  // ATKD: the tokens of which the teacher is surer than the median learn the non-target part alone, with weight lambda;
  // the others both parts; each a mean over its own tokens. The median is the lower of the two in the middle. Their code's reverse swaps the logits first.
  for (const std::size_t n : {10U, 11U}) {
    rows_of b(n, 9, 5);
    std::vector<real> uncertainty(n);
    for (std::size_t r = 0; r < n; ++r) uncertainty[r] = 1 - softmax(b.t(r))[b.y(r)];
    auto sorted = uncertainty;
    std::sort(sorted.begin(), sorted.end());
    const real median = sorted[(n - 1) / 2];
    const auto sure = static_cast<std::size_t>(
        std::count_if(uncertainty.begin(), uncertainty.end(), [&](real u) { return u < median; }));
    bool reverse = false;
    const auto definition = [&] {
      real easy_others = 0, hard_label = 0, hard_others = 0;
      for (std::size_t r = 0; r < n; ++r) {
        auto p = softmax(b.t(r)), q = softmax(b.s(r));
        if (reverse) std::swap(p, q);
        const real others = kl(without(p, b.y(r)), without(q, b.y(r)));
        if (uncertainty[r] < median) {
          easy_others += others;
        } else {
          hard_label += kl({p[b.y(r)], 1 - p[b.y(r)]}, {q[b.y(r)], 1 - q[b.y(r)]});
          hard_others += others;
        }
      }
      const auto m = static_cast<real>(sure), k = static_cast<real>(n - sure);
      return 0.2L * easy_others / m + 0.8L * (hard_label / k + hard_others / k);
    };
    check(lk::atkd(), b, definition);
    reverse = true;
    check(lk::reverse_atkd(0.2), b, definition);
  }
}

TEST_CASE("recipes: sums and means of squared errors", "[recipes]") {
  rows_of b(6, 7, 6);
  const double classes = 7;
  const auto squares = [&] {
    real sum = 0;
    for (std::size_t i = 0; i < b.size(); ++i) {
      const real d = static_cast<real>(b.student[i]) - static_cast<real>(b.teacher[i]);
      sum += d * d;
    }
    return sum;
  };
  const auto samples = static_cast<real>(b.samples), all = static_cast<real>(b.size());
  // the mean over everything: N2N, renderings, hidden states
  check(lk::objective{lk::mse{}}, b, [&] { return squares() / all; });
  check(lk::objective{lk::feature_mse{}}, b, [&] { return squares() / all; });
  // summed over the classes, the mean over the batch: DSE, with a half of cross-entropy
  check(0.5 * lk::cross_entropy{} + (0.5 * classes) * lk::mse{}, b, [&] {
    real hard = 0;
    for (std::size_t r = 0; r < b.samples; ++r) hard -= std::log(softmax(b.s(r))[b.y(r)]);
    return 0.5L * hard / samples + 0.5L * squares() / samples;
  });
  check(2 * lk::hint{}, b, [&] { return squares() / samples; });
  // summed over everything: RoLASER, the Entropic Student's first stage
  check(lk::objective{classes * lk::mse{}}, b, squares, lk::sum);
  check((2.0 * static_cast<double>(b.samples)) * lk::hint{}, b, squares);
}

TEST_CASE("recipes: labels of the answer, the teacher everywhere", "[recipes]") {
  // MEND: the mean over the answer's tokens of cross-entropy, that over all tokens of the query of the KL
  rows_of b(8, 6, 7);
  std::vector<double> answer(8);
  for (const std::size_t r : {4U, 5U, 7U}) answer[r] = 8.0 / 3;
  check(lk::given(answer) * lk::cross_entropy{} + lk::forward_kl{}, b, [&] {
    real hard = 0, soft = 0;
    for (std::size_t r = 0; r < b.samples; ++r) {
      if (answer[r] > 0) hard -= std::log(softmax(b.s(r))[b.y(r)]);
      soft += kl(softmax(b.t(r)), softmax(b.s(r)));
    }
    return hard / 3 + soft / 8;
  });
}

TEST_CASE("recipes: weights that compare teacher and student", "[recipes]") {
  rows_of b(12, 6, 8);
  const auto entropy = [](const std::vector<real>& p) {
    real h = 0;
    for (const real v : p) h -= v * std::log(v);
    return h;
  };
  std::vector<real> gap, better;  // of the student's entropy to the teacher's; held fixed
  for (std::size_t r = 0; r < b.samples; ++r) {
    const auto p = softmax(b.t(r)), q = softmax(b.s(r));
    gap.push_back(entropy(q) - entropy(p));
    better.push_back(p[b.y(r)] > q[b.y(r)] ? 1 : 0);
  }
  const auto mean = [&](const auto& loss) {
    real sum = 0;
    for (std::size_t r = 0; r < b.samples; ++r) sum += loss(r, softmax(b.t(r)), softmax(b.s(r)));
    return sum / static_cast<real>(b.samples);
  };
  using row_of = const std::vector<real>&;
  const auto teacher = lk::of_teacher(lk::entropy{});
  const auto student = lk::of_student(lk::entropy{});
  // BD-KD: the forward KL counts twice where the teacher is less sure, the reverse KL where the student is
  check((1 + (teacher > student)) * lk::forward_kl{} + (1 + (student > teacher)) * lk::reverse_kl{}, b, [&] {
    return mean([&](std::size_t r, row_of p, row_of q) {
      return (gap[r] < 0 ? 2 : 1) * kl(p, q) + (gap[r] > 0 ? 2 : 1) * kl(q, p);
    });
  });
  // TSD-KD, its direct part: sigmoid of the difference of entropies before a generalised Jensen-Shannon divergence
  const auto sigmoid = lk::map([](double x) { return 1 / (1 + std::exp(-x)); }, student - teacher);
  check(sigmoid * lk::jensen_shannon{.beta = 0.9}, b, [&] {
    return mean([&](std::size_t r, row_of p, row_of q) {
      std::vector<real> m;
      for (std::size_t c = 0; c < p.size(); ++c) m.push_back(0.9L * p[c] + 0.1L * q[c]);
      return (0.9L * kl(p, m) + 0.1L * kl(q, m)) / (1 + std::exp(-gap[r]));
    });
  });
  // who has the smaller loss at the label teaches
  check((lk::of_teacher(lk::label_loss{}) < lk::of_student(lk::label_loss{})) * lk::forward_kl{}, b,
        [&] { return mean([&](std::size_t r, row_of p, row_of q) { return better[r] * kl(p, q); }); });
}

TEST_CASE("recipes: entropies of the student, and cross-entropies both ways", "[recipes]") {
  rows_of b(10, 6, 9);
  const auto entropy = [](const std::vector<real>& p) {
    real h = 0;
    for (const real v : p) h -= v * std::log(v);
    return h;
  };
  std::vector<real> doubt, teachers;  // held fixed
  for (std::size_t r = 0; r < b.samples; ++r) {
    doubt.push_back(std::exp(0.5L - entropy(softmax(b.s(r)))));
    teachers.push_back(std::exp(0.5L - entropy(softmax(b.t(r)))));
  }
  // PSMT, VCoTTA: half of either cross-entropy between softmaxes
  check(0.5 * lk::soft_cross_entropy{} + 0.5 * (lk::reverse_kl{} + lk::student_entropy{}), b, [&] {
    real sum = 0;
    for (std::size_t r = 0; r < b.samples; ++r) {
      const auto p = softmax(b.t(r)), q = softmax(b.s(r));
      for (std::size_t c = 0; c < p.size(); ++c) sum -= (p[c] * std::log(q[c]) + q[c] * std::log(p[c])) / 2;
    }
    return sum / static_cast<real>(b.samples);
  });
  // CEMA: entropy and KL, by exp(E - H) of either side
  check(3 * (lk::exp(0.5 - lk::of_student(lk::entropy{})) * lk::student_entropy{}) +
            lk::exp(0.5 - lk::of_teacher(lk::entropy{})) * (3 * lk::forward_kl{} + lk::cross_entropy{}),
        b, [&] {
          real sum = 0;
          for (std::size_t r = 0; r < b.samples; ++r) {
            const auto q = softmax(b.s(r));
            sum += 3 * doubt[r] * entropy(q) + teachers[r] * (3 * kl(softmax(b.t(r)), q) - std::log(q[b.y(r)]));
          }
          return sum / static_cast<real>(b.samples);
        });
  // TSD-KD: the mean entropy of rows above a quantile
  std::vector<double> keep(b.samples);
  for (std::size_t r = 0; r < b.samples; ++r) keep[r] = r % 3 == 0;
  check(lk::objective{lk::student_entropy{}}, b, [&] {
    real sum = 0;
    for (std::size_t r = 0; r < b.samples; r += 3) sum += entropy(softmax(b.s(r)));
    return sum / 4;
  }, lk::row_mask(keep));
  // OFA: its loss beside cross-entropy; gamma = 1 is the teacher as it is
  check(lk::cross_entropy{} + lk::ofa{.gamma = 1.2}, b, [&] {
    real sum = 0;
    for (std::size_t r = 0; r < b.samples; ++r) {
      const auto p = softmax(b.t(r)), q = softmax(b.s(r));
      for (std::size_t c = 0; c < p.size(); ++c) {
        const real y = c == b.y(r) ? 1 : 0;
        sum -= (y + std::pow(p[c] + y, 1.2L) - y) * std::log(q[c]);
      }
    }
    return sum / static_cast<real>(b.samples);
  });
  CHECK(lk::objective{lk::ofa{.gamma = 1}}.value(b.s(), b.t(), b.labels) ==
        Approx(lk::objective{lk::soft_cross_entropy{}}.value(b.s(), b.t())).epsilon(1e-14));
  CHECK_THROWS_AS(lk::objective{lk::ofa{.gamma = 0}}.value(b.s(), b.t(), b.labels), lk::value_error);
}
