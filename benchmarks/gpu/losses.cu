// Value and gradient of distillation objectives on a GPU, float, beside what its memory could do at best.
//
//   losses                              all sizes; JSON, a line a result as it comes
//   losses profile kl 4096 32000        one warm call between cudaProfilerStart and cudaProfilerStop, for ncu
//
// No call waits: losses stay on the device (`deferred`), the workspace is warm. `us` is the time between two events over a
// train of calls, divided by their number, and the fastest of the trains; `graph_us` the same of a train that has been
// captured as a CUDA graph, which leaves the host out; `launches` are the kernels and memsets of one call. Small batches are
// taken from several places in turns, which together exceed the second-level cache twice, so that their rows too come from
// memory. The first line names the card and the bandwidth of a copy in its memory.

#include <limbeck/thrust.hpp>

#include <cuda_profiler_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

namespace {

namespace lk = limbeck;

constexpr std::size_t all_rows[] = {4096, 512, 64, 1, 32768};
constexpr std::size_t all_classes[] = {32000, 1000, 100, 128256, 16384, 4096, 10};
constexpr int trains = 7;
constexpr double seconds_a_train = 0.004;

void check(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(code));
  std::exit(1);
}
#define CHECK(call) check(call, #call)

/// Logits of deviation 2 or so: the sum of four uniform numbers.
__global__ void fill(float* x, std::size_t n, unsigned long long seed) {
  const std::size_t step = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    unsigned long long h = (i + seed) * 0x9e3779b97f4a7c15ull;  // splitmix64
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
    h ^= h >> 31;
    float sum = 0;
    for (int k = 0; k < 4; ++k) sum += static_cast<float>((h >> (16 * k)) & 0xffff) / 65536.0f - 0.5f;
    x[i] = 3.46f * sum;
  }
}

struct memory {
  explicit memory(std::size_t count) : size(count) { CHECK(cudaMalloc(&data, count * sizeof(float))); }
  ~memory() { (void)cudaFree(data); }
  memory(const memory&) = delete;
  memory& operator=(const memory&) = delete;
  std::size_t size;
  float* data = nullptr;
};

class stopwatch {
 public:
  stopwatch() {
    CHECK(cudaEventCreate(&begin_));
    CHECK(cudaEventCreate(&end_));
  }
  ~stopwatch() {
    (void)cudaEventDestroy(begin_);
    (void)cudaEventDestroy(end_);
  }
  /// Seconds that @p work took on the stream.
  template <class Work>
  double operator()(cudaStream_t stream, Work&& work) {
    CHECK(cudaEventRecord(begin_, stream));
    work();
    CHECK(cudaEventRecord(end_, stream));
    CHECK(cudaEventSynchronize(end_));
    float ms = 0;
    CHECK(cudaEventElapsedTime(&ms, begin_, end_));
    return ms * 1e-3;
  }

 private:
  cudaEvent_t begin_{}, end_{};
};

/// The fastest of some trains of calls: seconds a call.
template <class Call>
double fastest(cudaStream_t stream, Call&& call, std::size_t least) {
  stopwatch watch;
  for (std::size_t i = 0; i < least; ++i) call(i);
  CHECK(cudaStreamSynchronize(stream));
  const double once = watch(stream, [&] { call(0); });
  const auto calls = std::clamp<std::size_t>(static_cast<std::size_t>(seconds_a_train / once), least, 1000);
  double best = 1e9;
  for (int t = 0; t < trains; ++t) {
    const double s = watch(stream, [&] {
      for (std::size_t i = 0; i < calls; ++i) call(i);
    });
    best = (std::min)(best, s / static_cast<double>(calls));
  }
  return best;
}

/// How many launches a call is, and a graph of a train of calls: neither where a call cannot be captured.
struct captured {
  std::size_t launches = 0;
  cudaGraphExec_t train = nullptr;
};
template <class Call>
cudaGraph_t capture_of(cudaStream_t stream, Call&& call, std::size_t calls) {
  cudaGraph_t graph = nullptr;
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  try {
    for (std::size_t i = 0; i < calls; ++i) call(i);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "not captured: %s\n", e.what());
  }
  if (cudaStreamEndCapture(stream, &graph) != cudaSuccess) graph = nullptr;
  (void)cudaGetLastError();
  return graph;
}
template <class Call>
captured capture(cudaStream_t stream, Call&& call, std::size_t calls) {
  captured out;
  if (cudaGraph_t one = capture_of(stream, call, 1)) {
    CHECK(cudaGraphGetNodes(one, nullptr, &out.launches));
    CHECK(cudaGraphDestroy(one));
  }
  if (cudaGraph_t many = capture_of(stream, call, calls)) {
    CHECK(cudaGraphInstantiateWithFlags(&out.train, many, 0));
    CHECK(cudaGraphDestroy(many));
  }
  return out;
}

struct setting {
  cudaStream_t stream = nullptr;
  std::size_t cache = 0;
  bool profile = false;
};

/// One objective at one size.
template <class Objective>
void measure(const setting& on, const char* name, const Objective& objective, bool takes_teacher, std::size_t n, std::size_t c,
             memory& student, memory& teacher, memory& gradient, const thrust::device_vector<int>& labels) {
  const std::size_t elements = n * c, tensors = takes_teacher ? 3 : 2;
  const double bytes = static_cast<double>(elements * tensors * sizeof(float));
  const auto wanted = static_cast<std::size_t>(2.0 * static_cast<double>(on.cache) / bytes) + 1;
  const std::size_t stride = (elements + 63) / 64 * 64;  // each place is aligned as memory of its own would be
  const std::size_t places = std::clamp<std::size_t>((std::min)(wanted, student.size / stride), 1, 64);

  lk::device_workspace ws(on.stream);
  lk::device_result result;
  const auto call = [&](std::size_t i) {
    const std::size_t at = i % places * stride;
    const auto s = lk::device_rows<const float>(student.data + at, n, c);
    const auto t = lk::device_rows<const float>(teacher.data + at, n, c);
    objective(s, t, labels, lk::unread_is_fine, lk::into(lk::device_rows<float>(gradient.data + at, n, c)), ws,
              lk::deferred(result));
  };
  call(0);
  const double loss = result.get().loss;
  if (on.profile) {
    CHECK(cudaProfilerStart());
    call(0);
    CHECK(cudaStreamSynchronize(on.stream));
    CHECK(cudaProfilerStop());
    return;
  }
  const double seconds = fastest(on.stream, call, places > 4 ? places : 4);
  const std::size_t calls = (std::max<std::size_t>)(places, seconds > 1e-3 ? 2 : 16);
  const captured graph = capture(on.stream, call, calls);
  std::string replayed = "null";
  if (graph.train) {
    const auto replay = [&](std::size_t) { CHECK(cudaGraphLaunch(graph.train, on.stream)); };
    replayed = std::to_string(fastest(on.stream, replay, 1) / static_cast<double>(calls) * 1e6);
    CHECK(cudaGraphExecDestroy(graph.train));
  }
  std::printf("{\"who\": \"Limbeck\", \"form\": \"\", \"objective\": \"%s\", \"rows\": %zu, \"classes\": %zu, \"us\": %.4g, "
              "\"graph_us\": %s, \"launches\": %zu, \"bytes\": %.0f, \"loss\": %.9g}\n",
              name, n, c, seconds * 1e6, replayed.c_str(), graph.launches, bytes, loss);
  std::fflush(stdout);
}

void measure_size(const setting& on, const std::string& only, std::size_t n, std::size_t c, memory& s, memory& t, memory& g) {
  const thrust::device_vector<int> labels(n, static_cast<int>(c / 2));
  const auto wanted = [&](const char* name) { return only.empty() || only == name; };
  const auto take = [&](const char* name, const auto& objective, bool takes_teacher) {
    if (wanted(name)) measure(on, name, objective, takes_teacher, n, c, s, t, g, labels);
  };
  take("kl", lk::at_temperature(4.0, lk::forward_kl{}), true);
  take("ce", lk::objective(lk::cross_entropy{}), false);
  take("ce_kl", 0.1 * lk::cross_entropy{} + 0.9 * lk::at_temperature(4.0, lk::forward_kl{}), true);
  take("four", lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{} + lk::reverse_kl{} + lk::jensen_shannon{}), true);
}

double copied_bytes_a_second(const setting& on, memory& from, memory& to) {
  const std::size_t bytes = (std::min)(from.size * sizeof(float), std::size_t{1} << 30);
  return 2.0 * static_cast<double>(bytes) /
         fastest(
             on.stream,
             [&](std::size_t) { CHECK(cudaMemcpyAsync(to.data, from.data, bytes, cudaMemcpyDeviceToDevice, on.stream)); }, 4);
}

}  // namespace

int main(int argc, char** argv) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("no device");
    return 77;
  }
  const bool profile = argc == 5 && std::string(argv[1]) == "profile";
  if (argc != 1 && !profile) {
    std::fputs("losses [profile <objective> <rows> <classes>]\n", stderr);
    return 2;
  }
  cudaDeviceProp card{};
  CHECK(cudaGetDeviceProperties(&card, 0));
  setting on{.cache = static_cast<std::size_t>(card.l2CacheSize), .profile = profile};
  CHECK(cudaStreamCreateWithFlags(&on.stream, cudaStreamNonBlocking));

  std::size_t free = 0, total = 0;
  CHECK(cudaMemGetInfo(&free, &total));
  const std::size_t largest = std::size_t{32768} * 128256;
  const std::size_t size = (std::min)(largest, free / 10 * 8 / (3 * sizeof(float)));
  memory s(size), t(size), g(size);
  fill<<<4096, 256, 0, on.stream>>>(s.data, size, 1);
  fill<<<4096, 256, 0, on.stream>>>(t.data, size, size + 1);
  CHECK(cudaStreamSynchronize(on.stream));

  if (profile) {
    measure_size(on, argv[2], std::strtoull(argv[3], nullptr, 10), std::strtoull(argv[4], nullptr, 10), s, t, g);
    return 0;
  }
  int driver = 0, runtime = 0;
  CHECK(cudaDriverGetVersion(&driver));
  CHECK(cudaRuntimeGetVersion(&runtime));
  std::printf("{\"card\": \"%s\", \"driver_cuda\": \"%d.%d\", \"runtime_cuda\": \"%d.%d\", \"multiprocessors\": %d, "
              "\"memory_gib\": %.1f, \"l2_mib\": %.0f, \"copy_gbs\": %.1f}\n",
              card.name, driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10, card.multiProcessorCount,
              static_cast<double>(total) / (1 << 30), static_cast<double>(on.cache) / (1 << 20),
              copied_bytes_a_second(on, s, g) * 1e-9);
  std::fflush(stdout);
  for (const std::size_t n : all_rows)
    for (const std::size_t c : all_classes) {
      if (n * c > size) {
        std::printf("{\"left_out\": \"%zux%zu\", \"why\": \"memory\"}\n", n, c);
        continue;
      }
      measure_size(on, "", n, c, s, t, g);
    }
  (void)cudaStreamDestroy(on.stream);
  return 0;
}
