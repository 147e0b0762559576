#ifndef LIMBECK_LOSS_FEATURES_PROJECTED_HPP
#define LIMBECK_LOSS_FEATURES_PROJECTED_HPP

/// @file
/// A loss between features of different widths: the student's go through a learned projection first.

#include <limbeck/loss/features/projection.hpp>
#include <limbeck/loss/support.hpp>
#include <limbeck/map/at_positions.hpp>

#include <concepts>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class L>
struct power_of_inner {};
template <class L>
  requires requires { L::temperature_power; }
struct power_of_inner<L> {
  static constexpr int temperature_power = L::temperature_power;
};

}  // namespace detail

/// What `projected` returns.
template <class T, class L, class Memory = host_rows>
struct projected_loss : detail::power_of_inner<L> {
  using limbeck_loss = batchwise;
  using scalar = T;
  using memory = Memory;  ///< of the projection
  static constexpr bool any_width = true;
  static constexpr bool needs_teacher = [] {
    if constexpr (requires { L::needs_teacher; }) return static_cast<bool>(L::needs_teacher);
    return true;
  }();
  static constexpr bool needs_labels = [] {
    if constexpr (requires { L::needs_labels; }) return static_cast<bool>(L::needs_labels);
    return false;
  }();

  projection<T, Memory>* layer;  ///< the caller's
  L loss;                 ///< of the projected student
  std::size_t positions;  ///< at which the projection is applied

  /// Refers to @p p, which outlives it.
  projected_loss(projection<T, Memory>& p, const L& l, std::size_t n) : layer(&p), loss(l), positions(n) {}

  /// The projection, and what the loss holds.
  template <class F>
  void visit_learned(const F& f) const {
    f(*layer);
    if constexpr (requires { loss.visit_learned(f); }) loss.visit_learned(f);
  }
  /// @throws shape_error, value_error as `projected` says.
  template <class U>
  batch_number<Memory> operator()(const batch<U, Memory>& x) const {
    static_assert(std::is_same_v<U, T>,
                  "limbeck: the projection of projected(p, loss) has another scalar type than the features; give "
                  "projection<float> float features and projection<double> double");
    if constexpr (std::is_same_v<U, T>) return run(x);
    return 0;
  }

 private:
  batch_number<Memory> run(const batch<T, Memory>& x) const {
    const std::size_t n = x.samples(), in = layer->inputs(), out = layer->outputs();
    if (x.student.classes != in * positions)
      raise<shape_error>("limbeck: student has " + std::to_string(x.student.classes) +
                         " columns, but its projection takes " + std::to_string(in) + " at each of " +
                         std::to_string(positions) + " positions");
    if constexpr (batch<T, Memory>::on_host) detail::check_finite(x, x.student, "student");
    rows<const T> input = x.student;
    rows<T> projected = detail::take_matrix(x, n, out * positions), output = projected;
    if (positions > 1) {
      const rows<T> gathered = detail::take_matrix(x, n * positions, in);
      turn(x, x.student, gathered, detail::write_here{});
      input = gathered;
      output = detail::take_matrix(x, n * positions, out);
    }
    layer->apply(input, output, x);
    if (positions > 1) turn(x, projected, output, detail::write_there{});

    rows<T> slope;
    if (x.wants_gradient()) slope = zeros(x, n, out * positions);
    const batch<T, Memory> inner{projected, x.teacher, x.labels, slope, x.scale, x.student_temperature, x.teacher_temperature,
                                 x.memory, x.on, x.dense, x.call_rows, x.rows_of_call};
    const batch_number<Memory> value = loss(inner);
    if (!x.wants_gradient()) return value;

    if (positions == 1) {
      layer->pull_back(input, slope, x.gradient, x, value);
    } else {
      turn(x, slope, output, detail::write_here{});
      const rows<T> input_slope = zeros(x, n * positions, in);
      layer->pull_back(input, output, input_slope, x, value);
      turn(x, x.gradient, input_slope, detail::add_there{});
    }
    return value;
  }
  static rows<T> zeros(const batch<T, Memory>& x, std::size_t n, std::size_t m) {
    const rows<T> all = detail::take_matrix(x, n, m);
    x.each_row(n, m, detail::zero_row<T>{all});
    return all;
  }
  template <class A, class F>
  void turn(const batch<T, Memory>& x, const rows<A>& wide, const rows<T>& by_position, const F& f) const {
    x.each_row(x.samples(), wide.classes, detail::each_position<A, T, F>{wide, by_position, positions, f});
  }
};

/// @p loss, batchwise, between `p` of the student's features and the teacher's as they are.
///
/// A call that wants a gradient also adds that of the weights and the bias, as weighted in the objective, to @p p's
/// own; one that wants none changes nothing. @p p must outlive the objective and have the scalar type of the features.
/// @param p a linear map of the student's columns
/// @param loss a batchwise loss
/// @param positions of features that are channels x positions: the projection maps channels at each position, a 1x1
///   convolution. With 1 it maps the whole row.
/// @throws shape_error where the student's columns are not p's inputs x positions, or as @p loss says; value_error
///   where the student holds a number that is not finite. Three products.
template <class T, class Memory, class L>
projected_loss<T, L, Memory> projected(projection<T, Memory>& p, const L& loss, std::size_t positions = 1) {
  static_assert(std::same_as<typename L::limbeck_loss, batchwise>,
                "limbeck: projected(p, loss) takes a batchwise loss, such as hint, vid or info_nce");
  return {p, loss, positions};
}
/// @cond
template <class T, class Memory, class L>
projected_loss<T, L, Memory> projected(const projection<T, Memory>&&, const L&, std::size_t = 1) = delete;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
