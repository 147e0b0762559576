#include <limbeck/xtensor.hpp>

#if __has_include(<xtensor/containers/xarray.hpp>)
#include <xtensor/containers/xarray.hpp>
#include <xtensor/views/xview.hpp>
#else
#include <xtensor/xarray.hpp>
#include <xtensor/xview.hpp>
#endif

namespace lk = limbeck;

namespace {

xt::xtensor<float, 2> a;
static_assert(lk::tensor<xt::xtensor<float, 2>> && lk::tensor<xt::xtensor<double, 2>> && lk::tensor<xt::xarray<float>>);
static_assert(lk::tensor<decltype(xt::view(a, xt::range(0, 1), xt::range(0, 4, 2)))>);
// expressions have no memory, and integers are no logits
static_assert(!lk::tensor<decltype(a + a)> && !lk::tensor<decltype(2.0f * a)> && !lk::tensor<xt::xtensor<int, 2>>);

}  // namespace
