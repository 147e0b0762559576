// Value and gradient of the losses between samples, and the matrix product that they stand on.
//
// Names are type/what/sizes. Every time is the fastest of its rounds; counters:
//   ms        the subject
//   floor     subject / the least arithmetic it needs at the machine's measured rate of multiply-adds in registers:
//             two products of n x n x width for a loss over a Gram matrix, one more for the teacher, n^3 triplets
//             of 12 for the angle
//   gflops    useful operations a second (products)
//   to_eigen  subject / Eigen's product of the same matrices, as its users write it (products)
// peers/relations.py times PyTorch on the same shapes.

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of g++ 12's own AVX-512 header, in Eigen's products
#endif

#include "rounds.hpp"

#include <limbeck/engine/dense.hpp>
#include <limbeck/loss/relations/cka.hpp>
#include <limbeck/loss/relations/correlation_congruence.hpp>
#include <limbeck/loss/relations/dist.hpp>
#include <limbeck/loss/relations/nst.hpp>
#include <limbeck/loss/relations/pkt.hpp>
#include <limbeck/loss/relations/rkd.hpp>
#include <limbeck/loss/relations/similarity_preserving.hpp>

#if defined(LIMBECK_BENCH_EIGEN)
#include <Eigen/Core>
#endif

#include <memory>
#include <string>

namespace {

using namespace bench;

template <class T>
void finish(benchmark::State& state, const fastest& subject, double operations) {
  static const double rate = multiply_adds<T>();
  state.counters["ms"] = subject.seconds_() * 1e3;
  state.counters["floor"] = subject.seconds_() / (operations / rate);
}

/// @p operations multiply-adds are the least.
template <class T, class Loss>
void add_loss(const std::string& name, const Loss& loss, std::size_t n, std::size_t c, double operations) {
  const std::string full =
      std::string(sizeof(T) == 4 ? "float/" : "double/") + name + "/" + std::to_string(n) + "/" + std::to_string(c);
  benchmark::RegisterBenchmark(
      full.c_str(),
      [=](benchmark::State& state) {
        batch<T> data(n, c);
        lk::serial one;
        const lk::executor_ref on(one);
        const auto work = [&] {
          lk::scratch scratch(data.workspace);
          const lk::batch<T> x{data.s(), data.t(), {}, data.g(), T(1), 1, 1, scratch, on, lk::detail::dense_of<T>()};
          benchmark::DoNotOptimize(loss(x));
          benchmark::ClobberMemory();
        };
        work();
        fastest subject;
        for (auto round : state) {
          (void)round;
          state.SetIterationTime(subject(work));
        }
        finish<T>(state, subject, operations);
      })
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

template <class T>
void add_product(std::size_t n, std::size_t k, std::size_t m) {
  const std::string full = std::string(sizeof(T) == 4 ? "float" : "double") + "/product/" + std::to_string(n) + "/" +
                           std::to_string(k) + "/" + std::to_string(m);
  benchmark::RegisterBenchmark(full.c_str(),
                               [=](benchmark::State& state) {
                                 batch<T> a(n, k), b(k, m), c(n, m);
                                 lk::serial one;
                                 const lk::executor_ref on(one);
                                 const auto work = [&] {
                                   lk::scratch scratch(c.workspace);
                                   lk::detail::dense_of<T>().multiply(T(1), a.s(), b.s(), T(0), c.g(), scratch, on);
                                   benchmark::ClobberMemory();
                                 };
                                 work();
                                 fastest subject;
                                 [[maybe_unused]] fastest other;
                                 for (auto round : state) {
                                   (void)round;
                                   state.SetIterationTime(subject(work));
#if defined(LIMBECK_BENCH_EIGEN)
                                   using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
                                   const auto index = [](std::size_t i) { return static_cast<Eigen::Index>(i); };
                                   const Eigen::Map<const matrix> x(a.student.data(), index(n), index(k)),
                                       y(b.student.data(), index(k), index(m));
                                   Eigen::Map<matrix> z(c.gradient.data(), index(n), index(m));
                                   other([&] {
                                     z.noalias() = x * y;
                                     benchmark::ClobberMemory();
                                   });
#endif
                                 }
                                 const double operations = static_cast<double>(n * k * m);
                                 finish<T>(state, subject, operations);
                                 state.counters["gflops"] = 2e-9 * operations / subject.seconds_();
#if defined(LIMBECK_BENCH_EIGEN)
                                 state.counters["to_eigen"] = subject.seconds_() / other.seconds_();
#endif
                               })
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond);
}

template <class T>
void add_type() {
  add_product<T>(256, 512, 256);
  add_product<T>(512, 512, 512);
  add_product<T>(1024, 1024, 1024);
  for (const std::size_t n : {64u, 256u}) {
    const double size = static_cast<double>(n), gram = 3 * size * size * 512;
    add_loss<T>("rkd_distance", lk::rkd_distance{}, n, 512, gram);
    add_loss<T>("rkd_angle", lk::rkd_angle{}, n, 512, gram + 12 * size * size * size);
    add_loss<T>("similarity_preserving", lk::similarity_preserving{}, n, 512, gram);
    add_loss<T>("correlation_congruence", lk::correlation_congruence{}, n, 512, gram);
    add_loss<T>("pkt", lk::pkt{}, n, 512, gram);
    add_loss<T>("linear_cka", lk::linear_cka{}, n, 512, gram);
    add_loss<T>("nst", lk::nst{.positions = 16}, n, 512, 4 * size * 512 * 16);
    add_loss<T>("dist", lk::dist{}, n, 1000, 60 * size * 1000);
  }
}

}  // namespace

int main(int argc, char** argv) {
#if defined(LIMBECK_BENCH_EIGEN)
  Eigen::setNbThreads(1);  // it would take OpenMP's
#endif
  add_type<float>();
  add_type<double>();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
