// A pool in shards: each rank has its part of the digits. The ranks choose together which rows get labels, and train one student on all
// rows, which none of them has. Runs alone, or by `mpirun -n 2`; README.md has the results.

#include "../common/command_line.hpp"
#include "../common/data.hpp"
#include "../common/metrics.hpp"
#include "../common/optimizers.hpp"
#include "../common/table.hpp"
#include "shard.hpp"

#include <limbeck/eigen.hpp>
#include <limbeck/ranks.hpp>
#include <limbeck/trainer.hpp>
#if LIMBECK_EXAMPLE_MPI
#include <limbeck/mpi.hpp>
#endif

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

namespace ranks {

using namespace examples;
namespace lk = limbeck;

struct options {
  int seeds = 5, rounds = 5, budget = 10, epochs = 30;
  std::string out = "ranks-results", data = LIMBECK_EXAMPLE_FOLDER "/../data";
};
constexpr const char* usage = R"(Labels bought and a student distilled over ranks, on handwritten digits: alone, or by mpirun -n 2.
  --seeds N    draws of the first labels (5)
  --rounds N   in which labels are bought (5)
  --budget N   labels a round (10)
  --epochs N   of the student (30)
  --out DIR    folder of the checkpoints (ranks-results), seen by all ranks or not
  --data DIR   folder of digits.csv.gz
  --quick      1 seed, 2 rounds, 4 epochs: a look at the program, not at the method
)";

/// A student's run: it is interrupted once, as by Ctrl-C on the last rank, and goes on.
template <class World>
mlp distil(const World& world, const std::string& checkpoint, pool_shard& pool, lk::rows<const float> taught, std::size_t epochs,
           std::uint64_t seed, bool interrupted) {
  const auto start = [&] {
    mlp student({64, 24, 10}, seed);
    own_logits teacher{pool, taught};
    lk::trainer trainer{student, teacher, lk::at_temperature(3.0, lk::forward_kl{}), adam(lk::cosine(0.01, 0.0))};
    struct {
      bool act;
      void after_step(lk::training_run& run) const {
        if (act && run.step == run.steps / 2) std::raise(SIGINT);
      }
    } signal{interrupted && world.rank() == world.size() - 1};
    const auto result =
        trainer.fit(pool, {.epochs = epochs, .batch = 64, .seed = seed, .checkpoint = checkpoint, .ranks = world}, signal);
    interrupted = result.interrupted;
    return student;
  };
  mlp student = start();
  if (interrupted) student = start();  // a program that is run again
  return student;
}

template <class World>
void run(const World& world, int argc, char** argv) {
  options o;
  command_line line(usage);
  line.whole("--seeds", o.seeds, 1, 1'000).whole("--rounds", o.rounds, 1, 50).whole("--budget", o.budget, 1, 20);
  line.whole("--epochs", o.epochs, 1, 10'000).text("--out", o.out).text("--data", o.data);
  line.flag("--quick", [&] { o.seeds = 1, o.rounds = 2, o.epochs = 4; });
  line.parse(argc, argv);

  // The first rows test. Of the others a rank keeps its part.
  constexpr std::size_t test_rows = 360;
  const digit_images all = read_digits(o.data);
  const dataset test{all.grey.topRows(test_rows), {all.digits.begin(), all.digits.begin() + test_rows}, {}};
  const auto of = lk::shards::even(world, all.digits.size() - test_rows);
  const auto first = static_cast<Eigen::Index>(test_rows + of.first()), count = static_cast<Eigen::Index>(of.count());
  pool_shard pool{of, all.grey.middleRows(first, count), {all.digits.begin() + first, all.digits.begin() + first + count}};
  lk::counted<World> counter(world);
  const matrix whole = matrix::Zero(std::ssize(pool), 1);  // for a choice that looks at nothing

  std::filesystem::create_directories(o.out);
  const auto fresh = [&](const std::string& name) {
    if (world.rank() == 0) std::filesystem::remove(o.out + '/' + name);
    return o.out + '/' + name;
  };
  const std::vector<std::string> arms{"random", "PCoreSet"};
  const auto epochs = static_cast<std::size_t>(o.epochs);
  std::vector<std::vector<double>> teachers(2), students(2);
  std::size_t asked = 0, steps = 0, bytes_asked = 0, bytes_trained = 0;
  bool same = true;
  for (std::uint64_t seed = 0; seed < static_cast<std::uint64_t>(o.seeds); ++seed)
    for (std::size_t arm = 0; arm < arms.size(); ++arm) {
      row_numbers labelled = shuffled(of.total(), seed);
      labelled.resize(static_cast<std::size_t>(o.budget));
      mlp teacher({64, 64, 10}, seed);
      for (int round = 1;; ++round) {
        // Each rank trains the same teacher on what was bought: few rows, which all may have.
        const dataset bought = pool.gather(world, labelled);
        teacher = mlp({64, 64, 10}, seed);
        lk::trainer learn{teacher, lk::no_teacher{}, lk::cross_entropy{}, adam(lk::cosine(0.01, 0.0))};
        learn.fit(bought, {.steps = 300, .batch = 32, .seed = seed});
        if (round == o.rounds) break;
        // Its predictions of the pool stay where the rows are; what travels are proposals.
        const lk::query query{.budget = static_cast<std::size_t>(o.budget), .labelled = labelled, .seed = seed};
        row_numbers more;
        if (arm == 0) {
          more = lk::random_rows{}(whole, query);
        } else {
          counter.reset();
          more = lk::over_ranks(counter, lk::pcoreset{})(lk::softmax_of(teacher.forward(pool.own)), query);
          bytes_asked += counter.bytes(), asked += more.size();
        }
        labelled.insert(labelled.end(), more.begin(), more.end());
      }
      const matrix taught = teacher.forward(pool.own);
      const lk::rows<const float> logits(taught.data(), of.count(), 10);
      counter.reset();
      mlp student = distil(counter, fresh("stopped.ckpt"), pool, logits, epochs, seed, true);
      bytes_trained += counter.bytes();
      steps += epochs * ((of.total() - 1) / 64 + 1);
      mlp never = distil(world, fresh("never.ckpt"), pool, logits, epochs, seed, false);
      same = same && std::ranges::equal(student.flat_parameters(), never.flat_parameters());
      teachers[arm].push_back(100 * lk::evaluate(teacher, test, 256, world).accuracy());
      students[arm].push_back(100 * lk::evaluate(student, test, 256, world).accuracy());
    }
  if (world.rank() != 0) return;
  table results("digits, " + std::to_string(o.rounds * o.budget) + " labels", {{"teacher"}, {"student"}});
  for (std::size_t arm = 0; arm < arms.size(); ++arm) results.add(arms[arm], {teachers[arm], students[arm]});
  results.print();
  std::printf("interrupted and resumed: %s\n", same ? "the same bits" : "OTHER bits");
  const auto each = [](std::size_t bytes, std::size_t things) { return static_cast<double>(bytes) / static_cast<double>(things); };
  std::printf("%d rank%s; each sends %.0f bytes a pick and %.0f bytes a step of %zu parameters\n", world.size(),
              world.size() == 1 ? "" : "s", each(bytes_asked, asked), each(bytes_trained, steps),
              mlp({64, 24, 10}, 0).flat_parameters().size());
  if (!same) throw std::runtime_error("a run that was resumed is not the one that never stopped");
}

}  // namespace ranks

#if LIMBECK_EXAMPLE_MPI
int main(int argc, char** argv) {
  return limbeck::mpi_main(argc, argv, [&](const limbeck::mpi& world) {
    ranks::run(world, argc, argv);
    return 0;
  });
}
#else
int main(int argc, char** argv) try {
  ranks::run(limbeck::one_rank{}, argc, argv);
} catch (const std::exception& e) {
  std::fprintf(stderr, "ranks: %s\n", e.what());
  return 1;
}
#endif
