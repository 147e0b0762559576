// Heads of student and teacher whose logits are never there: value, and gradients of the student's hidden states and weights, of
// KL at T = 2 plus cross-entropy.
//
// Names are float/heads/tokens/hidden/classes/threads:<n>. Counters:
//   ms        the fastest of its rounds
//   peak_mib  what is resident at most in the first call, gradients included, less what was before it, when the inputs were there
// peers/heads.py is the same in PyTorch.

#include "rounds.hpp"

#include <cmath>
#include <fstream>
#include <optional>
#include <string>
#include <tuple>

namespace {

using namespace bench;

/// VmRSS, what is resident, or VmHWM, its peak since `reset_peak`; in MiB.
double memory(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name + ':')) return std::stod(line.substr(name.size() + 1)) / 1024;
  return 0;
}
void reset_peak() { std::ofstream("/proc/self/clear_refs") << 5; }

void add(std::size_t tokens, std::size_t width, std::size_t classes, int threads) {
  const std::string name = "float/heads/" + std::to_string(tokens) + "/" + std::to_string(width) + "/" +
                           std::to_string(classes) + "/threads:" + std::to_string(threads);
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    const auto make = [&](std::size_t n, float scale) {
      std::vector<float> x(n);
      for (float& v : x) v = scale * normal(random);
      return x;
    };
    const float scale = 1 / std::sqrt(static_cast<float>(width));
    const auto hidden = make(tokens * width, 1), weights = make(classes * width, scale), teacher_hidden = make(tokens * width, 1),
               teacher_weights = make(classes * width, scale);
    std::vector<int> labels(tokens);
    for (int& y : labels) y = static_cast<int>(random() % classes);
    using in = lk::rows<const float>;
    using out = lk::rows<float>;
    const auto objective = lk::at_temperature(2.0, lk::forward_kl{}) + lk::cross_entropy{};
    std::optional<std::vector<float>> hidden_gradient, weights_gradient;
    std::optional<lk::workspace> ws;
    team workers{threads};
    const auto work = [&] {
      benchmark::DoNotOptimize(
          objective(lk::logits_of(in(hidden.data(), tokens, width), in(weights.data(), classes, width)),
                    lk::logits_of(in(teacher_hidden.data(), tokens, width), in(teacher_weights.data(), classes, width)), labels, *ws,
                    lk::on(workers),
                    lk::into(lk::head_gradient(out(hidden_gradient->data(), tokens, width), out(weights_gradient->data(), classes, width))))
              .loss);
    };
    reset_peak();
    const double before = memory("VmRSS");
    ws.emplace();
    hidden_gradient.emplace(tokens * width);
    weights_gradient.emplace(classes * width);
    work();
    const double peak = memory("VmHWM") - before;
    fastest time;
    for (auto round : state) {
      (void)round;
      state.SetIterationTime(time(work));
    }
    state.counters["ms"] = 1e3 * time.seconds_();
    state.counters["peak_mib"] = peak;
  })->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(3);
}

}  // namespace

int main(int argc, char** argv) {
  for (const auto& [tokens, width, classes] : {std::tuple(64, 32, 1000), std::tuple(2048, 512, 32000)}) {
    for (const int threads : {1, 2})
      add(static_cast<std::size_t>(tokens), static_cast<std::size_t>(width), static_cast<std::size_t>(classes), threads);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
