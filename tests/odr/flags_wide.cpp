#define LIMBECK_TEST_FLAGS wide
#include "flags.hpp"

double work_of_wide(bool bad);
double work_of_wide(bool bad) { return work(bad); }
