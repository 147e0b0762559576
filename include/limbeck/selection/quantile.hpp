#ifndef LIMBECK_SELECTION_QUANTILE_HPP
#define LIMBECK_SELECTION_QUANTILE_HPP

/// @file
/// Quantiles with linear interpolation, as `numpy.quantile` and `torch.quantile` take them by default.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/quantile.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/scratch.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// @throws value_error where @p q is no fraction.
inline void check_fraction(const char* name, double q) {
  if (!(q >= 0 && q <= 1))
    raise<value_error>(std::string("limbeck: ") + name + " is " + show(q) + ", expected a fraction in [0, 1]");
}

/// The numbers of @p x whose @p used is not 0 (all of them where it is not given), copied.
inline std::span<double> copy_used(const any_vector& x, const any_vector& used, scratch& memory) {
  if (!used.empty() && used.size() != x.size()) throw_length("used", used.size(), x.size());
  const std::span<double> copy = memory.take<double>(x.size());
  std::size_t n = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!used.empty() && used.number(i) == 0) continue;
    const double value = x.number(i);
    if (value != value) raise<value_error>("limbeck: the value at position " + std::to_string(i) + " is nan");
    copy[n++] = value;
  }
  if (n == 0) raise<shape_error>("limbeck: a quantile of no values");
  return copy.first(n);
}

inline double quantile(const any_vector& x, double q, const any_vector& used, workspace& ws) {
  check_fraction("q", q);
  scratch memory(ws);
  return quantile_in_place(copy_used(x, used, memory), q);
}

}  // namespace detail

/// The value below which a fraction @p q of @p values (any vector of numbers) lies: with place = q (n - 1), the line
/// between the sorted values at floor(place) and the next. Beside an infinite value, that value. O(n), and allocates
/// nothing once @p ws has grown.
/// @throws value_error where q is not in [0, 1] or a value is NaN, shape_error where there is none.
template <detail::sized_memory V>
double quantile(const V& values, double q, workspace& ws) {
  return detail::quantile(detail::view_vector(values), q, {}, ws);
}
/// The same with memory of its own.
template <detail::sized_memory V>
double quantile(const V& values, double q) {
  workspace ws;
  return quantile(values, q, ws);
}

/// @cond
template <class Values, class Mask>
std::size_t quantile_mask(const Values& values, double q, Mask& mask, workspace& ws, const any_vector& used) {
  const any_vector x = detail::view_vector(values);
  if (static_cast<std::size_t>(mask.size()) != x.size())
    detail::throw_length("mask", static_cast<std::size_t>(mask.size()), x.size());
  const double threshold = detail::quantile(x, q, used, ws);
  const auto out = detail::vector_memory(mask);
  using M = std::remove_cvref_t<decltype(*out.data)>;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool keep = (used.empty() || used.number(i) != 0) && x.number(i) >= threshold;
    out.data[static_cast<std::ptrdiff_t>(i) * out.stride] = keep ? M(1) : M(0);
    kept += keep;
  }
  return kept;
}
/// @endcond

/// mask_i = 1 where values_i >= quantile(values, q), else 0; returns how many are 1. With ties more than a fraction 1 -
/// q may be. @p mask is any vector of numbers of the same length: row weights of an objective. @throws as quantile().
template <detail::sized_memory Values, detail::sized_memory Mask>
std::size_t quantile_mask(const Values& values, double q, Mask&& mask, workspace& ws) {
  return quantile_mask(values, q, mask, ws, any_vector{});
}
/// The same among the places where @p used is not 0; the others get 0 and enter no quantile: padding, ignored labels.
template <detail::sized_memory Values, detail::sized_memory Used, detail::sized_memory Mask>
std::size_t quantile_mask(const Values& values, double q, const Used& used, Mask&& mask, workspace& ws) {
  return quantile_mask(values, q, mask, ws, detail::view_vector(used));
}

LIMBECK_END_NAMESPACE

#endif
