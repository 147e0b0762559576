// Value and gradient of losses of tokens, 2,048 rows of 32,000 classes, where few of the rows count.
//
// Names are float/what/rows/classes; where not all rows count, what ends in how many of a hundred do. Every time is the fastest
// of its rounds; counters:
//   ms       the subject
//   of_all   subject / the same call where all rows count
//   loss     what the call returns
//   slope    the inner product of its gradients with numbers of a generator
// peers/tokens.py makes the same numbers of the same inputs in PyTorch, and benchmarks/run compares loss and slope.

#include "numbers.hpp"
#include "rounds.hpp"

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace bench;

enum stream : std::uint32_t { of_student = 1, of_teacher, of_labels, of_weights, of_slopes, of_rows = 99 };

constexpr std::size_t width = 256;  // of the hidden states of a head

/// One set of inputs for all cases: half a gigabyte.
struct inputs {
  std::size_t rows, classes;
  std::vector<float> student, teacher, gradient, hidden, weights, hidden_gradient, weights_gradient, temperatures;
  std::vector<int> labels;
  std::vector<std::vector<float>> masks;  // by how many of a hundred rows count
  lk::workspace workspace;
  lk::serial one;

  inputs(std::size_t n, std::size_t c) : rows(n), classes(c), student(n * c), teacher(n * c), gradient(n * c),
      hidden(n * width), weights(c * width), hidden_gradient(n * width), weights_gradient(c * width), temperatures(n), labels(n),
      masks(101, std::vector<float>(n)) {
    const auto fill = [](std::vector<float>& x, std::uint32_t s, float scale) {
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = scale * number(s, i);
    };
    fill(student, of_student, 1), fill(teacher, of_teacher, 1), fill(hidden, of_student, 1), fill(weights, of_weights, 1.0F / 32);
    // exact, and no row has two classes alike: there is one top 50
    for (std::size_t i = 0; i < n * c; ++i) teacher[i] += static_cast<float>(i % c) * 0x1p-21F;
    for (std::size_t r = 0; r < n; ++r) {
      labels[r] = static_cast<int>(hash(of_labels, r) % c);
      temperatures[r] = 1 + static_cast<float>(hash(of_rows, r) % 4);
      for (std::size_t share = 0; share <= 100; ++share) masks[share][r] = hash(of_rows + 1, r) % 100 < share ? 1.0F : 0.0F;
    }
  }
  static lk::rows<const float> view(const std::vector<float>& x, std::size_t columns) { return {x.data(), x.size() / columns, columns}; }
  static lk::rows<float> view(std::vector<float>& x, std::size_t columns) { return {x.data(), x.size() / columns, columns}; }
};
inputs& given_inputs() {
  static inputs all(std::getenv("LIMBECK_BENCH_TOKENS_ROWS") ? std::strtoul(std::getenv("LIMBECK_BENCH_TOKENS_ROWS"), nullptr, 10) : 2048,
                    32000);
  return all;
}

using call = std::function<double()>;

/// @p work and, where it is given, the call of which it should cost a share.
void add(const std::string& what, const std::function<std::pair<call, call>(inputs&)>& prepare, bool head = false) {
  const inputs& x = given_inputs();
  benchmark::RegisterBenchmark(
      std::string("float/").append(what).append("/").append(std::to_string(x.rows)).append("/").append(std::to_string(x.classes)).c_str(),
      [=](benchmark::State& state) {
        inputs& in = given_inputs();
        const auto [work, whole] = prepare(in);
        const double loss = work();
        double slope = 0;
        const auto against = [&](const std::vector<float>& g, std::uint32_t s) {
          for (std::size_t i = 0; i < g.size(); ++i) slope += static_cast<double>(g[i]) * static_cast<double>(number(s, i));
        };
        if (head) {
          against(in.hidden_gradient, of_slopes), against(in.weights_gradient, of_slopes + 1);
        } else {
          against(in.gradient, of_slopes);
        }
        fastest subject, all;
        for (auto round : state) {
          (void)round;
          state.SetIterationTime(subject([&, &work = work] {
            benchmark::DoNotOptimize(work());
            benchmark::ClobberMemory();
          }));
          if (whole) all([&, &whole = whole] { benchmark::DoNotOptimize(whole()); });
        }
        state.counters["ms"] = 1e3 * subject.seconds_();
        state.counters["loss"] = loss;
        state.counters["slope"] = slope;
        if (whole) state.counters["of_all"] = subject.seconds_() / all.seconds_();
      })
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

/// A call of @p objective with @p arguments besides student, teacher and the gradient; the objective is made of the inputs.
template <class Objective, class... A>
call with(inputs& x, const Objective& objective, const A&... arguments) {
  return [&x, objective, arguments...] {
    return objective(x.view(std::as_const(x.student), x.classes), x.view(std::as_const(x.teacher), x.classes), arguments..., x.workspace,
                     lk::on(x.one), lk::into(x.view(x.gradient, x.classes)))
        .loss;
  };
}

}  // namespace

int main(int argc, char** argv) {
  const auto kl = lk::at_temperature(2.0, lk::forward_kl{});
  const auto both = lk::cross_entropy{} + kl;
  const auto labels = [](inputs& x) { return std::span<const int>(x.labels); };
  add("cross_entropy+kl", [=](inputs& x) { return std::pair{with(x, both, labels(x)), call{}}; });
  add("jensen_shannon", [](inputs& x) { return std::pair{with(x, lk::objective{lk::jensen_shannon{}}), call{}}; });
  add("skew_kl", [](inputs& x) { return std::pair{with(x, lk::objective{lk::skew_kl{}}), call{}}; });
  add("kl_top_50", [](inputs& x) { return std::pair{with(x, lk::objective{lk::on<lk::top_of_teacher<50>>(lk::forward_kl{})}), call{}}; });
  add("kl_per_row", [](inputs& x) {
    return std::pair{with(x, lk::objective{lk::at_temperature(lk::per_row{}, lk::forward_kl{})}, lk::row_temperatures(x.temperatures)), call{}};
  });
  for (const std::size_t share : {10, 50, 100}) {
    const std::string some = std::string("/").append(std::to_string(share));
    const auto whole = [=](inputs& x) { return share == 100 ? call{} : with(x, both, labels(x)); };
    add("row_mask" + some, [=](inputs& x) { return std::pair{with(x, both, labels(x), lk::row_mask(x.masks[share])), whole(x)}; });
  }
  add("row_weights/10", [=](inputs& x) {
    return std::pair{with(x, both, labels(x), lk::row_weights(x.masks[10])), with(x, both, labels(x))};
  });
  add("given/10", [=](inputs& x) {
    return std::pair{with(x, lk::given(x.masks[10]) * both, labels(x)), with(x, both, labels(x))};
  });
  // 199 of the 2,048 rows are above this entropy, no other within 1e-4 of it
  add("entropy_above/10", [=](inputs& x) {
    return std::pair{with(x, (lk::of_student(lk::entropy{}) > 8.49387) * both, labels(x)), with(x, both, labels(x))};
  });
  const auto head = [=](inputs& x, std::size_t share) -> call {
    return [&x, share, objective = both] {
      const auto weights = x.view(std::as_const(x.weights), width);
      return objective(lk::logits_of(x.view(std::as_const(x.hidden), width), weights), x.view(std::as_const(x.teacher), x.classes), x.labels,
                       lk::row_mask(x.masks[share]), x.workspace, lk::on(x.one),
                       lk::into(lk::head_gradient(x.view(x.hidden_gradient, width), x.view(x.weights_gradient, width))))
          .loss;
    };
  };
  for (const std::size_t share : {10, 50, 100})
    add(std::string("head/").append(std::to_string(share)), [=](inputs& x) { return std::pair{head(x, share), share == 100 ? call{} : head(x, 100)}; }, true);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
