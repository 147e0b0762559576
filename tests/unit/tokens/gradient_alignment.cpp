// Where distillation pushes a token's logits, and where success would.

#include "catch.hpp"

#include <limbeck/logits.hpp>
#include <limbeck/tokens/gradient_alignment.hpp>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace lk = limbeck;

namespace {

constexpr std::size_t nodes = 5, tokens = 7;
constexpr double none = std::numeric_limits<double>::quiet_NaN();

struct example {
  std::vector<double> student, teacher, values;
  example() : student(nodes * tokens), teacher(nodes * tokens), values(nodes * tokens) {
    std::mt19937 random(7);
    std::normal_distribution<double> normal(0, 2);
    std::uniform_real_distribution<double> uniform(0, 1);
    for (auto* x : {&student, &teacher})
      for (double& v : *x) v = normal(random);
    for (double& v : values) v = uniform(random);
  }
  lk::rows<const double> in(const std::vector<double>& x) const { return {x.data(), nodes, tokens}; }
  std::vector<double> alignment(bool forward = false) const {
    std::vector<double> out(nodes);
    lk::gradient_alignment{.forward = forward}(in(student), in(teacher), in(values), out);
    return out;
  }
  std::vector<double> advantage() const {
    std::vector<double> out(nodes);
    lk::teacher_advantage(in(student), in(teacher), in(values), out);
    return out;
  }
  /// Of row r, the mean of V under a softmax of these logits.
  double success(const std::vector<double>& z, std::size_t r) const {
    long double total = 0, wins = 0;
    for (std::size_t c = r * tokens; c < (r + 1) * tokens; ++c) {
      total += std::exp(static_cast<long double>(z[c]));
      wins += std::exp(static_cast<long double>(z[c])) * static_cast<long double>(values[c]);
    }
    return static_cast<double>(wins / total);
  }
};

}  // namespace

TEST_CASE("gradient_alignment: the cosine of two gradients that others take", "[tokens]") {
  const example x;
  const auto against = [&](const auto& loss, const std::vector<double>& got) {
    std::vector<double> slope(nodes * tokens);
    lk::objective{loss}(x.in(x.student), x.in(x.teacher), lk::into(lk::rows<double>(slope.data(), nodes, tokens)), lk::sum);
    for (std::size_t r = 0; r < nodes; ++r) {
      double both = 0, one = 0, other = 0;
      for (std::size_t c = r * tokens; c < (r + 1) * tokens; ++c) {
        auto up = x.student, down = x.student;
        up[c] += 1e-5, down[c] -= 1e-5;
        const double ideal = (x.success(up, r) - x.success(down, r)) / 2e-5;
        both -= ideal * slope[c], one += ideal * ideal, other += slope[c] * slope[c];
      }
      CHECK(got[r] == Approx(both / std::sqrt(one * other)).margin(1e-8));
    }
  };
  against(lk::reverse_kl{}, x.alignment());
  against(lk::forward_kl{}, x.alignment(true));
  for (std::size_t r = 0; r < nodes; ++r)
    CHECK(x.advantage()[r] == Approx(x.success(x.teacher, r) - x.success(x.student, r)).margin(1e-14));
}

TEST_CASE("gradient_alignment: a teacher that leans to success is aligned, one that leans away is not", "[tokens]") {
  for (const double eta : {0.01, 3.0, -2.0}) {
    example x;
    for (std::size_t i = 0; i < x.teacher.size(); ++i) x.teacher[i] = x.student[i] + eta * x.values[i];  // p ~ q exp(eta V)
    for (const double a : x.alignment()) CHECK(a == Approx(eta > 0 ? 1 : -1).epsilon(1e-12));
    for (const double a : x.advantage()) CHECK((a > 0) == (eta > 0));
  }
  example same;
  same.teacher = same.student;
  for (const double a : same.alignment(true)) CHECK(a == 0);
  for (double& v : same.values) v = 0.5;
  for (const double a : same.alignment()) CHECK(std::fabs(a) <= 1);
}

TEST_CASE("gradient_alignment: tokens that were not visited are not there", "[tokens]") {
  example x, y;
  for (std::size_t r = 0; r < nodes; ++r) x.values[r * tokens + 2] = x.values[r * tokens + 5] = none;
  x.student[2] = std::numeric_limits<double>::infinity(), x.teacher[5] = none;  // not looked at
  y.values = x.values;
  const auto less = [&](const std::vector<double>& all) {
    std::vector<double> out;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (i % tokens != 2 && i % tokens != 5) out.push_back(all[i]);
    return out;
  };
  const auto s = less(y.student), t = less(y.teacher), v = less(y.values);
  const auto in = [](const std::vector<double>& a) { return lk::rows<const double>(a.data(), nodes, tokens - 2); };
  std::vector<float> out(nodes);
  lk::gradient_alignment{}(in(s), in(t), in(v), out);
  for (std::size_t r = 0; r < nodes; ++r) CHECK(static_cast<double>(out[r]) == Approx(x.alignment()[r]).epsilon(1e-6));
  for (double& one : x.values) one = none;
  CHECK(x.alignment() == std::vector<double>(nodes, 0.0));
  CHECK(x.advantage() == std::vector<double>(nodes, 0.0));

  y.student[tokens + 1] = -std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(y.alignment(), "limbeck: student is -inf at row 1, column 1, expected a finite number");
  std::vector<double> wrong(nodes + 1);
  CHECK_THROWS_AS(lk::gradient_alignment{}(in(s), in(t), in(v), wrong), lk::shape_error);
}
