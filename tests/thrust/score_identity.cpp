// Score identity distillation on a device: the host's rows, one gradient at a time and all three in one pass.
#include "catch.hpp"

#include <limbeck/diffusion/score_identity.hpp>
#include <limbeck/loss/features/specified_gradient.hpp>
#include <limbeck/thrust.hpp>

#include <vector>

namespace lk = limbeck;

namespace {

constexpr std::size_t samples = 4, columns = 103, size = samples * columns;
using device = thrust::device_vector<float>;
std::vector<float> drawn(std::uint64_t seed, std::size_t count) {
  lk::random_stream random(seed);
  std::vector<float> x(count);
  for (float& v : x) v = static_cast<float>(random.normal());
  return x;
}
std::vector<float> copied(const device& x) {
  std::vector<float> here(x.size());
  thrust::copy(x.begin(), x.end(), here.begin());
  return here;
}
void same(const std::vector<float>& got, const std::vector<float>& wanted) {
  for (std::size_t i = 0; i < wanted.size(); ++i) CHECK(got[i] == Approx(wanted[i]).epsilon(2e-5).margin(1e-5));
}

}  // namespace

TEST_CASE("device: the gradients of score identity are the host's", "[thrust][diffusion]") {
  const std::vector<float> x = drawn(1, size), real = drawn(2, size), fake = drawn(3, size), times{0.1f, 0.4f, 0.5f, 0.9f};
  const device dx(x), dreal(real), dfake(fake), dtimes(times);
  const auto view = [](const std::vector<float>& v) { return lk::rows<const float>(v.data(), samples, columns); };
  const auto there = [](const device& v) { return lk::on_device(v, samples, columns); };
  lk::device_workspace ws;
  const auto check = [&](const auto& host, const auto& on_device) {
    std::vector<float> a(size), b(size), c(size);
    const auto to = [](std::vector<float>& v) { return lk::rows<float>(v.data(), samples, columns); };
    lk::fill_gradients(host, to(a), to(b), to(c));
    device da(size), db(size), dc(size), one(size);
    const auto out = [](device& v) { return lk::on_device(v, samples, columns); };
    lk::fill_gradients(on_device, out(da), out(db), out(dc), ws);
    same(copied(da), a), same(copied(db), b), same(copied(dc), c);
    lk::fill(on_device.by_fake(), out(one), ws);
    same(copied(one), c);
    lk::fill(host, to(a)), lk::fill(on_device, out(one), ws);
    same(copied(one), a);
    lk::objective{lk::specified_gradient{}}(there(dx), on_device.by_real(), lk::into(out(one)), lk::sum, ws);
    for (float& v : b) v /= static_cast<float>(columns);
    same(copied(one), b);
  };
  check(lk::score_identity(view(x), view(real), view(fake), {.alpha = 1.2}),
        lk::score_identity(there(dx), there(dreal), there(dfake), {.alpha = 1.2}));
  check(lk::score_identity(view(x), view(real), view(fake), lk::levels(lk::rectified{}, times), {1, 1}),
        lk::score_identity(there(dx), there(dreal), there(dfake), lk::levels(lk::rectified{}, dtimes), {1, 1}));
}
