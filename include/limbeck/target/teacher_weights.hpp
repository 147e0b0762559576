#ifndef LIMBECK_TARGET_TEACHER_WEIGHTS_HPP
#define LIMBECK_TARGET_TEACHER_WEIGHTS_HPP

/// @file
/// How much each teacher of an ensemble counts: `mean_of_probabilities(a, b).weighted(entropy_weights{})`. Weights are
/// normalised to sum to one in each row; a teacher that weighs 0 is not read.

#include <limbeck/target/row_functions.hpp>

#include <algorithm>
#include <initializer_list>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// @throws value_error where a weight is negative or not finite, or none is positive.
template <class At>
void check_weights(std::size_t teachers, const At& at, const std::string& where) {
  bool any = false;
  for (std::size_t k = 0; k < teachers; ++k) {
    const double w = at(k);
    if (!(w >= 0 && w - w == 0))
      raise<value_error>("limbeck: the weight of teacher " + std::to_string(k) + where + " is " + show(w) +
                         ", expected a number that is not negative");
    any = any || w > 0;
  }
  if (!any) raise<value_error>("limbeck: the weights of all teachers" + where + " are 0");
}
inline void check_teachers(std::size_t given, std::size_t teachers) {
  if (given != teachers) throw_length("the teachers' weights", given, teachers, "one a teacher");
}
LIMBECK_HOST_DEVICE inline void normalise(std::span<double> w) {
  double total = 0;
  for (const double x : w) total += x;
  for (double& x : w) x /= total;
}
/// A weight a teacher, as a device holds them.
template <std::size_t N>
struct listed_weights {
  static constexpr bool reads_sources = false, needs_labels = false;
  double weights[N];
  LIMBECK_HOST_DEVICE void weigh(std::size_t, std::span<double> w) const {
    for (std::size_t k = 0; k < w.size(); ++k) w[k] = weights[k];
    normalise(w);
  }
};
/// What a device copies of the weights of at most @p N teachers.
template <std::size_t N, class Weights>
auto settled_weights(const Weights& w) {
  if constexpr (requires { w.template listed<N>(); }) {
    return w.template listed<N>();
  } else {
    return w;
  }
}

}  // namespace detail

/// All teachers count the same.
struct equal_weights {
  /// @cond
  static constexpr bool reads_sources = false, needs_labels = false;
  void check(std::size_t, std::size_t) const {}
  LIMBECK_HOST_DEVICE void weigh(std::size_t, std::span<double> w) const {
    for (double& x : w) x = 1 / static_cast<double>(w.size());
  }
  /// @endcond
};

/// One weight a teacher: `fixed_weights{0.5, 0.3, 0.2}`. Not negative, not all 0.
class fixed_weights {
 public:
  /// @throws value_error where a weight is negative or not finite, or all are 0.
  explicit fixed_weights(std::vector<double> weights) : weights_(std::move(weights)) {
    detail::check_weights(
        weights_.size(), [&](std::size_t k) { return weights_[k]; }, "");
  }
  /// The same.
  fixed_weights(std::initializer_list<double> weights) : fixed_weights(std::vector<double>(weights)) {}
  /// @cond
  static constexpr bool reads_sources = false, needs_labels = false;
  void check(std::size_t teachers, std::size_t) const { detail::check_teachers(weights_.size(), teachers); }
  void weigh(std::size_t, std::span<double> w) const {
    std::copy(weights_.begin(), weights_.end(), w.begin());
    detail::normalise(w);
  }
  template <std::size_t N>
  detail::listed_weights<N> listed() const {
    detail::listed_weights<N> list{};
    std::copy(weights_.begin(), weights_.end(), list.weights);
    return list;
  }
  /// @endcond

 private:
  std::vector<double> weights_;
};

/// One weight a teacher and row, from a tensor of samples x teachers: what a gate says, or a signal that was measured
/// on every teacher. The tensor outlives the target; its values are checked when the ensemble takes it,
/// on a device where they are read: a row of wrong ones becomes NaN.
template <class U, class Memory = host_rows>
struct matrix_weights {
  rows<const U> matrix;  ///< samples x teachers
  /// @cond
  using memory = Memory;
  static constexpr bool reads_sources = false, needs_labels = false;
  void check(std::size_t teachers, std::size_t samples) const {
    if (matrix.samples != samples || matrix.classes != teachers)
      raise<shape_error>("limbeck: the teachers' weights have shape " + std::to_string(matrix.samples) + " x " +
                         std::to_string(matrix.classes) + ", expected " + std::to_string(samples) + " x " +
                         std::to_string(teachers) + " (samples x teachers)");
    if constexpr (std::is_same_v<Memory, host_rows>)
      for (std::size_t r = 0; r < samples; ++r)
        detail::check_weights(
            teachers, [&](std::size_t k) { return static_cast<double>(matrix(r, k)); }, " in row " + std::to_string(r));
  }
  LIMBECK_HOST_DEVICE void weigh(std::size_t row, std::span<double> w) const {
    bool good = true;
    for (std::size_t k = 0; k < w.size(); ++k) {
      w[k] = static_cast<double>(matrix(row, k));
      good = good && w[k] >= 0;
    }
    detail::normalise(w);
    if (!good) w[0] = std::numeric_limits<double>::quiet_NaN();
  }
  /// @endcond
};

/// The k teachers with the highest gate count the same, the others nothing; ties go to the lower teacher.
///
/// The routing of MST-Distill (its code on GitHub: Gray-OREO/MST-Distill), which averages k losses instead. With
/// `mean_of_probabilities` at the term's temperature, the gradient of a forward KL is the same and the value is smaller
/// by what the chosen teachers differ among themselves (their Jensen-Shannon divergence). No gradient flows to the
/// gate; see `load_balance`.
template <class U, class Memory = host_rows>
struct routed_weights {
  rows<const U> gate;  ///< samples x teachers: logits or probabilities, only their order counts
  std::size_t k = 1;   ///< how many teachers a row has, at least 1
  /// @cond
  using memory = Memory;
  static constexpr bool reads_sources = false, needs_labels = false;
  void check(std::size_t teachers, std::size_t samples) const {
    if (gate.samples != samples || gate.classes != teachers)
      raise<shape_error>("limbeck: the gate has shape " + std::to_string(gate.samples) + " x " +
                         std::to_string(gate.classes) + ", expected " + std::to_string(samples) + " x " +
                         std::to_string(teachers) + " (samples x teachers)");
    if (k == 0 || k > teachers)
      raise<value_error>("limbeck: k is " + std::to_string(k) + ", expected 1 to " + std::to_string(teachers) +
                         ", the number of teachers");
    for (std::size_t r = 0; std::is_same_v<Memory, host_rows> && r < samples; ++r)
      for (std::size_t c = 0; c < teachers; ++c)
        if (gate(r, c) != gate(r, c))
          raise<value_error>("limbeck: the gate of teacher " + std::to_string(c) + " in row " + std::to_string(r) +
                             " is nan");
  }
  LIMBECK_HOST_DEVICE void weigh(std::size_t row, std::span<double> w) const {
    for (double& x : w) x = 0;
    for (std::size_t i = 0; i < k; ++i) {
      std::size_t best = w.size();
      for (std::size_t c = 0; c < w.size(); ++c)
        if (w[c] == 0 && (best == w.size() || gate(row, c) > gate(row, best))) best = c;
      w[best] = 1 / static_cast<double>(k);
    }
    for (std::size_t c = 0; c < w.size(); ++c)
      if (gate(row, c) != gate(row, c)) w[0] = std::numeric_limits<double>::quiet_NaN();
  }
  /// @endcond
};

/// Weights from a tensor of samples x teachers, see `matrix_weights`.
template <tensor X>
auto weights_of(X&& matrix) {
  using Traits = tensor_traits<std::remove_cvref_t<X>>;
  detail::require_kept<X>();
  return matrix_weights<typename Traits::scalar, typename Traits::sweep>{Traits::view(matrix)};
}
/// The @p k teachers with the highest gate, see `routed_weights`.
template <tensor X>
auto routed(X&& gate, std::size_t k = 1) {
  using Traits = tensor_traits<std::remove_cvref_t<X>>;
  detail::require_kept<X>();
  return routed_weights<typename Traits::scalar, typename Traits::sweep>{Traits::view(gate), k};
}

/// Certain teachers count more: w_k = (1 - H_k / sum_j H_j) / (K - 1), H the entropy of softmax(t_k) at temperature 1.
///
/// Entropy-based KD as the authors of CA-MKD run it (their code, EBKD), after Kwon, Na, Lee and Kim, Adaptive Knowledge
/// Distillation Based on Entropy, ICASSP 2020, whose own formula was not at hand. That code does not divide by K - 1
/// and divides by K afterwards. One teacher has weight 1; where all entropies are 0, all count the same.
struct entropy_weights {
  /// @cond
  static constexpr bool reads_sources = true, needs_labels = false;
  void check(std::size_t, std::size_t) const {}
  template <class Team, class T>
  LIMBECK_HOST_DEVICE double statistic(const Team& team, const T* z, std::size_t n, std::int64_t) const {
    return detail::entropy_of(team, z, n);
  }
  LIMBECK_HOST_DEVICE void weigh(std::size_t, std::span<double> w) const {
    double total = 0;
    for (const double h : w) total += h;
    if (w.size() == 1 || total <= 0) return equal_weights{}.weigh(0, w);
    for (double& h : w) h = (1 - h / total) / static_cast<double>(w.size() - 1);
  }
  /// @endcond
};

/// Teachers that are right count more: w_k = (1 - exp(l_k) / sum_j exp(l_j)) / (K - 1), l_k the cross-entropy of
/// teacher k at the label, at temperature 1. Rows without a label (-1 or any negative one) weigh all teachers the same.
///
/// Zhang, Chen and Wang, Confidence-Aware Multi-Teacher Knowledge Distillation, 2022, arXiv:2201.00007 (checked against
/// the authors' code, which also divides the loss by K).
struct confidence_weights {
  /// @cond
  static constexpr bool reads_sources = true, needs_labels = true;
  void check(std::size_t, std::size_t) const {}
  template <class Team, class T>
  LIMBECK_HOST_DEVICE double statistic(const Team& team, const T* z, std::size_t n, std::int64_t label) const {
    if (label < 0) return 0;
    const auto y = static_cast<std::size_t>(label);
    return y < n ? detail::surprise_of(team, z, n, y) : std::numeric_limits<double>::quiet_NaN();
  }
  LIMBECK_HOST_DEVICE void weigh(std::size_t, std::span<double> w) const {
    if (w.size() == 1) return equal_weights{}.weigh(0, w);
    double top = -detail::infinite<double>, total = 0;
    for (const double l : w) top = l > top ? l : top;
    if (top == detail::infinite<double>) {  // those that mask the label share all the blame
      for (double& l : w) l = l == top ? 1 : 0;
    } else {
      for (double& l : w) l = std::exp(l - top);
    }
    for (const double e : w) total += e;
    for (double& e : w) e = (1 - e / total) / static_cast<double>(w.size() - 1);
  }
  /// @endcond
};

LIMBECK_END_NAMESPACE

#endif
