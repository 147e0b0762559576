// Gradients against central differences of the values, in double.

#include "catch.hpp"
#include "specimens.hpp"

#include <algorithm>
#include <cmath>

using namespace limbeck_test;

TEST_CASE("gradients are the differences of values") {
  for (const auto& loss : all_specimens())
    for (const double t : {1.0, 3.0}) {
      if (loss.own_temperature && t != 1) continue;
      if (loss.name == "adaptive_kl") continue;  // its weights are held
      const auto b = random_batch<double>(3, 9, 21, 1.5);
      const auto got = loss(b, t);
      const double h = 1e-5;
      double largest = 0, off = 0;
      for (std::size_t i = 0; i < b.size(); ++i) {
        auto up = b, down = b;
        up.student[i] += h;
        down.student[i] -= h;
        const double slope = (loss(up, t).loss - loss(down, t).loss) / (2 * h);
        largest = std::max(largest, std::fabs(slope));
        off = std::max(off, std::fabs(slope - got.gradient[i]));
      }
      INFO(loss.title() << ", T = " << t);
      CHECK(off < 1e-6 * largest);
    }
}
