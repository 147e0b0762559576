#ifndef LIMBECK_TESTS_SUPPORT_CATCH_HPP
#define LIMBECK_TESTS_SUPPORT_CATCH_HPP

// Catch2 in the version that the system has: 3 where it is, 2 on Debian 12. `Approx` and the matchers are reached by
// the same names in both.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

#endif
