// Steps, guidance and embeddings on a device: the rows that the host makes of the same numbers.
#include "catch.hpp"

#include <limbeck/diffusion.hpp>
#include <limbeck/schedule/schedules.hpp>
#include <limbeck/thrust.hpp>

#include <thrust/device_vector.h>

#include <vector>

namespace lk = limbeck;

TEST_CASE("device: steps of samplers and guidance make the host's rows", "[thrust][diffusion]") {
  const std::size_t n = 5, c = 7;
  std::vector<float> p(n * c), x(n * c), z(n * c), out(n * c), times{0.9f, 0.7f, 0.5f, 0.3f, 0.2f},
      to{0.5f, 0.6f, 0.1f, 0.0f, 0.1f};
  lk::draw_noise(lk::random_stream(1), lk::rows<float>(p.data(), n, c));
  lk::draw_noise(lk::random_stream(2), lk::rows<float>(x.data(), n, c));
  lk::draw_noise(lk::random_stream(3), lk::rows<float>(z.data(), n, c));
  thrust::device_vector<float> dp(p.begin(), p.end()), dx(x.begin(), x.end()), dz(z.begin(), z.end()), dout(n * c),
      dt(times.begin(), times.end()), dto(to.begin(), to.end());
  const auto P = lk::device_rows<float>(thrust::raw_pointer_cast(dp.data()), n, c),
             X = lk::device_rows<float>(thrust::raw_pointer_cast(dx.data()), n, c),
             Z = lk::device_rows<float>(thrust::raw_pointer_cast(dz.data()), n, c);
  auto O = lk::device_rows<float>(thrust::raw_pointer_cast(dout.data()), n, c);
  const lk::rows<const float> hp(p.data(), n, c), hx(x.data(), n, c), hz(z.data(), n, c);
  const auto compare = [&](const auto& host, const auto& device) {
    lk::fill(host, lk::rows<float>(out.data(), n, c), lk::progress(0.25));
    lk::fill(device, O, lk::progress(0.25));
    for (std::size_t i = 0; i < n * c; ++i)
      CHECK(static_cast<float>(dout[i]) == Approx(out[i]).epsilon(1e-5).margin(1e-5));
  };
  const lk::rectified r;
  compare(lk::ddim(lk::predicts_velocity{}, hp, hx, lk::levels(r, times), lk::levels(r, to), hz),
          lk::ddim(lk::predicts_velocity{}, P, X, lk::levels(r, dt), lk::levels(r, dto), Z));
  compare(lk::guided(hp, hx, lk::piecewise({{0, 1.0}, {1, 5.0}})),
          lk::guided(P, X, lk::piecewise({{0, 1.0}, {1, 5.0}})));
  compare(lk::guided(hp, hx, times), lk::guided(P, X, dt));
  compare(lk::guidance_embedding(hp, hx, hz), lk::guidance_embedding(P, X, Z));
}
