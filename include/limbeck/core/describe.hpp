#ifndef LIMBECK_CORE_DESCRIBE_HPP
#define LIMBECK_CORE_DESCRIBE_HPP

/// @file
/// Objects as text, for plans and for what a checkpoint compares: `cross_entropy{0.05}`.
///
/// An object says itself what it is by `std::string describe() const`. Else a number is written with all its digits, a
/// range of up to 16 elements as `[1, 2]` and a longer one by its length, a pointer as `a pointer`, and an aggregate as
/// its name and its members in their order. Any other class (one with a constructor, a lambda) is the name of its type,
/// as the compiler spells it. Two such objects of one type read alike whatever they hold; give them a `describe()`, as
/// also an aggregate with a base class, with more than 12 members, or with a member that is a C array or converts from
/// everything (`std::any`).

#include <limbeck/core/config.hpp>

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The name of a type, as the compiler spells it.
template <class T>
constexpr std::string_view type_name() {
#if defined(__GNUC__) || defined(__clang__)
  std::string_view s = __PRETTY_FUNCTION__;  // "... [with T = limbeck::v0_1::forward_kl; ...]"
  s.remove_prefix(s.find("T = ") + 4);
  const auto end = s.find("; std::string_view = ");
  return s.substr(0, end == std::string_view::npos ? s.size() - 1 : end);
#else
  return "a type";
#endif
}
/// The same without namespaces and template arguments.
template <class T>
constexpr std::string_view short_name() {
  std::string_view s = type_name<T>();
  s = s.substr(0, s.find('<'));
  const auto scope = s.rfind("::");
  return scope == std::string_view::npos ? s : s.substr(scope + 2);
}

/// Stands for the initialiser of any member.
struct any_member {
  template <class T>
  operator T() const;
};
template <class T>
struct any_base {
  template <class B>
    requires(std::is_base_of_v<B, T> && !std::is_same_v<B, T>)
  operator B() const;
};
template <class T, std::size_t... Index>
constexpr bool takes(std::index_sequence<Index...>) {
  return requires { T{(static_cast<void>(Index), any_member{})...}; };
}
struct any_object {
  template <class T>
    requires std::is_class_v<T>
  operator T() const;
};
/// Whether a member that initialiser I reaches is an array of numbers: two initialisers in braces, and no class.
template <class T, std::size_t... Before>
constexpr bool has_array_at(std::index_sequence<Before...>) {
  return requires { T{(static_cast<void>(Before), any_member{})..., {any_member{}, any_member{}}}; } &&
         !requires { T{(static_cast<void>(Before), any_member{})..., any_object{}}; };
}
template <class T, std::size_t... At>
constexpr bool has_array(std::index_sequence<At...>) {
  return (has_array_at<T>(std::make_index_sequence<At>{}) || ...);
}
inline constexpr std::size_t most_members = 12;
template <class T, std::size_t N = most_members + 1>
constexpr std::size_t initialisers() {
  if constexpr (N == 0 || takes<T>(std::make_index_sequence<N>{})) {
    return N;
  } else {
    return initialisers<T, N - 1>();
  }
}
/// How many members an aggregate binds to; -1 where it is none, or one that cannot be taken apart.
template <class T>
constexpr int members() {
  if constexpr (!std::is_aggregate_v<T> || std::is_array_v<T> || std::is_union_v<T>) {
    return -1;
  } else if constexpr (std::is_empty_v<T>) {
    return 0;
  } else if constexpr (requires { T{any_base<T>{}}; }) {
    return -1;
  } else {
    constexpr std::size_t n = initialisers<T>();
    return n > most_members || has_array<T>(std::make_index_sequence<n>{}) ? -1 : static_cast<int>(n);
  }
}

/// f(member)..., in their order.
template <class T, class F>
void for_each_member(const T& x, const F& f) {
  const auto all = [&](const auto&... m) { (f(m), ...); };
  constexpr int n = members<T>();
  // clang-format off
  if constexpr (n == 1) { const auto& [a] = x; all(a); }
  else if constexpr (n == 2) { const auto& [a, b] = x; all(a, b); }
  else if constexpr (n == 3) { const auto& [a, b, c] = x; all(a, b, c); }
  else if constexpr (n == 4) { const auto& [a, b, c, d] = x; all(a, b, c, d); }
  else if constexpr (n == 5) { const auto& [a, b, c, d, e] = x; all(a, b, c, d, e); }
  else if constexpr (n == 6) { const auto& [a, b, c, d, e, g] = x; all(a, b, c, d, e, g); }
  else if constexpr (n == 7) { const auto& [a, b, c, d, e, g, h] = x; all(a, b, c, d, e, g, h); }
  else if constexpr (n == 8) { const auto& [a, b, c, d, e, g, h, i] = x; all(a, b, c, d, e, g, h, i); }
  else if constexpr (n == 9) { const auto& [a, b, c, d, e, g, h, i, j] = x; all(a, b, c, d, e, g, h, i, j); }
  else if constexpr (n == 10) { const auto& [a, b, c, d, e, g, h, i, j, k] = x; all(a, b, c, d, e, g, h, i, j, k); }
  else if constexpr (n == 11) { const auto& [a, b, c, d, e, g, h, i, j, k, l] = x; all(a, b, c, d, e, g, h, i, j, k, l); }
  else if constexpr (n == 12) { const auto& [a, b, c, d, e, g, h, i, j, k, l, m] = x; all(a, b, c, d, e, g, h, i, j, k, l, m); }
  // clang-format on
}

template <class T>
std::string digits(T x) {
  char text[64];
  return std::string(text, std::to_chars(text, text + sizeof text, x).ptr);
}

template <class T>
concept self_described = requires(const T& x) { std::string(x.describe()); };

/// @p x as text: see the top of this file.
template <class T>
std::string described(const T& x) {
  if constexpr (self_described<T>) {
    return x.describe();
  } else if constexpr (std::is_same_v<T, bool>) {
    return x ? "true" : "false";
  } else if constexpr (std::is_arithmetic_v<T>) {
    return digits(x);
  } else if constexpr (std::is_enum_v<T>) {
    return std::string(short_name<T>()) + '(' + digits(static_cast<long long>(x)) + ')';
  } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    return '"' + std::string(std::string_view(x)) + '"';
  } else if constexpr (std::is_pointer_v<T>) {
    return "a pointer";
  } else if constexpr (requires { x.begin(); x.end(); x.size(); }) {
    if (x.size() > 16) return digits(static_cast<std::size_t>(x.size())) + " elements";
    std::string s = "[";
    for (const auto& e : x) s += (s.size() > 1 ? ", " : "") + described(e);
    return s + "]";
  } else if constexpr (members<T>() > 0) {
    std::string s;
    for_each_member(x, [&](const auto& m) { s += (s.empty() ? "" : ", ") + described(m); });
    return std::string(short_name<T>()) + '{' + s + '}';
  } else {
    return std::string(members<T>() == 0 && type_name<T>().find('<') == std::string_view::npos ? short_name<T>()
                                                                                               : type_name<T>());
  }
}

/// A class of the user's: what it says of itself, else its type, as its members may be its state.
template <class T>
std::string described_or_type(const T& x) {
  if constexpr (self_described<T>) {
    return x.describe();
  } else {
    return std::string(type_name<T>());
  }
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
