// Tensors whose type is known at run time: what they are viewed as, and what is refused.

#include "catch.hpp"

#include <limbeck/core/any_tensor.hpp>

#include <cstdint>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Contains;
using enum lk::element_type;

namespace {

template <class T>
lk::any_tensor tensor_of(std::vector<T>& x, std::vector<std::ptrdiff_t> shape) {
  return {x.data(), lk::element_type_of<T>, shape, false};
}

}  // namespace

TEST_CASE("any_tensor: element types have NumPy's names and sizes", "[any_tensor]") {
  CHECK(lk::element_type_of<float> == float32);
  CHECK(lk::element_type_of<double> == float64);
  CHECK(lk::element_type_of<bool> == boolean);
  CHECK(lk::element_type_of<std::int8_t> == int8);
  CHECK(lk::element_type_of<std::uint16_t> == uint16);
  CHECK(lk::element_type_of<long long> == int64);
  CHECK(lk::element_type_of<long double> == none);
  CHECK(lk::element_type_of<void*> == none);
  CHECK(lk::size_of(bfloat16) == 2);
  CHECK(lk::size_of(uint64) == 8);
  CHECK(std::string(lk::name_of(bfloat16)) == "bfloat16");
  CHECK_FALSE(lk::is_integer(boolean));
  CHECK(lk::is_integer(uint64));
  CHECK_FALSE(lk::is_integer(float16));
}

TEST_CASE("any_tensor: the last dimension is the classes, all others are samples", "[any_tensor]") {
  std::vector<float> x(24);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  const auto cube = tensor_of(x, {2, 3, 4});
  CHECK(cube.str() == "float32 [2, 3, 4]");
  const auto all = cube.rows<float>();
  CHECK(all.samples == 6);
  CHECK(all.classes == 4);
  CHECK(&all(4, 3) == &x[19]);

  auto transposed = cube;  // 3 x 2 x 4: neighbours are no constant distance apart
  std::swap(transposed.shape[0], transposed.shape[1]);
  std::swap(transposed.strides[0], transposed.strides[1]);
  CHECK_THROWS_WITH(transposed.rows<float>("teacher"), Contains("limbeck: teacher is float32 [3, 2, 4] whose leading"));
  transposed.shape[0] = 1;  // dimensions of one element have no say
  CHECK(transposed.rows<float>().samples == 2);
  CHECK(&transposed.rows<float>()(1, 0) == &x[12]);

  auto columns = tensor_of(x, {4, 6});
  columns.strides = {1, 4};
  CHECK(&columns.rows<const float>()(2, 5) == &x[22]);
  auto backwards = tensor_of(x, {24});
  backwards.data = &x[23];
  backwards.strides[0] = -1;
  CHECK(backwards.vector().number(0) == 23);
  CHECK_THROWS_WITH(backwards.span<float>("bias"), "limbeck: bias is float32 [24] is not contiguous");
  CHECK(tensor_of(x, {2, 12}).span<float>().size() == 24);

  const auto empty = tensor_of(x, {0, 4});
  CHECK(empty.rows<float>().samples == 0);
  CHECK(empty.rows<float>().classes == 4);
  CHECK(empty.vector().size() == 0);
}

TEST_CASE("any_tensor: labels of every whole type, and masks", "[any_tensor]") {
  const auto check = [](auto zero) {
    std::vector<decltype(zero)> x{3, 1, 2};
    const auto v = tensor_of(x, {3}).vector();
    CHECK(v.size() == 3);
    CHECK(v.integer(0) == 3);
    CHECK(v.number(2) == 2);
  };
  check(std::int8_t{});
  check(std::uint8_t{});
  check(std::int16_t{});
  check(std::uint16_t{});
  check(std::int32_t{});
  check(std::uint32_t{});
  check(std::int64_t{});
  check(std::uint64_t{});
  check(float{});
  check(double{});
  std::vector<unsigned char> bits{1, 0, 1};
  auto mask = tensor_of(bits, {3});
  mask.type = boolean;
  CHECK(mask.vector().integer(1) == 0);
  CHECK(mask.vector().integer(2) == 1);
  mask.type = float16;
  CHECK_THROWS_WITH(mask.vector("row_mask"),
                    "limbeck: row_mask is float16 [3], expected float32, float64, a whole number or bool");
}

TEST_CASE("any_tensor: what cannot be viewed is refused", "[any_tensor]") {
  std::vector<float> x(24);
  auto t = tensor_of(x, {4, 6});
  CHECK_THROWS_WITH(t.rows<double>("student"), "limbeck: student is float32 [4, 6], expected float64");
  CHECK_THROWS_WITH(tensor_of(x, {24}).rows<float>("student"),
                    "limbeck: student is float32 [24], expected samples x classes");
  t.read_only = true;
  CHECK(t.rows<const float>().samples == 4);
  CHECK_THROWS_WITH(t.rows<float>("gradient"),
                    "limbeck: gradient is float32 [4, 6] and read-only, but it is an output");
  t.read_only = false;
  t.strides[0] = 0;
  CHECK(t.rows<const float>().samples == 4);
  CHECK_THROWS_WITH(t.rows<float>("gradient"), Contains("repeats its elements"));
  t = tensor_of(x, {4, 5});
  t.data = reinterpret_cast<char*>(x.data()) + 2;
  CHECK_THROWS_WITH(t.rows<float>(), Contains("at an address that is no multiple of 4; copy it"));
  CHECK_THROWS_WITH(t.vector(), Contains("at an address that is no multiple of 4; copy it"));
  t.memory = lk::memory_kind::cuda;
  CHECK_THROWS_WITH(t.vector("labels"), Contains("limbeck: labels is float32 [4, 5] on a device"));
  const std::vector<std::ptrdiff_t> nine(9, 1);
  CHECK_THROWS_AS(lk::any_tensor(x.data(), float32, nine), lk::shape_error);
}
