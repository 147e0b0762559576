#ifndef LIMBECK_CORE_LIFETIME_HPP
#define LIMBECK_CORE_LIFETIME_HPP

/// @file
/// Views that are kept. Targets, signals, averages and the like look at the memory of what they were made of; a temporary's is
/// gone at the end of the statement. One rule, by type, says whose memory that is.

#include <limbeck/core/config.hpp>

#include <span>  // and with it std::ranges::enable_borrowed_range
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

template <class X>
struct tensor_traits;

namespace detail {

/// Whether the memory that an @p X shows ends with it. A backend says so by `tensor_traits<X>::is_view`, a type by a nested
/// `limbeck_view`, a range by being borrowed; of what says nothing it is taken for granted.
template <class X>
constexpr bool owns_memory() {
  using Bare = std::remove_cvref_t<X>;
  if constexpr (requires { tensor_traits<Bare>::is_view; }) {
    return !tensor_traits<Bare>::is_view;
  } else {
    return !requires { typename Bare::limbeck_view; } && !std::ranges::enable_borrowed_range<Bare>;
  }
}

/// For every function that keeps a view of its argument, taken as `X&&`.
template <class X>
constexpr void require_kept() {
  static_assert(std::is_lvalue_reference_v<X> || !owns_memory<X>(),
                "limbeck: a view of this temporary would be kept, and its memory is gone at the end of the statement; give it a "
                "name first");
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
