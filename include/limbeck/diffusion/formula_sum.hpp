#ifndef LIMBECK_DIFFUSION_FORMULA_SUM_HPP
#define LIMBECK_DIFFUSION_FORMULA_SUM_HPP

/// @file
/// Sums of formulas: several teachers whose gradients push the same samples.

#include <limbeck/core/errors.hpp>
#include <limbeck/diffusion/formula.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <std::size_t N>
struct fixed_numbers {
  team_array<double, N> c;
  LIMBECK_HOST_DEVICE const team_array<double, N>& operator()(std::size_t, double) const { return c; }
};
template <class X>
concept formula_of_rows = is_formula<std::remove_cvref_t<X>>;

}  // namespace detail

/// lambda f: a formula times a number, `0.5 * distribution_matching(x, real, fake)`. @throws value_error where it is not finite.
template <class N, detail::formula_of_rows F>
  requires std::is_arithmetic_v<N>
auto operator*(N lambda, F&& f) {
  const double by = static_cast<double>(lambda);
  if (!(by - by == 0)) raise<value_error>("limbeck: a formula is multiplied by " + detail::show(by) + ", expected a finite number");
  return detail::combined("a formula", detail::fixed_numbers<1>{{{by}}}, std::forward<F>(f));
}
/// f + g: the sum of two formulas, or of a formula and a tensor or target, evaluated in one pass. Of gradients, that of the sum of their
/// losses. @throws shape_error where shapes differ.
template <detail::formula_of_rows F, class G>
  requires(target<G> || tensor<G>)
auto operator+(F&& f, G&& g) {
  return detail::combined("the second of a sum of formulas", detail::fixed_numbers<2>{{{1, 1}}}, std::forward<F>(f), std::forward<G>(g));
}

LIMBECK_END_NAMESPACE

#endif
