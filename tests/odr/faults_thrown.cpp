// Compiled with exceptions, beside a file without: each keeps its own way with faults, and the numbers are the same.
#define LIMBECK_TEST_FLAGS thrown
#include "flags.hpp"

#include <cstdio>
#include <string>

double work_without_exceptions(bool bad);
void fault_without_exceptions(const std::string& name);

int main(int count, char** words) {
  if (count > 1) {
    fault_without_exceptions(words[1]);
    std::puts("no fault");
    return 1;
  }
  if (work(false) != work_without_exceptions(false)) return 2;
  try {
    work(true);
  } catch (const limbeck::value_error&) {
    std::puts("thrown");
    return 0;
  }
  return 3;
}
