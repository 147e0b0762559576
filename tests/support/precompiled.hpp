// What most tests include and nobody edits. Nothing of Limbeck: its headers must bring what they use.
#include "catch.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#if __has_include(<rapidcheck.h>)
#include <rapidcheck.h>
#endif
