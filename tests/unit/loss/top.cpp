// Losses of the top of a row, beyond what is true of all losses: published numbers, the reverse form, options.

#include "catch.hpp"
#include "make_specimen.hpp"

#include <limbeck/logits.hpp>

#include <cmath>
#include <limits>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

constexpr double infinity_ = std::numeric_limits<double>::infinity();

/// One row at a temperature, without its factor.
template <class Loss>
std::pair<double, std::vector<double>> one(const Loss& loss, const std::vector<double>& s, const std::vector<double>& t,
                                           double temperature = 1) {
  std::vector<double> g(s.size());
  const lk::rows<const double> sv(s.data(), 1, s.size()), tv(t.data(), 1, t.size());
  const double value =
      lk::at_temperature(temperature, lk::unscaled(loss))(sv, tv, lk::into(lk::rows<double>(g.data(), 1, g.size()))).loss;
  return {value, g};
}

}  // namespace

TEST_CASE("bild: values of the authors' code, and what has no pair or agrees") {
  const std::vector<double> t{3, 1, 0, -1}, s{1, 2, 0.5, -1};
  CHECK(one(lk::bild{.k = 3, .leader = lk::lead::teacher}, s, t, 3).first == Approx(0.1206643727).epsilon(1e-9));
  CHECK(one(lk::bild{.k = 3, .leader = lk::lead::student}, s, t, 3).first == Approx(0.2375225167).epsilon(1e-9));
  CHECK(one(lk::bild{.k = 3}, s, t, 3).first == Approx(0.1206643727 + 0.2375225167).epsilon(1e-9));
  CHECK(one(lk::bild{.k = 2}, s, t) == std::pair(0.0, std::vector<double>(4)));  // of one pair
  CHECK(one(lk::bild{}, {1, 2}, {2, 1}).first == 0);
  for (const bool reverse : {false, true}) CHECK(one(lk::bild{.reverse = reverse}, s, s) == std::pair(0.0, std::vector<double>(4)));
  const auto scaled = lk::at_temperature(3.0, lk::bild{.k = 3});
  const lk::rows<const double> sv(s.data(), 1, 4), tv(t.data(), 1, 4);
  CHECK(scaled.value(sv, tv) == Approx(9 * (0.1206643727 + 0.2375225167)).epsilon(1e-9));
}

TEST_CASE("bild: the other direction, and the knee of either side") {
  const auto b = random_batch<double>(8, 40, 3, 2.0);
  for (const bool knee : {false, true})
    for (const char leader : {'b', 't', 's'})
      for (const double t : {0.5, 3.0}) {
        const lk::bild loss{.k = 12,
                            .leader = leader == 'b' ? lk::lead::both : leader == 't' ? lk::lead::teacher : lk::lead::student,
                            .reverse = true,
                            .knee = knee};
        const auto reference = ref_bild(12, leader, ref_reverse_kl(), knee);
        for (std::size_t r = 0; r < b.samples; ++r) {
          const auto row = [&](const std::vector<double>& x) {
            const auto first = x.begin() + static_cast<std::ptrdiff_t>(r * 40);
            return std::vector<double>(first, first + 40);
          };
          const auto s = row(b.student), v = row(b.teacher);
          const auto expected = reference(row_of(s.data(), v.data(), 40, 0, t, t));
          const auto [value, gradient] = one(loss, s, v, t);
          CHECK(value == Approx(static_cast<double>(expected.value)).epsilon(1e-12));
          for (std::size_t i = 0; i < 40; ++i)
            CHECK(gradient[i] == Approx(static_cast<double>(expected.gradient[i])).epsilon(1e-11).margin(1e-14));
        }
      }
}

TEST_CASE("bild: how many classes stand before a knee") {
  // three of a size, then a long flat tail: a fourth ends the bend
  const std::vector<double> t{5, 4.9, 4.8, 0, -0.1, -0.2, -0.3, -0.4, -0.5, -0.6}, s{1, 2, 0, 3, 1, 2, 4, 1, 0, 2};
  const auto led = [](std::size_t k, bool knee) { return lk::bild{.k = k, .leader = lk::lead::teacher, .knee = knee}; };
  CHECK(one(led(10, true), s, t).first == one(led(4, false), s, t).first);
  CHECK(one(led(10, true), s, t).first != one(led(10, false), s, t).first);
  const std::vector<double> flat(10, 1.0);  // bends nowhere
  CHECK(one(led(10, true), s, flat).first == one(led(10, false), s, flat).first);
  const std::vector<double> sharp{9, 0, -1, -2, -3, -4};  // one class alone would be no pair
  CHECK(one(led(6, true), {1, 2, 0, 3, 1, 2}, sharp).first == one(led(3, false), {1, 2, 0, 3, 1, 2}, sharp).first);
}

TEST_CASE("bild and reranked: masks, and numbers that are none") {
  const std::vector<double> t{3, -infinity_, 0, -1, 2}, s{1, -infinity_, 0.5, -1, 0};
  const auto both = one(lk::bild{}, s, t);
  const auto without = one(lk::bild{}, {1, 0.5, -1, 0}, {3, 0, -1, 2});
  CHECK(both.first == without.first);
  CHECK(both.second[1] == 0);
  CHECK(both.second[4] == without.second[3]);
  CHECK(one(lk::bild{.leader = lk::lead::student}, s, {3, 1, 0, -infinity_, 2}).first == infinity_);
  CHECK(one(lk::bild{.k = 3, .leader = lk::lead::student}, s, {3, 1, 0, -infinity_, 2}).first < infinity_);  // not among the k
  CHECK(one(lk::reranked{}, s, t).first == one(lk::reranked{}, {1, 0.5, -1, 0}, {3, 0, -1, 2}).first);
  CHECK(one(lk::reranked{.k = 3}, s, {3, 1, -infinity_, 2, 2}).first == one(lk::reranked{.k = 3}, s, {3, 1, -9, 2, 2}).first);
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), infinity_}) {
    auto wrong = s;
    wrong[3] = bad;
    for (const bool teacher : {false, true}) {
      CHECK_THROWS_AS(one(lk::bild{}, teacher ? s : wrong, teacher ? wrong : t), lk::value_error);
      CHECK_THROWS_AS(one(lk::reranked{}, teacher ? s : wrong, teacher ? wrong : t), lk::value_error);
    }
  }
}

TEST_CASE("reranked: values of both forms, and the teacher's order alone") {
  const std::vector<double> ordered{3, 2, 1}, turned{1, 2, 3}, falling{9, 5, 2};
  CHECK(one(lk::reranked{}, ordered, falling).first == Approx(0.720868).epsilon(1e-6));
  CHECK(one(lk::reranked{.prefix = true}, ordered, falling).first == Approx(3.720868).epsilon(1e-6));
  CHECK(one(lk::reranked{}, turned, falling).first == Approx(3.720868).epsilon(1e-6));
  CHECK(one(lk::reranked{.prefix = true}, turned, falling).first == Approx(0.720868).epsilon(1e-6));
  const std::vector<double> s{1, 4, 2, 0, 3}, t{5, 1, 2, 4, 3};
  CHECK(one(lk::reranked{.k = 3}, s, t) == one(lk::reranked{.k = 3}, s, {50, 0.1, 0.2, 40, 0.3}));
  CHECK(one(lk::reranked{.k = 3}, s, t).second[0] == 0);  // not a favourite of the student's
  CHECK(one(lk::reranked{.k = 1}, s, t) == std::pair(0.0, std::vector<double>(5)));
  CHECK_THROWS_WITH(one(lk::reranked{.k = 0}, s, t), "limbeck: reranked.k is 0, expected at least 1");
  CHECK_THROWS_WITH(one(lk::bild{.k = 1}, s, t), "limbeck: bild.k is 1, expected at least 2");
}
