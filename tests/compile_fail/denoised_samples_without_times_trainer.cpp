// Noise of which no step draws times.
// expect: limbeck: denoised_samples noises samples by the times and the noise that are drawn, and this noise has none: make it by noise_with_times
#include <limbeck/limbeck.hpp>
#include <limbeck/trainer/denoising_data.hpp>

namespace lk = limbeck;

void use();
void use() {
  const auto generate = [](const lk::sample_batch<double>& z) { return z.rows(); };
#ifdef LIMBECK_CONTROL
  (void)lk::denoised_samples(lk::noise_with_times<double>({}, [](lk::random_stream& r) { return r.uniform(); }), generate, lk::rectified{});
#else
  (void)lk::denoised_samples(lk::noise_data<double>({}), generate, lk::rectified{});
#endif
}
