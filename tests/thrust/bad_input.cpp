// A device says what is wrong in the host's words; what the types already say is said before.
#include "catch.hpp"
#include "device_cases.hpp"

using namespace limbeck_test;

TEST_CASE("device: bad values are named as on the host", "[thrust]") {
  const auto found = [](const complaints& list) {
    for (const auto& c : list) UNSCOPED_INFO(c);
    return list.size();
  };
  CHECK(found(compare_errors<float>(6, 10)) == 0);
  CHECK(found(compare_errors<double>(6, 40)) == 0);
}

TEST_CASE("device: shapes are checked before the device is asked", "[thrust]") {
  const auto b = random_batch<float>(3, 5);
  device_batch<float> d(b);
  const auto kl = lk::at_temperature(4.0, lk::forward_kl{});
  lk::device_workspace ws;
  CHECK_THROWS_AS(lk::on_device(d.student, 3, 4), lk::shape_error);
  CHECK_THROWS_AS(kl.value(d.s(), lk::on_device(d.teacher, 5, 3), ws), lk::shape_error);
  CHECK_THROWS_AS(kl(d.s(), d.t(), lk::into(lk::on_device(d.student, 3, 5)), ws), lk::value_error);
  const thrust::device_vector<float> weights(4, 1.0f);
  CHECK_THROWS_AS(kl.value(d.s(), d.t(), lk::row_weights(weights), ws), lk::shape_error);
  const auto learned_at = [&](double t) { return lk::at_temperature(t, lk::forward_kl{}).value(d.s(), d.t(), ws); };
  CHECK_THROWS_AS(learned_at(-1), lk::value_error);
}

TEST_CASE("device: after an error the next call is as good as ever", "[thrust]") {
  auto b = random_batch<float>(6, 20);
  device_batch<float> d(b);
  const auto kl = lk::at_temperature(4.0, lk::forward_kl{});
  lk::device_workspace ws;
  lk::device_result result;
  const double good = kl.value(d.s(), d.t(), ws);
  d.teacher[7] = infinity<float>;
  kl(d.s(), d.t(), lk::into(d.g()), ws, lk::deferred(result));
  const double loss = *thrust::device_pointer_cast(const_cast<double*>(result.loss()));
  CHECK(loss != loss);
  CHECK_THROWS_AS(result.get(), lk::value_error);
  CHECK_THROWS_AS(result.get(), lk::value_error);
  d.teacher[7] = b.teacher[7];
  kl(d.s(), d.t(), lk::into(d.g()), ws, lk::deferred(result));
  CHECK(result.get().loss == good);
}

TEST_CASE("device: a mask of NaN is named as on the host", "[thrust]") {
  const auto b = random_batch<float>(3, 20);
  device_batch<float> d(b);
  lk::device_workspace ws;
  thrust::device_vector<float> rows(3, 1.0F), classes(20, 1.0F);
  rows[2] = classes[7] = std::numeric_limits<float>::quiet_NaN();
  const lk::objective kl{lk::forward_kl{}};
  CHECK_THROWS_WITH(kl.value(d.s(), d.t(), lk::row_mask(rows), ws),
                    "limbeck: row_mask is nan at row 2, expected a number, 0 for a row that does not count");
  CHECK_THROWS_WITH(lk::on<lk::masked>(kl).value(d.s(), d.t(), lk::class_mask(classes), ws),
                    "limbeck: class_mask is nan at class 7, expected a number, 0 for a class that is left out");
}
