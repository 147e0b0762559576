#ifndef LIMBECK_TESTS_SUPPORT_DEVICE_MAP_CASES_HPP
#define LIMBECK_TESTS_SUPPORT_DEVICE_MAP_CASES_HPP

// All maps over device memory and over plain memory. No test framework, as in device_cases.hpp.

#include "device_cases.hpp"
#include "make_batch.hpp"
#include "map_cases.hpp"

namespace limbeck_test {

/// Value and gradient of each map on both sides.
template <class T>
complaints compare_maps() {
  complaints out;
  std::vector<map_result> host;
  map_parts<T, lk::host_rows> parts;
  each_map(parts, [&](const char* name, const auto& map, std::size_t n, std::size_t m, const auto&) {
    features<T> x(n, m, 1, 3);
    const double value = x.run(inner_product(map));
    host.push_back({name, value, std::vector<double>(x.gradient.begin(), x.gradient.end())});
  });
  std::size_t next = 0;
  map_parts<T, lk::device_memory> device_parts;
  lk::device_workspace ws;
  each_map(device_parts, [&](const char* name, const auto& map, std::size_t n, std::size_t m, const auto&) {
    const map_result& expected = host[next++];
    const auto student = to_device(features<T>(n, m, 1, 3).student);
    thrust::device_vector<T> gradient(n * m);
    const double value =
        lk::objective(inner_product(map))(lk::on_device(student, n, m), lk::into(lk::on_device(gradient, n, m)), ws);
    const std::vector<T> g = to_host(gradient);
    double largest = 0, worst = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
      largest = std::max(largest, std::abs(expected.gradient[i]));
      worst = std::max(worst, std::abs(expected.gradient[i] - static_cast<double>(g[i])));
    }
    if (!near<T>(value, expected.value, 1 + std::abs(expected.value), 64))
      out.push_back(std::string(name) + " is " + std::to_string(expected.value) + " on the host, " + std::to_string(value) + " on the device");
    if (!near<T>(worst, 0, largest, 64)) out.push_back(std::string(name) + ": a gradient is " + std::to_string(worst) + " away");
  });
  return out;
}

}  // namespace limbeck_test

#endif
