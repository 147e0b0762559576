// Objectives of diffusion: conversion of predictions, weight, loss and gradient in one call.
//
// Names are float/what/rows/columns/threads:n. Every time is the fastest of its rounds; counters:
//   ms          the subject
//   byte_floor  subject / a sum of as many tensors as the call reads, written to one, over the same memory by as many threads
//   loss        what the call returns
//   slope       the inner product of its gradient with numbers of a generator
// peers/diffusion.py makes the same numbers of the same inputs in PyTorch, and benchmarks/run compares loss and slope.

#include "numbers.hpp"
#include "rounds.hpp"

#include <limbeck/diffusion.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace bench;

enum stream : std::uint32_t { of_tensors = 1, of_slopes = 5, of_times = 99, of_weights = 100 };  // of_tensors + k is of tensor k

/// What the calls read and write.
struct inputs {
  std::size_t rows, columns;
  std::vector<float> tensors[4], gradient, times, weights;
  lk::workspace workspace;
  team threads;

  inputs(std::size_t n, std::size_t c, int t) : rows(n), columns(c), gradient(n * c), times(n), weights(n), threads{t} {
    for (std::uint32_t k = 0; k < 4; ++k) {
      tensors[k].resize(n * c);
      for (std::size_t i = 0; i < n * c; ++i) tensors[k][i] = number(of_tensors + k, i);
    }
    for (std::size_t r = 0; r < n; ++r) {
      times[r] = static_cast<float>(1 + hash(of_times, r) % 98) / 100;
      weights[r] = static_cast<float>(1 + hash(of_weights, r) % 4) / 4;
    }
  }
  lk::rows<const float> operator[](std::size_t k) const { return {tensors[k].data(), rows, columns}; }
  lk::rows<float> g() { return {gradient.data(), rows, columns}; }
  auto at() const { return lk::levels(lk::rectified{}, times); }
  /// A call of @p objective with this formula as its teacher.
  template <class Objective, class Formula>
  double call(const Objective& objective, const Formula& formula) {
    return objective((*this)[0], formula, workspace, lk::on(threads), lk::into(g())).loss;
  }
};

/// The floor in bytes: the sum of the first @p N tensors.
template <std::size_t N>
void sum_of_tensors(inputs& in) {
  using lanes = lk::vector_lanes<float>;
  using X = lk::pack<lanes>;
  constexpr auto L = static_cast<std::size_t>(X::lanes);
  const float* x[N];
  for (std::size_t k = 0; k < N; ++k) x[k] = in.tensors[k].data();
  float* const out = in.gradient.data();
  const std::size_t parts = in.threads.workers(), packs = in.gradient.size() / L;  // of the sizes measured here nothing is left over
  in.threads(parts, [=](std::size_t part, std::size_t) {
    const std::size_t end = packs * (part + 1) / parts * L;
    const float *const a = x[0], *const b = x[1], *const c = x[2], *const d = x[N - 1];
    float* const to = out;
    for (std::size_t i = packs * part / parts * L; i < end; i += L) {
      X s = X::from(lanes::load(a + i)) + X::from(lanes::load(b + i)) + X::from(lanes::load(c + i));
      if constexpr (N > 3) s += X::from(lanes::load(d + i));
      lanes::store(to + i, s.v);
    }
  });
  benchmark::DoNotOptimize(out);
  benchmark::ClobberMemory();
}

using call = std::function<double()>;

/// @p work reads @p Tensors tensors and writes one, for all sizes.
template <std::size_t Tensors, class Work>
void add(const std::string& what, const Work& work) {
  for (const auto& [n, c] : {std::pair<std::size_t, std::size_t>{4096, 64}, {512, 3072}, {256, 12288}}) {
    for (const int threads : {1, 2}) {
      const std::string name = std::string("float/").append(what).append("/").append(std::to_string(n)).append("/").append(
          std::to_string(c)).append("/threads:").append(std::to_string(threads));
      benchmark::RegisterBenchmark(name.c_str(), [=, rows = n, columns = c](benchmark::State& state) {
        inputs in(rows, columns, threads);
        const double loss = work(in);
        double slope = 0;
        for (std::size_t i = 0; i < in.gradient.size(); ++i)
          slope += static_cast<double>(in.gradient[i]) * static_cast<double>(number(of_slopes, i));
        fastest subject, floor;
        for (auto round : state) {
          (void)round;
          state.SetIterationTime(subject([&] {
            benchmark::DoNotOptimize(work(in));
            benchmark::ClobberMemory();
          }));
          floor([&] { sum_of_tensors<Tensors>(in); });
        }
        state.counters["ms"] = 1e3 * subject.seconds_();
        state.counters["byte_floor"] = subject.seconds_() / floor.seconds_();
        state.counters["loss"] = loss;
        state.counters["slope"] = slope;
      })
          ->UseManualTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto clean = [](const inputs& x, std::size_t k) { return lk::to_clean(lk::predicts_velocity{}, x[k], x[1], x.at()); };
  add<4>("distribution_matching", [=](inputs& x) {
    return x.call(lk::objective{lk::specified_gradient{}}, lk::distribution_matching(x[0], clean(x, 2), clean(x, 3)));
  });
  add<3>("noised+mse", [](inputs& x) { return x.call(lk::objective{lk::mse{}}, lk::noised(x[1], x[2], x.at())); });
  add<3>("to_clean+weighted_mse", [=](inputs& x) { return x.call(lk::given(x.weights) * lk::mse{}, clean(x, 2)); });
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
