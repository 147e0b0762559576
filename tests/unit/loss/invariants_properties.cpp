// What holds for any rows that RapidCheck can think of.

#include "property.hpp"
#include "specimens.hpp"

#include <algorithm>
#include <cmath>

using namespace limbeck_test;

namespace {

struct any_rows {
  batch<float> b;
  double t;
};

/// Shapes up to 4 x 70, logits up to +-40 in steps, sometimes masked (never a whole row, never one side only),
/// sometimes alike; temperatures between 1/8 and 64.
any_rows any(bool masks) {
  any_rows x;
  x.b.samples = *rc::gen::inRange<std::size_t>(1, 5);
  x.b.classes = *rc::gen::inRange<std::size_t>(2, 71);
  const auto n = x.b.samples * x.b.classes;
  const auto logits = [&] {
    const auto raw = *rc::gen::container<std::vector<int>>(n, rc::gen::inRange(-4000, 4001));
    std::vector<float> v;
    for (const int i : raw) v.push_back(static_cast<float>(i) / 100);
    return v;
  };
  x.b.student = logits();
  x.b.teacher = *rc::gen::arbitrary<bool>() ? x.b.student : logits();
  x.b.labels = *rc::gen::container<std::vector<int>>(x.b.samples, rc::gen::inRange(0, static_cast<int>(x.b.classes)));
  if (masks) {
    const auto hidden = *rc::gen::container<std::vector<bool>>(n, rc::gen::arbitrary<bool>());
    for (std::size_t r = 0; r < x.b.samples; ++r)
      for (std::size_t c = 0; c < x.b.classes; ++c)
        if (hidden[r * x.b.classes + c] && c != static_cast<std::size_t>(x.b.labels[r]))
          x.b.student[r * x.b.classes + c] = x.b.teacher[r * x.b.classes + c] = -infinity<float>;
  }
  x.t = std::exp2(*rc::gen::inRange(-3, 7));
  return x;
}

const specimen& any_specimen() { return all_specimens()[*rc::gen::inRange<std::size_t>(0, all_specimens().size())]; }
bool ratio(const specimen& s) {  // p/q may leave the range of float
  return s.name == "alpha_divergence" && (s.parameters[0] < 0 || s.parameters[0] > 1);
}

}  // namespace

TEST_CASE("properties of any loss on any rows") {
  CHECK_PROPERTY("values are finite, not negative, and gradients finite and sum to 0", [] {
    const auto& s = any_specimen();
    const auto x = any(s.name != "mse" && s.name != "cross_entropy" && !s.of_features);
    if (ratio(s)) return;
    const auto got = s(x.b, x.t);
    for (std::size_t r = 0; r < x.b.samples; ++r) {
      RC_ASSERT(std::isfinite(got.values[r]));
      RC_ASSERT(got.values[r] >= 0);
      double sum = 0, size = 0;
      for (std::size_t c = 0; c < x.b.classes; ++c) {
        const double g = static_cast<double>(got.gradient[r * x.b.classes + c]);
        RC_ASSERT(std::isfinite(g));
        sum += g, size += std::fabs(g);
      }
      if (!s.shifts_count) RC_ASSERT(std::fabs(sum) <= 1e-5 * size + 2e-5 * (80 / x.t) / x.t);
    }
  });
  CHECK_PROPERTY("the definition agrees", [] {
    const auto& s = any_specimen();
    const auto x = any(false);
    if (ratio(s)) return;
    const auto got = s(x.b, x.t);
    const double widest = 80 / (s.own_temperature ? std::min(1.0, s.parameters[1]) : x.t);
    for (std::size_t r = 0; r < x.b.samples; ++r) {
      const auto expected = s.expected(x.b, r, x.t);
      RC_ASSERT(std::fabs(static_cast<real>(got.values[r]) - expected.value) <=
                1e-5L * expected.value + 1e-6L * static_cast<real>(std::max(1.0, widest)));
    }
  });
  CHECK_PROPERTY("masked classes count as little as absent ones", [] {
    const auto s = kl_specimens()[*rc::gen::inRange<std::size_t>(0, 2)];
    const auto x = any(true);
    const auto got = s(x.b, x.t);
    for (std::size_t r = 0; r < x.b.samples; ++r) {
      batch<float> left{1, 0, {}, {}, {0}};
      for (std::size_t c = 0; c < x.b.classes; ++c) {
        const std::size_t i = r * x.b.classes + c;
        if (x.b.student[i] == -infinity<float>) {
          RC_ASSERT(got.gradient[i] == 0);
          continue;
        }
        left.student.push_back(x.b.student[i]);
        left.teacher.push_back(x.b.teacher[i]);
        ++left.classes;
      }
      // One class that is left is certain; alone it is no row that a softmax takes.
      const double value = left.classes == 1 ? 0 : static_cast<double>(s(left, x.t).values[0]);
      RC_ASSERT(std::fabs(static_cast<double>(got.values[r]) - value) <= 1e-5 * value + 1e-5);
    }
  });
  CHECK_PROPERTY("the order of classes and rows does not matter", [] {
    const auto& s = any_specimen();
    const auto x = any(false);
    if (ratio(s) || s.name == "bild" || s.name == "reranked") return;  // of equal logits the first class comes first
    batch<float> turned = x.b;
    std::reverse(turned.student.begin(), turned.student.end());
    std::reverse(turned.teacher.begin(), turned.teacher.end());
    std::reverse(turned.labels.begin(), turned.labels.end());
    for (int& y : turned.labels) y = static_cast<int>(x.b.classes) - 1 - y;
    const auto one = s(x.b, x.t), two = s(turned, x.t);
    for (std::size_t r = 0; r < x.b.samples; ++r) {
      const double a = static_cast<double>(one.values[r]), b = static_cast<double>(two.values[x.b.samples - 1 - r]);
      RC_ASSERT(std::fabs(a - b) <= 1e-5 * a + 1e-4);
    }
  });
}
