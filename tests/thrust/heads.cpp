// Heads in device memory: the host's numbers, in several chunks of rows, of any stored types.
#include "catch.hpp"
#include "head_cases.hpp"

using namespace limbeck_test;

TEST_CASE("device: heads agree with the host's", "[thrust][heads]") {
  const auto found = [](const complaints& list) {
    for (const auto& c : list) UNSCOPED_INFO(c);
    return list.size();
  };
  CHECK(found(compare_heads<double, double>(8500, 6, 3)) == 0);           // two chunks
  CHECK(found(compare_heads<lk::bfloat16, lk::bfloat16>(40, 4100, 5)) == 0);  // two blocks of weights
  CHECK(found(compare_other_heads()) == 0);
}

TEST_CASE("device: heads of tensors whose type is known at run time", "[thrust][heads]") {
  const head_batch<float, float> x(30, 9, 3);
  device_head_batch<float, float> d(x);
  const auto any = [](auto& v, std::vector<std::ptrdiff_t> shape) {
    using Element = typename std::remove_reference_t<decltype(v)>::value_type;
    lk::any_tensor t(thrust::raw_pointer_cast(v.data()), lk::element_type_of<Element>, shape, false);
    t.memory = lk::detail::kind_of_device;
    return t;
  };
  const lk::objective ce{lk::cross_entropy{}};
  lk::device_workspace ws;
  const double expected = ce(d.student(), d.labels, lk::into(d.gradients()), ws).loss;
  const auto gradient = to_host(d.dw);
  thrust::fill(d.dw.begin(), d.dw.end(), 3.0F);
  const auto head = lk::logits_of(any(d.h, {30, 3}), any(d.w, {9, 3}), any(d.b, {9}));
  CHECK(same_bits(ce(head, any(d.labels, {30}), lk::into(lk::head_gradient(nullptr, any(d.dw, {9, 3}))), ws).loss, expected));
  CHECK(same_bits(to_host(d.dw), gradient));
}
