// What must hold between losses, and of each whatever the rows.

#include "catch.hpp"
#include "specimens.hpp"

#include <algorithm>
#include <cmath>

using namespace limbeck_test;

namespace {

const specimen& find(const std::string& name, std::vector<double> parameters) {
  for (const auto& s : all_specimens())
    if (s.name == name && s.parameters == parameters) return s;
  throw std::runtime_error("no specimen " + name);
}

void check_close(const outcome<double>& a, const outcome<double>& b, double factor = 1, double tolerance = 1e-12) {
  for (std::size_t r = 0; r < a.values.size(); ++r)
    CHECK(a.values[r] == Approx(factor * b.values[r]).epsilon(tolerance).margin(1e-15));
  double largest = 0, off = 0;
  for (std::size_t i = 0; i < a.gradient.size(); ++i) {
    largest = std::max(largest, std::fabs(a.gradient[i]));
    off = std::max(off, std::fabs(a.gradient[i] - factor * b.gradient[i]));
  }
  CHECK(off <= tolerance * largest);
}

}  // namespace

TEST_CASE("a divergence is exactly 0 where student and teacher agree") {
  for (const auto& loss : all_specimens()) {
    if (!loss.zero_at_agreement) continue;
    for (const double t : {1e-3, 1.0, 4.0, 1e3}) {
      auto b = random_batch<float>(5, 37, 3);
      b.teacher = b.student;
      const auto got = loss(b, t);
      INFO(loss.title() << ", T = " << t);
      for (const float v : got.values) CHECK(v == 0);
      for (const float g : got.gradient) CHECK(g == 0);
    }
  }
}

TEST_CASE("a shift of a row changes no divergence, and gradients sum to 0") {
  for (const auto& loss : all_specimens()) {
    if (loss.shifts_count) continue;
    const auto b = random_batch<double>(4, 19, 4);
    auto moved = b;
    for (std::size_t i = 0; i < b.size(); ++i) moved.student[i] += 3, moved.teacher[i] -= 11;
    INFO(loss.title());
    const auto got = loss(b, 2);
    check_close(loss(moved, 2), got, 1, 1e-11);
    for (std::size_t r = 0; r < b.samples; ++r) {
      double sum = 0;
      for (std::size_t i = 0; i < b.classes; ++i) sum += got.gradient[r * b.classes + i];
      CHECK(std::fabs(sum) < 1e-13);
    }
  }
}

TEST_CASE("divergences are not negative, and some have an upper bound") {
  for (const auto& loss : all_specimens()) {
    if (!loss.zero_at_agreement) continue;
    for (const double apart : {-1.0, 1e-5, 1e-2})
      for (const double t : {0.5, 3.0, 1000.0})
        for (const float v : loss(random_batch<float>(16, 21, 9, 2, apart), t).values) {
          INFO(loss.title());
          CHECK(v >= 0);
          if (loss.name == "total_variation" || loss.name == "squared_hellinger") CHECK(v <= 1.000001f);
          if (loss.name == "jensen_shannon") CHECK(v <= 0.69315f);
        }
  }
}

TEST_CASE("Jensen-Shannon at one half is symmetric") {
  const auto& js = find("jensen_shannon", {0.5});
  const auto b = random_batch<double>(6, 23, 5);
  auto turned = b;
  std::swap(turned.student, turned.teacher);
  const auto one = js(b, 3), other = js(turned, 3);
  for (std::size_t r = 0; r < b.samples; ++r) CHECK(one.values[r] == Approx(other.values[r]).epsilon(1e-13));
}

TEST_CASE("the alpha-divergence at one half is four squared Hellinger distances") {
  const auto b = random_batch<double>(6, 23, 5);
  check_close(find("alpha_divergence", {0.5})(b, 2), find("squared_hellinger", {})(b, 2), 4);
}

TEST_CASE("the alpha-beta divergence: its corners, and the alpha-divergence where alpha + beta is 1") {
  const auto b = random_batch<double>(6, 23, 5);
  const auto corner = [&](double x, double y) -> const specimen& {
    static const auto more = alpha_specimens();
    return *std::find_if(more.begin(), more.end(), [&](const specimen& s) {
      return s.name == "alpha_beta" && s.parameters == std::vector<double>{x, y};
    });
  };
  check_close(corner(1, 0)(b, 2), find("forward_kl", {})(b, 2));
  check_close(corner(0, 1)(b, 2), find("reverse_kl", {})(b, 2));
  auto squares = find("squared_probabilities", {})(b, 2);  // a mean over classes
  check_close(find("alpha_beta", {1, 1})(b, 2), squares, 23.0 / 2);
}

TEST_CASE("soft cross-entropy is the forward KL and the teacher's entropy") {
  const auto b = random_batch<double>(6, 23, 5);
  const auto soft = find("soft_cross_entropy", {})(b, 2), kl = find("forward_kl", {})(b, 2);
  auto alike = b;
  alike.student = b.teacher;
  const auto entropy = find("soft_cross_entropy", {})(alike, 2);
  auto sum = kl;
  for (std::size_t r = 0; r < b.samples; ++r) sum.values[r] += entropy.values[r];
  check_close(soft, sum);
}

TEST_CASE("NKD and the cross-entropy with the teacher's probabilities") {
  // CE(p, q) = -p_y log q_y - (1 - p_y) log(1 - q_y) + (1 - p_y) CE(p^, q^), at T = 1; gamma CE(p^, q^) from two gammas
  const auto b = random_batch<double>(6, 23, 5);
  const auto a = find("nkd", {1.5, 1})(b, 1);
  const auto soft = find("soft_cross_entropy", {})(b, 1);
  for (std::size_t r = 0; r < b.samples; ++r) {
    const auto row = row_of(&b.student[r * b.classes], &b.teacher[r * b.classes], b.classes,
                            static_cast<std::size_t>(b.labels[r]), 1, 1);
    const auto c = row.softmaxes()[row.label];
    const double target = static_cast<double>(-c.p * c.log_q), p = static_cast<double>(c.p);
    const double others = (a.values[r] - target) / 1.5;
    CHECK(soft.values[r] == Approx(target - (1 - p) * std::log1p(-static_cast<double>(c.q)) + (1 - p) * others));
  }
}

TEST_CASE("two classes leave DKD its target part alone") {
  const auto b = random_batch<double>(6, 2, 5);
  check_close(find("dkd", {1, 8})(b, 2), find("forward_kl", {})(b, 2), 1, 1e-11);
  check_close(find("dkd", {0.5, 2})(b, 2), find("forward_kl", {})(b, 2), 0.5, 1e-11);
}
