// xtensor containers, adaptors and views against plain memory: the same bits.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/xtensor.hpp>

#if __has_include(<xtensor/containers/xadapt.hpp>)
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/containers/xarray.hpp>
#include <xtensor/views/xview.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xview.hpp>
#endif

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

const auto objective = 0.3 * lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{});

template <class T>
struct problem {
  batch<T> b;
  xt::xtensor<T, 2> s, t;
  std::vector<T> expected;
  double loss;

  problem(std::size_t samples, std::size_t classes) : b(random_batch<T>(samples, classes)), expected(b.size()) {
    s = xt::xtensor<T, 2>(std::array<std::size_t, 2>{samples, classes});
    t = s;
    std::copy(b.student.begin(), b.student.end(), s.data());
    std::copy(b.teacher.begin(), b.teacher.end(), t.data());
    loss = objective(b.s(), b.t(), b.labels, lk::into(lk::rows<T>(expected.data(), samples, classes))).loss;
  }
  template <class S, class U, class G>
  void check(const S& student, const U& teacher, G&& gradient) const {
    const auto e = objective(student, teacher, b.labels, lk::into(gradient));
    CHECK(same_bits(e.loss, loss));
    bool same = true;
    for (std::size_t r = 0; r < b.samples; ++r)
      for (std::size_t c = 0; c < b.classes; ++c) same = same && gradient(r, c) == expected[r * b.classes + c];
    CHECK(same);
  }
};

template <class T>
void check_all() {
  for (const auto& [samples, classes] : {std::pair<std::size_t, std::size_t>{19, 37}, {1, 16}, {7, 2}, {5, 100}}) {
    const problem<T> p(samples, classes);
    const std::array<std::size_t, 2> shape{samples, classes};
    p.check(p.s, p.t, xt::xtensor<T, 2>(shape));
    const xt::xarray<T> array = p.s;
    p.check(array, p.t, xt::xarray<T>(std::vector<std::size_t>{samples, classes}));
    const xt::xtensor<T, 2, xt::layout_type::column_major> columns = p.s;
    p.check(columns, p.t, xt::xtensor<T, 2, xt::layout_type::column_major>(shape));
    // adaptors over somebody else's memory
    std::vector<T> memory(p.b.size());
    auto s = p.b.student;
    p.check(xt::adapt(s.data(), s.size(), xt::no_ownership(), shape), p.t,
            xt::adapt(memory.data(), memory.size(), xt::no_ownership(), shape));
    // views into larger tensors, with steps
    xt::xtensor<T, 2> big(std::array<std::size_t, 2>{samples + 3, 2 * classes + 5}), out = big;
    big.fill(T(3));
    out.fill(T(3));
    auto window = xt::view(big, xt::range(1, samples + 1), xt::range(2, 2 * classes + 2, 2));
    window = p.s;
    auto target = xt::view(out, xt::range(2, samples + 2), xt::range(4, classes + 4));
    p.check(window, p.t, target);
    CHECK(out(1, 4) == 3);
    CHECK(out(2, 3) == 3);
    CHECK(out(2, classes + 4) == 3);
  }
}

}  // namespace

TEST_CASE("xtensor tensors of float") { check_all<float>(); }
TEST_CASE("xtensor tensors of double") { check_all<double>(); }

TEST_CASE("the gradient that comes back is an xtensor") {
  const problem<float> p(19, 37);
  const auto [loss, gradient] = objective(p.s, p.t, p.b.labels);
  static_assert(std::is_same_v<std::remove_cvref_t<decltype(gradient)>, xt::xtensor<float, 2>>);
  CHECK(loss == p.loss);
  CHECK(std::equal(p.expected.begin(), p.expected.end(), gradient.data()));
}

TEST_CASE("xtensor vectors as labels, weights and outputs") {
  const problem<float> p(19, 37);
  xt::xtensor<int, 1> y(std::array<std::size_t, 1>{19});
  std::copy(p.b.labels.begin(), p.b.labels.end(), y.data());
  CHECK(objective.value(p.s, p.t, y) == p.loss);
  xt::xtensor<float, 1> w(std::array<std::size_t, 1>{19}), losses(std::array<std::size_t, 1>{19});
  w.fill(0.5f);
  xt::xtensor<float, 2> g = p.s;
  objective(p.s, p.t, y, lk::row_weights(w), lk::row_losses(losses), lk::into(g));
  double sum = 0;
  for (std::size_t r = 0; r < 19; ++r) sum += static_cast<double>(losses(r)) / 19;
  CHECK(sum == Approx(p.loss).epsilon(1e-6));
}

TEST_CASE("views of labels start where they start") {
  const problem<float> p(6, 9);
  xt::xtensor<int, 1> longer(std::array<std::size_t, 1>{8});
  longer.fill(0);
  for (std::size_t r = 0; r < 6; ++r) longer(r + 2) = p.b.labels[r];
  CHECK(objective.value(p.s, p.t, xt::view(longer, xt::range(2, 8))) == p.loss);
  xt::xtensor<int, 2> table(std::array<std::size_t, 2>{6, 2});
  table.fill(0);
  for (std::size_t r = 0; r < 6; ++r) table(r, 1) = p.b.labels[r];
  CHECK(objective.value(p.s, p.t, xt::view(table, xt::all(), 1)) == p.loss);
}

TEST_CASE("an xtensor of the wrong shape is refused by name") {
  const problem<float> p(19, 37);
  const xt::xarray<float> cube(std::vector<std::size_t>{19, 37, 1});
  CHECK_THROWS_WITH(objective.value(cube, p.t, p.b.labels), Catch::Contains("3 dimensions"));
  xt::xtensor<float, 2> g(std::array<std::size_t, 2>{19, 36});
  CHECK_THROWS_WITH(objective(p.s, p.t, p.b.labels, lk::into(g)), Catch::Contains("gradient has shape 19 x 36"));
  auto s = p.s;
  s(4, 36) = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(objective.value(s, p.t, p.b.labels), Catch::Contains("student is nan at row 4, class 36"));
}

TEST_CASE("xtensor: the first classes of a wider tensor", "[xtensor]") {
  const problem<float> p(11, 37);
  const auto widened = [](const xt::xtensor<float, 2>& x) {
    xt::xtensor<float, 2> wide(std::array<std::size_t, 2>{11, 42}, std::numeric_limits<float>::quiet_NaN());
    xt::view(wide, xt::all(), xt::range(0, 37)) = x;
    return wide;
  };
  const auto s = widened(p.s), t = widened(p.t);
  xt::xtensor<float, 2> gradient(std::array<std::size_t, 2>{11, 42}, 3.0F);
  const auto check = [&](const auto& g) {
    for (std::size_t r = 0; r < 11; ++r)
      for (std::size_t c = 0; c < 42; ++c) CHECK(g(r, c) == (c < 37 ? p.expected[r * 37 + c] : 0));
  };
  CHECK(same_bits(objective(lk::first_classes(37, s), lk::first_classes(37, t), p.b.labels,
                            lk::into(lk::first_classes(37, gradient))).loss, p.loss));
  check(gradient);
  check(objective(lk::first_classes(37, s), lk::first_classes(37, t), p.b.labels).gradient);
}
