// Signals on a device: the same numbers as on the host.

#include "catch.hpp"

#include <limbeck/limbeck.hpp>
#include <limbeck/thrust.hpp>

#include <thrust/device_vector.h>

#include <limits>
#include <vector>

namespace lk = limbeck;

namespace {

struct data {
  static constexpr std::size_t rows = 7, classes = 37;
  std::vector<float> student, teacher;
  std::vector<int> labels;
  data() {
    lk::random_stream random(11);
    for (std::size_t i = 0; i < rows * classes; ++i) {
      student.push_back(static_cast<float>(2 * random.normal()));
      teacher.push_back(static_cast<float>(2 * random.normal()));
    }
    for (std::size_t c = 0; c < classes; ++c) student[c] = 0.5F;  // a tie of all classes
    for (std::size_t r = 0; r < rows; ++r) labels.push_back(static_cast<int>(random.below(classes)));
  }
};

template <class Signal>
void check(const Signal& signal) {
  const data d;
  const lk::rows<const float> s(d.student.data(), d.rows, d.classes), t(d.teacher.data(), d.rows, d.classes);
  std::vector<float> expected(d.rows);
  lk::measure(signal, s, t, d.labels, lk::unread_is_fine, expected);

  const thrust::device_vector<float> ds(d.student.begin(), d.student.end()), dt(d.teacher.begin(), d.teacher.end());
  const thrust::device_vector<int> dy(d.labels.begin(), d.labels.end());
  thrust::device_vector<float> out(d.rows);
  lk::measure(signal, lk::on_device(ds, d.rows, d.classes), lk::on_device(dt, d.rows, d.classes), dy, lk::unread_is_fine, out);
  for (std::size_t r = 0; r < d.rows; ++r) CHECK(out[r] == Approx(expected[r]).epsilon(2e-6).margin(1e-6));
}

}  // namespace

TEST_CASE("signals on a device are those of the host", "[signal][thrust]") {
  check(lk::entropy{});
  check(lk::of_teacher(lk::margin{}));
  check(lk::margin{});
  check(lk::confidence{});
  check(lk::energy{});
  check(lk::label_loss{});
  check(lk::correctness{});
  check(lk::divergence_of(lk::reverse_kl{}));
  check(lk::of_teacher(lk::entropy{}) * 0.5 + lk::exp(-lk::of_student(lk::confidence{})));
}

TEST_CASE("an objective weighed by signals, on a device and on the host", "[signal][thrust]") {
  const data d;
  const auto objective = (lk::of_teacher(lk::confidence{}) > 0.2) * lk::forward_kl{} +
                         lk::of_student(lk::margin{}) * lk::at_temperature(2.0, lk::reverse_kl{}) +
                         0.3 * lk::of_teacher(lk::entropy{}) * lk::cross_entropy{};
  const lk::rows<const float> s(d.student.data(), d.rows, d.classes), t(d.teacher.data(), d.rows, d.classes);
  std::vector<float> expected(d.rows * d.classes);
  const double loss = objective(s, t, d.labels, lk::into(lk::rows<float>(expected.data(), d.rows, d.classes)));

  const thrust::device_vector<float> ds(d.student.begin(), d.student.end()), dt(d.teacher.begin(), d.teacher.end());
  const thrust::device_vector<int> dy(d.labels.begin(), d.labels.end());
  thrust::device_vector<float> g(d.rows * d.classes);
  const double on_device = objective(lk::on_device(ds, d.rows, d.classes), lk::on_device(dt, d.rows, d.classes), dy,
                                     lk::into(lk::on_device(g, d.rows, d.classes)));
  CHECK(on_device == Approx(loss).epsilon(1e-5));
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(g[i] == Approx(expected[i]).epsilon(1e-4).margin(1e-7));
}

TEST_CASE("rows to which signals leave nothing, on a device and on the host", "[signal][thrust]") {
  data d;
  const std::vector<float> kept{0, 1, 0, 0, 2, 0, 0};
  const thrust::device_vector<float> dk(kept.begin(), kept.end());
  const auto compare = [&](const auto& on_host, const auto& there) {
    const lk::rows<const float> s(d.student.data(), d.rows, d.classes), t(d.teacher.data(), d.rows, d.classes);
    std::vector<float> expected(d.rows * d.classes, 3.0F), losses(d.rows);
    const double loss = on_host(s, t, lk::row_losses(losses), lk::into(lk::rows<float>(expected.data(), d.rows, d.classes)));
    const thrust::device_vector<float> ds(d.student.begin(), d.student.end()), dt(d.teacher.begin(), d.teacher.end());
    thrust::device_vector<float> g(d.rows * d.classes, 3.0F), out(d.rows, 3.0F);
    const auto e = there(lk::on_device(ds, d.rows, d.classes), lk::on_device(dt, d.rows, d.classes), lk::row_losses(out),
                         lk::into(lk::on_device(g, d.rows, d.classes)));
    CHECK(e.rows == d.rows);
    CHECK(e.loss == Approx(loss).epsilon(1e-5));
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(g[i] == Approx(expected[i]).epsilon(1e-4).margin(1e-7));
    for (std::size_t r = 0; r < d.rows; ++r) CHECK(out[r] == Approx(losses[r]).epsilon(1e-5));
  };
  const auto read = lk::objective{(lk::of_student(lk::entropy{}) > 2.5) * lk::forward_kl{}};
  compare(read, read);
  d.student[5] = std::numeric_limits<float>::quiet_NaN();  // what nothing reads may be anything
  compare(lk::objective{lk::given(kept) * lk::forward_kl{}}, lk::objective{lk::given(dk) * lk::forward_kl{}});
}

TEST_CASE("numbers of rows and of all rows, on a device and on the host", "[signal][thrust]") {
  data d;
  d.student[3 * d.classes + 1] = -std::numeric_limits<float>::infinity();
  std::vector<float> alpha{0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.05F, 0.6F}, mask{1, 1, 1, 1, 0, 1, 1}, weights{1, 2, 1, 0.5F, 1, 1, 3};
  const lk::rows<const float> s(d.student.data(), d.rows, d.classes), t(d.teacher.data(), d.rows, d.classes);
  const thrust::device_vector<float> ds(d.student.begin(), d.student.end()), dt(d.teacher.begin(), d.teacher.end());
  const thrust::device_vector<int> dy(d.labels.begin(), d.labels.end());
  const thrust::device_vector<float> dm(mask.begin(), mask.end()), dw(weights.begin(), weights.end());
  const auto u = lk::of_student(lk::entropy{});
  const auto v = 1 - lk::of_teacher(lk::label_probability{});
  const auto check = [&](const auto& own, const auto& on_device) {
    std::vector<float> expected(d.rows * d.classes), losses(d.rows);
    const double loss = own(s, t, d.labels, lk::unread_is_fine, lk::row_mask(mask), lk::row_weights(weights), lk::row_losses(losses),
                            lk::into(lk::rows<float>(expected.data(), d.rows, d.classes)));
    thrust::device_vector<float> g(d.rows * d.classes), device_losses(d.rows);
    const double there = on_device(lk::on_device(ds, d.rows, d.classes), lk::on_device(dt, d.rows, d.classes), dy, lk::unread_is_fine,
                                   lk::row_mask(dm), lk::row_weights(dw), lk::row_losses(device_losses),
                                   lk::into(lk::on_device(g, d.rows, d.classes)));
    if (loss < std::numeric_limits<double>::infinity()) CHECK(there == Approx(loss).epsilon(1e-5));
    for (std::size_t r = 0; r < d.rows; ++r) {
      const float of_row = device_losses[r];
      if (losses[r] < std::numeric_limits<float>::infinity()) {
        CHECK(of_row == Approx(losses[r]).epsilon(1e-4).margin(1e-7));
      } else {
        CHECK(of_row == losses[r]);
      }
    }
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(g[i] == Approx(expected[i]).epsilon(1e-4).margin(1e-7));
  };
  const auto everywhere = [&](const auto& o) { check(o, o); };
  everywhere((u < lk::median_of(u)) * lk::forward_kl{} + (v / lk::mean_of(v)) * lk::cross_entropy{});
  everywhere(lk::quantile_of(v, 0.3) * lk::forward_kl{} +
             0.1 * lk::at_temperature(lk::exp(-0.5 * (u / lk::median_of(u))), 2.0 + v, lk::reverse_kl{}));
  everywhere(lk::with<&lk::jensen_shannon::beta>(lk::of_student(lk::confidence{}), lk::jensen_shannon{}));
  const thrust::device_vector<float> da(alpha.begin(), alpha.end());
  check(lk::with<&lk::skew_kl::alpha>(lk::given(alpha), lk::skew_kl{}), lk::with<&lk::skew_kl::alpha>(lk::given(da), lk::skew_kl{}));
}

TEST_CASE("numbers of all rows on a device: what any of them cannot read is an error of the call", "[signal][thrust]") {
  const data d;
  const thrust::device_vector<float> ds(d.student.begin(), d.student.end());
  std::vector<float> fine(d.rows, 1.0F), bad(d.rows, 1.0F);
  bad[2] = std::numeric_limits<float>::quiet_NaN();
  const thrust::device_vector<float> df(fine.begin(), fine.end()), db(bad.begin(), bad.end());
  const auto a = lk::mean_of(lk::given(df)), b = lk::median_of(lk::given(db));
  const auto call = [&](const auto& signal) { return (signal * lk::mse{}).value(lk::on_device(ds, d.rows, d.classes), lk::on_device(ds, d.rows, d.classes)); };
  CHECK_THROWS_AS(call(a + b), lk::value_error);
  CHECK_THROWS_AS(call(b + a), lk::value_error);
  CHECK(call(a + a) == 0);
}

TEST_CASE("unlabelled rows on a device and on the host", "[labels][thrust]") {
  data d;
  d.labels[1] = d.labels[4] = -1;
  const auto objective = lk::cross_entropy{.smoothing = 0.1} + lk::dkd{} + lk::forward_kl{};
  const lk::rows<const float> s(d.student.data(), d.rows, d.classes), t(d.teacher.data(), d.rows, d.classes);
  std::vector<float> expected(d.rows * d.classes);
  const double loss = objective(s, t, d.labels, lk::unlabelled(-1),
                                lk::into(lk::rows<float>(expected.data(), d.rows, d.classes)));
  const thrust::device_vector<float> ds(d.student.begin(), d.student.end()), dt(d.teacher.begin(), d.teacher.end());
  const thrust::device_vector<int> dy(d.labels.begin(), d.labels.end());
  thrust::device_vector<float> g(d.rows * d.classes);
  const double on_device = objective(lk::on_device(ds, d.rows, d.classes), lk::on_device(dt, d.rows, d.classes), dy,
                                     lk::unlabelled(-1), lk::into(lk::on_device(g, d.rows, d.classes)));
  CHECK(on_device == Approx(loss).epsilon(1e-5));
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(g[i] == Approx(expected[i]).epsilon(1e-4).margin(1e-7));
}
