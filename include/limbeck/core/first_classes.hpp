#ifndef LIMBECK_CORE_FIRST_CLASSES_HPP
#define LIMBECK_CORE_FIRST_CLASSES_HPP

/// @file
/// The first classes of wider rows: vocabularies whose last columns are padding.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/errors.hpp>

#include <string>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

inline void require_first(std::size_t count, std::size_t classes) {
  if (count == 0 || count > classes)
    raise<shape_error>("limbeck: first_classes(" + std::to_string(count) + ", ...) of a tensor of " +
                       std::to_string(classes) + " classes");
}

}  // namespace detail

/// A tensor by reference, or a view by itself.
template <class Held>
struct first_classes_view {
  Held tensor;
  std::size_t count;
};
/// @endcond

/// The first @p n classes of a wider tensor, for any argument of a call that is one; nothing is copied.
///
/// As `into(first_classes(n, gradient))` the gradient is that of the whole tensor: the columns behind the n-th, which
/// no loss sees, become 0; `add_to` leaves them. A gradient that the call makes has the shape of the whole tensor, too.
/// Of a tensor whose type is known at run time it is an `any_tensor`, for which a call makes no gradient.
/// @throws shape_error where n is 0 or more than there are: as it is made of a type known at run time, else in the
/// call.
template <class X>
auto first_classes(std::size_t n, X&& x) {
  detail::require_kept<X>();
  using Bare = std::remove_cvref_t<X>;
  if constexpr (run_time_tensor<Bare>) {
    any_tensor t = any_tensor_traits<Bare>::view(x);
    if (t.rank == 0) raise<shape_error>("limbeck: first_classes of " + t.str() + ", expected samples x classes");
    auto& classes = t.shape[t.rank - 1];
    detail::require_first(n, static_cast<std::size_t>(classes));
    t.beyond += static_cast<std::size_t>(classes) - n;
    classes = static_cast<std::ptrdiff_t>(n);
    return t;
  } else {
    static_assert(tensor<Bare>, "limbeck: this is no tensor of floats (is its backend's header included?)");
    if constexpr (detail::owns_memory<Bare>()) {
      return first_classes_view<std::remove_reference_t<X>&>{x, n};
    } else {
      return first_classes_view<Bare>{x, n};
    }
  }
}

/// @cond
namespace detail {

/// How many columns of a tensor stand behind those that are shown.
template <class X>
std::size_t columns_beyond([[maybe_unused]] const X& x) {
  if constexpr (requires { tensor_traits<X>::beyond(x); }) {
    return tensor_traits<X>::beyond(x);
  } else {
    return 0;
  }
}

}  // namespace detail

template <class Held>
struct tensor_traits<first_classes_view<Held>> {
  using inner = tensor_traits<std::remove_cvref_t<Held>>;
  static constexpr bool is_view = true;
  using scalar = typename inner::scalar;
  template <class S>
  using lanes = typename inner::template lanes<S>;
  using sweep = typename inner::sweep;

  static auto view(const first_classes_view<Held>& x) { return first(inner::view(x.tensor), x.count); }
  static auto view(first_classes_view<Held>& x) { return first(inner::view(x.tensor), x.count); }
  static std::size_t beyond(const first_classes_view<Held>& x) {
    return inner::view(x.tensor).classes - x.count + detail::columns_beyond(x.tensor);
  }
  /// Of the whole tensor.
  static auto gradient_like(const first_classes_view<Held>& x) {
    auto g = inner::gradient_like(x.tensor);
    if constexpr (std::is_same_v<sweep, host_rows>) {  // a device's memory begins with zeros
      const auto all = inner::view_gradient(g, x.tensor);
      for (std::size_t r = 0; r < all.samples; ++r)
        for (std::size_t c = x.count; c < all.classes; ++c) all(r, c) = {};
    }
    return g;
  }
  template <class G>
  static auto view_gradient(G& g, const first_classes_view<Held>& x) {
    return first(inner::view_gradient(g, x.tensor), x.count);
  }
  template <class T>
    requires requires { inner::template dense<T>(); }
  static const auto& dense() { return inner::template dense<T>(); }

 private:
  template <class Rows>
  static Rows first(Rows all, std::size_t count) {
    detail::require_first(count, all.classes);
    all.classes = count;
    return all;
  }
};
/// @endcond

LIMBECK_END_NAMESPACE

#endif
