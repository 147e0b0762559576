#ifndef LIMBECK_TESTS_SUPPORT_FAULT_HPP
#define LIMBECK_TESTS_SUPPORT_FAULT_HPP

#include <string>

namespace limbeck_test {

/// The words of what f throws.
template <class Fault, class F>
std::string fault(F f) {
  try {
    f();
  } catch (const Fault& e) {
    return e.what();
  }
  return "nothing was thrown";
}

}  // namespace limbeck_test

#endif
