// Students and teachers of 16 bits, and averages that lose no step.

#include "catch.hpp"
#include "map_archive.hpp"

#include <limbeck/limbeck.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace lk = limbeck;
using Catch::Contains;

namespace {

template <class T>
std::vector<T> weights(unsigned seed, std::size_t n) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 1);
  std::vector<T> x(n);
  for (T& v : x) v = T(normal(random));
  return x;
}
template <class To, class From>
std::vector<To> as(const std::vector<From>& x) {
  std::vector<To> out;
  for (const From& v : x) out.push_back(static_cast<To>(v));
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("averager: a student of 16 bits is followed in float, and in double", "[averaging][halves]", lk::float16,
                   lk::bfloat16) {
  std::vector<std::vector<TestType>> student{weights<TestType>(1, 5), weights<TestType>(2, 131)};
  lk::averager teacher(lk::ema{.decay = 0.9}, student);
  static_assert(std::is_same_v<std::remove_cvref_t<decltype(teacher.parameters()[0][0])>, float>);
  std::vector<std::vector<float>> plain{as<float>(student[0]), as<float>(student[1])};
  lk::averager expected(lk::ema{.decay = 0.9}, plain);
  std::vector<std::vector<double>> master{as<double>(student[0]), as<double>(student[1])}, by_hand = master;
  lk::averager precise(lk::ema{.decay = 0.9}, lk::in_place(master));
  for (unsigned step = 3; step < 9; ++step) {
    student = {weights<TestType>(step, 5), weights<TestType>(step + 100, 131)};
    plain = {as<float>(student[0]), as<float>(student[1])};
    CHECK(teacher.update(student, lk::require_finite));
    expected.update(plain);
    precise.update(student);
    for (std::size_t t = 0; t < 2; ++t)
      for (std::size_t i = 0; i < plain[t].size(); ++i)
        by_hand[t][i] += (1 - 0.9) * (static_cast<double>(plain[t][i]) - by_hand[t][i]);
  }
  CHECK(lk::snapshot(teacher.parameters()) == lk::snapshot(expected.parameters()));
  CHECK(master == by_hand);
  student[1][7] = TestType(std::numeric_limits<float>::quiet_NaN());
  CHECK_THROWS_WITH(teacher.update(student, lk::require_finite), Contains("parameter tensor 1 is nan at element 7"));
}

TEST_CASE("averager: a teacher of 16 bits stands still at a decay near 1, and moves where it is compensated",
          "[averaging][halves]") {
  const std::vector<lk::bfloat16> student(70, lk::bfloat16(1.5F));
  std::vector<lk::bfloat16> lost(70, lk::bfloat16(1)), kept = lost, copied(70);
  lk::averager plain(lk::ema{.decay = 0.9999}, lk::in_place(lost));
  lk::averager sums(lk::ema{.decay = 0.9999}, lk::in_place(kept), {}, lk::compensated);
  double exact = 1;
  for (int step = 0; step < 20000; ++step) {
    plain.update(student);
    sums.update(student);
    exact += (1 - 0.9999) * (1.5 - exact);
  }
  CHECK(lost[69] == 1.0F);
  CHECK(kept[69] == lk::bfloat16(static_cast<float>(exact)));
  std::fill(kept.begin(), kept.end(), lk::bfloat16(0));  // loaded from elsewhere: nothing is left of what it was
  sums.update(std::vector<lk::bfloat16>(70, lk::bfloat16(0)));
  CHECK(kept[0] == 0.0F);
  lk::averager late(lk::ema{.decay = 0.5}, lk::in_place(copied), {.start = 1}, lk::compensated);
  late.update(student);
  late.update(student);
  CHECK(copied[0] == 1.5F);
}

TEST_CASE("averager: compensated in float follows one in double", "[averaging][halves]") {
  const std::size_t n = 1000;
  auto start = weights<float>(1, n);
  auto master = as<double>(start);
  lk::averager precise(lk::ema{.decay = 0.9999}, lk::in_place(master));
  lk::averager sums(lk::ema{.decay = 0.9999}, start, {}, lk::compensated);
  lk::averager threads(lk::ema{.decay = 0.9999}, start, {}, lk::compensated);
  lk::averager plain(lk::ema{.decay = 0.9999}, start);
  auto student = start;
  for (float& x : student) x *= 1.0005F;  // all of whose steps float loses
  for (int step = 0; step < 30000; ++step) {
    precise.update(student);
    sums.update(student);
    plain.update(student);
    if (step < 100) threads.update(student, lk::on(lk::openmp{2}));
  }
  double worst = 0, of_plain = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double size = std::fabs(master[i]);
    worst = (std::max)(worst, std::fabs(static_cast<double>(sums.parameters()[0][i]) - master[i]) / size);
    of_plain = (std::max)(of_plain, std::fabs(static_cast<double>(plain.parameters()[0][i]) - master[i]) / size);
  }
  CHECK(worst < 1.2e-7);
  CHECK(of_plain > 4e-4);
}

TEST_CASE("averager: what compensated keeps goes into the archive", "[averaging][halves]") {
  const auto run = [](int stop) {
    const std::vector<std::vector<lk::bfloat16>> student{weights<lk::bfloat16>(2, 7), weights<lk::bfloat16>(3, 70)};
    auto own = student;
    for (auto& t : own)
      for (auto& x : t) x = lk::bfloat16(0.5F * x);
    lk::averager first(lk::ema{.decay = 0.999}, lk::in_place(own), {}, lk::compensated);
    limbeck_test::map_archive archive;
    auto other = student;
    lk::averager second(lk::ema{.decay = 0.999}, lk::in_place(other), {}, lk::compensated);
    for (int step = 0; step < 300; ++step) {
      if (step == stop) {
        first.serialize(archive);
        archive.loading = true;
        second.serialize(archive);
      }
      first.update(student);
      if (step >= stop) second.update(student);
    }
    for (std::size_t t = 0; t < 2; ++t)
      CHECK(std::memcmp(own[t].data(), other[t].data(), own[t].size() * sizeof(lk::bfloat16)) == 0);
  };
  run(0);
  run(157);
}
