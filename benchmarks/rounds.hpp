#ifndef LIMBECK_BENCHMARKS_ROUNDS_HPP
#define LIMBECK_BENCHMARKS_ROUNDS_HPP

// Rounds: a benchmark times its subject and, in the same iteration, everything that the subject is compared with. Each
// keeps its fastest time, so that a ratio survives a machine that also does something else.

#include <limbeck/limbeck.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <random>
#include <vector>

namespace bench {

namespace lk = limbeck;

/// Seconds that `work` took.
template <class Work>
double seconds(Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The fastest of the runs it has seen.
class fastest {
 public:
  template <class Work>
  double operator()(Work&& work) {
    const double now = seconds(work);
    best_ = std::min(best_, now);
    return now;
  }
  double seconds_() const { return best_; }

 private:
  double best_ = 1e9;
};

/// One type for any number of threads, so that each objective is compiled once: the caller's thread, or an OpenMP team.
struct team {
  int threads = 1;
  std::size_t workers() const { return static_cast<std::size_t>(threads); }
  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
#if defined(_OPENMP)
    if (threads > 1) return lk::openmp{threads}(tasks, task);
#endif
    lk::serial{}(tasks, task);
  }
};

/// What a call reads and writes. Normal logits with deviation 2; the caller owns gradient and workspace, and both have
/// been touched before anything is timed.
template <class T>
struct batch {
  std::size_t samples, classes;
  std::vector<T> student, teacher, gradient;
  std::vector<int> labels;
  lk::workspace workspace;

  batch(std::size_t n, std::size_t c) : samples(n), classes(c), student(n * c), teacher(n * c), gradient(n * c), labels(n) {
    std::mt19937 random(1);
    std::normal_distribution<float> logit(0.0F, 2.0F);
    std::uniform_int_distribution<int> label(0, static_cast<int>(c) - 1);
    for (T& x : student) x = static_cast<T>(logit(random));
    for (T& x : teacher) x = static_cast<T>(logit(random));
    for (int& y : labels) y = label(random);
  }
  lk::rows<const T> s() const { return {student.data(), samples, classes}; }
  lk::rows<const T> t() const { return {teacher.data(), samples, classes}; }
  lk::rows<T> g() { return {gradient.data(), samples, classes}; }
};

/// The floor in bytes: a = b + x c over the three buffers that value and gradient must touch.
template <class T>
void triad(batch<T>& data, int threads) {
  using lanes = lk::vector_lanes<T>;
  using X = lk::pack<lanes>;
  constexpr auto L = static_cast<std::size_t>(X::lanes);
  T* const a = data.gradient.data();
  const T* const b = data.student.data();
  const T* const c = data.teacher.data();
  const std::size_t parts = static_cast<std::size_t>(threads);
  const std::size_t packs = data.gradient.size() / L;  // of the sizes measured here nothing is left over
  team{threads}(parts, [=](std::size_t part, std::size_t) {
    const std::size_t end = packs * (part + 1) / parts * L;
    const X x(T(0.5));
    for (std::size_t i = packs * part / parts * L; i < end; i += L)
      lanes::store(a + i, (X::from(lanes::load(b + i)) + x * X::from(lanes::load(c + i))).v);
  });
  benchmark::DoNotOptimize(data.gradient.data());
  benchmark::ClobberMemory();
}

/// The floor in arithmetic: seconds an exponential, of packs from a buffer that stays in the first cache.
template <class T>
class exponential_rate {
  static constexpr std::size_t size = 1024, repeats = 16;
  std::vector<T> in_, out_;
  fastest time_;

 public:
  exponential_rate() : in_(size), out_(size) {
    for (std::size_t i = 0; i < size; ++i) in_[i] = static_cast<T>(-0.01) * static_cast<T>(i);
  }
  void measure() {
    using X = lk::pack<lk::vector_lanes<T>>;
    constexpr auto lanes = static_cast<std::size_t>(X::lanes);
    time_([&] {
      for (std::size_t k = 0; k < repeats; ++k) {
        for (std::size_t i = 0; i < size; i += lanes) {
          const X e = lk::detail::exp2_negative(X::from(lk::vector_lanes<T>::load(in_.data() + i)));
          lk::vector_lanes<T>::store(out_.data() + i, e.v);
        }
        benchmark::ClobberMemory();
      }
    });
  }
  double seconds_each() const { return time_.seconds_() / static_cast<double>(size * repeats); }
};

/// Multiply-adds a second that registers allow: sixteen chains that wait for nothing but themselves.
template <class T>
double multiply_adds() {
  using lanes = lk::vector_lanes<T>;
  using storage = typename lanes::storage;
  constexpr std::size_t chains = 16, steps = 1 << 12;
  fastest time;
  for (int round = 0; round < 20; ++round) {
    storage x[chains];
    for (std::size_t i = 0; i < chains; ++i) x[i] = lanes::broadcast(T(i));
    storage a = lanes::broadcast(T(0.5)), b = lanes::broadcast(T(1));
    benchmark::DoNotOptimize(a);
    benchmark::DoNotOptimize(b);
    time([&] {
      for (std::size_t k = 0; k < steps; ++k)
        for (std::size_t i = 0; i < chains; ++i) x[i] = x[i] * a + b;
    });
    for (auto& v : x) benchmark::DoNotOptimize(v);
  }
  return static_cast<double>(chains * steps * static_cast<std::size_t>(lanes::count)) / time.seconds_();
}

}  // namespace bench

#endif
