#ifndef LIMBECK_ENGINE_SIGNALS_HPP
#define LIMBECK_ENGINE_SIGNALS_HPP

/// @file
/// Signals inside a sweep: between a row's normalisers and its flows, from the exponentials that the losses need anyway.

#include <limbeck/engine/row.hpp>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// The sums of all signals, at one position.
template <class Plan, class X, class Terms, class Position>
LIMBECK_INLINE void signals_at(const row_numbers<X, Plan>& n, const Terms& terms, const Position& at, const X* e,
                               signal_sums<X, Plan>& sums) {
  using T = typename X::scalar;
  X logits[at_least_one(Plan::maxima::size)];
  read_logits<Plan>(at, logits);
  for_each_index<Plan::size>([&](auto k) LIMBECK_LAMBDA_INLINE {
    const auto& term = terms[hana::size_t<k>{}];
    term.signal.each_leaf([&](const auto& leaf) LIMBECK_LAMBDA_INLINE {
      using Leaf = std::remove_cvref_t<decltype(leaf)>;
      using K = typename Leaf::key;
      const std::size_t i = Plan::template first_leaf<k>() + Leaf::index;
      if constexpr (std::is_same_v<typename Leaf::kind, pair_signal>) {
        sums.total(i) += leaf.loss.value(point_of<K>(n, logits, e));
      } else {
        constexpr auto s = Plan::softmaxes::template index<K>();
        if constexpr ((Leaf::uses & uses_sum) != 0)
          sums.total(i) += leaf.leaf.at_class(class_point<X>{e[s] * n.inverse_z[s], log_softmax<K>(n, logits)});
        if constexpr ((Leaf::uses & uses_second) != 0) {
          const auto lower = e[s] < X(T(1));  // the highest has exp(0) = 1
          sums.ties(i) += select(lower, X(T(0)), X(T(1)));
          sums.second(i) = larger(sums.second(i), select(lower, e[s], X(T(0))));
        }
      }
    });
  });
}

/// The value of one leaf for a row.
template <class Plan, class T, class Leaf>
LIMBECK_HOST_DEVICE inline double leaf_value(const row_numbers<T, Plan>& n, signal_sums<T, Plan>& sums, std::size_t i,
                                             const T* label_logits, std::size_t classes, const Leaf& leaf) {
  if constexpr (std::is_same_v<typename Leaf::kind, pair_signal>) {
    return static_cast<double>(sums.total(i));
  } else {
    using K = typename Leaf::key;
    constexpr auto s = Plan::softmaxes::template index<K>();
    constexpr auto m = Plan::maxima::template index<typename K::maximum>();
    constexpr auto t = Plan::slot_keys::template index<typename K::slot>();
    row_summary<T> x;
    x.sum = sums.total(i);
    x.temperature = T(1) / n.inverse_t[t];
    x.maximum = n.maximum[m];
    x.log_z = n.log_z[s];
    x.highest = n.inverse_z[s];
    x.second = sums.ties(i) > T(1) ? x.highest : sums.second(i) * n.inverse_z[s];
    x.label_log_p = (label_logits[m] - n.maximum[m]) * n.inverse_t[t] - n.log_z[s];
    x.label_is_top = !(label_logits[m] < n.maximum[m]);
    x.classes = static_cast<T>(classes);
    return static_cast<double>(leaf.leaf.value(x));
  }
}

/// The settings of the K-th term's loss in row @p r, and whether all are finite.
template <class Plan, std::size_t K, class V, class Term, class Read>
LIMBECK_HOST_DEVICE inline bool read_settings(row_numbers<V, Plan>& n, const Term& term, const Read& read, std::size_t r) {
  using Signal = typename Term::signal_type;
  bool finite = true;
  if (n.value_weight[K] == 0) {  // nobody looks
    Signal::function::take(term.loss, n.setting + Plan::template first_setting<K>());
    return finite;
  }
  for_each_index<settings_in<Signal>>([&](auto i) {
    const double number = term.signal.operands[hana::size_t<i + 1>{}].value(read, r);
    finite = finite && number - number == 0;
    n.setting[Plan::template first_setting<K>() + i] = number;
  });
  return finite;
}

/// Multiplies each term's weights by its signal; the last one also goes to @p out, where it is wanted.
/// @p label_logits are the logits at the label, one a maximum.
template <class Plan, class T, class Terms>
LIMBECK_HOST_DEVICE inline fault weigh_by_signals(row_numbers<T, Plan>& n, signal_sums<T, Plan>& sums, const Terms& terms,
                                                  const T* label_logits, std::size_t classes, std::size_t r, double* out = nullptr) {
  fault bad = fault::none;
  for_each_index<Plan::size>([&](auto k) {
    const auto& term = terms[hana::size_t<k>{}];
    using Signal = typename std::remove_cvref_t<decltype(term)>::signal_type;
    if constexpr (!std::is_same_v<Signal, no_signal>) {
      const auto read = [&](const auto& leaf) {
        return leaf_value<Plan>(n, sums, Plan::template first_leaf<k>() + leaf.index, label_logits, classes, leaf);
      };
      const double w = term.signal.value(read, r);
      if (out) *out = w;
      const T weight = static_cast<T>(w);
      if (!(weight - weight == 0)) bad = fault::signal;
      n.value_weight[k] *= weight;
      n.flow_weight[k] *= weight;
      n.teacher_weight[k] *= weight;
      if constexpr (settings_in<Signal> > 0) {
        if (!read_settings<Plan, k>(n, term, read, r)) bad = fault::signal;
      }
    }
  });
  return bad;
}

/// Whether the losses take what their settings are in a row.
template <class Plan, class T, class Terms>
bool settings_fit(const row_numbers<T, Plan>& n, const Terms& terms) {
  bool fit = true;
  for_each_index<Plan::size>([&](auto k) {
    const auto& term = terms[hana::size_t<k>{}];
    using Term = std::remove_cvref_t<decltype(term)>;
    if constexpr (settings_in<typename Term::signal_type> > 0 && requires { term.loss.check(); })
      if (n.value_weight[k] != 0) attempt<value_error>([&] { loss_of<Plan, k>(term, n).check(); }, [&](const value_error&) { fit = false; });
  });
  return fit;
}

/// The same where no signal is read off the row.
template <class Plan, class T, class Terms>
LIMBECK_HOST_DEVICE inline fault weigh_unread(row_numbers<T, Plan>& n, const Terms& terms, std::size_t classes, std::size_t r,
                                              double* out = nullptr) {
  signal_sums<T, Plan> none{};
  return weigh_by_signals<Plan>(n, none, terms, static_cast<const T*>(nullptr), classes, r, out);
}

/// Whether the signals leave no term of a row anything.
template <class Plan, class T>
LIMBECK_HOST_DEVICE inline bool is_silent(const row_numbers<T, Plan>& n) {
  bool silent = true;
  for_each_index<Plan::size>([&](auto k) { silent = silent && n.value_weight[k] == 0; });
  return silent;
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
