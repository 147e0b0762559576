// Compiled for any processor; calls the other file where this one can run it, and catches its exceptions by name.
#define LIMBECK_TEST_FLAGS plain
#include "flags.hpp"

#include <cmath>

double work_of_wide(bool bad);

int main() {
  const double here = work(false);
  if (!__builtin_cpu_supports("avx2")) return 0;
  const double there = work_of_wide(false);
  if (!(std::fabs(here - there) <= 1e-6 * here)) return 1;
  try {
    work_of_wide(true);
  } catch (const limbeck::value_error&) {
    return 0;
  }
  return 2;
}
