// The cases of tests/thrust on a GPU: rows by warps and by blocks against plain memory. Without a GPU it says so and
// returns 77, which ctest shows as skipped. With the argument `few` it takes few and small batches, for compute-sanitizer.
#include "../support/device_cases.hpp"

#include <cstdio>

using namespace limbeck_test;

int main(int argc, char**) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("no device");
    return 77;
  }
  complaints all;
  const auto take = [&](const char* what, const complaints& found) {
    std::printf("%s: %zu complaints\n", what, found.size());
    all.insert(all.end(), found.begin(), found.end());
  };
  // by warps, by blocks; with 16-byte loads and without
  if (argc > 1) {
    take("few", compare_all<float>({{4, 3}, {9, 26}, {3, 1025}}));
    for (const auto& c : all) std::puts(c.c_str());
    return all.empty() ? 0 : 1;
  }
  take("agreement", compare_all<float>({{4, 3}, {9, 26}, {33, 100}, {7, 1000}, {4, 1025}, {5, 4096}, {4, 32000}}));
  take("errors", compare_errors<float>(6, 40));
  take("errors of long rows", compare_errors<float>(6, 4000));
  take("deferred", compare_deferred<float>(20000, 40));
  take("deferred, long rows", compare_deferred<float>(6, 5000));

  // Calls on one stream, none of which waits.
  const auto b = random_batch<float>(512, 2000, 3);
  device_batch<float> d(b);
  cudaStream_t stream = nullptr;
  if (cudaStreamCreate(&stream) != cudaSuccess) return 1;
  {
    lk::device_workspace ws(stream);
    std::vector<lk::device_result> results(8);
    const auto kl = lk::at_temperature(4.0, lk::forward_kl{});
    for (auto& r : results) kl(d.s(), d.t(), lk::into(d.g()), ws, lk::deferred(r));
    for (auto& r : results)
      if (!same_bits(r.get().loss, results[0].get().loss)) all.push_back("the same call, other bits");
  }
  (void)cudaStreamDestroy(stream);

  for (const auto& c : all) std::puts(c.c_str());
  return all.empty() ? 0 : 1;
}
