#ifndef LIMBECK_TESTS_SUPPORT_DEVICE_MAP_CASES_HPP
#define LIMBECK_TESTS_SUPPORT_DEVICE_MAP_CASES_HPP

// All maps over device memory and over plain memory. No test framework, as in device_cases.hpp.

#include "device_cases.hpp"
#include "make_batch.hpp"
#include "map_cases.hpp"

#include <limbeck/relations.hpp>

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

/// Losses through maps and views, of both sides, with weights.
template <class T>
complaints compare_inside() {
  complaints out;
  const std::size_t n = 8, m = 12;
  const batch<T> b = random_batch<T>(n, m, 3, 1);
  device_batch<T> d(b);
  std::vector<T> w{1, T(0.5), 0, 2, 1, 3, 1, T(0.25)}, g(n * m), of_teacher(n * m);
  const auto weights = to_device(w);
  thrust::device_vector<T> device_teacher(n * m);
  lk::workspace ws;
  lk::device_workspace dws;
  const auto check = [&](const std::string& name, const auto& loss, const auto& host_weights, const auto& device_weights, const auto& view,
                         const auto& device_view) {
    const lk::objective objective{loss};
    const auto gradient = lk::rows<T>(g.data(), n, m), teacher_gradient = lk::rows<T>(of_teacher.data(), n, m);
    const lk::evaluation host = objective(view(b.s()), view(b.t()), lk::into(view(gradient)), lk::into_teacher(view(teacher_gradient)),
                                          host_weights, ws);
    const lk::evaluation device = objective(device_view(d.s()), device_view(d.t()), lk::into(device_view(d.g())),
                                            lk::into_teacher(device_view(lk::on_device(device_teacher, n, m))), device_weights, dws);
    compare_evaluations<T>(out, name, host, device, 64);
    compare_rows(out, name, g, to_host(d.gradient), m, 64);
    compare_rows(out, name + ", of the teacher", of_teacher, to_host(device_teacher), m, 64);
  };
  const auto as_it_is = [](const auto& x) { return x; };
  const auto pixels = [](const auto& x) { return lk::positions_as_rows(x, 3); };
  const auto soft = lk::at_temperature(2.0, lk::forward_kl{});
  check("rows", soft + 2 * lk::mse{}, lk::row_weights(w), lk::row_weights(weights), as_it_is, as_it_is);
  check("through", 3 * lk::through(lk::unit_rows{}, lk::mse{} + soft) + lk::by_channel(3, soft), lk::row_weights(w),
        lk::row_weights(weights), as_it_is, as_it_is);
  check("within", lk::by_position(3, lk::linear_cka{}) + lk::grouped(4, lk::transposed(lk::mse{})), lk::mean, lk::mean, as_it_is, as_it_is);
  check("pixels", lk::mse{} + soft, lk::mean, lk::mean, pixels, pixels);
  const auto gated = lk::of_teacher(lk::entropy{}) * lk::through(lk::identity{}, lk::mse{});
  compare_evaluations<T>(out, "a signal", gated(b.s(), b.t(), lk::into(lk::rows<T>(g.data(), n, m)), lk::row_weights(w), ws),
                         gated(d.s(), d.t(), lk::into(d.g()), lk::row_weights(weights), dws), 64);
  compare_rows(out, "a signal", g, to_host(d.gradient), m, 64);
  batch<T> bad = b;
  bad.student[2 * m + 5] = std::numeric_limits<T>::quiet_NaN();
  const device_batch<T> there(bad);
  const auto said = [](const auto& call) {
    try {
      call();
    } catch (const lk::value_error& e) {
      return std::string(e.what());
    }
    return std::string("nothing");
  };
  const lk::objective inside{lk::through(lk::unit_rows{}, lk::mse{})};
  const std::string host = said([&] { inside.value(bad.s(), bad.t(), ws); }), device = said([&] { inside.value(there.s(), there.t(), dws); });
  if (host != device) out.push_back("\"" + host + "\" on the host, \"" + device + "\" on the device");
  return out;
}

}  // namespace limbeck_test

#endif
