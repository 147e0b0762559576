// Tensors of run-time type in the device's memory: the same bits as device vectors.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/thrust.hpp>
#if LIMBECK_TEST_DLPACK
#include <limbeck/dlpack.hpp>
#endif

#include <thrust/device_vector.h>
#include <thrust/host_vector.h>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

template <class T>
lk::any_tensor any(thrust::device_vector<T>& x, std::vector<std::ptrdiff_t> shape) {
  lk::any_tensor t(thrust::raw_pointer_cast(x.data()), lk::element_type_of<T>, shape, false);
  t.memory = lk::detail::kind_of_device;
  return t;
}

const auto objective = 0.5 * lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{});

/// A batch of 12 x 33 on the device, and what device vectors make of it.
struct device_call {
  batch<float> b = random_batch<float>(12, 33);
  thrust::device_vector<float> s{b.student.begin(), b.student.end()}, t{b.teacher.begin(), b.teacher.end()};
  thrust::device_vector<float> g = thrust::device_vector<float>(b.size()), expected = g;
  thrust::device_vector<int> y{b.labels.begin(), b.labels.end()};
  std::vector<float> w = std::vector<float>(12, 0.5F);
  thrust::device_vector<float> weights{w.begin(), w.end()};
  lk::device_workspace ws;
  double loss;
  device_call() {
    loss = objective(lk::on_device(s, 12, 33), lk::on_device(t, 12, 33), y, lk::into(lk::on_device(expected, 12, 33)),
                     lk::row_weights(weights), ws)
               .loss;
  }
  bool same_gradient() {
    const bool same = thrust::host_vector<float>(g) == thrust::host_vector<float>(expected);
    thrust::fill(g.begin(), g.end(), 0.0F);
    return same;
  }
};

}  // namespace

TEST_CASE("thrust: tensors whose type is known at run time", "[thrust][run_time]") {
  device_call c;
  auto student = any(c.s, {3, 4, 33});
  const auto e = objective(lk::on_device<const float>(student), lk::on_device<const float>(any(c.t, {12, 33})),
                           lk::on_device_span<const int>(any(c.y, {3, 4})), lk::into(lk::on_device<float>(any(c.g, {12, 33}))),
                           lk::row_weights(c.weights));
  CHECK(same_bits(e.loss, c.loss));
  CHECK(c.same_gradient());

  student.memory = lk::memory_kind::other;
  CHECK_THROWS_AS(lk::on_device<const float>(student), lk::value_error);
  CHECK_THROWS_WITH(lk::on_device<const double>(any(c.t, {12, 33})), "limbeck: tensor is float32 [12, 33], expected float64");
}

TEST_CASE("thrust: a device_workspace makes a call one on the device", "[thrust][run_time]") {
  device_call c;
  const auto s = any(c.s, {3, 4, 33}), t = any(c.t, {12, 33}), y = any(c.y, {3, 4}), g = any(c.g, {3, 4, 33});
  const auto e = objective(s, t, y, lk::into(g), lk::row_weights(any(c.weights, {12})), c.ws);
  CHECK(same_bits(e.loss, c.loss));
  CHECK(c.same_gradient());
  CHECK(same_bits(objective.value(s, t, y, lk::row_weights(c.weights), c.ws),
                  objective.value(lk::on_device(c.s, 12, 33), lk::on_device(c.t, 12, 33), c.y, lk::row_weights(c.weights), c.ws)));
  // some by type, some at run time; nobody waits
  lk::device_result later;
  objective(lk::on_device(c.s, 12, 33), t, y, lk::into(g), lk::row_weights(c.weights), c.ws, lk::deferred(later));
  CHECK(same_bits(later.get().loss, c.loss));
  CHECK(c.same_gradient());

  auto elsewhere = t;
  elsewhere.memory = lk::memory_kind::other;
  CHECK_THROWS_AS(objective.value(s, elsewhere, y, c.ws), lk::value_error);
  CHECK_THROWS_AS(objective.value(any(c.s, {396}), t, y, c.ws), lk::shape_error);

  // the next token of 3 sequences of 4
  lk::workspace ws;
  const auto next = lk::next_tokens(y, 4);
  CHECK(objective.value(s, t, next, c.ws) == Approx(objective.value(c.b.s(), c.b.t(), lk::next_tokens(c.b.labels, 4), ws)));
  CHECK_THROWS_AS(lk::next_tokens(any(c.y, {12}), 5), lk::shape_error);
}

TEST_CASE("thrust: an any_workspace leaves the memory to the student", "[thrust][run_time]") {
  device_call c;
  const auto s = any(c.s, {12, 33}), t = any(c.t, {12, 33}), y = any(c.y, {12}), g = any(c.g, {12, 33});
  lk::any_workspace ws;
  CHECK(same_bits(objective(s, t, y, lk::into(g), lk::row_weights(any(c.weights, {12})), ws).loss, c.loss));
  CHECK(c.same_gradient());
  CHECK(ws.on_device().size() > 0);
  CHECK(ws.on_host().size() == 0);
  CHECK(objective.value(c.b.s(), c.b.t(), c.b.labels, ws) == objective.value(c.b.s(), c.b.t(), c.b.labels));
}

#if LIMBECK_TEST_DLPACK
TEST_CASE("thrust: DLPack's tensors on the device stand in a call", "[thrust][run_time]") {
  device_call c;
  std::int64_t shape[] = {12, 33};
  const auto pack = [&]<class T>(thrust::device_vector<T>& x, int rank) {
    DLTensor t{};
    t.data = thrust::raw_pointer_cast(x.data());
    t.device = {LIMBECK_ON_CUDA ? kDLCUDA : kDLCPU, 0};
    t.ndim = rank;
    t.dtype = lk::detail::to_dlpack_type(lk::element_type_of<T>);
    t.shape = shape;
    return t;
  };
  const auto s = pack(c.s, 2), t = pack(c.t, 2), y = pack(c.y, 1);
  auto g = pack(c.g, 2);
  CHECK(same_bits(objective(s, t, y, lk::into(g), lk::row_weights(c.weights), c.ws).loss, c.loss));
  CHECK(c.same_gradient());
  auto elsewhere = s;
  elsewhere.device = {kDLROCM, 0};
  CHECK_THROWS_AS(objective.value(elsewhere, t, y, c.ws), lk::value_error);
}
#endif
