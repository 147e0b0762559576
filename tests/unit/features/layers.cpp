// Losses between layers: the definition written naively, central differences, and what holds by construction.

#include "checks.hpp"

#include <limbeck/loss/features/nearest_layers.hpp>
#include <limbeck/loss/features/attention_transfer.hpp>
#include <limbeck/loss/features/hard_quantile.hpp>
#include <limbeck/loss/features/hint.hpp>
#include <limbeck/loss/features/ickd.hpp>

#include <limits>

namespace lk = limbeck;
using namespace limbeck_test;

TEST_CASE("hint and feature_mse") {
  const auto squares = [](const auto& at) {
    real total = 0;
    for (std::size_t r = 0; r < 5; ++r)
      for (std::size_t c = 0; c < 300; ++c)
        total += (at(false, r, c) - at(true, r, c)) * (at(false, r, c) - at(true, r, c));
    return total;
  };
  check(lk::hint{}, 5, 300, 300, [&](const auto& at) { return squares(at) / 10; });
  check(lk::feature_mse{}, 5, 300, 300, [&](const auto& at) { return squares(at) / 1500; });
  zero_at_agreement(lk::hint{}, 4, 33);
  features<double> x(4, 6, 6);
  const double mse = x.value(lk::feature_mse{});
  CHECK(mse == Approx(x.value(lk::hint{}) * 2 / 6));
  x.run(lk::hint{});
  for (std::size_t i = 0; i < x.student.size(); ++i) CHECK(x.gradient[i] == Approx((x.student[i] - x.teacher[i]) / 4));
}

TEST_CASE("attention_transfer") {
  for (const double power : {2.0, 1.5, 3.0}) {
    const lk::attention_transfer loss{.student_channels = 3, .teacher_channels = 2, .power = power};
    check(loss, 4, 21, 14, [&](const auto& at) {
      real total = 0;
      for (std::size_t r = 0; r < 4; ++r) {
        real map[2][7] = {}, norm[2] = {};
        for (std::size_t side = 0; side < 2; ++side) {
          for (std::size_t j = 0; j < 7; ++j) {
            for (std::size_t c = 0; c < (side ? 2u : 3u); ++c)
              map[side][j] += std::pow(std::fabs(at(side == 1, r, c * 7 + j)), static_cast<real>(power));
            norm[side] += map[side][j] * map[side][j];
          }
        }
        for (std::size_t j = 0; j < 7; ++j) {
          const real d = map[0][j] / std::sqrt(norm[0]) - map[1][j] / std::sqrt(norm[1]);
          total += d * d / 28;
        }
      }
      return total;
    });
  }
  zero_at_agreement(lk::attention_transfer{.student_channels = 4, .teacher_channels = 4}, 3, 20);
  features<double> x(2, 6, 6);
  const lk::attention_transfer loss{.student_channels = 2, .teacher_channels = 2};
  const double value = x.value(loss);
  for (double& v : x.student) v *= -7;  // a map has no scale and no sign
  CHECK(x.value(loss) == Approx(value).epsilon(1e-13));
  for (std::size_t c = 0; c < 6; ++c) x.student[c] = 0;  // a sample of no norm: its map is 0, its gradient too
  CHECK(std::isfinite(x.run(loss)));
  for (std::size_t c = 0; c < 6; ++c) CHECK(x.gradient[c] == 0);
  for (double& v : x.teacher) v = 0;
  for (double& v : x.student) v = 0;
  CHECK(x.run(loss) == 0);
}

TEST_CASE("ickd") {
  check(lk::ickd{.channels = 4}, 3, 12, 20, [](const auto& at) {
    real total = 0;
    for (std::size_t r = 0; r < 3; ++r) {
      real gram[2][4][4] = {};
      for (std::size_t side = 0; side < 2; ++side) {
        const std::size_t n = side ? 5 : 3;
        for (std::size_t i = 0; i < 4; ++i) {
          real norm = 0;
          for (std::size_t j = 0; j < 4; ++j) {
            for (std::size_t p = 0; p < n; ++p)
              gram[side][i][j] += at(side == 1, r, i * n + p) * at(side == 1, r, j * n + p);
            norm += gram[side][i][j] * gram[side][i][j];
          }
          for (real& g : gram[side][i]) g /= std::sqrt(norm);
        }
      }
      for (std::size_t i = 0; i < 4; ++i)
        for (std::size_t j = 0; j < 4; ++j) total += (gram[0][i][j] - gram[1][i][j]) * (gram[0][i][j] - gram[1][i][j]);
    }
    return total / 12;
  });
  zero_at_agreement(lk::ickd{.channels = 5}, 3, 200);
  features<double> x(2, 6, 6);
  for (std::size_t p = 0; p < 3; ++p) x.student[p] = 0;  // a silent channel, then a silent sample
  CHECK(std::isfinite(x.run(lk::ickd{.channels = 2})));
  for (const double g : x.gradient) CHECK(std::isfinite(g));
  for (std::size_t p = 0; p < 6; ++p) x.student[p] = 0;
  CHECK(std::isfinite(x.run(lk::ickd{.channels = 2})));
  for (std::size_t p = 0; p < 6; ++p) CHECK(x.gradient[p] == 0);
}

TEST_CASE("hard_quantile") {
  for (const double p : {0.0, 0.5, 0.93, 0.999, 1.0}) {
    INFO(p);
    check(lk::hard_quantile{.p_hard = p}, 4, 40, 40, [&](const auto& at) {
      std::vector<real> errors;
      for (std::size_t r = 0; r < 4; ++r)
        for (std::size_t c = 0; c < 40; ++c)
          errors.push_back((at(false, r, c) - at(true, r, c)) * (at(false, r, c) - at(true, r, c)));
      std::sort(errors.begin(), errors.end());
      const real rank = static_cast<real>(p) * 159;
      const auto low = static_cast<std::size_t>(rank), high = std::min<std::size_t>(low + 1, 159);
      const real threshold = errors[low] + (rank - static_cast<real>(low)) * (errors[high] - errors[low]);
      real total = 0, count = 0;
      for (const real e : errors)
        if (e >= threshold - 1e-15L) total += e, count += 1;
      return total / count;
    });
  }
  features<double> x(3, 50, 50);
  CHECK(x.value(lk::hard_quantile{.p_hard = 0}) == Approx(x.value(lk::feature_mse{})));
  x.run(lk::hard_quantile{.p_hard = 0.99});
  CHECK(std::count_if(x.gradient.begin(), x.gradient.end(), [](double g) { return g != 0; }) == 2);
  zero_at_agreement(lk::hard_quantile{}, 4, 33);
  x.teacher.assign(150, 1);
  x.student.assign(150, 1.5);  // all errors tie: all are kept
  CHECK(x.run(lk::hard_quantile{}) == 0.25);
  CHECK(x.gradient[149] == Approx(1.0 / 150));
}

TEST_CASE("nearest_layers") {
  for (const std::size_t k : {1u, 2u, 5u}) {
    check(lk::nearest_layers{.layers = 5, .k = k}, 6, 7, 35, [&](const auto& at) {
      real total = 0;
      for (std::size_t r = 0; r < 6; ++r) {
        std::vector<real> apart(5);
        for (std::size_t j = 0; j < 5; ++j)
          for (std::size_t c = 0; c < 7; ++c)
            apart[j] += (at(false, r, c) - at(true, r, c * 5 + j)) * (at(false, r, c) - at(true, r, c * 5 + j)) / 7;
        std::sort(apart.begin(), apart.end());
        for (std::size_t j = 0; j < k; ++j) total += apart[j] / 6;
      }
      return total;
    });
  }
  features<double> x(4, 6, 18), one(4, 6, 6);
  one.teacher = std::vector<double>(x.teacher.begin(), x.teacher.begin() + 24);
  CHECK(one.value(lk::nearest_layers{.layers = 1, .k = 1}) == Approx(one.value(lk::feature_mse{})).epsilon(1e-14));
  double all = 0;  // all layers: the sum over them
  for (std::size_t j = 0; j < 3; ++j) {
    for (std::size_t r = 0; r < 4; ++r)
      for (std::size_t c = 0; c < 6; ++c) one.teacher[r * 6 + c] = x.teacher[r * 18 + c * 3 + j];
    one.student = x.student;
    all += one.value(lk::feature_mse{});
  }
  CHECK(x.value(lk::nearest_layers{.layers = 3, .k = 3}) == Approx(all).epsilon(1e-14));
  for (std::size_t r = 0; r < 4; ++r)  // a layer that equals the student's is the nearest
    for (std::size_t c = 0; c < 6; ++c) x.teacher[r * 18 + c * 3 + 1] = x.student[r * 6 + c];
  CHECK(x.run(lk::nearest_layers{.layers = 3, .k = 1}) == 0);

  std::vector<double> mine(24), theirs(72);  // to the teacher the negative of what each chosen layer gives the student
  lk::workspace ws;
  lk::scratch memory(ws);
  const lk::serial serial;
  const lk::executor_ref on(serial);
  lk::batch<double> b{x.s(), x.t(), {}, lk::rows<double>(mine.data(), 4, 6), 0.5, 1, 1, memory, on, lk::detail::dense_of<double>()};
  b.teacher_gradient = lk::rows<double>(theirs.data(), 4, 18);
  lk::nearest_layers{.layers = 3, .k = 2}(b);
  for (std::size_t i = 0; i < 24; ++i)
    CHECK(mine[i] == Approx(-theirs[3 * i] - theirs[3 * i + 1] - theirs[3 * i + 2]).margin(1e-15));
  for (std::size_t i = 0; i < 72; i += 17) {
    const double held = x.teacher[i];
    const auto at = [&](double v) {
      x.teacher[i] = v;
      return 0.5 * x.value(lk::nearest_layers{.layers = 3, .k = 2});
    };
    CHECK(theirs[i] == Approx((at(held + 1e-6) - at(held - 1e-6)) / 2e-6).margin(1e-8));
    x.teacher[i] = held;
  }

  CHECK_THROWS_WITH(x.run(lk::nearest_layers{.layers = 4}),
                    "limbeck: teacher has 18 columns, but nearest_layers needs 4 layers of the 6 of the student");
  CHECK_THROWS_WITH(lk::nearest_layers{.layers = 65}.check(), "limbeck: layers of nearest_layers is 65, expected 1 to 64");
  CHECK_THROWS_WITH((lk::nearest_layers{.layers = 3, .k = 4}.check()),
                    "limbeck: k of nearest_layers is 4, expected 1 to the 3 layers");
  x.teacher[20] = std::numeric_limits<double>::quiet_NaN();  // in a layer that nobody chooses, too
  CHECK_THROWS_WITH(x.run(lk::nearest_layers{.layers = 3, .k = 1}),
                    "limbeck: teacher is nan at row 1, column 2, expected a finite number");
}

TEST_CASE("out_of_domain_penalty") {
  check(lk::out_of_domain_penalty{}, 4, 9, 1, [](const auto& at) {
    real total = 0;
    for (std::size_t r = 0; r < 4; ++r)
      for (std::size_t c = 0; c < 9; ++c) total += at(false, r, c) * at(false, r, c) / 36;
    return total;
  });
}

TEST_CASE("layers: one sample, and none") {
  features<float> one(1, 6, 6), none(0, 6, 6);
  const auto run = [&](const auto& loss) {
    CHECK(std::isfinite(one.run(loss)));
    CHECK(none.run(loss) == 0);
  };
  run(lk::hint{});
  run(lk::feature_mse{});
  run(lk::attention_transfer{.student_channels = 2, .teacher_channels = 3 - 1});
  run(lk::ickd{.channels = 3});
  run(lk::hard_quantile{});
  run(lk::nearest_layers{.layers = 1, .k = 1});
  run(lk::out_of_domain_penalty{});
}

TEST_CASE("layers: what is wrong is named") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  features<float> x(3, 6, 8), y(3, 6, 6);
  CHECK_THROWS_WITH(
      x.run(lk::hint{}),
      "limbeck: student has 6 columns and teacher 8, but hint needs as many of both; project the student: "
      "projected(p, ...)");
  CHECK_THROWS_AS(x.run(lk::hard_quantile{}), lk::shape_error);
  CHECK_THROWS_WITH(x.run(lk::attention_transfer{.student_channels = 4, .teacher_channels = 4}),
                    "limbeck: student has 6 columns, which are no whole number of positions in 4 channels");
  CHECK_THROWS_WITH(x.run(lk::attention_transfer{.student_channels = 2, .teacher_channels = 2}),
                    "limbeck: student has 3 positions and teacher 4; pool one of them before attention_transfer");
  CHECK_THROWS_WITH(x.run(lk::ickd{.channels = 3}),
                    "limbeck: teacher has 8 columns, which are no whole number of positions in 3 channels");
  CHECK_THROWS_WITH(y.run(lk::attention_transfer{.power = 0.5}),
                    "limbeck: attention_transfer.power is 0.5, expected 1 or more");
  CHECK_THROWS_WITH(y.run(lk::hard_quantile{.p_hard = 1.5}), "limbeck: hard_quantile.p_hard is 1.5, expected 0 to 1");
  const auto refused = [&](const auto& loss) {
    y.student[7] = nan;
    CHECK_THROWS_WITH(y.run(loss), "limbeck: student is nan at row 1, column 1, expected a finite number");
    y.student[7] = std::numeric_limits<float>::infinity();
    CHECK_THROWS_WITH(y.run(loss), "limbeck: student is inf at row 1, column 1, expected a finite number");
    y.student[7] = 0;
  };
  refused(lk::hint{});
  refused(lk::feature_mse{});
  refused(lk::attention_transfer{.student_channels = 2, .teacher_channels = 2});
  refused(lk::ickd{.channels = 2});
  refused(lk::hard_quantile{});
  refused(lk::out_of_domain_penalty{});
  y.teacher[17] = nan;
  CHECK_THROWS_WITH(y.run(lk::hint{}), "limbeck: teacher is nan at row 2, column 5, expected a finite number");
}
