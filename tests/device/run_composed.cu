// On a GPU: what composes on the host composes there, and calls that nobody waits for, on streams and in a captured graph.
// Without a GPU it says so and returns 77.
#include "../support/composed_cases.hpp"
#include "../support/gpu_program.hpp"

using namespace limbeck_test;

namespace {

/// One step, captured once and replayed over other numbers, writes what the call writes. A warm call allocates nothing and
/// waits for nothing, or it could not be captured.
complaints compare_captured(std::size_t n, std::size_t c) {
  complaints out;
  const auto objective = lk::at_temperature(4.0, lk::forward_kl{}) + 0.1 * lk::cross_entropy{};
  const auto first = random_batch<float>(n, c, 51), second = random_batch<float>(n, c, 52);
  device_batch<float> d(first), e(second);
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t step = nullptr;
  const auto good = [&](cudaError_t code, const char* what) {
    if (code != cudaSuccess) out.push_back(at(what, n, c) + ": " + cudaGetErrorString(code));
    return code == cudaSuccess;
  };
  if (!good(cudaStreamCreate(&stream), "a stream")) return out;
  {
    lk::device_workspace ws(stream);
    lk::device_result result, alone;
    const auto call = [&](lk::device_result& to) { objective(d.s(), d.t(), d.labels, lk::into(d.g()), ws, lk::deferred(to)); };
    call(result);
    (void)result.get();
    good(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "begin of a capture");
    call(result);
    if (good(cudaStreamEndCapture(stream, &graph), "a capture") && good(cudaGraphInstantiate(&step, graph, 0), "a graph")) {
      thrust::copy(e.student.begin(), e.student.end(), d.student.begin());
      thrust::copy(e.teacher.begin(), e.teacher.end(), d.teacher.begin());
      good(cudaDeviceSynchronize(), "copies");
      for (int repeat = 0; repeat < 3; ++repeat) good(cudaGraphLaunch(step, stream), "a replay");
      const double replayed = result.get().loss;
      const auto gradient = to_host(d.gradient);
      call(alone);
      if (!same_bits(replayed, alone.get().loss) || !same_bits(gradient, to_host(d.gradient)))
        out.push_back(at("a replay differs", n, c));
    }
  }
  if (step) (void)cudaGraphExecDestroy(step);
  if (graph) (void)cudaGraphDestroy(graph);
  (void)cudaStreamDestroy(stream);
  return out;
}

}  // namespace

int main(int argc, char**) {
  return on_a_gpu([&](const auto& take) {
    take("composed", compare_composed<float>(5, 4));
    take("composed", compare_composed<float>(6, 37));
    if (argc == 1) {
      take("composed, by blocks", compare_composed<float>(3, 3000));
      take("composed, longer than shared memory", compare_composed<float>(2, 70000));
      take("captured", compare_captured(33, 100));
      take("captured, by blocks", compare_captured(5, 32000));
      take("captured, many rows", compare_captured(20000, 10));
    }
  });
}
