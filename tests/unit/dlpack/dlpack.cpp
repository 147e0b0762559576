// DLPack without anybody else: descriptions read and made, and who calls which deleter, once. Against LibTorch's
// exchange: unit/torch/dlpack_torch.cpp; against NumPy's: dlpack/numpy_exchange.py.

#include "catch.hpp"

#include <limbeck/dlpack.hpp>

#include <memory>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Contains;

namespace {

const auto objective = 0.5 * lk::cross_entropy{} + lk::at_temperature(2.0, lk::forward_kl{});

/// A producer that counts its deletions.
struct producer {
  std::vector<float> numbers{0, 1, 2, 3, 4, 5};
  std::int64_t shape[2] = {2, 3}, strides[2] = {3, 1};
  int deleted = 0;
  DLManagedTensor managed{};
  producer() {
    managed.dl_tensor = {numbers.data(), {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, strides, 0};
    managed.manager_ctx = this;
    managed.deleter = [](DLManagedTensor* m) { ++static_cast<producer*>(m->manager_ctx)->deleted; };
  }
};

}  // namespace

TEST_CASE("dlpack: an owner calls the deleter once, wherever it moves", "[dlpack]") {
  producer p;
  {
    lk::dlpack_tensor first(&p.managed);
    lk::dlpack_tensor second(std::move(first));
    CHECK_FALSE(first);
    lk::dlpack_tensor third;
    third = std::move(second);
    CHECK(third);
    CHECK(third.view().str() == "float32 [2, 3]");
    CHECK(third.view().data == p.numbers.data());
    CHECK(p.deleted == 0);
  }
  CHECK(p.deleted == 1);
  CHECK_FALSE(lk::dlpack_tensor(nullptr));
}

TEST_CASE("dlpack: what is given away lives until its deleter is called", "[dlpack]") {
  auto owner = std::make_shared<int>(3);
  const std::weak_ptr<int> alive = owner;
  lk::any_tensor x;
  std::vector<std::int16_t> numbers(6);
  x.data = numbers.data();
  x.type = lk::element_type::int16;
  x.read_only = false;
  x.rank = 2;
  x.shape = {3, 2};
  x.strides = {1, 3};
  DLManagedTensor* given = lk::to_dlpack(x, std::move(owner));
  CHECK(given->dl_tensor.data == numbers.data());
  CHECK(given->dl_tensor.ndim == 2);
  CHECK(given->dl_tensor.shape[0] == 3);
  CHECK(given->dl_tensor.strides[1] == 3);
  CHECK(given->dl_tensor.dtype.code == kDLInt);
  CHECK(given->dl_tensor.dtype.bits == 16);
  CHECK_FALSE(alive.expired());
  given->deleter(given);
  CHECK(alive.expired());
}

TEST_CASE("dlpack: every type survives the way out and back", "[dlpack]") {
  std::vector<std::byte> memory(64);
  for (auto e = lk::element_type::boolean; e <= lk::element_type::float64;
       e = static_cast<lk::element_type>(static_cast<int>(e) + 1)) {
    const std::ptrdiff_t shape[] = {2, 3};
    const lk::dlpack_tensor back(lk::to_dlpack(lk::any_tensor(memory.data(), e, shape, false), nullptr));
    CHECK(back.view().type == e);
    CHECK(back.view().shape[1] == 3);
    CHECK(back.view().strides[0] == 3);
  }
}

TEST_CASE("dlpack: vectors and rows of memory that moves", "[dlpack]") {
  std::vector<double> numbers{1, 2, 3};
  const double* at = numbers.data();
  const lk::dlpack_tensor v(lk::to_dlpack(std::move(numbers)));
  CHECK(v.view().data == at);
  CHECK(v.view().str() == "float64 [3]");
}

TEST_CASE("dlpack: a tensor on a device is refused by the host's sweep", "[dlpack]") {
  std::vector<float> numbers(6);
  std::int64_t shape[] = {2, 3};
  DLTensor x{numbers.data(), {kDLCUDA, 0}, 2, {kDLFloat, 32, 1}, shape, nullptr, 0};
  CHECK_THROWS_WITH(objective(x, x, std::vector<int>{0, 1}, lk::into(x)),
                    Contains("student is float32 [2, 3] on a device, and this call runs on the host"));
  x.device = {kDLCPU, 0};
  x.dtype.lanes = 4;
  CHECK_THROWS_WITH(objective(x, x, std::vector<int>{0, 1}, lk::into(x)), Contains("an unknown type [2, 3]"));
  x.dtype.lanes = 1;
  x.byte_offset = 2;
  CHECK_THROWS_WITH(objective(x, x, std::vector<int>{0, 1}, lk::into(x)), Contains("no multiple of 4; copy it"));
}
