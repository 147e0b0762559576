#ifndef LIMBECK_TESTS_SUPPORT_DEVICE_MAP_CASES_HPP
#define LIMBECK_TESTS_SUPPORT_DEVICE_MAP_CASES_HPP

// All maps over device memory and over plain memory. No test framework, as in device_cases.hpp.

#include "device_cases.hpp"
#include "map_cases.hpp"

namespace limbeck_test {

/// Value and gradient of each map on both sides.
template <class T>
complaints compare_maps() {
  complaints out;
  std::vector<map_result> host;
  map_parts<T, lk::host_rows> parts;
  const auto input = [](std::size_t n, std::size_t m) { return random_batch<T>(n, m, 5); };
  each_map(parts, [&](const char* name, const auto& map, std::size_t n, std::size_t m, const auto&) {
    const auto b = input(n, m);
    std::vector<T> g(b.size());
    const double value = lk::objective(inner_product(map))(b.s(), lk::into(lk::rows<T>(g.data(), n, m)));
    host.push_back({name, value, std::vector<double>(g.begin(), g.end())});
  });
  std::size_t next = 0;
  map_parts<T, lk::device_memory> device_parts;
  lk::device_workspace ws;
  each_map(device_parts, [&](const char* name, const auto& map, std::size_t n, std::size_t m, const auto&) {
    const map_result& expected = host[next++];
    device_batch<T> d(input(n, m));
    const double value = lk::objective(inner_product(map))(d.s(), lk::into(d.g()), ws);
    const std::vector<T> g = to_host(d.gradient);
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
