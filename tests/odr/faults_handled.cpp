// Compiled without exceptions: every header that can be, and a handler of faults.
#define LIMBECK_TEST_FLAGS handled
#include "flags.hpp"

#if LIMBECK_TEST_EIGEN
#include <limbeck/eigen.hpp>
#endif
#if LIMBECK_TEST_DLPACK
#include <limbeck/dlpack.hpp>
#endif
#if LIMBECK_TEST_IO
#include <limbeck/io.hpp>
#endif
#if LIMBECK_TEST_TRAINER
#include <limbeck/trainer.hpp>

#include "../unit/trainer/toy.hpp"
#endif
#include <limbeck/averaging/averager.hpp>
#include <limbeck/selection/k_center.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace lk = limbeck;

namespace {

void print_and_leave(const std::exception& fault) {
  std::printf("handled: %s\n", fault.what());
  std::exit(0);
}

}  // namespace

double work_without_exceptions(bool bad);
double work_without_exceptions(bool bad) { return work(bad); }

// Ends the program with the fault's message, in a way of its own for each name; comes back for an unknown name.
void fault_without_exceptions(const std::string& name);
void fault_without_exceptions(const std::string& name) {
  if (name != "aborted" && lk::set_fault_handler(print_and_leave) != nullptr) std::exit(2);
  if (name == "loss" || name == "aborted") work(true);
  if (name == "pool") {
    const std::vector<float> points(4, 0.F);
    lk::k_center{}(lk::rows<const float>(points.data(), 2, 2), {.budget = 3});
  }
  if (name == "averager") {
    std::vector<float> teacher{1}, student{1, 2};
    lk::averager(lk::ema{.decay = 0.9}, lk::in_place(teacher)).update(student);
  }
#if LIMBECK_TEST_TRAINER
  if (name == "bad_steps") {
    toy::clouds data(8);
    toy::linear student;
    lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, toy::sgd{}}.fit(data, {.batch = 4, .skip_bad_steps = 1});
  }
#endif
#if LIMBECK_TEST_IO
  if (name == "file") lk::npy_file("no such file.npy");
#endif
}
