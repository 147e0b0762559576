#ifndef LIMBECK_SIGNAL_MEASURE_HPP
#define LIMBECK_SIGNAL_MEASURE_HPP

/// @file
/// A signal as numbers, one a row: to rank a pool, to draw a histogram, to hand to `given`.

#include <limbeck/objective/objective.hpp>
#include <limbeck/signal/signals.hpp>

#include <tuple>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <signal S>
constexpr auto measured(const S& s) {
  return signal_weighted_loss<student_side, S, one>(s, one{});
}
template <class T, class S>
constexpr auto measured(const tempered_signal<T, S>& s) {
  return at_temperature(s.temperature, signal_weighted_loss<student_side, S, one>(s.inner, one{}));
}

}  // namespace detail

/// Writes the signal of each row to the last argument, a vector of the logits' scalar type, in one sweep.
///
/// `measure(entropy{}, logits, out)`; `measure(divergence_of(forward_kl{}), student, teacher, out)`;
/// `measure(at_temperature(2.0, label_loss{}), logits, labels, workspace, on(openmp{}), out)`: the other arguments are those of an
/// objective, in which a signal that names no side is read off the first tensor. Rows whose label is ignored, or that
/// `row_mask` leaves out, give 0. @throws value_error where a signal is not finite, and as an objective does.
template <signal S, class... Args>
void measure(const S& s, Args&&... args) {
  static_assert(sizeof...(Args) > 1, "limbeck: measure(signal, logits, ..., out) needs logits and a place for the numbers");
  const auto all_of = std::forward_as_tuple(args...);
  using First = std::remove_cvref_t<std::tuple_element_t<0, std::tuple<Args...>>>;
  using Out = std::remove_cvref_t<std::tuple_element_t<sizeof...(Args) - 1, std::tuple<Args...>>>;
  if constexpr (tensor<First> && !run_time_tensor<Out>) {
    using T = typename tensor_traits<First>::scalar;
    static_assert(std::is_same_v<std::remove_const_t<detail::vector_element_t<Out>>, T>,
                  "limbeck: the last argument of measure is where the numbers go: a vector of the logits' scalar type, float or "
                  "double");
    const std::size_t rows = tensor_traits<First>::view(std::get<0>(all_of)).samples;
    if (const std::size_t room = detail::view_vector(std::get<sizeof...(Args) - 1>(all_of)).size(); room != rows)
      detail::throw_length("the last argument of measure", room, rows);
  }
  [&]<std::size_t... Index>(std::index_sequence<Index...>) {
    (void)detail::measured(s).value(std::get<Index>(all_of)..., row_losses(std::get<sizeof...(Args) - 1>(all_of)), sum);
  }(std::make_index_sequence<sizeof...(Args) - 1>{});
}

LIMBECK_END_NAMESPACE

#endif
