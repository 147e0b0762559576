// Value and gradient of losses between layers, pictures and two towers, as calls of an objective, one thread.
//
// Names are float/what/sizes. Every time is the fastest of its rounds; counters:
//   ms          the subject
//   byte_floor  subject / a = b + x c over student, teacher and gradient (losses without a product)
//   exp_floor   subject / the exponentials of its softmaxes
//   floor       subject / the least multiply-adds of its products at the rate that registers allow
//   loss        what the call returns
//   slope       the inner product of all its gradients with numbers of a generator
// peers/features.py makes the same numbers of the same inputs in PyTorch, and benchmarks/run compares both counters.

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of g++ 12's own AVX-512 header, in products
#endif

#include "numbers.hpp"
#include "rounds.hpp"

#include <limbeck/features.hpp>
#include <limbeck/map/unit_rows.hpp>
#include <limbeck/map/views.hpp>
#include <limbeck/relations.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace {

using namespace bench;

void fill(std::span<float> x, std::uint32_t stream, float scale = 1) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = scale * number(stream, i);
}
enum stream : std::uint32_t { of_student = 1, of_teacher, of_labels, of_weights, of_slopes };  // of_slopes + k is for gradient k

/// What a call reads and writes, and all gradients that it leaves.
struct sides : batch<float> {
  std::size_t teacher_classes;
  std::vector<float> teacher_gradient;
  lk::serial one;
  std::vector<std::span<const float>> gradients;

  sides(std::size_t n, std::size_t c, std::size_t teacher_c)
      : batch<float>(n, c), teacher_classes(teacher_c), teacher_gradient(n * teacher_c), gradients{gradient} {
    teacher.resize(n * teacher_c);
    fill(student, of_student);
    fill(teacher, of_teacher);
  }
  lk::rows<const float> t() const { return {teacher.data(), samples, teacher_classes}; }
  lk::rows<float> h() { return {teacher_gradient.data(), samples, teacher_classes}; }
  void label(std::size_t count, std::size_t classes_) {
    labels.resize(count);
    for (std::size_t i = 0; i < count; ++i) labels[i] = static_cast<int>(hash(of_labels, i) % classes_);
  }
};

/// The least that a case needs.
struct least {
  double exponentials = 0, multiply_adds = 0;
  bool bytes = false;
};

/// @p prepare(sides&) returns a call, which returns its loss.
template <class Prepare>
void add(const std::string& name, std::size_t n, std::size_t c, std::size_t teacher_c, const least& floor, const Prepare& prepare) {
  benchmark::RegisterBenchmark(("float/" + name).c_str(),
                               [=](benchmark::State& state) {
                                 sides data(n, c, teacher_c);
                                 const auto call = prepare(data);
                                 double loss = call(), slope = 0;
                                 for (std::uint32_t k = 0; k < data.gradients.size(); ++k)
                                   for (std::size_t i = 0; i < data.gradients[k].size(); ++i)
                                     slope += static_cast<double>(data.gradients[k][i]) * static_cast<double>(number(of_slopes + k, i));
                                 exponential_rate<float> exponentials;
                                 fastest subject, bytes;
                                 for (auto round : state) {
                                   (void)round;
                                   state.SetIterationTime(subject([&] {
                                     benchmark::DoNotOptimize(call());
                                     benchmark::ClobberMemory();
                                   }));
                                   if (floor.bytes) bytes([&] { triad(data, 1); });
                                   if (floor.exponentials > 0) exponentials.measure();
                                 }
                                 const double ms = 1e3 * subject.seconds_();
                                 state.counters["ms"] = ms;
                                 state.counters["loss"] = loss;
                                 state.counters["slope"] = slope;
                                 if (floor.bytes) state.counters["byte_floor"] = subject.seconds_() / bytes.seconds_();
                                 if (floor.exponentials > 0)
                                   state.counters["exp_floor"] = subject.seconds_() / (floor.exponentials * exponentials.seconds_each());
                                 if (floor.multiply_adds > 0) {
                                   static const double rate = multiply_adds<float>();
                                   state.counters["floor"] = subject.seconds_() * rate / floor.multiply_adds;
                                 }
                               })
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

std::string sizes(const std::string& what, std::initializer_list<std::size_t> of) {
  std::string name = what;
  for (const std::size_t n : of) name.append("/").append(std::to_string(n));
  return name;
}

/// The loss and the student's gradient.
template <class Loss>
void add_loss(const std::string& name, std::size_t n, std::size_t c, const least& floor, const Loss& loss) {
  add(name, n, c, c, floor, [=](sides& x) {
    return [&x, objective = lk::objective{loss}] { return objective(x.s(), x.t(), x.workspace, lk::on(x.one), lk::into(x.g())).loss; };
  });
}
/// The loss and the gradients of both sides; with labels of 10 classes where they are needed.
template <bool Labels = false, class Loss>
void add_towers(const std::string& what, std::size_t n, std::size_t c, double products, const Loss& loss) {
  add(sizes(what, {n, c}), n, c, c, least{.multiply_adds = products}, [=](sides& x) {
    x.gradients.push_back(x.teacher_gradient);
    if constexpr (Labels) x.label(n, 10);
    return [&x, objective = lk::objective{loss}] {
      const auto call = [&](const auto&... labels) {
        return objective(x.s(), x.t(), labels..., x.workspace, lk::on(x.one), lk::into(x.g()), lk::into_teacher(x.h())).loss;
      };
      if constexpr (Labels) {
        return call(x.labels);
      } else {
        return call();
      }
    };
  });
}

void add_channels(std::size_t n, std::size_t channels, std::size_t positions) {
  const double size = static_cast<double>(n * channels * positions);
  add_loss(sizes("channel_kl", {n, channels, positions}), n, channels * positions, {.exponentials = 2 * size, .bytes = true},
           lk::by_channel(channels, lk::at_temperature(4.0, lk::forward_kl{})));
}

void add_positions(std::size_t n, std::size_t channels, std::size_t positions) {
  const double size = static_cast<double>(n * channels * positions);
  add(sizes("positions", {n, channels, positions}), n, channels * positions, channels * positions,
      {.exponentials = 3 * size, .bytes = true}, [=](sides& x) {
        x.label(n * positions, channels);
        const auto objective = lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{});
        return [&x, channels, objective] {
          return objective(lk::positions_as_rows(x.s(), channels), lk::positions_as_rows(x.t(), channels), x.labels, x.workspace,
                           lk::on(x.one), lk::into(lk::positions_as_rows(x.g(), channels)))
              .loss;
        };
      });
}

void add_projected(std::size_t n, std::size_t inputs, std::size_t outputs) {
  add(sizes("projected_hint", {n, inputs, outputs}), n, inputs, outputs,
      {.multiply_adds = 3 * static_cast<double>(n * inputs * outputs)}, [=](sides& x) {
        const auto p = std::make_shared<lk::projection<float>>(inputs, outputs);
        fill(p->parameters()[0], of_weights, 1.0F / 32);
        for (const auto& g : p->gradients()) x.gradients.push_back(g);
        return [&x, p, objective = lk::objective{lk::projected(*p, lk::hint{})}] {
          p->zero_gradients();
          return objective(x.s(), x.t(), x.workspace, lk::on(x.one), lk::into(x.g())).loss;
        };
      });
}

}  // namespace

int main(int argc, char** argv) {
  add_channels(8, 19, 64 * 64);
  add_channels(8, 256, 32 * 32);
  add_positions(8, 21, 64 * 64);
  add_loss(sizes("position_similarity", {16, 64, 14 * 14}), 16, 64 * 14 * 14, {.multiply_adds = 3.0 * 16 * 196 * 196 * 64},
           lk::by_position(64, lk::similarity_preserving{}));
  add_loss(sizes("unit_rows_mse", {1024, 512}), 1024, 512, {.bytes = true}, lk::through(lk::unit_rows{}, lk::mse{}));
  add_projected(256, 512, 1024);
  add_towers("nt_xent", 512, 128, 2.0 * 1024 * 1024 * 128, lk::nt_xent{});
  add_towers<true>("supervised_contrast", 512, 128, 2.0 * 1024 * 1024 * 128, lk::supervised_contrast{});
  add_towers("cross_correlation", 1024, 256, 3.0 * 256 * 256 * 1024, lk::cross_correlation{});
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
