#ifndef LIMBECK_LOSS_FEATURES_NEAREST_LAYERS_HPP
#define LIMBECK_LOSS_FEATURES_NEAREST_LAYERS_HPP

/// @file
/// Each sample learns from the layers of the teacher that are nearest to it.

#include <limbeck/loss/support.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

inline constexpr std::size_t most_layers = 64;

template <class T>
struct nearest_of_row {
  rows<const T> s, t;  // t: columns x layers
  rows<T> gradient, teacher_gradient;
  any_vector weights;
  std::size_t layers, k;
  double factor, slope;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t r) const {
    const double weight = weights.data() ? weights.number(r) : 1;
    double apart[most_layers], total = 0;
    for (std::size_t j = 0; j < layers; ++j) {
      apart[j] = sum_own<T, double>(team, s.classes, [&](std::size_t c) {
        const double d = static_cast<double>(s(r, c)) - static_cast<double>(t(r, c * layers + j));
        return d * d;
      });
      if (apart[j] - apart[j] != 0) return apart[j];  // to be reported, chosen or not
    }
    for (std::size_t j = 0; j < layers; ++j) {
      std::size_t nearer = 0;
      for (std::size_t i = 0; i < layers; ++i) nearer += apart[i] < apart[j] || (apart[i] == apart[j] && i < j);
      if (nearer >= k) continue;
      total += apart[j];
      const T each = static_cast<T>(slope * weight);
      const auto by = [&](std::size_t c) { return each * (s(r, c) - t(r, c * layers + j)); };
      if (gradient.data) add_to_row(team, gradient, r, by);
      if (teacher_gradient.data)
        for_own<T>(team, s.classes, [&](std::size_t c) { teacher_gradient(r, c * layers + j) -= by(c); });
    }
    return weight * factor * total;
  }
};

}  // namespace detail

/// The mean over the samples of the sum, over the k layers of the teacher that are nearest to the sample, of the mean over
/// the columns of (s - t_j)^2. Which layers these are is read off each sample and held fixed.
///
/// The teacher holds all its layers side by side, columns x layers as channels x positions are: column c of layer j stands at
/// c layers + j (a stack along the last dimension). One student's layer is compared with all of them;
/// `at_layers<"hidden", "stack">(layer_map::all_to_one(7, 0), nearest_layers{.layers = 12})` compares seven, and their losses
/// add up. Gradient: 2 (s - t_j) / (samples columns), summed over the chosen; to the teacher the negative of each. Of layers
/// equally near the lower is chosen. A mean over rows: it takes row weights, and stands in micro-batches. 0 for no sample.
/// @throws value_error where layers is not in 1 .. 64 or k not in 1 .. layers, shape_error where the teacher has not layers
///   times as many columns, value_error where a feature is not finite. Cost: layers passes over a row.
///
/// Wu et al., Multi-Level Knowledge Distillation for Out-of-Distribution Detection in Text, 2023, arXiv:2211.11300, and their
/// code, which adds up the two nearest of 12 for each of the student's layers 3 to 9; its teacher goes through a linear map
/// first, unless told otherwise.
struct nearest_layers {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true, by_row = true;
  std::size_t layers = 12;  ///< of the teacher, 1 .. 64
  std::size_t k = 2;        ///< how many teach, 1 .. layers

  void check() const {
    if (layers == 0 || layers > detail::most_layers)
      raise<value_error>("limbeck: layers of nearest_layers is " + std::to_string(layers) + ", expected 1 to 64");
    if (k == 0 || k > layers)
      raise<value_error>("limbeck: k of nearest_layers is " + std::to_string(k) + ", expected 1 to the " +
                         std::to_string(layers) + " layers");
  }
  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    const std::size_t columns = x.student.classes;
    if (x.teacher.classes != columns * layers)
      raise<shape_error>("limbeck: teacher has " + std::to_string(x.teacher.classes) + " columns, but nearest_layers needs " +
                         std::to_string(layers) + " layers of the " + std::to_string(columns) + " of the student");
    const std::size_t n = x.samples();
    if (n * columns == 0) return 0;
    const double each = 1 / static_cast<double>(columns), share = 1 / x.total();
    return detail::finite(x, share, x.sum_rows(columns * layers, detail::nearest_of_row<T>{x.student, x.teacher, x.gradient,
                                                                                          x.teacher_gradient, x.weights, layers, k, each,
                                                                                          2 * each * share * static_cast<double>(x.scale)}));
  }
};

LIMBECK_END_NAMESPACE

#endif
