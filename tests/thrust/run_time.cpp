// Tensors of run-time type in the device's memory: the same bits as device vectors.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/thrust.hpp>

#include <thrust/device_vector.h>
#include <thrust/host_vector.h>

namespace lk = limbeck;
using namespace limbeck_test;

TEST_CASE("thrust: tensors whose type is known at run time", "[thrust][run_time]") {
  const auto b = random_batch<float>(12, 33);
  thrust::device_vector<float> s(b.student.begin(), b.student.end()), t(b.teacher.begin(), b.teacher.end());
  thrust::device_vector<float> g(b.size()), expected(b.size());
  thrust::device_vector<int> y(b.labels.begin(), b.labels.end());
  const auto any = [](auto& x, std::vector<std::ptrdiff_t> shape) {
    using Element = typename std::remove_reference_t<decltype(x)>::value_type;
    return lk::any_tensor(thrust::raw_pointer_cast(x.data()), lk::element_type_of<Element>, shape, false);
  };
  const auto objective = 0.5 * lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{});
  const double loss =
      objective(lk::on_device(s, 12, 33), lk::on_device(t, 12, 33), y, lk::into(lk::on_device(expected, 12, 33))).loss;
  auto student = any(s, {3, 4, 33});
  const auto e =
      objective(lk::on_device<const float>(student), lk::on_device<const float>(any(t, {12, 33})),
                lk::on_device_span<const int>(any(y, {3, 4})), lk::into(lk::on_device<float>(any(g, {12, 33}))));
  CHECK(same_bits(e.loss, loss));
  CHECK(thrust::host_vector<float>(g) == thrust::host_vector<float>(expected));

  student.memory = lk::memory_kind::other;
  CHECK_THROWS_AS(lk::on_device<const float>(student), lk::value_error);
  CHECK_THROWS_WITH(lk::on_device<const double>(any(t, {12, 33})),
                    "limbeck: tensor is float32 [12, 33], expected float64");
}
