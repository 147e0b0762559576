// DLPack against LibTorch's own exchange: at::toDLPack and at::fromDLPack.

#include "torch_and_catch.hpp"

#include <limbeck/dlpack.hpp>
#include <limbeck/torch.hpp>
#include <ATen/DLConvertor.h>

#include <memory>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Contains;

namespace {
const auto objective = 0.5 * lk::cross_entropy{} + lk::at_temperature(2.0, lk::forward_kl{});
}

TEST_CASE("dlpack: tensors that torch gave away go into a call, and are given back", "[dlpack][torch]") {
  torch::manual_seed(3);
  for (const auto type : {torch::kFloat, torch::kDouble}) {
    auto s = torch::randn({12, 7}, type), t = torch::randn({7, 12}, type).t(), g = torch::empty({12, 7}, type);
    auto y = torch::randint(7, {12}, torch::kInt);
    const auto expected = objective(s, t, y);
    const auto counts = [&] {
      long n = 0;  // one version of LibTorch holds the tensor, another its storage
      for (const auto* x : {&s, &t, &y, &g}) n += static_cast<long>(x->use_count() + x->storage().use_count());
      return n;
    };
    const auto before = counts();
    {
      const lk::dlpack_tensor student(at::toDLPack(s)), teacher(at::toDLPack(t)), labels(at::toDLPack(y));
      lk::dlpack_tensor gradient(at::toDLPack(g));
      CHECK(counts() >= before + 4);
      CHECK(student.view().data == s.data_ptr());
      CHECK(teacher.view().strides[1] == 12);
      CHECK(objective(student, teacher, labels, lk::into(gradient)).loss == expected.loss);
      CHECK(torch::equal(g, expected.gradient));
    }
    CHECK(counts() == before);
  }
}

TEST_CASE("dlpack: types and shapes of torch's tensors", "[dlpack][torch]") {
  const auto type_of = [](torch::Dtype type) {
    return lk::dlpack_tensor(at::toDLPack(torch::zeros({2, 3}, type))).view().type;
  };
  CHECK(type_of(torch::kFloat) == lk::element_type::float32);
  CHECK(type_of(torch::kDouble) == lk::element_type::float64);
  CHECK(type_of(torch::kHalf) == lk::element_type::float16);
  CHECK(type_of(torch::kBFloat16) == lk::element_type::bfloat16);
  CHECK(type_of(torch::kByte) == lk::element_type::uint8);
  CHECK(type_of(torch::kChar) == lk::element_type::int8);
  CHECK(type_of(torch::kShort) == lk::element_type::int16);
  CHECK(type_of(torch::kInt) == lk::element_type::int32);
  CHECK(type_of(torch::kLong) == lk::element_type::int64);
  CHECK(type_of(torch::kComplexFloat) == lk::element_type::none);
  auto nine = torch::zeros({1, 1, 1, 1, 1, 1, 1, 2, 3});
  auto* managed = at::toDLPack(nine);
  CHECK_THROWS_WITH(lk::dlpack_tensor(managed), "limbeck: a tensor of 9 dimensions, expected at most 8");
  CHECK(nine.use_count() == 1);  // taken, and given back
}

TEST_CASE("dlpack: what we give away, torch owns", "[dlpack][torch]") {
  std::vector<float> numbers{1, 2, 3, 4, 5, 6};
  const float* memory = numbers.data();
  {
    const auto t = at::fromDLPack(lk::to_dlpack(std::move(numbers)));
    CHECK(t.data_ptr<float>() == memory);
    CHECK(torch::equal(t, torch::arange(1, 7, torch::kFloat)));
  }
  // a view with strides, kept alive by its owner
  auto owner = std::make_shared<std::vector<double>>(std::vector<double>{0, 1, 2, 3, 4, 5});
  const std::weak_ptr<std::vector<double>> alive = owner;
  lk::any_tensor view;
  view.data = owner->data();
  view.type = lk::element_type::float64;
  view.read_only = false;
  view.rank = 2;
  view.shape = {3, 2};
  view.strides = {1, 3};
  {
    const auto t = at::fromDLPack(lk::to_dlpack(view, std::move(owner)));
    CHECK(torch::equal(t, torch::arange(6, torch::kDouble).view({2, 3}).t()));
    CHECK_FALSE(alive.expired());
  }
  CHECK(alive.expired());

  view.read_only = true;
  CHECK_THROWS_WITH(lk::to_dlpack(view, nullptr), Contains("is read-only"));
  view.read_only = false;
  view.memory = lk::memory_kind::cuda;
  CHECK_THROWS_WITH(lk::to_dlpack(view, nullptr), Contains("of the host only"));
}
