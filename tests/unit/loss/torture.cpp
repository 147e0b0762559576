// Every loss over rows of every kind. Value and gradient are compared with the definition in long double.

#include "torture.hpp"

#include "catch.hpp"

#include <iostream>
#include <map>

using namespace limbeck_test;

namespace {

/// The largest errors of a loss, as parts of what is promised.
struct record {
  std::size_t cases = 0;
  real value = 0, gradient = 0, relative_value = 0;
};

/// Random rows through every loss: finite gradients, infinite values where the definition is infinite, errors within bounds.
template <class T>
std::map<std::string, record> torture(std::size_t rounds, bool strict = true) {
  std::map<std::string, record> records;
  std::mt19937 random(20);
  auto losses = all_specimens();
  for (auto& s : alpha_specimens()) losses.push_back(std::move(s));
  for (std::size_t i = 0; i < rounds; ++i) {
    const recipe r = random_recipe(random);
    const auto b = make_row<T>(r, random);
    for (const auto& loss : losses) {
      if (loss.of_features && r.masks >= 1 && r.masks <= 3) continue;
      const auto got = loss(b, r.temperature);
      const auto expected = loss.expected(b, 0, r.temperature);
      INFO(loss.title() << (sizeof(T) == 4 ? " in float: " : " in double: ") << in_words(r));
      REQUIRE(std::all_of(got.gradient.begin(), got.gradient.end(), [](T g) { return g - g == 0; }));
      if (!(expected.value <= static_cast<real>(std::numeric_limits<T>::max()))) {
        REQUIRE(got.values[0] == infinity<T>);
        continue;
      }
      // powers of p/q beyond half the largest number count as infinite
      if (loss.name == "alpha_divergence" && got.values[0] == infinity<T> &&
          expected.value >= static_cast<real>(std::numeric_limits<T>::max()) / 8)
        continue;
      if (loss.name == "alpha_beta" && got.values[0] == infinity<T>) {  // a power that the type cannot hold, where p and q agree
        real most = 0;
        for (const auto& x : row_of(b.student.data(), b.teacher.data(), b.classes, 0, r.temperature, r.temperature).softmaxes())
          most = std::max(most, class_weight(loss, x));
        if (most >= static_cast<real>(std::numeric_limits<T>::max()) / 8) continue;
      }
      real off = 0;
      for (std::size_t c = 0; c < b.classes; ++c) {
        const real d = static_cast<real>(got.gradient[c]) - expected.gradient[c];
        off += d * d;
      }
      if (!loss.bounded) continue;
      const bounds bound = promised(loss, b, r.temperature, r.temperature, expected);
      const real miss = std::fabs(static_cast<real>(got.values[0]) - expected.value);
      const real value = miss / bound.value, gradient = std::sqrt(off) / bound.gradient;
      record& best = records[loss.title()];
      ++best.cases;
      best.value = std::max(best.value, value), best.gradient = std::max(best.gradient, gradient);
      if (expected.value > 0) best.relative_value = std::max(best.relative_value, std::min<real>(miss / expected.value, 1));
      INFO("value " << static_cast<double>(expected.value) << ", got " << got.values[0] << ": " << static_cast<double>(value)
                    << " of the bound; gradient " << static_cast<double>(gradient) << " of the bound");
      if (!strict) continue;
      REQUIRE(value <= 1);
      REQUIRE(gradient <= 1);
      if (loss.name != "cross_entropy" && loss.name != "soft_cross_entropy" && loss.name != "nkd") REQUIRE(got.values[0] >= 0);
    }
  }
  return records;
}

/// Finite logits of any size: what is finite and can be held is finite, with a finite gradient; what cannot is +inf.
template <class T>
void check_large() {
  constexpr T most = std::numeric_limits<T>::max();
  auto losses = all_specimens();
  for (auto& s : alpha_specimens()) losses.push_back(std::move(s));
  for (const double size : {1e4, 1e10, 1e15, 1e25, 9e29, 1e100, 9e299})
    for (const auto& loss : losses) {
      if (sizeof(T) == 4 && size > 1e30) continue;
      const T x = static_cast<T>(size);
      const batch<T> b{1, 4, {x, -x, 0, x / 2}, {-x / 4, x, 1, 0}, {1}};
      const auto got = loss(b, 1);
      const auto expected = loss.expected(b, 0, 1);
      INFO(loss.title() << ", " << size << ": " << got.values[0] << ", expected " << static_cast<double>(expected.value));
      CHECK(std::all_of(got.gradient.begin(), got.gradient.end(), [](T g) { return g - g == 0; }));
      if (expected.value < static_cast<real>(most) / 4) {
        CHECK(std::fabs(static_cast<real>(got.values[0]) - expected.value) <=
              1e-5L * expected.value + static_cast<real>(std::numeric_limits<T>::min()));
      } else {
        CHECK(got.values[0] == infinity<T>);
      }
    }
}

}  // namespace

TEST_CASE("logits of any size in float") { check_large<float>(); }
TEST_CASE("logits of any size in double") { check_large<double>(); }
TEST_CASE("rows of every kind in float") { (void)torture<float>(500); }
TEST_CASE("rows of every kind in double") { (void)torture<double>(300); }

// Not run by itself: thirty times as many rows, and a line a loss, of the largest errors as they are.
TEST_CASE("rows of every kind: a table", "[.]") {
  const auto show = [](const char* type, const std::map<std::string, record>& records) {
    for (const auto& [name, r] : records)
      std::cout << type << ' ' << name << ": " << r.cases << " rows, worst value " << static_cast<double>(r.value)
                << " and gradient " << static_cast<double>(r.gradient) << " of the bound, worst relative error of a value "
                << static_cast<double>(r.relative_value) << '\n';
  };
  show("float", torture<float>(20000, false));
  show("double", torture<double>(10000, false));
}
