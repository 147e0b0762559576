#ifndef LIMBECK_EXAMPLES_LIBTORCH_ROWS_HPP
#define LIMBECK_EXAMPLES_LIBTORCH_ROWS_HPP

// Which rows a step sees: one order for the trainer and for the loop by hand, so that only their losses differ.

#include <limbeck/trainer.hpp>

#include <cstdint>
#include <vector>

namespace distil {

namespace lk = limbeck;

constexpr std::size_t batch = 128;

/// Permutations of some rows, one after the other, told by a seed.
struct shuffled {
  lk::mixed_draw rows;
  std::uint64_t seed;
  shuffled(std::vector<std::size_t> all, std::uint64_t s) : rows{{std::move(all), batch}}, seed(s) {}
  std::vector<std::size_t> operator()(lk::draw_request r) {
    r.of_the_run = lk::random_stream(seed);
    return rows(r);
  }
};

}  // namespace distil

#endif
