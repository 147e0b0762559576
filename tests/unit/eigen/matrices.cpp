// Eigen tensors of every kind against plain memory: the same bits.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/eigen.hpp>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

template <class T>
using row_major = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using column_major = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;

const auto objective = 0.3 * lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{});

template <class T>
struct problem {
  batch<T> b;
  row_major<T> s, t, expected;
  double loss;

  problem(std::size_t samples, std::size_t classes) : b(random_batch<T>(samples, classes)) {
    const auto n = static_cast<Eigen::Index>(samples), c = static_cast<Eigen::Index>(classes);
    s = Eigen::Map<const row_major<T>>(b.student.data(), n, c);
    t = Eigen::Map<const row_major<T>>(b.teacher.data(), n, c);
    expected.resize(n, c);
    loss = objective(b.s(), b.t(), b.labels, lk::into(lk::rows<T>(expected.data(), samples, classes))).loss;
  }
  template <class S, class U, class G>
  void check(const S& student, const U& teacher, G&& gradient) const {
    const auto e = objective(student, teacher, b.labels, lk::into(gradient));
    CHECK(same_bits(e.loss, loss));
    CHECK((gradient.array() == expected.array()).all());
  }
};

template <class T>
void check_all() {
  for (const auto& [samples, classes] : {std::pair<std::size_t, std::size_t>{19, 37}, {1, 16}, {7, 2}, {5, 100}}) {
    const problem<T> p(samples, classes);
    const auto n = static_cast<Eigen::Index>(samples), c = static_cast<Eigen::Index>(classes);
    p.check(p.s, p.t, row_major<T>(n, c));
    const column_major<T> sc = p.s, tc = p.t;
    p.check(sc, tc, column_major<T>(n, c));
    p.check(p.s, tc, column_major<T>(n, c));  // mixed
    const Eigen::Array<T, Eigen::Dynamic, Eigen::Dynamic> array = p.s;
    p.check(array, p.t, row_major<T>(n, c));
    // maps, with strides
    p.check(Eigen::Map<const row_major<T>>(p.b.student.data(), n, c), p.t, row_major<T>(n, c));
    std::vector<T> wide(3 * p.b.size() + 64, T(7));
    Eigen::Map<row_major<T>, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>> strided(
        wide.data(), n, c, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(3 * c, 3));
    strided = p.s;
    p.check(strided, p.t, row_major<T>(n, c));
    // blocks of a larger matrix, and a gradient that is one
    row_major<T> big = row_major<T>::Constant(n + 4, c + 5, T(3)), out = big;
    big.block(1, 2, n, c) = p.s;
    p.check(big.block(1, 2, n, c), p.t, out.block(2, 3, n, c));
    CHECK(out(1, 3) == 3);
    CHECK(out(2, 2) == 3);
    CHECK(out(n + 2, 3) == 3);
    // transposes and samples in columns
    const column_major<T> st = p.s.transpose(), tt = p.t.transpose();
    column_major<T> gt(c, n);
    p.check(st.transpose(), tt.transpose(), gt.transpose());
    gt.setZero();
    const auto e = objective(lk::samples_in_columns(st), lk::samples_in_columns(tt), p.b.labels,
                             lk::into(lk::samples_in_columns(gt)));
    CHECK(same_bits(e.loss, p.loss));
    CHECK((gt.transpose().array() == p.expected.array()).all());
    // a reference to any of them
    const Eigen::Ref<const row_major<T>> ref = p.s;
    p.check(ref, p.t, row_major<T>(n, c));
  }
}

}  // namespace

TEST_CASE("Eigen tensors of float") { check_all<float>(); }
TEST_CASE("Eigen tensors of double") { check_all<double>(); }

TEST_CASE("the gradient that comes back is of the student's kind") {
  const problem<float> p(19, 37);
  const auto [loss, gradient] = objective(p.s, p.t, p.b.labels);
  static_assert(std::is_same_v<std::remove_cvref_t<decltype(gradient)>, row_major<float>>);
  CHECK(loss == p.loss);
  CHECK((gradient.array() == p.expected.array()).all());
  const column_major<float> s = p.s, t = p.t;
  const auto [l, g] = objective(s, t, p.b.labels);
  static_assert(std::is_same_v<std::remove_cvref_t<decltype(g)>, column_major<float>>);
  CHECK(l == p.loss);
  CHECK((g.array() == p.expected.array()).all());
  const column_major<float> st = p.s.transpose(), tt = p.t.transpose();
  const auto [lc, gc] = objective(lk::samples_in_columns(st), lk::samples_in_columns(tt), p.b.labels);
  CHECK(lc == p.loss);
  CHECK((gc.transpose().array() == p.expected.array()).all());
}

TEST_CASE("Eigen vectors as labels, weights and outputs") {
  const problem<float> p(19, 37);
  const Eigen::VectorXi y = Eigen::Map<const Eigen::VectorXi>(p.b.labels.data(), 19);
  CHECK(objective.value(p.s, p.t, y) == p.loss);
  const Eigen::Matrix<std::int64_t, Eigen::Dynamic, 1> y64 = y.cast<std::int64_t>();
  CHECK(objective.value(p.s, p.t, y64) == p.loss);
  CHECK(objective.value(p.s.topRows(9), p.t.topRows(9), y.head(9)) ==
        objective.value(p.s.topRows(9), p.t.topRows(9), std::vector<int>(p.b.labels.begin(), p.b.labels.begin() + 9)));
  Eigen::VectorXf w = Eigen::VectorXf::Constant(19, 0.5f), losses(19);
  row_major<float> g(19, 37);
  objective(p.s, p.t, y, lk::row_weights(w), lk::row_losses(losses), lk::into(g));
  CHECK(losses.cast<double>().mean() == Approx(p.loss).epsilon(1e-6));
  // every second element of a larger vector
  Eigen::MatrixXi table(19, 2);
  table << y, Eigen::VectorXi::Zero(19);
  const Eigen::Matrix<int, Eigen::Dynamic, 2, Eigen::RowMajor> by_row = table;
  CHECK(objective.value(p.s, p.t, by_row.col(0)) == p.loss);
  Eigen::Matrix<float, Eigen::Dynamic, 2, Eigen::RowMajor> outputs(19, 2);
  outputs.setConstant(7);
  CHECK_THROWS_WITH(objective(p.s, p.t, y, lk::row_losses(outputs.col(0)), lk::into(g)),
                    Catch::Contains("row_losses has elements 2 apart, expected contiguous memory"));
  CHECK((outputs.array() == 7).all());
}

TEST_CASE("fixed-size matrices") {
  Eigen::Matrix<double, 3, 4> s = Eigen::Matrix<double, 3, 4>::Random(), t = Eigen::Matrix<double, 3, 4>::Random();
  const std::vector<int> y{0, 1, 2};
  const auto [loss, gradient] = objective(s, t, y);
  const Eigen::MatrixXd ds = s, dt = t;
  CHECK(loss == objective.value(ds, dt, y));
  CHECK(gradient.rows() == 3);
}

TEST_CASE("an Eigen matrix of the wrong shape is refused by name") {
  const problem<float> p(19, 37);
  row_major<float> g(19, 36);
  CHECK_THROWS_WITH(objective(p.s, p.t, p.b.labels, lk::into(g)),
                    Catch::Contains("gradient has shape 19 x 36, expected 19 x 37"));
  CHECK_THROWS_AS(objective.value(p.s, p.t.leftCols(30), p.b.labels), lk::shape_error);
  row_major<float> s = p.s;
  s(4, 36) = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(objective.value(s, p.t, p.b.labels), Catch::Contains("student is nan at row 4, class 36"));
  CHECK_THROWS_WITH(objective(s, p.t, p.b.labels, lk::into(s)), Catch::Contains("gradient overlaps student"));
}

TEST_CASE("eigen: the first classes of wider matrices, of both orders", "[eigen]") {
  const problem<float> p(11, 37);
  const auto widened = [](const row_major<float>& x) {
    row_major<float> wide = row_major<float>::Constant(x.rows(), x.cols() + 5, std::numeric_limits<float>::quiet_NaN());
    wide.leftCols(x.cols()) = x;
    return wide;
  };
  const row_major<float> s = widened(p.s);
  const column_major<float> t = widened(p.t);
  row_major<float> gradient = row_major<float>::Constant(11, 42, 3);
  const auto check = [&](const auto& g) {
    CHECK(g.cols() == 42);
    CHECK((g.leftCols(37).array() == p.expected.array()).all());
    CHECK((g.rightCols(5).array() == 0).all());
  };
  CHECK(same_bits(objective(lk::first_classes(37, s), lk::first_classes(37, t), p.b.labels,
                            lk::into(lk::first_classes(37, gradient))).loss, p.loss));
  check(gradient);
  check(objective(lk::first_classes(37, s), lk::first_classes(37, t), p.b.labels).gradient);
  row_major<float> mapped = row_major<float>::Constant(11, 42, 3);
  Eigen::Map<row_major<float>> map(mapped.data(), 11, 42);
  objective(lk::first_classes(37, s), p.t, p.b.labels, lk::into(lk::first_classes(37, map)));
  check(mapped);
  objective(lk::first_classes(37, s), p.t, p.b.labels, lk::into(lk::first_classes(37, Eigen::Map<row_major<float>>(mapped.data(), 11, 42))));
  check(mapped);
  CHECK(same_bits(objective.value(s.leftCols(37), p.t, p.b.labels), p.loss));
}
