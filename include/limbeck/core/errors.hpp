#ifndef LIMBECK_CORE_ERRORS_HPP
#define LIMBECK_CORE_ERRORS_HPP

/// @file
/// The two exceptions of the library. Each message names the argument, and the row, column and value where there
/// is one; inputs and state are as they were, the content of an output is unspecified.

#include <limbeck/core/config.hpp>

#include <stdexcept>
#include <string>

LIMBECK_BEGIN_COMMON_NAMESPACE

/// Sizes that do not fit together, found before any value is read.
struct shape_error : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

/// A value outside its domain: a NaN logit, a label out of range, a temperature that is not positive.
struct value_error : std::domain_error {
  using std::domain_error::domain_error;
};

LIMBECK_END_NAMESPACE

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// A number as a person would write it: "4", "0.25", "nan".
inline std::string show(double x) {
  if (x != x) return "nan";
  if (x - x != 0) return x > 0 ? "inf" : "-inf";
  std::string s = std::to_string(x);
  if (x != 0 && (x < 1e-4 && x > -1e-4)) {  // to_string has six decimals only
    int exponent = 0;
    double m = x;
    for (; m < 1 && m > -1; --exponent) m *= 10;
    s = std::to_string(m);
    s.erase(s.find_last_not_of('0') + 1);
    if (s.back() == '.') s.pop_back();
    return s + "e" + std::to_string(exponent);
  }
  s.erase(s.find_last_not_of('0') + 1);
  if (s.back() == '.') s.pop_back();
  return s;
}

[[noreturn]] inline void throw_shape(const std::string& argument, std::size_t rows, std::size_t columns,
                                     std::size_t expected_rows, std::size_t expected_columns) {
  throw shape_error("limbeck: " + argument + " has shape " + std::to_string(rows) + " x " + std::to_string(columns) +
                    ", expected " + std::to_string(expected_rows) + " x " + std::to_string(expected_columns) +
                    " (samples x classes)");
}

[[noreturn]] inline void throw_length(const std::string& argument, std::size_t length, std::size_t expected,
                                      const char* what = "one a row") {
  throw shape_error("limbeck: " + argument + " has " + std::to_string(length) + " elements, expected " +
                    std::to_string(expected) + " (" + what + ")");
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
