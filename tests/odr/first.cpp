// Two translation units that include everything must link: a function that is not inline would be defined twice.
#include "all.hpp"

int second();

int main() { return second() - LIMBECK_VERSION_MINOR; }
