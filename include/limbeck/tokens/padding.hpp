#ifndef LIMBECK_TOKENS_PADDING_HPP
#define LIMBECK_TOKENS_PADDING_HPP

/// @file
/// From packed rows to a padded batch, and back.

#include <limbeck/core/rows.hpp>
#include <limbeck/tokens/segments.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// Where sequences stand in a padded batch.
struct padding {
  std::size_t time = 0;  ///< rows of every sequence, at least those of the longest; must be given
  bool left = false;     ///< whether padding stands before a sequence, as for decoding, and not behind it
};

/// Writes, for each row of packed sequences, its row in a batch of s.size() x time: @p places is any vector of whole
/// numbers with one a row. to_padded() and to_packed() move numbers by them; the map `gathered(row_list(places))` picks
/// those rows of a padded tensor. O(rows), and allocates nothing. @throws value_error where a sequence is longer than
/// time, shape_error where a length does not fit.
template <detail::sized_memory Places>
void padded_places(const segments& s, const padding& to, Places&& places) {
  const auto out = detail::output_vector("places", places, s.rows());
  for (std::size_t i = 0; i < s.size(); ++i)
    if (s.length(i) > to.time)
      raise<value_error>("limbeck: time is " + std::to_string(to.time) + ", and sequence " + std::to_string(i) +
                         " has " + std::to_string(s.length(i)) + " rows");
  for (std::size_t i = 0; i < s.size(); ++i)
    for (std::size_t t = 0; t < s.length(i); ++t)
      detail::put(out, s.begin(i) + t, i * to.time + t + (to.left ? to.time - s.length(i) : 0));
}

/// @cond
namespace detail {
inline std::size_t place_at(const any_vector& places, std::size_t i, std::size_t rows) {
  const std::int64_t at = places.integer(i);
  if (at < 0 || static_cast<std::uint64_t>(at) >= rows)
    raise<value_error>("limbeck: places is " + std::to_string(at) + " at row " + std::to_string(i) +
                       ", expected a row of " + std::to_string(rows));
  return static_cast<std::size_t>(at);
}
}  // namespace detail
/// @endcond

/// From packed to padded: out is @p fill, and out_{places_r} = x_r. Labels are filled with -100, masks and weights with
/// 0. Vectors of any numbers. O(length of out), and allocates nothing.
/// @throws value_error where a place is no row of out, shape_error where x and places have different lengths.
template <detail::sized_memory X, detail::sized_memory Places, detail::sized_memory Out>
void to_padded(const X& x, const Places& places, double fill, Out&& out) {
  const any_vector from = detail::view_vector(x), at = detail::view_vector(places);
  if (from.size() != at.size()) detail::throw_length("x", from.size(), at.size(), "one a place");
  const auto to = detail::vector_memory(out);
  for (std::size_t i = 0; i < at.size(); ++i) (void)detail::place_at(at, i, to.size);
  for (std::size_t i = 0; i < to.size; ++i) detail::put(to, i, fill);
  for (std::size_t r = 0; r < at.size(); ++r) detail::put(to, detail::place_at(at, r, to.size), from.number(r));
}
/// From padded to packed: out_r = x_{places_r}. @throws as to_padded().
template <detail::sized_memory X, detail::sized_memory Places, detail::sized_memory Out>
void to_packed(const X& x, const Places& places, Out&& out) {
  const any_vector from = detail::view_vector(x), at = detail::view_vector(places);
  const auto to = detail::output_vector("out", out, at.size(), "one a place");
  for (std::size_t r = 0; r < at.size(); ++r) detail::put(to, r, from.number(detail::place_at(at, r, from.size())));
}

LIMBECK_END_NAMESPACE

#endif
