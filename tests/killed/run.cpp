// A run over ranks in which one of them fails: `run CHECKPOINT [HOW RANK WHEN]`. HOW is `step` (SIGKILL after that step), `save`
// (SIGKILL in the middle of that save), `throw` (an exception after that step), or one that no other rank is told of: `hook` (in the
// middle of that step) or `outside`.
// What rank 0 prints of a run that ends is its result, to the bit.
#include "../unit/trainer/toy.hpp"

#include <limbeck/mpi.hpp>
#include <limbeck/trainer/trainer.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace {

namespace lk = limbeck;

struct fate {
  const char* how = "";
  std::uint64_t when = 0;
  std::uint64_t saves = 0;
  bool is(const char* x) const { return std::strcmp(how, x) == 0; }
  void after_step(lk::training_run& run) const {
    if (run.step != when) return;
    if (is("step")) std::raise(SIGKILL);
    if (is("throw")) throw std::runtime_error("the machine is gone");
  }
  template <class Archive>
  void serialize(Archive&) {
    if (++saves == when && is("save")) std::raise(SIGKILL);
  }
};

}  // namespace

int main(int argc, char** argv) {
  return lk::mpi_main(argc, argv, [&](const lk::mpi& world) {
    fate mine;
    if (argc > 4 && std::atoi(argv[3]) == world.rank()) mine = {argv[2], static_cast<std::uint64_t>(std::atoi(argv[4]))};
    if (mine.is("outside")) throw std::runtime_error("somebody pulled a cable");
    toy::clouds data(60);
    data.noise = 0.3;  // of a stream that each rank has for itself
    data.random = lk::random_stream(static_cast<std::uint64_t>(world.rank()));
    toy::linear student(3);
    toy::adam adam;
    std::uint64_t from = 0, sums = 0;
    const auto sum_gradients = [&] {
      if (++sums == mine.when && mine.is("hook")) throw std::runtime_error("somebody pulled a cable");
      lk::all_reduce_sum(world, std::span(student.gradients()));
    };
    struct noted {
      std::uint64_t* from;
      void begin(lk::training_run& run) const { *from = run.resumed_from; }
    };
    lk::trainer trainer{student, lk::no_teacher{}, lk::cross_entropy{}, adam};
    const auto result = trainer.fit(data,
                                    {.epochs = 6,
                                     .batch = 16,
                                     .seed = 11,
                                     .checkpoint = argv[1],
                                     .checkpoint_every = 3,
                                     .ranks = {world, sum_gradients}},
                                    noted{&from}, mine);
    if (world.rank() == 0) {
      std::printf("steps %d loss %a weights", static_cast<int>(result.steps), result.loss);
      for (const double w : student.weights()) std::printf(" %a", w);
      std::printf("\n");
      std::fprintf(stderr, "from step %d\n", static_cast<int>(from));
    }
    return 0;
  });
}
