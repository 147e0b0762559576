#ifndef LIMBECK_MAP_THEN_HPP
#define LIMBECK_MAP_THEN_HPP

/// @file
/// One map after the other.

#include <limbeck/core/describe.hpp>
#include <limbeck/map/columns.hpp>
#include <limbeck/map/map.hpp>

LIMBECK_BEGIN_NAMESPACE

/// What `then` returns: `second` of what `first` gives.
template <feature_map A, feature_map B>
struct chained_map : detail::scalar_of_maps<A, B>, detail::memory_of_maps<A, B> {
  using limbeck_map = map_of_batch;
  static constexpr bool keeps_rows = detail::keeps_rows<A> && detail::keeps_rows<B>;
  static constexpr bool relates_rows = detail::relates_rows<A> || detail::relates_rows<B>;
  A first;   ///< of the rows
  B second;  ///< of what it makes of them

  /// Of two maps.
  chained_map(const A& a, const B& b) : first(a), second(b) {}

  /// @throws shape_error as the maps do.
  map_shape shape(map_shape in) const { return detail::shape_of(second, detail::shape_of(first, in)); }
  template <class T, class Memory>
  void apply(const rows<const T>& x, const rows<T>& y, const batch<T, Memory>& in) const {
    detail::apply_map<B, T>(second, between(x, in), y, in);
  }
  template <class T, class Memory>
  void pull_back(const rows<const T>& x, const rows<const T>& y, const rows<T>& slope, const rows<T>& x_gradient,
                 const batch<T, Memory>& in, const batch_number<Memory>& loss) const {
    const rows<const T> middle = between(x, in);
    rows<T> of_middle;
    if (x_gradient.data || requires { typename A::scalar; }) of_middle = detail::take_zeros(in, middle.samples, middle.classes);
    detail::pull_back_map<B, T>(second, middle, y, slope, of_middle, in, loss);
    if (of_middle.data) detail::pull_back_map<A, T>(first, x, middle, of_middle, x_gradient, in, loss);
  }
  /// What both learn.
  template <class F>
  void visit_learned(const F& f) const {
    detail::visit_learned_of(first, f);
    detail::visit_learned_of(second, f);
  }
  /// In words.
  std::string describe() const { return "then(" + detail::described(first) + ", " + detail::described(second) + ")"; }

 private:
  /// Taken anew on the way back: maps keep nothing.
  template <class T, class Memory>
  rows<const T> between(const rows<const T>& x, const batch<T, Memory>& in) const {
    const map_shape s = detail::shape_of(first, {x.samples, x.classes});
    const rows<T> middle(in.memory.template take<T>(s.samples * s.columns).data(), s.samples, s.columns);
    detail::apply_map<A, T>(first, x, middle, in);
    return middle;
  }
};

/// Maps one after the other, `then(p, unit_rows{})`: the first takes the rows, each next what the one before it gives. `identity` is
/// left out. On the way back all but the last are applied once more. Memory of the call for what stands between.
template <class A>
auto then(A&& a) {
  return detail::as_map(std::forward<A>(a));
}
/// @cond
template <class A, class B, class... Rest>
auto then(A&& a, B&& b, Rest&&... rest) {
  const auto first = detail::as_map(std::forward<A>(a));
  const auto second = then(std::forward<B>(b), std::forward<Rest>(rest)...);
  using First = std::remove_const_t<decltype(first)>;
  using Second = std::remove_const_t<decltype(second)>;
  if constexpr (std::is_same_v<First, identity>) {
    return second;
  } else if constexpr (std::is_same_v<Second, identity>) {
    return first;
  } else {
    return chained_map<First, Second>(first, second);
  }
}
/// @endcond

LIMBECK_END_NAMESPACE

#endif
