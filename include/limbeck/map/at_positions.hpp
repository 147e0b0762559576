#ifndef LIMBECK_MAP_AT_POSITIONS_HPP
#define LIMBECK_MAP_AT_POSITIONS_HPP

/// @file
/// A map of channels, at each position of rows that are channels x positions.

#include <limbeck/core/describe.hpp>
#include <limbeck/map/map.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// columns = channels x positions <-> (samples x positions) rows of channels; f(there, here) of a sample.
template <class A, class B, class F>
struct each_position {
  rows<A> x;
  rows<B> by_position;
  std::size_t positions;
  F f;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    if constexpr (Team::alone) {
      constexpr std::size_t tile = 16;  // of both sides at a time, that the cache holds
      const std::size_t channels = by_position.classes;
      for (std::size_t first = 0; first < channels; first += tile)
        for (std::size_t from = 0; from < positions; from += tile)
          for (std::size_t p = from; p < from + tile && p < positions; ++p)
            for (std::size_t c = first; c < first + tile && c < channels; ++c)
              f(x(r, c * positions + p), by_position(r * positions + p, c));
    } else {
      for_own<B>(team, x.classes,
                 [&](std::size_t e) { f(x(r, e), by_position(r * positions + e % positions, e / positions)); });
    }
  }
};
struct write_there {
  template <class T>
  LIMBECK_HOST_DEVICE void operator()(T& there, const T& here) const {
    there = here;
  }
};
struct write_here {
  template <class T>
  LIMBECK_HOST_DEVICE void operator()(const T& there, T& here) const {
    here = there;
  }
};
struct add_there {
  template <class T>
  LIMBECK_HOST_DEVICE void operator()(T& there, const T& here) const {
    there += here;
  }
};

}  // namespace detail

/// What `at_positions` returns.
template <feature_map M>
struct positions_map : detail::scalar_of_maps<M>, detail::memory_of_maps<M> {
  using limbeck_map = map_of_batch;
  static constexpr bool keeps_rows = detail::keeps_rows<M>;
  static constexpr bool relates_rows = detail::relates_rows<M>;
  M inner;                ///< of the channels
  std::size_t positions;  ///< in a row

  /// @p m at each of @p n.
  positions_map(const M& m, std::size_t n) : inner(m), positions(n) {}

  /// @throws shape_error where the columns are no multiple of the positions, or as the map does.
  map_shape shape(map_shape in) const {
    if (positions == 0 || in.columns % positions != 0)
      raise<shape_error>("limbeck: at_positions is given rows of " + std::to_string(in.columns) +
                         " columns, which are no whole number of channels at " + std::to_string(positions) + " positions");
    const map_shape s = detail::shape_of(inner, {in.samples * positions, in.columns / positions});
    if (s.samples != in.samples * positions)
      raise<shape_error>("limbeck: at_positions takes a map that gives as many rows as it is given");
    return {in.samples, s.columns * positions};
  }
  template <class T, class Memory>
  void apply(const rows<const T>& x, const rows<T>& y, const batch<T, Memory>& in) const {
    if (positions == 1) return detail::apply_map<M, T>(inner, x, y, in);
    const rows<T> output = take<T>(y, in);
    detail::apply_map<M, T>(inner, by_position(x, in), output, in);
    turn(in, y, output, detail::write_there{});
  }
  template <class T, class Memory>
  void pull_back(const rows<const T>& x, const rows<const T>& y, const rows<T>& slope, const rows<T>& x_gradient,
                 const batch<T, Memory>& in, const batch_number<Memory>& loss) const {
    if (positions == 1) return detail::pull_back_map<M, T>(inner, x, y, slope, x_gradient, in, loss);
    rows<T> turned;
    if (x_gradient.data) turned = detail::take_zeros(in, x.samples * positions, x.classes / positions);
    const rows<T> input = by_position(x, in), output = by_position(y, in), of_output = by_position(rows<const T>(slope), in);
    detail::pull_back_map<M, T>(inner, input, output, of_output, turned, in, loss);
    if (x_gradient.data) turn(in, x_gradient, turned, detail::add_there{});
  }
  /// What the map learns.
  template <class F>
  void visit_learned(const F& f) const {
    detail::visit_learned_of(inner, f);
  }
  /// In words.
  std::string describe() const { return "at_positions(" + detail::described(inner) + ", " + std::to_string(positions) + ")"; }

 private:
  template <class T, class A, class Memory>
  rows<T> take(const rows<A>& wide, const batch<T, Memory>& in) const {
    const std::size_t n = wide.samples * positions, m = wide.classes / positions;
    return {in.memory.template take<T>(n * m).data(), n, m};
  }
  template <class T, class Memory>
  rows<T> by_position(const rows<const T>& wide, const batch<T, Memory>& in) const {
    const rows<T> copy = take<T>(wide, in);
    turn(in, wide, copy, detail::write_here{});
    return copy;
  }
  template <class A, class T, class Memory, class F>
  void turn(const batch<T, Memory>& in, const rows<A>& wide, const rows<T>& turned, const F& f) const {
    in.each_row(wide.samples, wide.classes, detail::each_position<A, T, F>{wide, turned, positions, f});
  }
};

/// @p map of the channels at each position of rows that are channels x positions, as those of a convolution: a `projection` is a
/// 1 x 1 convolution, `unit_rows` normalises over channels. A map of a batch; turned copies of the rows, there and back.
template <class M>
auto at_positions(M&& map, std::size_t positions) {
  const auto inner = detail::as_map(std::forward<M>(map));
  return positions_map<std::remove_const_t<decltype(inner)>>(inner, positions);
}

LIMBECK_END_NAMESPACE

#endif
