// The losses of the toolkits: their code, naively, central differences, and what holds by construction.

#include "checks.hpp"

#include <limbeck/features.hpp>
#include <limbeck/relations.hpp>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

/// f(r, c) added up over @p n rows of @p columns.
template <class F>
real over_all(std::size_t n, std::size_t columns, const F& f) {
  real total = 0;
  for (std::size_t r = 0; r < n; ++r)
    for (std::size_t c = 0; c < columns; ++c) total += f(r, c);
  return total;
}
real square(real x) { return x * x; }

/// Value and vector of the @p rank-th eigenvalue of the matrix of products of channels, by power iteration on what the larger ones leave.
std::pair<real, std::vector<real>> main_direction(std::size_t channels, std::size_t positions, std::size_t rank,
                                                  const std::function<real(std::size_t, std::size_t)>& at) {
  std::vector<real> m(channels * channels);
  for (std::size_t i = 0; i < channels * channels; ++i)
    for (std::size_t p = 0; p < positions; ++p) m[i] += at(i / channels, p) * at(i % channels, p);
  for (std::size_t found = 0;; ++found) {
    std::vector<real> v(channels);
    for (std::size_t c = 0; c < channels; ++c) v[c] = 1 + real(0.3) * static_cast<real>(c);
    real value = 0;
    for (int step = 0; step < 20000; ++step) {
      std::vector<real> next(channels);
      value = 0;
      for (std::size_t i = 0; i < channels * channels; ++i) next[i / channels] += m[i] * v[i % channels];
      for (const real x : next) value += x * x;
      value = std::sqrt(value);
      for (std::size_t c = 0; c < channels; ++c) v[c] = next[c] / value;
    }
    if (found == rank) {
      if (std::accumulate(v.begin(), v.end(), real(0)) < 0)
        for (real& x : v) x = -x;
      return {std::sqrt(value), v};
    }
    for (std::size_t i = 0; i < channels * channels; ++i) m[i] -= value * v[i / channels] * v[i % channels];
  }
}

}  // namespace

TEST_CASE("fsp") {
  check(lk::fsp{.first_channels = 2, .second_channels = 3}, 4, 35, 20, [](const auto& at) {
    return over_all(4, 6, [&](std::size_t r, std::size_t e) {
      real g[2] = {};
      for (std::size_t side = 0; side < 2; ++side)
        for (std::size_t p = 0, n = side ? 4 : 7; p < n; ++p)
          g[side] += at(side == 1, r, e / 3 * n + p) * at(side == 1, r, (2 + e % 3) * n + p) / static_cast<real>(n);
      return square(g[0] - g[1]) / 4;
    });
  });
  zero_at_agreement(lk::fsp{.first_channels = 3, .second_channels = 2}, 3, 40);
  features<double> x(1, 2, 2);  // one channel each, one position: a product
  x.student = {2, 3}, x.teacher = {1, 1};
  CHECK(x.run(lk::fsp{}) == 25);
  CHECK(x.gradient == std::vector<double>{30, 20});
}

TEST_CASE("factor_transfer") {
  for (const double p : {1.0, 2.0, 3.5}) {
    check(lk::factor_transfer{.p = p}, 5, 8, 8, [&](const auto& at) {
      real total = 0;
      for (std::size_t r = 0; r < 5; ++r) {
        real norm[2] = {}, distance = 0;
        for (std::size_t c = 0; c < 8; ++c) norm[0] += square(at(false, r, c)), norm[1] += square(at(true, r, c));
        for (std::size_t c = 0; c < 8; ++c)
          distance += std::pow(std::fabs(at(false, r, c) / std::sqrt(norm[0]) - at(true, r, c) / std::sqrt(norm[1])), static_cast<real>(p));
        total += std::pow(distance, 1 / static_cast<real>(p)) / 5;
      }
      return total;
    });
    zero_at_agreement(lk::factor_transfer{.p = p}, 4, 9);
  }
  features<double> x(3, 6, 6);
  const double value = x.value(lk::factor_transfer{});
  for (double& v : x.student) v *= 7;  // a factor has no length
  CHECK(x.value(lk::factor_transfer{}) == Approx(value).epsilon(1e-13));
  for (std::size_t c = 0; c < 6; ++c) x.student[c] = 0;
  CHECK(std::isfinite(x.run(lk::factor_transfer{.p = 2})));
  for (std::size_t c = 0; c < 6; ++c) CHECK(x.gradient[c] == 0);
}

TEST_CASE("norms whose squares leave the range, and high powers of what is near") {
  features<double> near(1, 2, 2);
  near.student = {1, 1.0001}, near.teacher = {1, 1};
  const double apart = 1.0001 / std::hypot(1.0, 1.0001) - std::sqrt(0.5);
  CHECK(near.run(lk::factor_transfer{.p = 100}) == Approx(apart).epsilon(1e-2));
  CHECK(near.difference(lk::factor_transfer{.p = 100}) < 1e-6);
  const auto run = [](const auto& loss) {
    features<float> x(3, 12, 12);
    const float plain = static_cast<float>(x.run(loss));
    const auto gradient = x.gradient;
    for (const float by : {1e25f, 1e-28f}) {
      features<float> y(3, 12, 12);
      for (float& v : y.student) v *= by;
      for (float& v : y.teacher) v *= by;
      CHECK(y.run(loss) == Approx(plain).epsilon(1e-4));
      for (std::size_t i = 0; i < gradient.size(); ++i) CHECK(y.gradient[i] * by == Approx(gradient[i]).epsilon(1e-2).margin(1e-4));
    }
    for (float& v : x.student) v = 3e38f;  // of which the norm is no float
    CHECK_THROWS_WITH(x.run(loss), Catch::Matchers::Contains("leave the range of float"));
  };
  run(lk::factor_transfer{});
  run(lk::channel_affinity{.channels = 3});
  run(lk::position_similarity{.student_channels = 3, .teacher_channels = 3});
  run(lk::margin_cosine{.margin = 0});
}

TEST_CASE("activation_boundaries") {
  for (const double margin : {1.0, 0.3}) {
    check(lk::activation_boundaries{.margin = margin}, 4, 30, 30, [&](const auto& at) {
      return over_all(4, 30, [&](std::size_t r, std::size_t c) {
        const real m = static_cast<real>(margin), s = at(false, r, c), t = at(true, r, c);
        return (square(s + m) * (s > -m && t <= 0 ? 1 : 0) + square(s - m) * (s <= m && t > 0 ? 1 : 0)) / 4;
      });
    });
  }
  features<double> x(1, 5, 5);
  x.teacher = {3, -2, 5, 0, -1}, x.student = {1, -1, 40, 0, 2};  // beyond the margin, beyond, far beyond, at the boundary, wrong
  CHECK(x.run(lk::activation_boundaries{}) == 1 + 9);
  CHECK(x.gradient == std::vector<double>{0, 0, 0, 2, 6});
}

TEST_CASE("overhaul, and its margins") {
  const std::vector<float> scale{1, -0.5f, 2, 0.1f, 0, 0}, shift{0.25f, 1, -3, 9, -2, 2};
  const lk::channel_margins margins(scale, shift);
  for (std::size_t c = 0; c < 4; ++c) {  // the mean of the negative part, by adding up
    const real s = std::fabs(static_cast<real>(scale[c])), m = static_cast<real>(shift[c]);
    real mass = 0, mean = 0;
    for (int i = 0; i < 400000; ++i) {
      const real x = -(static_cast<real>(i) + 0.5L) * 1e-4L, p = std::exp(-square((x - m) / s) / 2) / s / std::sqrt(2 * std::acos(real(-1))) * 1e-4L;
      mass += p, mean += p * x;
    }
    CHECK(margins[c] == Approx(static_cast<double>(mass > 0.001L ? mean / mass : -3 * s)).epsilon(1e-6));
  }
  CHECK(margins[4] == -2);  // all are
  CHECK(margins[5] == 0);   // none is
  check(lk::overhaul(margins), 5, 24, 24, [&](const auto& at) {
    return over_all(5, 24, [&](std::size_t r, std::size_t c) {
      const real m = static_cast<real>(margins[c / 4]), s = at(false, r, c), t = at(true, r, c);  // as mdistiller has it
      real v = 0;
      if (s > m && t <= m) v += square(s - m);
      if (s > t && t > m && t <= 0) v += square(s - t);
      if (t > 0) v += square(s - t);
      return v / 5;
    });
  });
  zero_at_agreement(lk::overhaul(margins), 2, 12);
}

TEST_CASE("pad_l2") {
  check(lk::pad_l2{}, 4, 14, 7, [](const auto& at) {
    return over_all(4, 7, [&](std::size_t r, std::size_t c) {
      const real v = at(false, r, 7 + c);
      return (square(at(true, r, c) - at(false, r, c)) / (1e-6L + std::exp(v)) + v) / 28;
    });
  });
  features<double> x(1, 2, 1);
  x.student = {3, -2000}, x.teacher = {3};
  CHECK(x.run(lk::pad_l2{}) == -2000);
  CHECK(x.gradient == std::vector<double>{0, 1});
  x.student = {3, 2000}, x.teacher = {1};  // a variance beyond all numbers
  CHECK(x.run(lk::pad_l2{}) == 2000);
  CHECK(x.gradient == std::vector<double>{0, 1});
  x.student = {1, -2000};
  CHECK(x.run(lk::pad_l2{.epsilon = 0}) == -2000);
  CHECK(x.gradient == std::vector<double>{0, 1});
  x.student = {3, 1};
  CHECK(x.run(lk::pad_l2{.epsilon = 0}) == Approx(4 * std::exp(-1.0) + 1));
  CHECK(x.difference(lk::pad_l2{.epsilon = 0}) < 1e-6);
}

TEST_CASE("log_sum") {
  for (const double alpha : {4.0, 1.0, 2.5}) {
    check(lk::log_sum{.alpha = alpha}, 6, 9, 9, [&](const auto& at) {
      return std::log(over_all(6, 9, [&](std::size_t r, std::size_t c) {
        return std::pow(std::fabs(at(false, r, c) - at(true, r, c)), static_cast<real>(alpha));
      }));
    });
  }
  features<double> x(3, 5, 5);
  x.run(lk::log_sum{});
  double along = 0;  // distances twice as long are alpha log 2 more
  for (std::size_t i = 0; i < 15; ++i) along += x.gradient[i] * (x.student[i] - x.teacher[i]);
  CHECK(along == Approx(4));
  const double before = x.run(lk::log_sum{});
  for (std::vector<double>* side : {&x.student, &x.teacher})
    for (double& v : *side) v *= 1e100;  // whose fourth power is no number
  CHECK(x.run(lk::log_sum{}) == Approx(before + 400 * std::log(10.0)));
  CHECK(std::isfinite(x.gradient[0]));
  x.teacher = x.student;
  CHECK_THROWS_WITH(x.run(lk::log_sum{}), "limbeck: log_sum: student and teacher agree everywhere; there is no logarithm");
  for (const double g : x.gradient) CHECK(g == 0);
}

TEST_CASE("channel_affinity is the distance of matrices that it does not make") {
  check(lk::channel_affinity{.channels = 3}, 4, 15, 15, [](const auto& at) {
    real total = 0;
    for (std::size_t r = 0; r < 4; ++r) {
      for (std::size_t c = 0; c < 3; ++c) {
        real norm[2] = {}, distance = 0;
        for (std::size_t p = 0; p < 5; ++p)
          norm[0] += square(at(false, r, c * 5 + p)), norm[1] += square(at(true, r, c * 5 + p));
        for (std::size_t p = 0; p < 5; ++p)
          for (std::size_t q = 0; q < 5; ++q)
            distance += square((at(false, r, c * 5 + p) * at(false, r, c * 5 + q) / norm[0] -
                                at(true, r, c * 5 + p) * at(true, r, c * 5 + q) / norm[1]) / 5);
        total += std::sqrt(distance) / 4;
      }
    }
    return total;
  });
  zero_at_agreement(lk::channel_affinity{.channels = 2}, 3, 14);
  features<double> x(1, 4, 4);
  for (std::size_t c = 0; c < 4; ++c) x.student[c] = -2 * x.teacher[c];
  CHECK(x.run(lk::channel_affinity{}) == Approx(0).margin(1e-15));
  std::fill(x.student.begin(), x.student.end(), 0.0);
  CHECK(x.run(lk::channel_affinity{}) == Approx(0.25));
  for (const double g : x.gradient) CHECK(g == 0);
}

TEST_CASE("kdsvd") {
  for (const std::size_t k : {1u, 2u}) {  // of the first layer less channels than positions, of the second more
    const lk::kdsvd loss{.first_channels = 3, .second_channels = 4, .student_positions = 5, .teacher_positions = 4, .k = k};
    check(loss, 3, 23, 24, [&](const auto& at) {
      real total = 0;
      for (std::size_t r = 0; r < 3; ++r) {
        std::vector<std::vector<real>> v[2];  // of both sides: of the first layer, then of the second
        for (std::size_t l = 0; l < 2; ++l) {
          const std::size_t channels = 3 + l;
          const auto direction = [&](bool teacher, std::size_t rank) {
            const std::size_t n = teacher ? (l ? 3 : 4) : (l ? 2 : 5), begin = l ? (teacher ? 12 : 15) : 0;
            return main_direction(channels, n, rank, [&](std::size_t c, std::size_t p) { return at(teacher, r, begin + c * n + p); });
          };
          real norm = 0;
          for (std::size_t m = 0; m < k; ++m) norm += square(direction(true, m).first);
          for (std::size_t m = 0; m < k; ++m) {
            const auto [length, theirs] = direction(true, m);
            real most = 0;
            std::vector<real> mine;
            for (std::size_t i = 0; i < (l ? 2u : 3u); ++i) {
              const auto one = direction(false, i).second;
              const real cosine = std::inner_product(one.begin(), one.end(), theirs.begin(), real(0));
              if (std::fabs(cosine) > std::fabs(most)) most = cosine, mine = one;
            }
            for (std::size_t side = 0; side < 2; ++side) {
              v[side].push_back(side ? theirs : mine);
              for (real& x : v[side].back()) x *= length / std::sqrt(norm) * (side == 0 && most < 0 ? -1 : 1);
            }
          }
        }
        for (std::size_t m = 0; m < k; ++m)
          for (std::size_t i = 0; i < 4; ++i)
            for (std::size_t j = 0; j < 3; ++j)
              total += square(std::exp(-square(v[0][k + m][i] - v[0][m][j]) / 8) - std::exp(-square(v[1][k + m][i] - v[1][m][j]) / 8)) / 3;
      }
      return total;
    });
  }
  zero_at_agreement(lk::kdsvd{.first_channels = 2, .second_channels = 3, .student_positions = 4, .teacher_positions = 4}, 3, 20);
  const lk::kdsvd loss{.first_channels = 2, .second_channels = 2, .student_positions = 2, .teacher_positions = 2};
  features<double> x(2, 8, 8);
  const double value = x.value(loss);
  for (double& v : x.student) v *= 5;  // directions have no length
  CHECK(x.value(loss) == Approx(value));
  features<double> flat(1, 6, 6);  // of rank 1: the second direction of the student is rounding, whatever the teacher's
  const lk::kdsvd one{.first_channels = 2, .second_channels = 2, .student_positions = 2, .teacher_positions = 2};
  flat.student = {1, 2, 2, 4, 1, 3}, flat.teacher = {2, 4, -0.5, -1, 1, 3};  // the teacher's first is nearly the student's second
  real expected = 0;
  for (const real w : {1 / std::sqrt(10.0L), 3 / std::sqrt(10.0L)})
    for (const bool second : {false, true})
      expected += square(std::exp(-square(w - (second ? 2 : 1) / std::sqrt(5.0L)) / 8) -
                         std::exp(-square(w - (second ? -0.5L : 2.0L) / std::sqrt(4.25L)) / 8));
  CHECK(flat.value(one) == Approx(static_cast<double>(expected)).epsilon(1e-12));
  for (const double constant : {0.0, 1.0}) {  // no direction, or one and nothing beside it
    std::fill(x.student.begin(), x.student.end(), constant);
    CHECK(std::isfinite(x.run(loss)));
    for (const double g : x.gradient) CHECK(std::isfinite(g));
  }
}

TEST_CASE("position_similarity") {
  check(lk::position_similarity{.student_channels = 3, .teacher_channels = 2}, 3, 15, 10, [](const auto& at) {
    const auto cosine = [&](bool teacher, std::size_t r, std::size_t p, std::size_t q) {
      real both = 0, one = 0, other = 0;
      for (std::size_t c = 0; c < (teacher ? 2u : 3u); ++c) {
        const real a = at(teacher, r, c * 5 + p), b = at(teacher, r, c * 5 + q);
        both += a * b, one += a * a, other += b * b;
      }
      return both / std::sqrt(one * other);
    };
    return over_all(3, 25, [&](std::size_t r, std::size_t e) {
      return square(cosine(false, r, e / 5, e % 5) - cosine(true, r, e / 5, e % 5)) / 75;
    });
  });
  zero_at_agreement(lk::position_similarity{.student_channels = 2, .teacher_channels = 2}, 3, 14);
  features<double> x(2, 12, 12);
  const lk::position_similarity loss{.student_channels = 3, .teacher_channels = 3};
  const double value = x.value(loss);
  for (double& v : x.student) v *= -3;
  CHECK(x.value(loss) == Approx(value));
  for (std::size_t c = 0; c < 3; ++c) x.student[c * 4 + 1] = 0;  // a position of no length
  CHECK(std::isfinite(x.run(loss)));
  for (std::size_t c = 0; c < 3; ++c) CHECK(x.gradient[c * 4 + 1] == 0);
}

TEST_CASE("what is pooled first") {
  features<double> x(3, 24, 24);  // two channels of 3 x 4
  const auto pooled_to = [](std::size_t h, std::size_t w) {
    return lk::adaptive_pooled{.channels = 2, .height = 3, .width = 4, .out_height = h, .out_width = w};
  };
  const lk::objective context{(4.0 / 6) * (lk::feature_mse{} + 0.5 * lk::through(pooled_to(1, 2), lk::feature_mse{}))};
  double expected = 0;
  for (std::size_t i = 0; i < 12; ++i) {  // each half of each channel
    double mean = 0;
    for (std::size_t e = 0; e < 6; ++e) {
      const std::size_t at = i / 2 * 12 + e / 2 * 4 + i % 2 * 2 + e % 2;
      mean += (x.student[at] - x.teacher[at]) / 6;
    }
    expected += mean * mean / 12 / 3;
  }
  expected += x.value(lk::feature_mse{}) * 2 / 3;
  CHECK(context.value(x.s(), x.t()) == Approx(expected));

  features<double> small(3, 4, 4);  // regions, by hand
  for (std::size_t i = 0; i < 12; ++i) {
    small.student[i] = small.teacher[i] = 0;
    for (std::size_t e = 0; e < 6; ++e) {
      const std::size_t at = i / 2 * 12 + e / 2 * 4 + i % 2 * 2 + e % 2;
      small.student[i] += x.student[at], small.teacher[i] += x.teacher[at];
    }
  }
  const lk::position_similarity alike{.student_channels = 2, .teacher_channels = 2};
  const lk::objective regions{100.0 * lk::through(pooled_to(1, 2), alike)};
  CHECK(regions.value(x.s(), x.t()) == Approx(100 * small.value(alike)));
}

TEST_CASE("sskd") {
  for (const double keep : {0.75, 0.0, 1.0, 0.4}) {
    for (const std::size_t n : {12u, 10u}) {
      CAPTURE(keep, n);
      const lk::sskd loss{.keep_wrong = keep};
      check(loss, n, 6, 4, [&](const auto& at) {
        const std::size_t pictures = (n + 3) / 4;
        std::vector<std::size_t> views;
        std::vector<std::vector<real>> cosines[2];
        for (std::size_t r = 0; r < n; ++r)
          if (r % 4 != 0) views.push_back(r);
        for (std::size_t side = 0; side < 2; ++side) {
          for (const std::size_t r : views) {
            cosines[side].emplace_back();
            for (std::size_t k = 0; k < pictures; ++k) {
              real both = 0, one = 0, other = 0;
              for (std::size_t c = 0; c < (side ? 4u : 6u); ++c) {
                const real a = at(side == 1, r, c), b = at(side == 1, 4 * k, c);
                both += a * b, one += a * a, other += b * b;
              }
              cosines[side].back().push_back(both / std::sqrt(one * other) * 2);  // over T
            }
          }
        }
        std::vector<std::size_t> order(views.size()), ranks;
        for (std::size_t i = 0; i < views.size(); ++i) {
          const auto& row = cosines[1][i];
          ranks.push_back(static_cast<std::size_t>(
              std::count_if(row.begin(), row.end(), [&](real x) { return x > row[views[i] / 4]; })));
        }
        std::iota(order.begin(), order.end(), 0u);
        std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return ranks[i] < ranks[j]; });
        const auto wrong = static_cast<double>(std::count_if(ranks.begin(), ranks.end(), [](std::size_t k) { return k > 0; }));
        order.resize(views.size() - static_cast<std::size_t>(wrong) + static_cast<std::size_t>(wrong * keep));
        real total = 0;
        for (const std::size_t i : order) {
          real mass[2] = {};
          for (std::size_t side = 0; side < 2; ++side)
            for (const real x : cosines[side][i]) mass[side] += std::exp(x);
          for (std::size_t k = 0; k < pictures; ++k) {
            const real p = std::exp(cosines[1][i][k]) / mass[1];
            total += p * std::log(p * mass[0] / std::exp(cosines[0][i][k]));
          }
        }
        return order.empty() ? real(0) : total / 4 / static_cast<real>(order.size());
      });
    }
  }
  zero_at_agreement(lk::sskd{}, 12, 7);
  features<double> x(8, 5, 5);
  const double value = x.value(lk::sskd{.temperature = 1e-3});  // far beyond the range of exponentials
  CHECK(value >= 0);
  CHECK(std::isfinite(value));
}

TEST_CASE("toolkits: the teacher learns where both sides are alike") {
  const auto both = [](const auto& loss, std::size_t teacher_columns) {
    features<double> x(4, 12, teacher_columns);
    x.teach();
    CHECK(x.teacher_difference(loss) < 1e-6);
    const std::vector<double> beside = x.teacher_gradient;
    CHECK(x.difference(loss) < 1e-6);
    x.run(loss, 0.5);
    for (std::size_t i = 0; i < beside.size(); ++i) CHECK(x.teacher_gradient[i] == Approx(beside[i] / 2).margin(1e-15));
  };
  both(lk::fsp{.first_channels = 1, .second_channels = 2}, 9);
  both(lk::factor_transfer{.p = 2}, 12);
  both(lk::channel_affinity{.channels = 3}, 12);
  both(lk::position_similarity{.student_channels = 3, .teacher_channels = 2}, 8);
  both(lk::log_sum{}, 12);
}

TEST_CASE("toolkits: means over samples weigh their rows") {
  const std::vector<double> weights{2, 0.25, 1};
  const auto weighed = [&](const auto& loss, std::size_t teacher_columns) {
    features<double> x(3, 12, teacher_columns), one(1, 12, teacher_columns);
    const double value = lk::objective{loss}(x.s(), x.t(), lk::row_weights(weights), lk::into(x.g())).loss;
    double expected = 0;
    for (std::size_t r = 0; r < 3; ++r) {
      std::copy_n(x.student.begin() + static_cast<std::ptrdiff_t>(12 * r), 12, one.student.begin());
      std::copy_n(x.teacher.begin() + static_cast<std::ptrdiff_t>(teacher_columns * r), teacher_columns, one.teacher.begin());
      expected += weights[r] / 3.25 * one.run(loss, weights[r] / 3.25);
      for (std::size_t c = 0; c < 12; ++c) CHECK(x.gradient[r * 12 + c] == Approx(one.gradient[c]).margin(1e-15));
    }
    CHECK(value == Approx(expected));
  };
  const lk::channel_margins margins(std::vector<double>{1, 2}, std::vector<double>{0, 0});
  weighed(lk::fsp{.first_channels = 1, .second_channels = 2}, 12);
  weighed(lk::kdsvd{.first_channels = 2, .second_channels = 2, .student_positions = 3, .teacher_positions = 3}, 12);
  weighed(lk::factor_transfer{}, 12);
  weighed(lk::activation_boundaries{}, 12);
  weighed(lk::overhaul(margins), 12);
  weighed(lk::pad_l2{}, 6);
  weighed(lk::margin_cosine{.margin = 0}, 12);
  weighed(lk::attention_transfer{.student_channels = 2, .teacher_channels = 1}, 6);
  weighed(lk::ickd{.channels = 3}, 12);
  weighed(lk::nst{.positions = 3}, 6);
  weighed(lk::channel_affinity{.channels = 2}, 12);
  weighed(lk::position_similarity{.student_channels = 2, .teacher_channels = 1}, 6);
}

TEST_CASE("toolkits: one sample, none, numbers that are none, and what is wrong is named") {
  const lk::channel_margins margins(std::vector<double>{1, 2}, std::vector<double>{0, 0});
  const auto run = [&](const auto& loss, std::size_t teacher_columns) {
    features<float> one(1, 6, teacher_columns), none(0, 6, teacher_columns);
    CHECK(std::isfinite(one.run(loss)));
    CHECK(none.run(loss) == 0);
    const std::size_t held = one.memory.size();
    one.run(loss);
    CHECK(one.memory.size() == held);
    features<double> x(8, 6, teacher_columns);
    for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      for (const std::size_t row : {4u, 5u}) {
        for (const bool teacher : {false, true}) {
          double& spoilt = teacher ? x.teacher[row * teacher_columns + 1] : x.student[row * 6 + 1];
          const double kept = std::exchange(spoilt, bad);
          CHECK_THROWS_WITH(x.run(loss), std::string("limbeck: ") + (teacher ? "teacher" : "student") + " is " +
                                             (std::isnan(bad) ? "nan" : "inf") + " at row " + std::to_string(row) +
                                             ", column 1, expected a finite number");
          spoilt = kept;
        }
      }
    }
  };
  run(lk::fsp{.first_channels = 1, .second_channels = 2}, 6);
  run(lk::factor_transfer{}, 6);
  run(lk::activation_boundaries{}, 6);
  run(lk::overhaul(margins), 6);
  run(lk::pad_l2{}, 3);
  run(lk::log_sum{}, 6);
  run(lk::channel_affinity{.channels = 2}, 6);
  run(lk::position_similarity{.student_channels = 2, .teacher_channels = 1}, 3);
  run(lk::sskd{}, 4);
  run(lk::kdsvd{.first_channels = 1, .second_channels = 2, .student_positions = 2, .teacher_positions = 1}, 3);

  features<double> x(4, 6, 8), y(4, 6, 6);
  CHECK_THROWS_WITH(x.run(lk::fsp{.first_channels = 1, .second_channels = 3}),
                    "limbeck: student has 6 columns, which are no whole number of positions in 4 channels");
  CHECK_THROWS_WITH(x.run(lk::fsp{.first_channels = 0}), "limbeck: fsp has a layer of 0 channels, expected at least 1");
  CHECK_THROWS_AS(x.run(lk::factor_transfer{}), lk::shape_error);
  CHECK_THROWS_WITH(y.run(lk::factor_transfer{.p = 0.5}), "limbeck: factor_transfer.p is 0.5, expected a number of at least 1");
  CHECK_THROWS_AS(x.run(lk::activation_boundaries{}), lk::shape_error);
  CHECK_THROWS_WITH(y.run(lk::activation_boundaries{.margin = -1}),
                    "limbeck: activation_boundaries.margin is -1, expected a number of at least 0");
  CHECK_THROWS_AS(x.run(lk::overhaul(margins)), lk::shape_error);
  CHECK_THROWS_WITH(lk::channel_margins(std::vector<double>{1, 2}, std::vector<double>{1}),
                    "limbeck: channel_margins has 2 scales and 1 shifts, expected one of each a channel");
  CHECK_THROWS_WITH(
      lk::channel_margins(std::vector<double>{1}, std::vector<double>{std::numeric_limits<double>::infinity()}),
      "limbeck: channel_margins has scale 1 and shift inf at channel 0, expected finite numbers");
  CHECK_THROWS_WITH(y.run(lk::pad_l2{}), "limbeck: student has 6 columns and teacher 6, but pad_l2 needs twice as many of the "
                                         "student: features, then the logs of their variances");
  CHECK_THROWS_WITH(y.run(lk::log_sum{.alpha = 0}), "limbeck: log_sum.alpha is 0, expected a number of at least 1");
  CHECK_THROWS_AS(y.run(lk::channel_affinity{.channels = 4}), lk::shape_error);
  CHECK_THROWS_WITH(x.run(lk::position_similarity{.student_channels = 2, .teacher_channels = 2}),
                    "limbeck: student has 3 positions and teacher 4; pool one of them before position_similarity");
  CHECK_THROWS_WITH(y.run(lk::kdsvd{.first_channels = 2, .second_channels = 3, .student_positions = 2, .teacher_positions = 2}),
                    "limbeck: student has 6 columns, which are no two layers of 2 x 2 and 3 channels x positions");
  CHECK_THROWS_WITH(y.run(lk::kdsvd{.first_channels = 2, .second_channels = 1, .student_positions = 2, .teacher_positions = 2, .k = 2}),
                    "limbeck: kdsvd.k is 2, expected 1 to the least number of channels and positions");
  CHECK_THROWS_WITH(x.run(lk::sskd{.views = 1}), "limbeck: sskd.views is 1, expected 2 or more: a picture and what is made of it");
  CHECK_THROWS_WITH(x.run(lk::sskd{.temperature = 0}), "limbeck: sskd.temperature is 0, expected a positive number");
  CHECK_THROWS_WITH(x.run(lk::sskd{.keep_wrong = 2}), "limbeck: sskd.keep_wrong is 2, expected 0 to 1");
}
