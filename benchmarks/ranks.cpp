// k-center and PCoreSet over the ranks of MPI:
//
//     mpirun -n 2 build/bench/benchmarks/limbeck_bench_ranks [rows [picks]]
//
// 2,000,000 x 100 in float, 1000 picks: rows around a hundred centres, and the probabilities of such logits. The same pool is
// chosen from by 1, 2, 4, ... ranks, up to those that there are, while the others sleep. Every time is the fastest of two.
//   through    once through the pool, with its checks: what the first choice takes
//   a pick     what each further one takes
//   work       of it, what the processor of the rank with the most of it did outside of messages: on a machine that does other things
//              too, what a pick would take without them and without messages
//   speed-up   of the picks and, in parentheses, of the work, against one rank
//   messages   a pick; each is an all-gather
//   bytes      that a rank sends to each other one, a pick
//   message    what such an all-gather takes by itself
// The last column is a digest of the rows chosen: the same whatever the ranks.

#include <limbeck/core/random.hpp>
#include <limbeck/mpi.hpp>
#include <limbeck/ranks.hpp>
#include <limbeck/selection/pcoreset.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <span>
#include <thread>
#include <vector>

namespace {

namespace lk = limbeck;

constexpr std::size_t columns = 100;

/// Rows [first, first + count) of a pool that depends on no rank: four uniform numbers are nearly a normal one.
std::vector<float> rows_of(std::size_t first, std::size_t count, bool probabilities) {
  const auto fill = [](std::uint64_t seed, float* out) {
    lk::random_stream random(seed);
    for (std::size_t c = 0; c < columns; ++c) {
      std::uint64_t bits = random();
      float total = -2;
      for (int k = 0; k < 4; ++k, bits >>= 16) total += static_cast<float>(bits & 0xffff) * 0x1p-16F;
      out[c] = total * 1.732F;
    }
  };
  std::vector<float> x(count * columns), means(100 * columns);
  for (std::size_t k = 0; k < 100; ++k) fill(k, means.data() + k * columns);
  for (std::size_t r = 0; r < count; ++r) {
    float* const row = x.data() + r * columns;
    fill(1000 + first + r, row);
    const float* const mean = means.data() + lk::random_stream(first + r).below(100) * columns;
    for (std::size_t c = 0; c < columns; ++c) row[c] += 2 * mean[c];
    if (!probabilities) continue;
    float total = 0;
    for (std::size_t c = 0; c < columns; ++c) total += row[c] = std::exp(row[c]);
    for (std::size_t c = 0; c < columns; ++c) row[c] /= total;
  }
  return x;
}

/// Seconds that the processor has worked for this thread.
double worked() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// A communicator that knows how long its messages have kept the processor: MPI waits by asking.
class timed {
 public:
  explicit timed(const lk::counted<lk::mpi>& to) : to_(to) {}
  int rank() const { return to_.rank(); }
  int size() const { return to_.size(); }
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) const {
    time([&] { to_.all_gather(mine, all); });
  }
  void all_to_all(std::span<const std::byte> mine, std::span<std::byte> all) const {
    time([&] { to_.all_to_all(mine, all); });
  }
  void broadcast(std::span<std::byte> bytes, int root) const {
    time([&] { to_.broadcast(bytes, root); });
  }
  double seconds() const { return seconds_; }

 private:
  template <class F>
  void time(F f) const {
    const double begin = worked();
    f();
    seconds_ += worked() - begin;
  }
  const lk::counted<lk::mpi>& to_;
  mutable double seconds_ = 0;
};

struct figures {
  double seconds = 1e9, work = 1e9;
  std::size_t calls = 0, bytes = 0;
  std::uint64_t digest = 0;
};

template <class Selector>
figures measure(const lk::mpi& world, const Selector& selector, const lk::rows<const float>& own, std::size_t picks) {
  figures best;
  for (int round = 0; round < 2; ++round) {
    const lk::counted<lk::mpi> counted(world);
    const timed through(counted);
    (void)lk::all_gather(world, 0);  // all begin together
    const auto begin = std::chrono::steady_clock::now();
    const double idle = worked();
    const std::vector<std::size_t> rows = lk::over_ranks(through, selector)(own, {.budget = picks});
    const double work = worked() - idle - through.seconds();
    const double mine = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best.seconds = (std::min)(best.seconds, lk::all_reduce_max(world, mine));
    best.work = (std::min)(best.work, lk::all_reduce_max(world, work));
    best.calls = counted.calls(), best.bytes = counted.bytes(), best.digest = 0;
    for (const std::size_t r : rows) best.digest = best.digest * 31 + r;
  }
  return best;
}

/// Seconds that an all-gather of @p bytes takes.
double message(const lk::mpi& world, std::size_t bytes) {
  const std::vector<char> mine(bytes);
  const auto begin = std::chrono::steady_clock::now();
  for (int k = 0; k < 1000; ++k) (void)lk::all_gather(world, std::span<const char>(mine));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / 1000;
}

struct a_pick {
  double seconds = 0, work = 0;
};

template <class Selector>
a_pick line(const char* name, const lk::mpi& world, const Selector& selector, const lk::rows<const float>& own, std::size_t picks,
            const a_pick& alone) {
  const figures one = measure(world, selector, own, 1), all = measure(world, selector, own, picks);
  const double others = (std::max)(1, world.size() - 1), n = static_cast<double>(picks - 1);
  const double calls = static_cast<double>(all.calls - one.calls), bytes = static_cast<double>(all.bytes - one.bytes) / others;
  const a_pick now{(all.seconds - one.seconds) / n, (all.work - one.work) / n}, &first = world.size() > 1 ? alone : now;
  const double bare = world.size() > 1 ? message(world, static_cast<std::size_t>(bytes / calls)) : 0;
  if (world.rank() == 0) {
    std::printf("| %s | %d | %.2f | %.2f | %.0f | %.0f | %.0f | %.2f (%.2f) | %.2f | %.0f | %.1f | %016llx |\n", name, world.size(),
                all.seconds, one.seconds, now.seconds * 1e6, now.work * 1e6, 1 / now.seconds, first.seconds / now.seconds,
                first.work / now.work, calls / n, bytes / n, bare * 1e6, static_cast<unsigned long long>(all.digest));
    std::fflush(stdout);
  }
  return now;
}

}  // namespace

int main(int argc, char** argv) {
  return lk::mpi_main(argc, argv, [&](const lk::mpi& all) {
    const std::size_t rows = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2'000'000;
    const std::size_t picks = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1000;
    if (all.rank() == 0)
      std::printf("%zu x %zu, %zu picks\n\n"
                  "| selector | ranks | s | through, s | a pick, us | work, us | picks/s | speed-up | messages | bytes | message, us | digest |\n"
                  "|---|---|---|---|---|---|---|---|---|---|---|---|\n",
                  rows, columns, picks);
    a_pick alone[2];
    for (int ranks = 1; ranks <= all.size(); ranks *= 2) {
      MPI_Comm some;
      MPI_Comm_split(all.handle(), all.rank() < ranks ? 0 : 1, all.rank(), &some);
      if (all.rank() < ranks) {
        const lk::mpi world(some);
        const lk::shards of = lk::shards::even(world, rows);
        for (const bool probabilities : {false, true}) {
          const std::vector<float> x = rows_of(of.first(), of.count(), probabilities);
          const lk::rows<const float> own(x.data(), of.count(), columns);
          a_pick& first = alone[probabilities];
          const a_pick now = probabilities ? line("pcoreset", world, lk::pcoreset{}, own, picks, first)
                                           : line("k_center", world, lk::k_center{}, own, picks, first);
          if (ranks == 1) first = now;
        }
      }
      MPI_Comm_free(&some);
      MPI_Request here;
      MPI_Ibarrier(all.handle(), &here);
      for (int done = 0; MPI_Test(&here, &done, MPI_STATUS_IGNORE), !done;) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return 0;
  });
}
