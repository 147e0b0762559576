// A teacher of another vocabulary through a sparse matrix.

#include <limbeck/limbeck.hpp>
#include <limbeck/target/class_map.hpp>
#include <limbeck/target/label_mix.hpp>

#include "cases.hpp"

using namespace limbeck_test;
using Catch::Matchers::Contains;

namespace {

/// A matrix of teacher x student classes, dense here.
template <class T>
struct matrix_of_classes {
  std::size_t theirs, mine;
  std::vector<T> dense;
  std::vector<std::uint64_t> offsets{0};
  std::vector<std::int32_t> ids;
  std::vector<T> weights;

  matrix_of_classes(std::size_t a, std::size_t b, std::uint64_t seed) : theirs(a), mine(b), dense(a * b) {
    lk::random_stream random(seed);
    for (std::size_t i = 0; i < a; ++i) {
      for (int k = 0; k < 3; ++k) {  // some twice
        const auto j = static_cast<std::size_t>(random.uniform() * static_cast<double>(b));
        const T w = static_cast<T>(random.uniform());
        dense[i * b + j] += w;
        ids.push_back(static_cast<std::int32_t>(j)), weights.push_back(w);
      }
      offsets.push_back(ids.size());
    }
  }
  lk::class_map<T> map() const { return {mine, offsets, ids, weights}; }
};

}  // namespace

TEMPLATE_TEST_CASE("a class map takes the teacher's probabilities to the student's classes", "[target]", float,
                   double) {
  using T = TestType;
  for (const auto& [theirs, mine] : {std::pair<std::size_t, std::size_t>{7, 3}, {5, 40}, {600, 33}, {256, 256}})
    for (const double temperature : {1.0, 3.0}) {
      const matrix_of_classes<T> w(theirs, mine, 5);
      matrix<T> t(4, theirs, 2, 4);
      t.data[1] = -std::numeric_limits<T>::infinity();
      const auto z = filled(lk::class_mapped(t.in(), w.map(), temperature));
      REQUIRE(z.classes == mine);
      for (std::size_t r = 0; r < 4; ++r) {
        const auto p = softmax(t.row(r), theirs, temperature);
        std::vector<real> q(mine);
        real sum = 0;
        for (std::size_t i = 0; i < theirs; ++i)
          for (std::size_t j = 0; j < mine; ++j) q[j] += static_cast<real>(w.dense[i * mine + j]) * p[i];
        for (const real x : q) sum += x;
        for (real& x : q) x /= sum;
        same_distribution(z.row(r), q, temperature);
        for (std::size_t j = 0; j < mine; ++j)
          CHECK((z.row(r)[j] == -std::numeric_limits<T>::infinity()) == (q[j] == 0));
      }
    }
}

TEST_CASE("a class map of one class each is the teacher, in another order", "[target]") {
  const std::vector<std::uint64_t> offsets{0, 1, 2, 3, 4};
  const std::vector<std::int32_t> ids{2, 0, 3, 1};
  const std::vector<double> ones(4, 1.0);
  const matrix<double> t(3, 4, 1, 30);
  const auto z = filled(lk::class_mapped(t.in(), lk::class_map<double>{4, offsets, ids, ones}));
  for (std::size_t r = 0; r < 3; ++r) {
    const auto p = softmax(t.row(r), 4);
    for (std::size_t c = 0; c < 4; ++c)
      CHECK(z.row(r)[static_cast<std::size_t>(ids[c])] ==
            Approx(static_cast<double>(std::log(p[c]))).epsilon(1e-12).margin(1e-14));
  }
  // far beyond what float can hold, a class that is not masked is none that is
  const matrix<float> far(1, 4, {0, -400, 3, -std::numeric_limits<float>::infinity()});
  const std::vector<float> one(4, 1.0F);
  const auto held = filled(lk::class_mapped(far.in(), lk::class_map<float>{4, offsets, ids, one}));
  CHECK(std::isfinite(held.data[0]));
  CHECK(held.data[0] < -60);
  CHECK(held.data[1] == -std::numeric_limits<float>::infinity());
}

TEST_CASE("a class map in an objective, beside the labels and other targets", "[target]") {
  const matrix_of_classes<double> w(50, 8, 3);
  const matrix<double> s(6, 8, 1, 2), t(6, 50, 2, 2);
  const std::vector<int> labels{0, 1, 2, 3, 4, -100};
  const auto mapped = lk::class_mapped(t.in(), w.map(), 2.0);
  const auto tensor = filled(mapped);
  const auto objective = 0.5 * lk::cross_entropy{} + lk::at_temperature(2.0, lk::forward_kl{});
  matrix<double> a(6, 8), b(6, 8);
  CHECK(objective(s.in(), mapped, labels, lk::into(a.out())).loss ==
        objective(s.in(), tensor.in(), labels, lk::into(b.out())).loss);
  CHECK(a.data == b.data);
  CHECK(objective.value(s.in(), lk::label_mixed(mapped, 0.2, 2.0), labels) ==
        objective.value(s.in(), lk::label_mixed(tensor.in(), 0.2, 2.0), labels));
  // bfloat16 and transposed teachers
  const std::vector<float> narrow(t.data.begin(), t.data.end());
  CHECK(objective.value(
            s.in(),
            lk::class_mapped(lk::stored_rows<const double>(lk::rows<const float>(narrow.data(), 6, 50)), w.map(), 2.0),
            labels) == Approx(objective.value(s.in(), mapped, labels)).epsilon(1e-6));
}

TEST_CASE("class maps that are none, and rows of which nothing arrives", "[target]") {
  const matrix<double> t(2, 3, 1, 2), s(2, 4, 2, 2);
  std::vector<std::uint64_t> offsets{0, 1, 2, 3};
  std::vector<std::int32_t> ids{0, 1, 3};
  std::vector<double> weights{1, 1, 1};
  const auto make = [&] { return lk::class_mapped(t.in(), lk::class_map<double>{4, offsets, ids, weights}); };
  CHECK_NOTHROW(make());
  weights[1] = -1;
  CHECK_THROWS_WITH(
      make(),
      "limbeck: weight -1 of class 1 of the teacher in the class map, expected a finite number that is not negative");
  weights = {0, 0, 0};
  CHECK_THROWS_WITH(lk::objective{lk::forward_kl{}}.value(s.in(), make()),
                    Contains("teacher is -inf at row 0 in all 4 classes"));
  weights = {1, 1, 1};
  ids[2] = 4;
  CHECK_THROWS_WITH(make(), "limbeck: id 4 of class 2 of the teacher in the class map, expected 0 to 3");
  ids[2] = 3;
  offsets = {0, 2, 1, 3};
  CHECK_THROWS_AS(make(), lk::shape_error);
  offsets = {0, 1, 3};
  CHECK_THROWS_WITH(make(), Contains("offsets of the class map") && Contains("3") && Contains("4"));
  offsets = {0, 1, 2, 3};
  CHECK_THROWS_AS(lk::class_mapped(t.in(), lk::class_map<double>{4, offsets, ids, weights}, -1.0), lk::value_error);
  auto bad = t;
  bad.data[4] = std::nan("");
  CHECK_THROWS_WITH(lk::objective{lk::forward_kl{}}.value(
                        s.in(), lk::class_mapped(bad.in(), lk::class_map<double>{4, offsets, ids, weights})),
                    Contains("teacher is nan at row 1"));
}
