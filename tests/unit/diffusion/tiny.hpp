#ifndef LIMBECK_TESTS_UNIT_DIFFUSION_TINY_HPP
#define LIMBECK_TESTS_UNIT_DIFFUSION_TINY_HPP

// The least networks of distribution matching: a generator x = m + s z, and a denoiser that is linear at each of three times, which is
// what the exact one of a Gaussian is.

#include "../trainer/toy.hpp"

#include <limbeck/diffusion.hpp>
#include <limbeck/trainer/noise_data.hpp>

#include <array>
#include <cmath>
#include <span>
#include <vector>

namespace tiny {

namespace lk = limbeck;

constexpr std::array<double, 3> times{0.4, 0.6, 0.8};
inline double any_time(lk::random_stream& r) { return times[r.below(times.size())]; }

struct model {
  std::vector<double> weights, slopes;
  explicit model(std::vector<double> w) : weights(std::move(w)), slopes(weights.size(), 0.0) {}
  std::vector<std::span<double>> parameters() { return {std::span(weights)}; }
  std::vector<std::span<double>> gradients() { return {std::span(slopes)}; }
  void zero_gradients() { slopes.assign(slopes.size(), 0); }
};

struct generator : model {
  std::vector<double> z{}, x{};
  explicit generator(double mean = 0, double deviation = 1) : model({mean, deviation}) {}
  lk::rows<const double> forward(const lk::sample_batch<double>& in) {
    z = in.values;
    x.resize(z.size());
    for (std::size_t i = 0; i < z.size(); ++i) x[i] = weights[0] + weights[1] * z[i];
    return {x.data(), x.size(), 1};
  }
  void backward(lk::rows<const double> g) {
    for (std::size_t i = 0; i < z.size(); ++i) slopes[0] += g(i, 0), slopes[1] += g(i, 0) * z[i];
  }
};

struct denoiser : model {
  lk::sample_batch<double> in{};
  std::vector<double> out{};
  denoiser() : model({0.5, 0, 0.5, 0, 0.5, 0}) {}
  static std::size_t place(double t) { return t < 0.5 ? 0 : t < 0.7 ? 1 : 2; }
  lk::rows<const double> forward(const lk::sample_batch<double>& x) {
    in = x;
    return (*this)(x.rows(), x.times);
  }
  lk::rows<const double> operator()(const lk::rows<const double>& x, std::span<const double> t) {
    out.resize(x.samples);
    for (std::size_t i = 0; i < x.samples; ++i) out[i] = weights[2 * place(t[i])] * x(i, 0) + weights[2 * place(t[i]) + 1];
    return {out.data(), out.size(), 1};
  }
  void backward(lk::rows<const double> g) {
    for (std::size_t i = 0; i < g.samples; ++i) {
      slopes[2 * place(in.times[i])] += g(i, 0) * in.values[i];
      slopes[2 * place(in.times[i]) + 1] += g(i, 0);
    }
  }
};

}  // namespace tiny

#endif
