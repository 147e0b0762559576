#ifndef LIMBECK_MAP_LEARNED_HPP
#define LIMBECK_MAP_LEARNED_HPP

/// @file
/// Learned parts as maps: with the gradient of what they learn, or frozen.

#include <limbeck/map/map.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class P, class T>
constexpr void require_scalar() {
  static_assert(std::is_same_v<T, typename P::scalar>,
                "limbeck: the projection of a map has another scalar type than the features; give projection<float> float features "
                "and projection<double> double");
}

}  // namespace detail

/// A part P, such as a `projection`, that learns: what `as_map()` of it gives. Its gradients are added to.
template <class P>
struct learned_map {
  using limbeck_map = map_of_batch;
  using memory = typename P::memory;  ///< in which the part lives
  static constexpr bool keeps_rows = true;
  using scalar = typename P::scalar;  ///< of what it learns, and of the features
  P* part;                            ///< the caller's

  /// @throws shape_error where the columns are not the inputs of the part.
  map_shape shape(map_shape in) const {
    detail::require_columns(P::name, in.columns, part->inputs());
    return {in.samples, part->outputs()};
  }
  template <class T, class Memory>
  void apply(const rows<const T>& x, const rows<T>& y, const batch<T, Memory>& in) const {
    detail::require_scalar<P, T>();
    if constexpr (std::is_same_v<T, scalar>) part->apply(x, y, in);
  }
  template <class T, class Memory>
  void pull_back(const rows<const T>& x, const rows<const T>&, const rows<T>& slope, const rows<T>& x_gradient,
                 const batch<T, Memory>& in, const batch_number<Memory>& loss) const {
    if constexpr (std::is_same_v<T, scalar>) part->pull_back(x, slope, x_gradient, in, loss);
  }
  /// The part.
  template <class F>
  void visit_learned(const F& f) const {
    f(*part);
  }
};

/// What `frozen` returns.
template <class P>
struct frozen_map {
  using limbeck_map = map_of_batch;
  using memory = typename P::memory;  ///< in which the part lives
  static constexpr bool keeps_rows = true;
  const P* part;  ///< the caller's

  /// @throws shape_error where the columns are not the inputs of the part.
  map_shape shape(map_shape in) const {
    detail::require_columns(P::name, in.columns, part->inputs());
    return {in.samples, part->outputs()};
  }
  template <class T, class Memory>
  void apply(const rows<const T>& x, const rows<T>& y, const batch<T, Memory>& in) const {
    detail::require_scalar<P, T>();
    if constexpr (std::is_same_v<T, typename P::scalar>) part->apply(x, y, in);
  }
  template <class T, class Memory>
  void pull_back(const rows<const T>&, const rows<const T>&, const rows<T>& slope, const rows<T>& x_gradient,
                 const batch<T, Memory>& in, const batch_number<Memory>&) const {
    if constexpr (std::is_same_v<T, typename P::scalar>) part->pull_back_input(slope, x_gradient, in);
  }
};
/// @p part, a `projection`, as it is: the gradient goes through it, and it gets none. One product there, one back. It is referred
/// to, and the trainer neither steps nor saves it.
template <class P>
frozen_map<P> frozen(const P& part) {
  return {&part};
}
/// @cond
template <class P>
frozen_map<P> frozen(const P&&) = delete;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
