#ifndef LIMBECK_ENGINE_ROW_HPP
#define LIMBECK_ENGINE_ROW_HPP

/// @file
/// One row of any objective: what happens at each class, and what happens once a row. Both sweeps, host and device,
/// are loops around these functions.
///
/// 1. maxima of the logits;
/// 2. `exponentials`: e = exp((x - max)/T) and their sums, for every softmax that the plan lists;
/// 3. `solve`: normalisers, and log p - log q up to t - s, for every pair; where a pair `is_close`, `residuals` and
///    `correct` mend the digits of the latter;
///    Between 3 and 4, where a signal weighs a term: `signals_at`, `weigh_by_signals`;
/// 4. `flows`: values and flows of all terms, the flows summed into the gradient;
/// 5. `finish`: the labelwise terms, and what is left of the chain rule, g_i += c q_i, as one coefficient a softmax.

#include <limbeck/engine/closeness.hpp>

#include <limits>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// Step 2 at one position.
template <class Plan, class X, class Position>
LIMBECK_INLINE void exponentials(const row_numbers<X, Plan>& n, const Position& at, X* e,
                                 exponential_sums<X, Plan>& sums) {
  for_each_key(typename Plan::softmaxes{}, [&]<class K, std::size_t Index>() LIMBECK_LAMBDA_INLINE {
    constexpr auto m = Plan::maxima::template index<typename K::maximum>();
    constexpr auto t = Plan::slot_keys::template index<typename K::slot>();
    const X x = at.template raw_logit<typename K::who, typename K::domain>();  // -inf gives 0
    e[Index] = exp2_negative((x - n.maximum[m]) * n.exponent_scale[t]);
    sums.z(Index) += e[Index];
  });
  for_each_key(typename Plan::pairs{}, [&]<class P, std::size_t J>() LIMBECK_LAMBDA_INLINE {
    sums.larger_of(J) += larger(e[Plan::softmaxes::template index<typename P::student>()],
                                e[Plan::softmaxes::template index<typename P::teacher>()]);
  });
}

/// Number of logarithms that a row needs: of its normalisers, and of their ratio for every pair.
template <class Plan>
inline constexpr std::size_t logarithms = Plan::softmaxes::size + Plan::pairs::size;

/// Between steps 2 and 3: of what. They are taken by the caller (in packs, over several rows).
template <class Plan, class T>
LIMBECK_INLINE void ask_logarithms(const exponential_sums<T, Plan>& sums, T* of) {
  constexpr std::size_t NS = Plan::softmaxes::size;
  for_each_index<NS>([&](auto k) LIMBECK_LAMBDA_INLINE { of[k] = sums.z(k); });
  for_each_key(typename Plan::pairs{}, [&]<class P, std::size_t J>() LIMBECK_LAMBDA_INLINE {
    of[NS + J] = sums.z(Plan::softmaxes::template index<typename P::teacher>()) /
                 sums.z(Plan::softmaxes::template index<typename P::student>());
  });
}

/// A bad logit, or, where the objective compares features, a bad number in a column.
template <class Plan>
LIMBECK_INLINE constexpr fault bad_number(fault bad) {
  if constexpr (Plan::features) {
    if (bad == fault::student) return fault::student_number;
    if (bad == fault::teacher) return fault::teacher_number;
  }
  return bad;
}

/// Step 3, once a row, from the @p logs of what `ask_logarithms` asked for. Names the side that has no finite normaliser, or a
/// logit that is too large, if one has.
template <class Plan, class T>
LIMBECK_INLINE fault solve(row_numbers<T, Plan>& n, const exponential_sums<T, Plan>& sums, const T* logs) {
  fault bad = fault::none;
  for_each_key(typename Plan::softmaxes{}, [&]<class K, std::size_t Index>() LIMBECK_LAMBDA_INLINE {
    const T z = sums.z(Index);
    n.log_z[Index] = logs[Index];
    if (z > 0 && z < std::numeric_limits<T>::infinity() &&
        n.maximum[Plan::maxima::template index<typename K::maximum>()] <= -masked_logit<T>) {
      n.inverse_z[Index] = 1 / z;
    } else {
      // one class, or no more than the top: nothing to compare
      const bool empty = z == 0 && (std::is_same_v<typename K::domain, non_target> || top_in<typename K::domain>::below);
      constexpr bool of_student = std::is_same_v<typename K::who, student_side>;
      const bool decides = !of_student && top_in<typename K::domain>::inside;  // no teacher leaves the student no class
      if (!empty && (bad == fault::none || decides)) bad = of_student ? fault::student : fault::teacher;
      n.inverse_z[Index] = 0;
      n.log_z[Index] = masked_logit<T>;
    }
  });
  for_each_key(typename Plan::pairs{}, [&]<class P, std::size_t J>() LIMBECK_LAMBDA_INLINE {
    constexpr auto s = Plan::softmaxes::template index<typename P::student>();
    constexpr auto t = Plan::softmaxes::template index<typename P::teacher>();
    const bool both = n.inverse_z[s] > 0 && n.inverse_z[t] > 0;
    n.kappa[J] = both ? logs[Plan::softmaxes::size + J] : n.log_z[t] - n.log_z[s];
  });
  return bad;
}

/// The k of T^k as a function of the student's temperature; a deviation is in the softmax, not in the factor.
template <class Slot, class Term>
LIMBECK_INLINE int power_in(const Term& term) {
  return is_deviation<Slot> ? 0 : term.power;
}

/// @p x at the classes of a domain within those over which it is normalised, else 0.
template <class Domain, class X, class Position>
LIMBECK_INLINE X within(const Position& at, const X& x) {
  if constexpr (top_in<Domain>::with_rest) {
    return select(at.template in_top<top_in<Domain>::size>(), x, X(typename X::scalar(0)));
  } else {
    return x;
  }
}

/// The loss of the K-th term, with what its settings are in a row.
template <class Plan, std::size_t K, class Term, class V>
LIMBECK_INLINE constexpr decltype(auto) loss_of(const Term& term, [[maybe_unused]] const row_numbers<V, Plan>& n) {
  using Signal = typename Term::signal_type;
  if constexpr (settings_in<Signal> == 0) {
    return (term.loss);
  } else {
    auto loss = term.loss;
    Signal::function::put(loss, n.setting + Plan::template first_setting<K>());
    return loss;
  }
}

/// Step 4 at one position: returns the sum of all flows, the gradient less the c q_i of step 5.
template <class Plan, class Mode, class X, class Terms, class Position>
LIMBECK_INLINE X flows(const row_numbers<X, Plan>& n, const Terms& terms, const Position& at, const X* e,
                       flow_sums<X, Plan, Mode>& sums) {
  X logits[at_least_one(Plan::maxima::size)];
  read_logits<Plan>(at, logits);
  point<X> points[at_least_one(Plan::pairs::size)];
  for_each_key(typename Plan::pairs{}, [&]<class P, std::size_t J>() LIMBECK_LAMBDA_INLINE {
    points[J] = point_of<P>(n, logits, e);
  });

  X g(0);
  for_each_index<Plan::size>([&](auto k) LIMBECK_LAMBDA_INLINE {
    const auto& term = terms[hana::size_t<k>{}];
    using Term = std::remove_cvref_t<decltype(term)>;
    using L = typename Term::loss_type;
    using S = typename Term::student_slot;
    using U = typename Term::teacher_slot;
    using D = typename Term::domain;
    [[maybe_unused]] const auto& loss = loss_of<Plan, k>(term, n);
    if constexpr (is<L, pointwise>) {
      using P = pair_key<S, U, typename top_in<D>::softmax_domain>;
      point<X> own_side;
      const point<X>* seen = &own_side;
      if constexpr (needs_teacher<L>()) {
        seen = &points[Plan::pairs::template index<P>()];
      } else {
        own_side = student_point<typename P::student>(n, logits, e);
      }
      const point<X>& x = *seen;
      const X value = within<D>(at, loss.value(x));
      if constexpr (top_in<D>::with_rest) sums.top_difference(k) += within<D>(at, x.difference);
      sums.value() += n.value_weight[k] * value;
      if constexpr (Mode::gradient) {
        constexpr auto s = Plan::softmaxes::template index<typename P::student>();
        const X flow = within<D>(at, loss.flow(x));
        const X f = n.flow_weight[k] * flow;
        g += f;
        sums.flow(s) += f;
        if constexpr (Mode::template wants<S>) sums.log_flow(s) += f * x.log_q;
        if constexpr (Mode::template wants<S>)
          sums.direct(Plan::slot_keys::template index<S>()) -= X(static_cast<typename X::scalar>(power_in<S>(term))) *
                                                               n.flow_weight[k] * value;
        if constexpr (needs_teacher<L>() && Mode::template wants<U>) {
          // phi is homogeneous of degree 1 in (p, q), so the teacher's flow is value - flow
          constexpr auto t = Plan::softmaxes::template index<typename P::teacher>();
          X own;
          if constexpr (requires { loss.teacher_flow(x); }) {
            own = within<D>(at, loss.teacher_flow(x));
          } else {
            own = value - flow;
          }
          const X h = n.teacher_weight[k] * own;
          sums.flow(t) += h;
          sums.log_flow(t) += h * x.log_p;
        }
      }
    } else if constexpr (is<L, logitwise>) {
      using V = std::conditional_t<needs_teacher<L>(), U, S>;
      constexpr auto ts = Plan::slot_keys::template index<S>();
      constexpr auto tt = Plan::slot_keys::template index<V>();
      point<X> x{};
      // masked on both sides, as the padding is: equal, whatever the temperatures
      const X low(masked_logit<typename X::scalar>);
      X s = larger(low, at.template raw_logit<student_side, all>());
      X t = s;
      if constexpr (needs_teacher<L>()) t = larger(low, at.template raw_logit<teacher_side, all>());
      const auto seen = low < larger(s, t);
      s = select(seen, s, X(0)), t = select(seen, t, X(0));
      x.student = s * n.inverse_t[ts];
      x.teacher = t * n.inverse_t[tt];
      x.difference = std::is_same_v<S, V> ? (s - t) * n.inverse_t[ts] : x.student - x.teacher;
      X value = loss.value(x);
      if constexpr (reads_features<L>) value = select(seen, value, X(0));  // the padding, of which no other loss has a value
      sums.value() += n.value_weight[k] * value;
      if constexpr (Mode::gradient) {
        const X f = n.flow_weight[k] * loss.flow(x);
        g += f;
        if constexpr (Mode::template wants<S>)
          sums.direct(ts) +=
              f * x.student - X(static_cast<typename X::scalar>(power_in<S>(term))) * n.flow_weight[k] * value;
        if constexpr (needs_teacher<L>() && Mode::template wants<U>)
          sums.direct(tt) += n.teacher_weight[k] * loss.teacher_flow(x) * x.teacher;
      }
    } else if constexpr (per_class<Mode, L>) {  // labels given as probabilities
      using K = softmax_key<student_side, S, D>;
      constexpr auto s = Plan::softmaxes::template index<K>();
      const X y = at.soft_label();
      const X log_q = log_softmax<K>(n, logits);
      sums.soft_sum() += y;
      sums.soft_low() = smaller(sums.soft_low(), y);
      const X target = at.inside(loss.soft_target(y, at.template classes<X>()));
      sums.value() -= n.value_weight[k] * target * log_q;
      if constexpr (Mode::gradient) {
        const X f = -n.flow_weight[k] * target;
        g += f;
        sums.flow(s) += f;
        if constexpr (Mode::template wants<S>) {
          sums.log_flow(s) += f * log_q;
          sums.direct(Plan::slot_keys::template index<S>()) -=
              X(static_cast<typename X::scalar>(power_in<S>(term))) * f * log_q;
        }
      }
    }
  });
  if constexpr (Mode::gradient) {
    for_each_key(typename Plan::softmaxes{}, [&]<class K, std::size_t Index>() LIMBECK_LAMBDA_INLINE {
      if constexpr (Mode::template wants<typename K::slot>)
        sums.entropy(Index) += e[Index] * n.inverse_z[Index] * log_softmax<K>(n, logits);
    });
  }
  return g;
}

/// Whether the value of a class that one side masks is infinite: it grows without bound as that side's logarithm does.
template <class T, class Loss>
LIMBECK_HOST_DEVICE bool diverges(const Loss& loss, bool student_is_masked) {
  using X = pack<scalar_lanes<T>>;
  constexpr T half = T(0.5), low = masked_logit<T>;
  point<X> x{};
  if constexpr (is<Loss, logitwise>) {
    (student_is_masked ? x.student : x.teacher) = X(low);
    x.difference = X(student_is_masked ? low : -low);
  } else {
    (student_is_masked ? x.p : x.q) = X(half);
    (student_is_masked ? x.log_p : x.log_q) = X(T(-0.69314718));
    (student_is_masked ? x.log_q : x.log_p) = X(low);
    x.log_ratio = X(student_is_masked ? -low : low);
    x.difference = x.q - x.p;
    x.excess = x.difference + x.p * x.log_ratio;
  }
  return loss.value(x).v > -low * T(1e-10);
}

/// The probability that a loss asks for where the label's is @p y.
template <class T, class Loss>
LIMBECK_INLINE T soft_target_of(const Loss& loss, T y, std::size_t classes) {
  using X = pack<scalar_lanes<T>>;
  return loss.soft_target(X(y), X(static_cast<T>(classes))).v;
}

/// A number that a row of infinite loss may leave behind: the gradient of such a row says nothing, but must not spoil others.
template <class T>
LIMBECK_INLINE T held(T x) {
  constexpr T most = (std::numeric_limits<T>::max)();
  return x < -most ? -most : x > most ? most : x == x ? x : T(0);
}

/// The logarithm of what a softmax over a part of the classes is of that over the whole.
template <class Part, class Whole, class Plan, class T>
LIMBECK_INLINE T log_share(const row_numbers<T, Plan>& n) {
  constexpr auto part = Plan::softmaxes::template index<Part>();
  constexpr auto whole = Plan::softmaxes::template index<Whole>();
  constexpr auto mp = Plan::maxima::template index<typename Part::maximum>();
  constexpr auto mw = Plan::maxima::template index<typename Whole::maximum>();
  if (n.inverse_z[part] == 0) return masked_logit<T>;
  return (n.maximum[mp] - n.maximum[mw]) * n.inverse_t[Plan::slot_keys::template index<typename Part::slot>()] +
         n.log_z[part] - n.log_z[whole];
}

/// The classes of a domain @p Rest together, as one outcome among all: nothing is subtracted from 1.
template <class Plan, class S, class U, class Rest, class T>
LIMBECK_INLINE point<pack<scalar_lanes<T>>> rest_of(const row_numbers<T, Plan>& n, T difference_of_others) {
  using X = pack<scalar_lanes<T>>;
  using KS = softmax_key<student_side, S, all>;
  using KT = softmax_key<teacher_side, U, all>;
  using RS = softmax_key<student_side, S, Rest>;
  using RT = softmax_key<teacher_side, U, Rest>;
  using P = pair_key<S, U, all>;
  point<X> x{};
  x.log_q = X(log_share<RS, KS>(n));
  x.log_p = X(log_share<RT, KT>(n));
  x.q = exp2_negative(x.log_q * X(static_cast<T>(log2e)));
  x.p = exp2_negative(x.log_p * X(static_cast<T>(log2e)));
  // kappa is relative to the maxima, and the two domains have different ones
  X highest[at_least_one(Plan::maxima::size)]{};
  highest[Plan::maxima::template index<typename KS::maximum>()] =
      X(n.maximum[Plan::maxima::template index<typename RS::maximum>()]);
  highest[Plan::maxima::template index<typename KT::maximum>()] =
      X(n.maximum[Plan::maxima::template index<typename RT::maximum>()]);
  const row_numbers<X, Plan> nx = n.template broadcast<X>();
  x.log_ratio = X(n.kappa[Plan::pairs::template index<pair_key<S, U, Rest>>()] - n.kappa[Plan::pairs::template index<P>()]) +
                gap<P>(nx, highest);
  // where the rest has most of the probability, its ratio is what the others leave
  const X left = X(-difference_of_others) / larger(x.p, X(tiny<T>));
  const bool most = x.p > X(T(0.5)) && abs(left) < X(T(0.5));
  if (most) x.log_ratio = log1p_excess(left) - left;
  return x;
}

/// What step 5 leaves to be written: g_i += sum over softmaxes of coefficient q_i, + uniform, + label [i = y].
template <class T, class Plan>
struct row_finish {
  T value;
  T coefficient[at_least_one(Plan::softmaxes::size)];
  T uniform;
  T label;
  T temperature_gradient[at_least_one(Plan::slot_keys::size)];
};


/// Step 5, once a row. @p label_logits are the clamped logits at the label, @p student_mean the average of the student's less
/// their maximum (only where a term wants_mean).
template <class Plan, class Mode, class T, class Terms>
LIMBECK_INLINE row_finish<T, Plan> finish(const problem<T>& in, const row_numbers<T, Plan>& n, const Terms& terms,
                                          flow_sums<T, Plan, Mode>& sums, const T* label_logits,
                                          T student_mean) {
  using X = pack<scalar_lanes<T>>;
  row_finish<T, Plan> out{};
  out.value = sums.value();
  for_each_index<Plan::size>([&](auto k) LIMBECK_LAMBDA_INLINE {
    using L = typename Plan::template term_at<k>::loss_type;
    if constexpr (saturating<L>) {  // a class whose value cannot be held has the largest number there is
      if (n.value_weight[k] > 0 && sums.value() >= n.value_weight[k] * (T(0.999) * (std::numeric_limits<T>::max)()))
        out.value = std::numeric_limits<T>::infinity();
    }
  });
  if constexpr (Mode::gradient)
    for_each_index<Plan::softmaxes::size>([&](auto i) LIMBECK_LAMBDA_INLINE { out.coefficient[i] = -sums.flow(i); });
  T label_log[at_least_one(Plan::slot_keys::size)]{};  // label coefficient times log q of the label: for d loss / dT
  for_each_index<Plan::size>([&](auto k) LIMBECK_LAMBDA_INLINE {
    const auto& term = terms[hana::size_t<k>{}];
    using Term = std::remove_cvref_t<decltype(term)>;
    using L = typename Term::loss_type;
    [[maybe_unused]] const auto& loss = loss_of<Plan, k>(term, n);
    if constexpr (is<L, constantly>) out.value += n.value_weight[k];
    if constexpr (is<L, pointwise> && top_in<typename Term::domain>::with_rest) {
      using S = typename Term::student_slot;
      using U = typename Term::teacher_slot;
      using Rest = typename needs_of<Term>::rest;
      constexpr auto s = Plan::softmaxes::template index<softmax_key<student_side, S, all>>();
      constexpr auto rs = Plan::softmaxes::template index<softmax_key<student_side, S, Rest>>();
      constexpr auto rt = Plan::softmaxes::template index<softmax_key<teacher_side, U, Rest>>();
      if (n.value_weight[k] == 0) return;
      point<X> x = rest_of<Plan, S, U, Rest>(n, sums.top_difference(k));
      set_differences(x);
      const X value = loss.value(x);
      const bool no_student = n.inverse_z[rs] == 0, no_teacher = n.inverse_z[rt] == 0;
      const bool infinite = (no_student && x.p > X(T(0)) && diverges<T>(loss, true)) ||
                            (no_teacher && x.q > X(T(0)) && diverges<T>(loss, false));
      out.value += n.value_weight[k] * (infinite ? std::numeric_limits<T>::infinity() : value.v);
      if constexpr (Mode::gradient) {
        const X flow = loss.flow(x);
        const T f = n.flow_weight[k] * flow.v;
        out.coefficient[rs] += f;
        out.coefficient[s] -= f;
        if constexpr (Mode::template wants<S>)
          label_log[Plan::slot_keys::template index<S>()] +=
              (no_student ? T(0) : f * x.log_q.v) - n.flow_weight[k] * static_cast<T>(power_in<S>(term)) * value.v;
        if constexpr (Mode::template wants<U>) {
          constexpr auto t = Plan::softmaxes::template index<softmax_key<teacher_side, U, all>>();
          X own;
          if constexpr (requires { loss.teacher_flow(x); }) {
            own = loss.teacher_flow(x);
          } else {
            own = value - flow;
          }
          const T h = n.teacher_weight[k] * own.v;
          out.coefficient[rt] += h;
          out.coefficient[t] -= h;
          if (!no_teacher) label_log[Plan::slot_keys::template index<U>()] += h * x.log_p.v;
        }
      }
    }
    if constexpr (is<L, labelwise> && !per_class<Mode, L>) {
      using S = typename Term::student_slot;
      using U = typename Term::teacher_slot;
      using KS = softmax_key<student_side, S, all>;
      constexpr auto s = Plan::softmaxes::template index<KS>();
      X logits[at_least_one(Plan::maxima::size)];
      for_each_index<Plan::maxima::size>([&](auto i) LIMBECK_LAMBDA_INLINE { logits[i] = X(label_logits[i]); });
      const row_numbers<X, Plan> nx = n.template broadcast<X>();
      label_point<X> x{};
      x.classes = X(static_cast<T>(in.classes_of_row()));
      x.log_q = log_softmax<KS>(nx, logits);
      x.q = exp2_negative(x.log_q * X(static_cast<T>(log2e)));
      constexpr auto m = Plan::maxima::template index<typename KS::maximum>();
      x.mean_log_q = X(student_mean * n.inverse_t[Plan::slot_keys::template index<S>()] - n.log_z[s]);
      bool masks = !(label_logits[m] > masked_logit<T>);
      if constexpr (needs_teacher<L>()) {
        using KT = softmax_key<teacher_side, U, all>;
        using P = pair_key<S, U, all>;
        x.p = exp2_negative(log_softmax<KT>(nx, logits) * X(static_cast<T>(log2e)));
        x.log_ratio = gap<P>(nx, logits) - nx.kappa[Plan::pairs::template index<P>()];
        masks = masks || !(label_logits[Plan::maxima::template index<typename KT::maximum>()] > masked_logit<T>);
      }
      [[maybe_unused]] T rest_log_q(0);
      if constexpr (needs_rest<L>() && !needs_teacher<L>()) {
        const T log_rest = log_share<softmax_key<student_side, S, non_target>, KS>(n);
        x.rest_q = exp2_negative(X(log_rest * static_cast<T>(log2e)));
        if (log_rest > masked_logit<T>) rest_log_q = log_rest;
      } else if constexpr (needs_rest<L>()) {
        point<X> y{};
        y.p = x.p, y.q = x.q, y.log_ratio = x.log_ratio;
        set_differences(y);
        const point<X> rest = rest_of<Plan, S, U, non_target>(n, y.difference.v);
        x.rest_q = rest.q, x.rest_p = rest.p, x.rest_log_ratio = rest.log_ratio;
        if (rest.log_q > X(masked_logit<T>)) rest_log_q = rest.log_q.v;
      }
      label_point<X> deeper = x;  // the logarithm of a masked class is finite here: does the value grow with it?
      const X far_down(T(1e6));
      if (masks) deeper.log_q *= far_down, deeper.log_ratio *= far_down;
      if constexpr (needs_rest<L>() && needs_teacher<L>()) {
        if (n.inverse_z[Plan::softmaxes::template index<softmax_key<student_side, S, non_target>>()] == 0 ||
            n.inverse_z[Plan::softmaxes::template index<softmax_key<teacher_side, U, non_target>>()] == 0)
          masks = true, deeper.rest_log_ratio *= far_down;
      }
      if (n.value_weight[k] == 0) return;  // a row without a label: 0, though its value may be infinite
      const label_outcome<X> o = loss.outcome(x);
      const bool infinite = masks && loss.outcome(deeper).value.v > o.value.v;
      out.value += n.value_weight[k] * (infinite ? std::numeric_limits<T>::infinity() : o.value.v);
      if constexpr (Mode::gradient) {
        out.coefficient[s] += n.flow_weight[k] * o.softmax.v;
        if constexpr (needs_rest<L>())
          out.coefficient[Plan::softmaxes::template index<softmax_key<student_side, S, non_target>>()] +=
              n.flow_weight[k] * o.rest.v;
        out.uniform += n.flow_weight[k] * o.uniform.v;
        out.label += n.flow_weight[k] * o.label.v;
        if constexpr (Mode::template wants<S>)
          label_log[Plan::slot_keys::template index<S>()] +=
              n.flow_weight[k] * (o.label.v * x.log_q.v + o.uniform.v * x.mean_log_q.v * x.classes.v -
                                  static_cast<T>(power_in<S>(term)) * o.value.v);
        if constexpr (Mode::template wants<S> && needs_rest<L>())  // the others' softmax is not shifted as the whole
          label_log[Plan::slot_keys::template index<S>()] += n.flow_weight[k] * o.rest.v * rest_log_q;
      }
    }
  });
  if constexpr (Mode::gradient) {
    for_each_key(typename Plan::softmaxes{}, [&]<class K, std::size_t Index>() LIMBECK_LAMBDA_INLINE {
      if constexpr (Mode::template wants<typename K::slot>)
        out.temperature_gradient[Plan::slot_keys::template index<typename K::slot>()] -=
            sums.log_flow(Index) + out.coefficient[Index] * sums.entropy(Index);
    });
    // T^power is part of the value
    for_each_key(typename Plan::slot_keys{}, [&]<class S, std::size_t Index>() LIMBECK_LAMBDA_INLINE {
      if constexpr (Mode::template wants<S>) out.temperature_gradient[Index] -= sums.direct(Index) + label_log[Index];
    });
  }
  return out;
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
