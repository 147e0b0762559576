// Selection from a pool beside what memory could do at best.
//
// Names are selector/data/rows/columns/budget, on one thread, in float. `normal` has independent columns, `clusters` a
// hundred centres, `softmax` the probabilities of normal logits with deviation 2. Every time is the fastest.
//   ms            the subject
//   floor         subject / (budget x reading the pool once): no algorithm that visits every row
//                 for every pick gets below 1
//   read_ms       reading the pool once
//   radius        what is left uncovered, for comparison with other people's code
// `badge` is rows/classes/width/budget; matrix_ms is k_means_plus_plus over the matrix of gradients that it does without, once
// that is there, and matrix_mib what the matrix takes.
// `k_center_file` selects from 2,000,000 x 100 in a temporary file of 800 MB; peak_mib is the largest resident set
// meanwhile, pool_mib what the pool would take.

#include "rounds.hpp"

#include <limbeck/selection/badge.hpp>
#include <limbeck/selection/facility_location.hpp>
#include <limbeck/selection/herding.hpp>
#include <limbeck/selection/pcoreset.hpp>

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

using namespace bench;

/// Makes rows of one kind of data, any number at a time.
class source {
 public:
  source(std::string kind, std::size_t columns) : kind_(std::move(kind)), means_(100 * columns), columns_(columns) {
    for (float& m : means_) m = 2 * normal_(random_);
  }
  void operator()(std::size_t count, float* out) {
    for (std::size_t r = 0; r < count; ++r, out += columns_) {
      const std::size_t cluster = random_() % 100;
      float sum = 0;
      for (std::size_t c = 0; c < columns_; ++c) {
        out[c] = normal_(random_) + (kind_ == "clusters" ? means_[cluster * columns_ + c] : 0);
        if (kind_ == "softmax") sum += out[c] = std::exp(2 * out[c]);
      }
      for (std::size_t c = 0; kind_ == "softmax" && c < columns_; ++c) out[c] /= sum;
    }
  }

 private:
  std::string kind_;
  std::mt19937 random_{1};
  std::normal_distribution<float> normal_;
  std::vector<float> means_;
  std::size_t columns_;
};

/// The last pool that was asked for.
const std::vector<float>& pool_of(const std::string& kind, std::size_t rows, std::size_t columns) {
  static std::string name;
  static std::vector<float> kept;
  const std::string now = kind + std::to_string(rows) + "x" + std::to_string(columns);
  if (now != name) {
    kept.resize(rows * columns);
    source(kind, columns)(rows, kept.data());
    name = now;
  }
  return kept;
}

/// Adds up the pool: the fastest that it can be looked at.
void read_all(const std::vector<float>& x) {
  using K = lk::vector_lanes<float>;
  using X = lk::pack<K>;
  X a(0), b(0), c(0), d(0);
  for (std::size_t i = 0; i + 4 * K::count <= x.size(); i += 4 * K::count) {
    a += X::from(K::load(x.data() + i));
    b += X::from(K::load(x.data() + i + K::count));
    c += X::from(K::load(x.data() + i + 2 * K::count));
    d += X::from(K::load(x.data() + i + 3 * K::count));
  }
  benchmark::DoNotOptimize(K::sum(((a + b) + (c + d)).v));
}

template <class Selector>
void add(const std::string& name, const std::string& kind, std::size_t rows, std::size_t columns, std::size_t budget,
         Selector selector) {
  const std::string full =
      name + "/" + kind + "/" + std::to_string(rows) + "/" + std::to_string(columns) + "/" + std::to_string(budget);
  benchmark::RegisterBenchmark(
      full.c_str(),
      [=](benchmark::State& state) {
        const auto& pool = pool_of(kind, rows, columns);
        const lk::rows<const float> view(pool.data(), rows, columns);
        fastest subject, reading;
        for (auto round : state) {
          (void)round;
          reading([&] { read_all(pool); });
          state.SetIterationTime(subject([&] { benchmark::DoNotOptimize(selector(view, {.budget = budget}).data()); }));
        }
        state.counters["ms"] = subject.seconds_() * 1e3;
        state.counters["read_ms"] = reading.seconds_() * 1e3;
        state.counters["floor"] = subject.seconds_() / (static_cast<double>(budget) * reading.seconds_());
        if constexpr (requires { selector.cover(view, lk::query{}); })
          state.counters["radius"] = selector.cover(view, {.budget = budget}).radius;
      })
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

/// BADGE beside the same draws over rows x classes width numbers.
void add_badge(std::size_t rows, std::size_t classes, std::size_t width, std::size_t budget) {
  const std::string full = "badge/normal/" + std::to_string(rows) + "/" + std::to_string(classes) + "/" +
                           std::to_string(width) + "/" + std::to_string(budget);
  benchmark::RegisterBenchmark(
      full.c_str(),
      [=](benchmark::State& state) {
        std::vector<float> logits(rows * classes), h(rows * width), gradients(rows * classes * width);
        source("normal", classes)(rows, logits.data());
        source("normal", width)(rows, h.data());
        for (float& z : logits) z *= 4;
        const lk::rows<const float> z(logits.data(), rows, classes), x(h.data(), rows, width);
        std::vector<float> p(classes);
        const auto probabilities = lk::softmax_of(z);
        for (std::size_t r = 0; r < rows; ++r) {
          probabilities.read(r, 1, p.data());
          *std::max_element(p.begin(), p.end()) -= 1;
          for (std::size_t k = 0; k < classes * width; ++k)
            gradients[r * classes * width + k] = p[k / width] * h[r * width + k % width];
        }
        const lk::rows<const float> g(gradients.data(), rows, classes * width);
        fastest subject, matrix;
        for (auto round : state) {
          (void)round;
          matrix([&] { benchmark::DoNotOptimize(lk::k_means_plus_plus<>{}(g, {.budget = budget}).data()); });
          state.SetIterationTime(subject([&] { benchmark::DoNotOptimize(lk::badge(x)(z, {.budget = budget}).data()); }));
        }
        state.counters["ms"] = subject.seconds_() * 1e3;
        state.counters["matrix_ms"] = matrix.seconds_() * 1e3;
        state.counters["matrix_mib"] = static_cast<double>(gradients.size() * sizeof(float)) / (1 << 20);
      })
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

/// Rows in a file.
class file_pool {
 public:
  using scalar = float;
  file_pool(const std::string& kind, std::size_t rows, std::size_t columns)
      : file_(std::tmpfile()), rows_(rows), columns_(columns) {
    source make(kind, columns);
    std::vector<float> block(1000 * columns);
    for (std::size_t r = 0; r < rows; r += 1000) {
      make(1000, block.data());
      if (!file_ || std::fwrite(block.data(), sizeof(float), block.size(), file_.get()) != block.size())
        throw std::runtime_error("cannot write the temporary file of the pool");
    }
    std::fflush(file_.get());
  }
  std::size_t size() const { return rows_; }
  std::size_t columns() const { return columns_; }
  void read(std::size_t first, std::size_t count, float* out) const {
    const std::size_t bytes = count * columns_ * sizeof(float);
    const auto at = static_cast<off_t>(first * columns_ * sizeof(float));
    if (pread(fileno(file_.get()), out, bytes, at) != static_cast<ssize_t>(bytes))
      throw std::runtime_error("cannot read the temporary file of the pool");
  }

 private:
  struct close {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  std::unique_ptr<std::FILE, close> file_;
  std::size_t rows_, columns_;
};

/// MiB that were resident at most since the last call with @p reset (Linux).
double peak_mib(bool reset) {
  if (reset) std::ofstream("/proc/self/clear_refs") << 5;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmHWM:") {
      double kib = 0;
      status >> kib;
      return kib / 1024;
    }
  return 0;
}

void add_file(std::size_t rows, std::size_t columns, std::size_t budget) {
  const std::string full =
      "k_center_file/clusters/" + std::to_string(rows) + "/" + std::to_string(columns) + "/" + std::to_string(budget);
  benchmark::RegisterBenchmark(
      full.c_str(),
      [=](benchmark::State& state) {
        const file_pool pool("clusters", rows, columns);
        fastest subject;
        peak_mib(true);
        for (auto round : state) {
          (void)round;
          state.SetIterationTime(
              subject([&] { benchmark::DoNotOptimize(lk::k_center{}(pool, {.budget = budget}).data()); }));
        }
        state.counters["ms"] = subject.seconds_() * 1e3;
        state.counters["peak_mib"] = peak_mib(false);
        state.counters["pool_mib"] = static_cast<double>(rows * columns * sizeof(float)) / (1 << 20);
      })
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond)
      ->Iterations(1);
}

}  // namespace

int main(int argc, char** argv) {
  add_file(2'000'000, 100, 1000);  // first: nothing else is resident yet
  for (const std::size_t columns : {std::size_t{100}, std::size_t{512}}) {
    add("k_center", "normal", 50'000, columns, 1000, lk::k_center<>{});
    add("k_center", "clusters", 50'000, columns, 1000, lk::k_center<>{});
    add("k_center_cosine", "clusters", 50'000, columns, 1000, lk::k_center<lk::cosine_distance>{});
    add("pcoreset", "softmax", 50'000, columns, 1000, lk::pcoreset{});
  }
  add("herding", "clusters", 50'000, 100, 100, lk::herding<>{});
  add("k_means_plus_plus", "clusters", 50'000, 100, 100, lk::k_means_plus_plus<>{});
  add_badge(10'000, 10, 512, 100);
  add("facility_location", "clusters", 5'000, 100, 100, lk::facility_location<>{});
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
