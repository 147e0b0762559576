// What most tests of a program include, read once for all of them, by g++ Limbeck too. That each header brings what it uses is
// another test's to show: it compiles each alone.
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

// clang 14 ends on lambdas in types that it reads from a precompiled header.
#ifndef __clang__
#include <limbeck/limbeck.hpp>
#if LIMBECK_TEST_EIGEN
#include <limbeck/eigen.hpp>
#endif
#if LIMBECK_TEST_XTENSOR
#include <limbeck/xtensor.hpp>
#endif
#if LIMBECK_TEST_THRUST
#include <limbeck/thrust.hpp>
#endif
#if LIMBECK_TEST_TRAINER
#include <limbeck/trainer.hpp>
#endif
#if LIMBECK_TEST_IO
#include <limbeck/io.hpp>
#endif
#if LIMBECK_TEST_DLPACK
#include <limbeck/dlpack.hpp>
#endif
#endif
