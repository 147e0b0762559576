#ifndef LIMBECK_ENGINE_STATISTICS_HPP
#define LIMBECK_ENGINE_STATISTICS_HPP

/// @file
/// What a sweep keeps of a row: its numbers (maxima, normalisers, weights) and its sums, as many as the plan lists and
/// the call asks for.

#include <limbeck/engine/plan.hpp>
#include <limbeck/engine/problem.hpp>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

constexpr std::size_t at_least_one(std::size_t n) { return n ? n : 1; }

/// Settings of losses that are numbers of a row.
template <std::size_t N>
struct row_settings {
  double setting[N];
};
template <>
struct row_settings<0> {};

/// The numbers of one row: V is the scalar type, or a pack of broadcast scalars inside a loop.
template <class V, class Plan>
struct row_numbers : row_settings<Plan::settings> {
  V maximum[at_least_one(Plan::maxima::size)];
  V inverse_t[at_least_one(Plan::slot_keys::size)];
  V exponent_scale[at_least_one(Plan::slot_keys::size)];  // log2(e) / T
  V inverse_z[at_least_one(Plan::softmaxes::size)];
  V log_z[at_least_one(Plan::softmaxes::size)];
  V teacher_origin[at_least_one(Plan::pairs::size)];  // see set_origins
  V student_origin[at_least_one(Plan::pairs::size)];
  V shift[at_least_one(Plan::pairs::size)];  // maximum of the teacher less maximum of the student, each from its origin
  V kappa[at_least_one(Plan::pairs::size)];  // log p - log q = gap - kappa
  V value_weight[at_least_one(Plan::size)];
  V flow_weight[at_least_one(Plan::size)];     // with 1 / student's T
  V teacher_weight[at_least_one(Plan::size)];  // with 1 / teacher's T

  template <class W>
  LIMBECK_INLINE row_numbers<W, Plan> broadcast() const {
    row_numbers<W, Plan> r;
    static_cast<row_settings<Plan::settings>&>(r) = *this;
    const auto copy = [](auto& to, const auto& from) {
      constexpr std::size_t n = sizeof(from) / sizeof(from[0]);
      for_each_index<n>([&](auto i) LIMBECK_LAMBDA_INLINE { to[i] = W(from[i]); });
    };
    copy(r.maximum, maximum);
    copy(r.inverse_t, inverse_t);
    copy(r.exponent_scale, exponent_scale);
    copy(r.inverse_z, inverse_z);
    copy(r.log_z, log_z);
    copy(r.teacher_origin, teacher_origin);
    copy(r.student_origin, student_origin);
    copy(r.shift, shift);
    copy(r.kappa, kappa);
    copy(r.value_weight, value_weight);
    copy(r.flow_weight, flow_weight);
    copy(r.teacher_weight, teacher_weight);
    return r;
  }
};

/// What a sweep is compiled for. @p Target: the type of the target whose rows a device's sweep asks for, void where there is none.
template <bool Gradient, bool SoftLabels, bool RowTemperatureGradient, class Target = void>
struct sweep_mode {
  using target = Target;
  static constexpr bool gradient = Gradient;
  static constexpr bool soft_labels = SoftLabels;
  static constexpr bool row_temperature_gradient = RowTemperatureGradient;
  /// Whether d loss / dT of this temperature is wanted: of a student's deviation it is a part of the gradient.
  template <class Slot>
  static constexpr bool wants = Gradient && (is_learned<Slot> || is_deviation_of<Slot, student_side> ||
                                             (RowTemperatureGradient && std::is_same_v<Slot, row_slot>));
};

/// The same of rows of which ranks have some classes each.
template <class Mode>
struct over_ranks_mode : Mode {
  static constexpr bool over_ranks = true;
};
template <class Mode>
inline constexpr bool is_over_ranks = requires { Mode::over_ranks; };

template <class Mode, class Slots>
struct any_wanted;
template <class Mode, class... S>
struct any_wanted<Mode, key_list<S...>> {
  static constexpr bool value = (Mode::template wants<S> || ...);
};

/// Sums over a row, in one array so that they merge and reduce in one loop: normalisers, and of every pair the larger
/// exponentials.
template <class V, class Plan>
struct exponential_sums {
  static constexpr std::size_t size = Plan::softmaxes::size + Plan::pairs::size;
  template <std::size_t K>
  static constexpr bool active = true;
  V sum[at_least_one(size)];
  LIMBECK_INLINE V& z(std::size_t i) { return sum[i]; }
  LIMBECK_INLINE const V& z(std::size_t i) const { return sum[i]; }
  LIMBECK_INLINE V& larger_of(std::size_t j) { return sum[Plan::softmaxes::size + j]; }
  LIMBECK_INLINE const V& larger_of(std::size_t j) const { return sum[Plan::softmaxes::size + j]; }
};

/// Of every pair, the sum of q - p.
template <class V, class Plan>
struct residual_sums {
  static constexpr std::size_t size = Plan::pairs::size;
  template <std::size_t K>
  static constexpr bool active = true;
  V sum[at_least_one(size)];
};

/// Of every leaf of a signal, the sum of `at_class`, the number of classes with the highest logit, and the second
/// highest exponential.
template <class V, class Plan>
struct signal_sums {
  static constexpr std::size_t size = 3 * Plan::leaves;
  template <std::size_t K>
  static constexpr bool active = (Plan::leaf_uses[K / 3] & (K % 3 == 0 ? uses_sum : uses_second)) != 0;
  template <std::size_t K>
  static constexpr bool peak = K % 3 == 2;
  V sum[at_least_one(size)];
  LIMBECK_INLINE V& total(std::size_t i) { return sum[3 * i]; }
  LIMBECK_INLINE V& ties(std::size_t i) { return sum[3 * i + 1]; }
  LIMBECK_INLINE V& second(std::size_t i) { return sum[3 * i + 2]; }
};

/// Whether an entry of these sums is a maximum of numbers that are not negative.
template <class Sums, std::size_t K>
constexpr bool is_peak() {
  if constexpr (requires { Sums::template peak<K>; }) {
    return Sums::template peak<K>;
  } else {
    return false;
  }
}

template <class V, class Plan, class Mode>
struct flow_sums {
  static constexpr std::size_t NS = Plan::softmaxes::size;
  static constexpr bool temperatures = any_wanted<Mode, typename Plan::slot_keys>::value;
  static constexpr std::size_t flows_at = 1;
  static constexpr std::size_t logs_at = flows_at + (Mode::gradient ? NS : 0);
  static constexpr std::size_t slots_at = logs_at + (temperatures ? 2 * NS : 0);
  static constexpr std::size_t soft_at = slots_at + (temperatures ? Plan::slot_keys::size : 0);
  static constexpr std::size_t tops_at = soft_at + (Mode::soft_labels ? 2 : 0);
  static constexpr std::size_t size = tops_at + (Plan::has_rest ? Plan::size : 0);
  /// Teachers have a flow only where a temperature is learned.
  template <std::size_t K>
  static constexpr bool active =
      temperatures || K < flows_at || K >= logs_at || Plan::template of_student<(K < flows_at ? 0 : K - flows_at)>();
  V sum[size];
  LIMBECK_INLINE V& value() { return sum[0]; }
  /// Sum of the flows of a student's softmax; with learned temperatures, of a teacher's too.
  LIMBECK_INLINE V& flow(std::size_t i) { return sum[flows_at + i]; }
  /// Sum of flow times log softmax, and of softmax times its logarithm.
  LIMBECK_INLINE V& log_flow(std::size_t i) { return sum[logs_at + 2 * i]; }
  LIMBECK_INLINE V& entropy(std::size_t i) { return sum[logs_at + 2 * i + 1]; }
  /// What depends on a temperature by another way: u dphi/du of logitwise terms, T^power.
  LIMBECK_INLINE V& direct(std::size_t i) { return sum[slots_at + i]; }
  LIMBECK_INLINE V& soft_sum() { return sum[soft_at]; }
  LIMBECK_INLINE V& soft_low() { return sum[soft_at + 1]; }
  /// Sum of q - p over the top of the teacher, of a term whose other classes are one outcome.
  LIMBECK_INLINE V& top_difference(std::size_t k) { return sum[tops_at + k]; }
};

/// A loss whose values and flows are taken class by class.
template <class Mode, class L>
inline constexpr bool per_class =
    is<L, pointwise> || is<L, logitwise> || (is<L, labelwise> && Mode::soft_labels && takes_soft_labels<L>);

template <class Mode, class Plan>
struct plan_has_classes;
template <class Mode, class... Term>
struct plan_has_classes<Mode, plan<Term...>> {
  static constexpr bool value = (per_class<Mode, typename Term::loss_type> || ...);
};

template <class V>
LIMBECK_INLINE constexpr V power(V t, int k) {
  V r = 1;
  for (int i = 0; i < k; ++i) r *= t;
  return r;
}

/// The temperature of a slot for row @p r, where @p batch is this batch's.
template <class Slot, class T>
LIMBECK_INLINE double slot_temperature(const problem<T>& in, double batch, std::size_t r) {
  if constexpr (std::is_same_v<Slot, row_slot>) {
    return in.row_temperatures.number(r);
  } else if constexpr (std::is_same_v<Slot, teacher_row_slot>) {
    return in.teacher_row_temperatures.number(r);
  } else {
    return batch;
  }
}

/// Temperatures and weights of row @p r, whose weight is @p weight_of_row. False: a temperature is not positive.
template <class Plan, class T, class Terms>
LIMBECK_INLINE bool start_row(const problem<T>& in, const Terms& terms, double weight_of_row, std::size_t r,
                              row_numbers<T, Plan>& n) {
  const double row_weight = weight_of_row * in.normalizer;
  bool good = true;
  for_each_index<Plan::size>([&](auto k) LIMBECK_LAMBDA_INLINE {
    const auto& term = terms[hana::size_t<k>{}];
    using Term = std::remove_cvref_t<decltype(term)>;
    using L = typename Term::loss_type;
    const double ts = slot_temperature<typename Term::student_slot>(in, term.student_t, r);
    const double tt = slot_temperature<typename Term::teacher_slot>(in, term.teacher_t, r);
    good = good && ts > 0 && tt > 0 && ts < 1e300 && tt < 1e300;
    const auto set = [&](std::size_t slot, double t) LIMBECK_LAMBDA_INLINE {
      n.inverse_t[slot] = static_cast<T>(1 / t);
      n.exponent_scale[slot] = static_cast<T>(log2e / t);
    };
    set(Plan::slot_keys::template index<typename Term::student_slot>(), ts);
    if constexpr (Plan::slot_keys::template contains<typename Term::teacher_slot>)
      set(Plan::slot_keys::template index<typename Term::teacher_slot>(), tt);
    // a signal that stands outside at_temperature is read at T = 1
    if constexpr (Term::signal_type::leaves > 0 && Plan::slot_keys::template contains<fixed_slot<1, 1>>)
      set(Plan::slot_keys::template index<fixed_slot<1, 1>>(), 1.0);
    double weight = term.weight * power(ts, term.power);
    if constexpr (averages_columns<L>) weight /= static_cast<double>(in.classes_of_row());
    n.value_weight[k] = static_cast<T>(weight);
    n.flow_weight[k] = static_cast<T>(weight * row_weight / ts);
    n.teacher_weight[k] = static_cast<T>(weight * row_weight / tt);
  });
  return good;
}

/// A row without a label: the terms that need one are 0.
template <class Plan, class T>
LIMBECK_HOST_DEVICE inline void mute_labelled_terms(row_numbers<T, Plan>& n) {
  for_each_index<Plan::size>([&](auto k) {
    using Term = typename Plan::template term_at<k>;
    if constexpr (needs_labels<typename Term::loss_type>() || Term::signal_type::needs_labels ||
                  std::is_same_v<typename Term::domain, non_target>)
      n.value_weight[k] = n.flow_weight[k] = n.teacher_weight[k] = T(0);
  });
}

/// The numbers of a row of weight 1 for one of weight @p w.
template <class Plan, class T>
LIMBECK_INLINE void weigh_row(row_numbers<T, Plan>& n, T w) {
  for_each_index<Plan::size>([&](auto k) LIMBECK_LAMBDA_INLINE {
    n.flow_weight[k] *= w;
    n.teacher_weight[k] *= w;
  });
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
