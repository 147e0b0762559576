// Rows of 16 bits and of mixed types: the float call on the converted rows, bit for bit, and its gradient rounded once.

#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#if LIMBECK_TEST_EIGEN
#include <limbeck/eigen.hpp>
#endif

namespace lk = limbeck;

namespace {

/// The value by its definition: (-1)^s 2^e (1 + m / 2^width).
double by_definition(unsigned bits, int exponent_bits, int mantissa_bits) {
  const unsigned most = (1U << exponent_bits) - 1, exponent = (bits >> mantissa_bits) & most;
  const unsigned mantissa = bits & ((1U << mantissa_bits) - 1);
  const double sign = bits >> 15U ? -1 : 1, share = std::ldexp(mantissa, -mantissa_bits);
  const int bias = static_cast<int>(most / 2);
  if (exponent == most)
    return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  return exponent == 0 ? sign * std::ldexp(share, 1 - bias) : sign * std::ldexp(1 + share, static_cast<int>(exponent) - bias);
}

template <class Stored>
void check_all_patterns(int exponent_bits, int mantissa_bits) {
  std::size_t wrong = 0;
  for (unsigned bits = 0; bits < 65536; ++bits) {
    Stored x;
    x.bits = static_cast<std::uint16_t>(bits);
    const double expected = by_definition(bits, exponent_bits, mantissa_bits);
    const float value = x;
    if (expected != expected) {
      const float back = Stored(value);
      wrong += !(value != value) || !(back != back);
      continue;
    }
    wrong += static_cast<double>(value) != expected || std::signbit(value) != (bits >> 15U != 0);
    wrong += Stored(value).bits != bits;
    // the middle between two neighbours goes to the even one, what lies beside it to the nearer one
    if (((bits + 1) & 0x7fffU) >= (((1U << exponent_bits) - 1) << mantissa_bits)) continue;
    const double next = by_definition(bits + 1, exponent_bits, mantissa_bits);
    const auto middle = static_cast<float>((expected + next) / 2);
    const float infinity = std::numeric_limits<float>::infinity();
    const float away = next > expected ? infinity : -infinity;
    if (static_cast<double>(middle) != (expected + next) / 2) continue;  // between the two lowest bfloat16, floats have an end
    wrong += Stored(middle).bits != (bits % 2 == 0 ? bits : bits + 1);
    wrong += Stored(std::nextafter(middle, away)).bits != bits + 1;
    wrong += Stored(std::nextafter(middle, -away)).bits != bits;
  }
  CHECK(wrong == 0);
}

constexpr std::size_t samples = 11;

template <class Stored>
Stored rounded(float x) {
  if constexpr (std::is_floating_point_v<Stored>) {
    return static_cast<Stored>(x);
  } else {
    return Stored(x);
  }
}

/// The same logits as Stored, and as what T reads from them; classes innermost or samples innermost.
template <class Stored, class T>
struct both {
  std::vector<Stored> stored;
  std::vector<T> plain;
  std::size_t classes;
  bool by_columns;
  both(std::size_t c, unsigned seed, bool columns) : stored(samples * c), plain(samples * c), classes(c), by_columns(columns) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 3);
    for (std::size_t i = 0; i < stored.size(); ++i) {
      stored[i] = rounded<Stored>(normal(random));
      plain[i] = static_cast<T>(stored[i]);
    }
  }
  template <class U>
  lk::rows<U> seen(U* data) const {
    if (by_columns) return {data, samples, classes, 1, static_cast<std::ptrdiff_t>(samples)};
    return {data, samples, classes};
  }
  lk::rows<const Stored> rows() const { return seen(stored.data()); }
  lk::rows<const T> plain_rows() const { return seen(plain.data()); }
};

const std::vector<int> labels{0, 1, 2, -100, 2, 0, 1, 1, 0, 2, 1};

template <class Loss, class S, class U, class T>
void check_call(const Loss& loss, const both<S, T>& s, const both<U, T>& t) {
  std::vector<T> g(s.plain.size(), T(7)), kept(g.size()), row_losses(samples), expected_losses(samples);
  std::vector<S> stored(g.size());
  const double expected = loss(s.plain_rows(), t.plain_rows(), labels, lk::into(s.seen(g.data())), lk::row_losses(expected_losses)).loss;
  CHECK(loss(s.rows(), t.rows(), labels, lk::into(s.seen(stored.data())), lk::row_losses(row_losses)).loss == expected);
  CHECK(row_losses == expected_losses);
  CHECK(loss.value(s.rows(), t.rows(), labels) == expected);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    const S want = rounded<S>(static_cast<float>(g[i]));
    wrong += std::memcmp(&stored[i], &want, sizeof(S)) != 0;
  }
  CHECK(wrong == 0);
  // the gradient in the arithmetic type is not rounded at all
  std::vector<T> wide(g.size());
  loss(s.rows(), t.rows(), labels, lk::into(s.seen(wide.data())));
  CHECK(wide == g);
  // added: read, summed in the arithmetic type, rounded
  const std::vector<S> before = s.stored;
  std::vector<S> sum = before;
  loss(s.rows(), t.rows(), labels, lk::add_to(s.seen(sum.data())));
  wrong = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    const S want = rounded<S>(static_cast<float>(static_cast<T>(before[i]) + g[i]));
    wrong += std::memcmp(&sum[i], &want, sizeof(S)) != 0;
  }
  CHECK(wrong == 0);
}

const auto loss = lk::objective{lk::cross_entropy{} + 0.5 * lk::at_temperature(2.0, lk::forward_kl{})};

template <class Stored>
void check_everywhere() {
  for (const std::size_t classes : {std::size_t{3}, std::size_t{16}, std::size_t{37}, std::size_t{1100}})
    for (const bool columns : {false, true}) {
      check_call(loss, both<Stored, float>(classes, 1, columns), both<Stored, float>(classes, 2, columns));
      check_call(loss, both<Stored, float>(classes, 1, columns), both<float, float>(classes, 2, columns));
      check_call(loss, both<float, float>(classes, 1, columns), both<Stored, float>(classes, 2, columns));
    }
}

}  // namespace

TEST_CASE("all numbers of 16 bits are read exactly and rounded to the nearest") {
  check_all_patterns<lk::float16>(5, 10);
  check_all_patterns<lk::bfloat16>(8, 7);
  CHECK(lk::float16(65520.0F).bits == 0x7c00);
  CHECK(lk::float16(65519.0F).bits == 0x7bff);
  CHECK(lk::bfloat16(-std::numeric_limits<float>::max()).bits == 0xff80);
}

TEST_CASE("a call on rows of 16 bits is the float call on their values") {
  check_everywhere<lk::float16>();
  check_everywhere<lk::bfloat16>();
}
TEST_CASE("student and teacher of different types") {
  std::vector<double> d(samples * 37);
  const both<float, float> s(37, 1, false), t(37, 2, false);
  for (std::size_t i = 0; i < d.size(); ++i) d[i] = static_cast<double>(t.plain[i]);
  const lk::rows<const double> precise(d.data(), samples, 37);
  CHECK(loss(s.rows(), precise, labels).loss == loss(s.rows(), t.rows(), labels).loss);
  // a double student computes in double
  CHECK(loss(precise, s.rows(), labels).loss == Approx(loss(t.rows(), s.rows(), labels).loss).epsilon(1e-5));
  CHECK(loss(precise, s.rows(), labels).loss == loss.value(precise, both<float, double>(37, 1, false).plain_rows(), labels));
}
TEST_CASE("soft labels of 16 bits, micro-batches, run-time types, and losses of the whole batch") {
  const both<lk::bfloat16, float> s(37, 1, false), t(37, 2, false);
  std::vector<lk::float16> p(samples * 37, lk::float16(1.0F / 32));
  std::vector<float> plain(samples * 37, 1.0F / 32);
  const lk::rows<const lk::float16> soft(p.data(), samples, 37);
  const lk::rows<const float> plain_soft(plain.data(), samples, 37);
  const lk::objective from_soft{lk::cross_entropy{}};
  CHECK(from_soft.value(s.rows(), lk::soft_labels(soft)) == from_soft.value(s.plain_rows(), lk::soft_labels(plain_soft)));

  const lk::objective kl{lk::forward_kl{}};
  std::vector<lk::bfloat16> whole(samples * 37), parts(samples * 37);
  const double all = kl(s.rows(), t.rows(), lk::into(s.seen(whole.data()))).loss;
  double sum = 0;
  for (const std::size_t first : {std::size_t{0}, std::size_t{4}}) {
    const std::size_t n = first ? samples - 4 : 4;
    sum += kl(lk::rows<const lk::bfloat16>(s.rows().row(first), n, 37), lk::rows<const lk::bfloat16>(t.rows().row(first), n, 37),
              lk::mean_over(samples), lk::into(lk::rows<lk::bfloat16>(parts.data() + first * 37, n, 37)))
               .loss;
  }
  CHECK(sum == Approx(all).epsilon(1e-12));
  CHECK(std::memcmp(parts.data(), whole.data(), parts.size() * sizeof(lk::bfloat16)) == 0);

  const std::ptrdiff_t shape[] = {samples, 37};
  std::vector<lk::bfloat16> at_run_time(samples * 37);
  const lk::any_tensor a(s.stored.data(), lk::element_type::bfloat16, shape), b(t.plain.data(), lk::element_type::float32, shape);
  const lk::any_tensor g(at_run_time.data(), lk::element_type::bfloat16, shape, false);
  CHECK(kl(a, b, lk::into(g)).loss == all);
  CHECK(std::memcmp(at_run_time.data(), whole.data(), whole.size() * sizeof(lk::bfloat16)) == 0);

  const lk::objective relations{lk::rkd_distance{}};
  std::vector<float> wide(samples * 37);
  std::vector<lk::bfloat16> narrow(samples * 37);
  const double related = relations(s.plain_rows(), t.plain_rows(), lk::into(s.seen(wide.data()))).loss;
  CHECK(relations(s.rows(), t.rows(), lk::into(s.seen(narrow.data()))).loss == related);
  for (std::size_t i = 0; i < wide.size(); ++i) CHECK(narrow[i].bits == lk::bfloat16(wide[i]).bits);
}
TEST_CASE("a bad number of 16 bits is named") {
  both<lk::float16, float> s(37, 1, false);
  const both<float, float> t(37, 2, false);
  s.stored[5 * 37 + 20] = lk::float16(std::numeric_limits<float>::infinity());
  CHECK_THROWS_WITH(loss.value(s.rows(), t.rows(), labels), Catch::Contains("student is inf at row 5, class 20"));
  CHECK_THROWS_WITH(loss.value(t.rows(), s.rows(), labels), Catch::Contains("teacher is inf at row 5, class 20"));
  std::vector<lk::float16> own(samples * 37);
  const lk::rows<lk::float16> place(own.data(), samples, 37);
  const lk::rows<const lk::float16> overlapping(own.data(), samples, 37);
  CHECK_THROWS_WITH(loss(overlapping, t.rows(), labels, lk::into(place)), Catch::Contains("gradient overlaps student"));
}

#if LIMBECK_TEST_EIGEN
TEST_CASE("Eigen's numbers of 16 bits") {
  const both<lk::bfloat16, float> s(37, 1, false), t(37, 2, false);
  using matrix = Eigen::Matrix<Eigen::bfloat16, Eigen::Dynamic, Eigen::Dynamic>;
  matrix x(samples, 37);
  for (std::size_t r = 0; r < samples; ++r)
    for (std::size_t c = 0; c < 37; ++c)
      x(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(c)) = Eigen::bfloat16(s.plain[r * 37 + c]);
  const auto result = loss(x, t.rows(), labels);
  const auto expected = loss(s.rows(), t.rows(), labels);
  CHECK(result.loss == expected.loss);
  CHECK(static_cast<float>(result.gradient(4, 30)) == static_cast<float>(expected.gradient[4 * 37 + 30]));
  const Eigen::Matrix<Eigen::half, Eigen::Dynamic, Eigen::Dynamic> h = x.cast<float>().cast<Eigen::half>();
  const auto in_float = loss(Eigen::MatrixXf(h.cast<float>()).eval(), t.rows(), labels);
  CHECK(loss(h, t.rows(), labels).loss == in_float.loss);
}
#endif
