// A metric of one's own is a function of the host.
// expect: limbeck: on a device distances are euclidean_distance, cosine_distance, probability_distance or
#include <limbeck/thrust.hpp>

#include <span>

namespace lk = limbeck;

struct first_column {
  double operator()(std::span<const float> a, std::span<const float> b) const {
    return static_cast<double>(a[0] > b[0] ? a[0] - b[0] : b[0] - a[0]);
  }
};

int main() {
  const thrust::device_vector<float> memory(6);
  const auto pool = lk::on_device(memory, 2, 3);
#ifndef LIMBECK_CONTROL
  return static_cast<int>(lk::k_center<first_column>{}(pool, {.budget = 1})[0]);
#else
  return static_cast<int>(lk::k_center<lk::cosine_distance>{}(pool, {.budget = 1})[0]);
#endif
}
