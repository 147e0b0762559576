#ifndef LIMBECK_TESTS_SUPPORT_PROPERTY_HPP
#define LIMBECK_TESTS_SUPPORT_PROPERTY_HPP

// RapidCheck inside a Catch2 test case, without its adapter, which knows only Catch2 v2:
//
//   CHECK_PROPERTY("softmax sums to one", [](std::vector<float> logits) { RC_ASSERT(...); });
//
// ctest fixes the seed; a test run by hand takes another seed each time and prints it when it fails.

#include "catch.hpp"

#include <rapidcheck.h>

#define CHECK_PROPERTY(description, ...) CHECK(rc::check(description, __VA_ARGS__))

#endif
