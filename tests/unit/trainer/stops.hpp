#ifndef LIMBECK_TESTS_UNIT_TRAINER_STOPS_HPP
#define LIMBECK_TESTS_UNIT_TRAINER_STOPS_HPP

// A run that ends in its middle. Apart from toy.hpp, which is compiled without exceptions too.

#include <limbeck/trainer/training_run.hpp>

#include <cstdint>
#include <stdexcept>

namespace toy {

/// Ends a run after `step` steps, as a machine that fails.
struct stops_at {
  std::uint64_t step;
  void after_step(limbeck::training_run& run) const {
    if (run.step == step) throw std::runtime_error("the machine is gone");
  }
};

}  // namespace toy

#endif
