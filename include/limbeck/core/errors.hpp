#ifndef LIMBECK_CORE_ERRORS_HPP
#define LIMBECK_CORE_ERRORS_HPP

/// @file
/// The two exceptions of the library, and what becomes of them where there are no exceptions. Each message names the
/// argument, and the row, column and value where there is one; inputs and state are as they were, the content of an output
/// is unspecified.

#include <limbeck/core/config.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

LIMBECK_BEGIN_COMMON_NAMESPACE

/// Sizes that do not fit together, found before any value is read.
struct shape_error : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

/// A value outside its domain: a NaN logit, a label out of range, a temperature that is not positive.
struct value_error : std::domain_error {
  using std::domain_error::domain_error;
};

/// What a program built without exceptions does with a fault: log it, reset the board. Where it returns, the program aborts.
/// It must not long-jump out of the call, whose objects would never be destroyed.
using fault_handler = void (*)(const std::exception& fault);

/// @cond
inline std::atomic<fault_handler> fault_handler_in_use{nullptr};
/// @endcond

#if !LIMBECK_DETAIL_EXCEPTIONS || defined(LIMBECK_DOXYGEN)
/// Sets what happens at every fault in code built without exceptions (`-fno-exceptions`), for all threads, and returns what
/// was set before; null, the beginning, prints the message to stderr and aborts. Declared in such builds only: where there
/// are exceptions, faults are thrown.
inline fault_handler set_fault_handler(fault_handler handler) noexcept { return fault_handler_in_use.exchange(handler); }
#endif

LIMBECK_END_NAMESPACE

LIMBECK_BEGIN_NAMESPACE

/// Throws Fault(what); without exceptions, calls the `fault_handler` with it and does not return. What a policy of your
/// own calls in the place of `throw` if it should work in both.
template <class Fault>
[[noreturn]] constexpr void raise(const std::string& what) {
#if LIMBECK_DETAIL_EXCEPTIONS
  throw Fault(what);
#else
  const Fault fault(what);
  if (const fault_handler handler = fault_handler_in_use.load()) {
    handler(fault);
  } else {
    std::fputs(fault.what(), stderr);
    std::fputc('\n', stderr);
  }
  std::abort();
#endif
}

namespace detail {

/// f(), and on_fault(e) where that throws an E. Without exceptions f() alone: nothing comes back from a fault.
template <class E, class F, class G>
auto attempt(F f, [[maybe_unused]] G on_fault) {
#if LIMBECK_DETAIL_EXCEPTIONS
  try {
    return f();
  } catch (const E& e) {
    return on_fault(e);
  }
#else
  return f();
#endif
}
/// Inside such an on_fault: lets the exception go on.
[[noreturn]] inline void go_on() {
#if LIMBECK_DETAIL_EXCEPTIONS
  throw;
#else
  std::abort();
#endif
}
/// f(), and otherwise() in the place of any exception.
template <class F, class G>
void or_else(F f, [[maybe_unused]] G otherwise) {
#if LIMBECK_DETAIL_EXCEPTIONS
  try {
    f();
  } catch (...) {
    otherwise();
  }
#else
  f();
#endif
}
/// f(), and undo() before any exception goes on.
template <class F, class G>
void or_undo(F f, G undo) {
  or_else(f, [&] {
    undo();
    go_on();
  });
}

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
  raise<shape_error>("limbeck: " + argument + " has shape " + std::to_string(rows) + " x " + std::to_string(columns) +
                     ", expected " + std::to_string(expected_rows) + " x " + std::to_string(expected_columns) +
                     " (samples x classes)");
}

[[noreturn]] inline void throw_length(const std::string& argument, std::size_t length, std::size_t expected,
                                      const char* what = "one a row") {
  raise<shape_error>("limbeck: " + argument + " has " + std::to_string(length) + " elements, expected " +
                     std::to_string(expected) + " (" + what + ")");
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
