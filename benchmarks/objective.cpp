// Value and gradient of distillation objectives beside what the machine could do at best.
//
// Names are type/backend/objective/rows/classes/threads. Every time is the fastest of its rounds; counters:
//   ms           the subject
//   byte_floor   subject / triad over the same three buffers, with as many threads
//   exp_floor    subject / (exponentials it needs at the machine's vector rate, shared by the threads)
//   gbs          useful bytes a second
//   ns_row       nanoseconds a row, all threads together
//   fused        subject / the four objectives one after the other (only `four`)
//   to_span      subject / the same objective over spans (only Eigen and xtensor); of kl_by_* the KL
//                without the signal, of kl_bfloat16 and kl_float16 that of float
//   speed_up     one thread / subject (only with more than one thread)
// triad_ms, exp_ns, separate_ms, span_ms and alone_ms are what these were divided by. With LIMBECK_BENCH_FEW there are KL and
// the four over spans and KL over the other backends, in float, and nothing else: quick to compile, for tables of compilers
// and flags.

#include "rounds.hpp"

#if defined(LIMBECK_BENCH_EIGEN)
#include <limbeck/eigen.hpp>
#endif
#if defined(LIMBECK_BENCH_XTENSOR)
#include <limbeck/xtensor.hpp>
#if __has_include(<xtensor/containers/xadapt.hpp>)
#include <xtensor/containers/xadapt.hpp>
#else
#include <xtensor/xadapt.hpp>
#endif
#endif

#include <array>
#include <memory>
#include <string>
#include <thread>

namespace {

using namespace bench;

[[maybe_unused]] auto kl() { return lk::at_temperature(4.0, lk::forward_kl{}); }
[[maybe_unused]] auto reverse_kl() { return lk::at_temperature(4.0, lk::reverse_kl{}); }
[[maybe_unused]] auto jensen_shannon() { return lk::at_temperature(4.0, lk::jensen_shannon{}); }
[[maybe_unused]] auto cross_entropy() { return lk::objective{lk::cross_entropy{}}; }
[[maybe_unused]] auto kl_by_confidence() {
  return lk::at_temperature(4.0, lk::of_teacher(lk::confidence{}) * lk::forward_kl{});
}
[[maybe_unused]] auto kl_by_entropy() {
  return lk::at_temperature(4.0, lk::of_teacher(lk::entropy{}) * lk::forward_kl{});
}
[[maybe_unused]] auto four() {
  return lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{} + lk::reverse_kl{} + lk::jensen_shannon{});
}

// How a backend sees the batch: the same memory, under its own type.

struct span {
  template <class T>
  static auto input(const std::vector<T>& x, const batch<T>& b) {
    return lk::rows<const T>(x.data(), b.samples, b.classes);
  }
  template <class T>
  static auto output(batch<T>& b) {
    return b.g();
  }
};

#if defined(LIMBECK_BENCH_EIGEN)
struct eigen {
  static constexpr const char* name = "eigen";
  template <class T>
  using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  template <class T>
  static auto input(const std::vector<T>& x, const batch<T>& b) {
    return Eigen::Map<const matrix<T>>(x.data(), static_cast<Eigen::Index>(b.samples),
                                       static_cast<Eigen::Index>(b.classes));
  }
  template <class T>
  static auto output(batch<T>& b) {
    return Eigen::Map<matrix<T>>(b.gradient.data(), static_cast<Eigen::Index>(b.samples),
                                 static_cast<Eigen::Index>(b.classes));
  }
};
#endif

#if defined(LIMBECK_BENCH_XTENSOR)
struct xtensor {
  static constexpr const char* name = "xtensor";
  template <class T>
  static auto input(const std::vector<T>& x, const batch<T>& b) {
    return xt::adapt(x.data(), x.size(), xt::no_ownership(), std::array<std::size_t, 2>{b.samples, b.classes});
  }
  template <class T>
  static auto output(batch<T>& b) {
    return xt::adapt(b.gradient.data(), b.gradient.size(), xt::no_ownership(),
                     std::array<std::size_t, 2>{b.samples, b.classes});
  }
};
#endif

/// The last batch that was asked for: benchmarks are registered size by size.
template <class T>
batch<T>& batch_of(std::size_t samples, std::size_t classes) {
  static std::unique_ptr<batch<T>> kept;
  if (!kept || kept->samples != samples || kept->classes != classes) {
    kept.reset();
    kept = std::make_unique<batch<T>>(samples, classes);
  }
  return *kept;
}

/// A call of an objective, ready to be timed.
template <bool Gradient, class Backend, class T, class Objective>
auto call(const Objective& objective, batch<T>& data, int threads) {
  auto student = Backend::input(data.student, data), teacher = Backend::input(data.teacher, data);
  auto gradient = Backend::output(data);
  return [=, &data]() mutable {
    team executor{threads};
    if constexpr (Gradient) {
      benchmark::DoNotOptimize(
          objective(student, teacher, data.labels, lk::into(gradient), data.workspace, lk::on(executor)).loss);
    } else {
      benchmark::DoNotOptimize(objective.value(student, teacher, data.labels, data.workspace, lk::on(executor)));
    }
    benchmark::ClobberMemory();
  };
}
/// The same for an objective that takes no labels.
template <bool Gradient, class Backend, class T, class Objective>
auto call_unlabelled(const Objective& objective, batch<T>& data, int threads) {
  auto student = Backend::input(data.student, data), teacher = Backend::input(data.teacher, data);
  auto gradient = Backend::output(data);
  return [=, &data]() mutable {
    team executor{threads};
    if constexpr (Gradient) {
      benchmark::DoNotOptimize(objective(student, teacher, lk::into(gradient), data.workspace, lk::on(executor)).loss);
    } else {
      benchmark::DoNotOptimize(objective.value(student, teacher, data.workspace, lk::on(executor)));
    }
    benchmark::ClobberMemory();
  };
}
/// KL on logits of 16 bits, with a gradient of 16 bits; the bytes of the floor are those of float.
template <class Stored>
auto call_halves(batch<float>& data, int threads) {
  const auto narrow = [](const std::vector<float>& x) {
    auto out = std::make_shared<std::vector<Stored>>();
    for (const float v : x) out->emplace_back(v);
    return out;
  };
  static std::shared_ptr<std::vector<Stored>> student, teacher, gradient;  // of the last batch: benchmarks run one by one
  static const float* of = nullptr;
  if (of != data.student.data() || student->size() != data.student.size()) {
    student = narrow(data.student);
    teacher = narrow(data.teacher);
    gradient = narrow(data.teacher);
    of = data.student.data();
  }
  return [s = student, t = teacher, out = gradient, &data, threads, objective = kl()]() mutable {
    team executor{threads};
    const lk::rows<const Stored> x(s->data(), data.samples, data.classes), y(t->data(), data.samples, data.classes);
    const lk::rows<Stored> g(out->data(), data.samples, data.classes);
    benchmark::DoNotOptimize(objective(x, y, lk::into(g), data.workspace, lk::on(executor)).loss);
    benchmark::ClobberMemory();
  };
}
/// ... and for cross-entropy, which takes no teacher.
template <class Backend, class T>
auto call_cross_entropy(batch<T>& data, int threads) {
  auto student = Backend::input(data.student, data);
  auto gradient = Backend::output(data);
  return [=, &data, objective = cross_entropy()]() mutable {
    team executor{threads};
    benchmark::DoNotOptimize(objective(student, data.labels, lk::into(gradient), data.workspace, lk::on(executor)).loss);
    benchmark::ClobberMemory();
  };
}

struct no_reference {};

/// @p make(data, threads) is the subject, @p make_span and @p make_parts what it is compared with.
template <class T, class Make, class MakeSpan = no_reference, class MakeParts = no_reference>
void add(const std::string& name, std::size_t samples, std::size_t classes, int threads, int buffers, int exponentials,
         Make make, MakeSpan make_span = {}, MakeParts make_parts = {}) {
  const std::string type = sizeof(T) == 4 ? "float/" : "double/";
  const std::string full = type + name + "/" + std::to_string(samples) + "/" + std::to_string(classes) + "/threads:" +
                           std::to_string(threads);
  benchmark::RegisterBenchmark(full.c_str(), [=](benchmark::State& state) {
    batch<T>& data = batch_of<T>(samples, classes);
    exponential_rate<T> exponential;
    fastest subject, bytes, alone, over_span, parts;
    auto work = make(data, threads);
    work();  // the workspace takes its size
    for (auto round : state) {
      (void)round;
      // what the subject finds in the caches is what a triad over the same buffers has left there, and the other way round
      bytes([&] { triad(data, threads); });
      state.SetIterationTime(subject(work));
      exponential.measure();
      if constexpr (!std::is_same_v<MakeSpan, no_reference>) over_span(make_span(data, threads));
      if constexpr (!std::is_same_v<MakeParts, no_reference>) parts(make_parts(data, threads));
      if (threads > 1) alone(make(data, 1));
    }
    const double elements = static_cast<double>(samples * classes), best = subject.seconds_();
    state.counters["ms"] = best * 1e3;
    state.counters["byte_floor"] = best / bytes.seconds_();
    state.counters["exp_floor"] = best / (exponential.seconds_each() * elements * exponentials / threads);
    state.counters["gbs"] = elements * buffers * sizeof(T) / best * 1e-9;
    state.counters["ns_row"] = best / static_cast<double>(samples) * 1e9;
    state.counters["triad_ms"] = bytes.seconds_() * 1e3;
    state.counters["exp_ns"] = exponential.seconds_each() * 1e9;
    const auto compare = [&](const char* ratio, const char* time, const fastest& other, bool inverse = false) {
      state.counters[time] = other.seconds_() * 1e3;
      state.counters[ratio] = inverse ? other.seconds_() / best : best / other.seconds_();
    };
    if constexpr (!std::is_same_v<MakeSpan, no_reference>) compare("to_span", "span_ms", over_span);
    if constexpr (!std::is_same_v<MakeParts, no_reference>) compare("fused", "separate_ms", parts);
    if (threads > 1) compare("speed_up", "alone_ms", alone, true);
  })->UseManualTime()->Unit(benchmark::kMillisecond);
}

template <class T, class Backend>
void add_backend(std::size_t n, std::size_t c, int threads) {
  const auto make_kl = [](auto& data, int k) { return call_unlabelled<true, Backend>(kl(), data, k); };
  const auto span_kl = [](auto& data, int k) { return call_unlabelled<true, span>(kl(), data, k); };
  add<T>(Backend::name + std::string("/kl"), n, c, threads, 3, 2, make_kl, span_kl);
#if !defined(LIMBECK_BENCH_FEW)
  const auto make_four = [](auto& data, int k) { return call<true, Backend>(four(), data, k); };
  const auto span_four = [](auto& data, int k) { return call<true, span>(four(), data, k); };
  add<T>(Backend::name + std::string("/four"), n, c, threads, 3, 3, make_four, span_four);
#endif
}

template <class T>
void add_size(std::size_t n, std::size_t c, int threads) {
  add<T>("span/kl", n, c, threads, 3, 2, [](auto& data, int k) { return call_unlabelled<true, span>(kl(), data, k); });
  const auto make_four = [](auto& data, int k) { return call<true, span>(four(), data, k); };
#if defined(LIMBECK_BENCH_FEW)
  add<T>("span/four", n, c, threads, 3, 3, make_four);
#else
  const auto parts = [](auto& data, int k) {
    return [first = call_cross_entropy<span>(data, k), second = call_unlabelled<true, span>(kl(), data, k),
            third = call_unlabelled<true, span>(reverse_kl(), data, k),
            fourth = call_unlabelled<true, span>(jensen_shannon(), data, k)]() mutable {
      first();
      second();
      third();
      fourth();
    };
  };
  add<T>("span/cross_entropy", n, c, threads, 2, 1,
         [](auto& data, int k) { return call_cross_entropy<span>(data, k); });
  add<T>("span/reverse_kl", n, c, threads, 3, 2,
         [](auto& data, int k) { return call_unlabelled<true, span>(reverse_kl(), data, k); });
  add<T>("span/jensen_shannon", n, c, threads, 3, 2,
         [](auto& data, int k) { return call_unlabelled<true, span>(jensen_shannon(), data, k); });
  add<T>("span/four", n, c, threads, 3, 3, make_four, no_reference{}, parts);
  // here the reference is the KL that no signal weighs
  const auto plain = [](auto& data, int k) { return call_unlabelled<true, span>(kl(), data, k); };
  add<T>("span/kl_by_confidence", n, c, threads, 3, 2,
         [](auto& data, int k) { return call_unlabelled<true, span>(kl_by_confidence(), data, k); }, plain);
  add<T>("span/kl_by_entropy", n, c, threads, 3, 2,
         [](auto& data, int k) { return call_unlabelled<true, span>(kl_by_entropy(), data, k); }, plain);
  add<T>("span/kl_value", n, c, threads, 2, 2,
         [](auto& data, int k) { return call_unlabelled<false, span>(kl(), data, k); });
  add<T>("span/four_value", n, c, threads, 2, 3,
         [](auto& data, int k) { return call<false, span>(four(), data, k); });
  if constexpr (std::is_same_v<T, float>) {
    add<T>("span/kl_bfloat16", n, c, threads, 3, 2, [](auto& data, int k) { return call_halves<lk::bfloat16>(data, k); }, plain);
    add<T>("span/kl_float16", n, c, threads, 3, 2, [](auto& data, int k) { return call_halves<lk::float16>(data, k); }, plain);
  }
#endif
#if defined(LIMBECK_BENCH_EIGEN)
  add_backend<T, eigen>(n, c, threads);
#endif
#if defined(LIMBECK_BENCH_XTENSOR)
  add_backend<T, xtensor>(n, c, threads);
#endif
}

template <class T>
void add_type([[maybe_unused]] int all) {
  const std::array<std::array<std::size_t, 2>, 3> sizes{{{256, 1000}, {4096, 100}, {512, 32000}}};
  for (const auto& [n, c] : sizes) {
    add_size<T>(n, c, 1);
#if defined(_OPENMP)
    if (all > 1) add_size<T>(n, c, all);
#endif
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int all = static_cast<int>(std::thread::hardware_concurrency());
  add_type<float>(all);
#if !defined(LIMBECK_BENCH_FEW)
  add_type<double>(all);
#endif
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
