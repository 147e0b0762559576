#include "all.hpp"

int second();
int second() { return LIMBECK_VERSION_MINOR; }
