#ifndef LIMBECK_OBJECTIVE_NAMES_HPP
#define LIMBECK_OBJECTIVE_NAMES_HPP

/// @file
/// Names of terms: as the user gives them, or as the compiler spells the type.

#include <limbeck/core/config.hpp>

#include <cstddef>
#include <string_view>

LIMBECK_BEGIN_NAMESPACE

/// A string literal as a template argument: `named<"soft">(...)`.
template <std::size_t N>
struct fixed_string {
  char text[N]{};  ///< with the 0 at its end
  /// Implicit, from a literal.
  constexpr fixed_string(const char (&s)[N]) {
    for (std::size_t i = 0; i < N; ++i) text[i] = s[i];
  }
  /// The text.
  constexpr std::string_view view() const { return {text, N - 1}; }
};

namespace detail {

template <class L>
constexpr std::string_view loss_name() {
  if constexpr (requires { L::called; }) return L::called;
#if defined(__GNUC__) || defined(__clang__)
  std::string_view s = __PRETTY_FUNCTION__;  // "... [with L = limbeck::v0_1::forward_kl; ...]"
  s.remove_prefix(s.find("L = ") + 4);
  s = s.substr(0, s.find_first_of(";]"));
  const auto arguments = s.find('<');
  const auto scope = s.substr(0, arguments).rfind("::");
  if (scope != std::string_view::npos) s.remove_prefix(scope + 2);
  return s;
#else
  return "loss";
#endif
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
