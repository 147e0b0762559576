#ifndef LIMBECK_OBJECTIVE_FLATTEN_HPP
#define LIMBECK_OBJECTIVE_FLATTEN_HPP

/// @file
/// From the tree of an expression, at one progress, to the list of terms that the planner reads.

#include <limbeck/objective/expression.hpp>

#include <boost/hana/flatten.hpp>

#include <numeric>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class StudentSlot = fixed_slot<1, 1>, class TeacherSlot = fixed_slot<1, 1>, class Domain = all,
          std::size_t Base = 0, class Signal = no_signal, class Place = void>
struct context {
  double progress = 0;
  double weight = 1;
  double student_t = 1, teacher_t = 1;
  bool scaled = true;
  std::string_view name{};
  Signal signal{};

  /// The same numbers at another place.
  template <class S, class U, class D, std::size_t B>
  constexpr context<S, U, D, B, Signal, Place> moved() const {
    return {progress, weight, student_t, teacher_t, scaled, name, signal};
  }
  /// At an output.
  template <class At>
  constexpr context<StudentSlot, TeacherSlot, Domain, Base, Signal, At> placed() const {
    return {progress, weight, student_t, teacher_t, scaled, name, signal};
  }
  /// Weighed by one more signal.
  template <class Bound>
  constexpr auto weighed(const Bound& more) const {
    if constexpr (std::is_same_v<Signal, no_signal>) {
      return context<StudentSlot, TeacherSlot, Domain, Base, Bound, Place>{progress, weight, student_t, teacher_t,
                                                                           scaled,   name,   more};
    } else {
      using Both = bound_node<multiplies, Signal, Bound>;
      return context<StudentSlot, TeacherSlot, Domain, Base, Both, Place>{
          progress, weight, student_t, teacher_t, scaled, name, Both{{}, hana::make_tuple(signal, more)}};
    }
  }
};

template <std::size_t Index, class T>
struct slot_of {
  using type = batch_slot<Index>;
};
template <std::size_t Index, int Num, int Den>
struct slot_of<Index, fixed<Num, Den>> {
  static constexpr int g = std::gcd(Num, Den);
  using type = fixed_slot<Num / g, Den / g>;
};
template <std::size_t Index, signal S>
struct slot_of<Index, S> {
  using type = row_slot;
};
template <std::size_t Index>
struct slot_of<Index, per_row> {
  using type = row_slot;
};
template <std::size_t Index>
struct slot_of<Index, learned_temperature> {
  using type = learned_slot<Index>;
};
template <std::size_t Index, class T>
struct slot_of<Index, learned_parameter<T>> {
  using type = learned_slot<Index>;
};
template <std::size_t Index, class T, class S>
struct slot_of<Index, adversarial_parameter<T, S>> {
  using type = learned_slot<Index>;
};
template <std::size_t Index, class N>
struct slot_of<Index, standardized_temperature<N>> {
  using type = deviation_slot<student_side, Index>;
};

template <class T>
double temperature_at(const T& t, double progress) {
  double value = 1;
  if constexpr (schedule<T>) {
    value = t(progress);
  } else if constexpr (std::is_same_v<T, learned_temperature>) {
    value = *t.value;
  } else if constexpr (requires { T::epsilon; t.number(progress); }) {
    value = t.number(progress);
  } else if constexpr (requires { t.parameter->value(); }) {
    value = t.parameter->value();
  } else if constexpr (requires { T::value; }) {
    value = T::value;
  }
  if (!(value > 0 && value < 1e300))
    raise<value_error>("limbeck: temperature is " + show(value) + ", expected a positive number");
  return value;
}

/// The k of T^k; a batchwise loss need not declare it.
template <class L>
constexpr int temperature_power() {
  if constexpr (is<L, batchwise> && !requires { L::temperature_power; }) {
    return 0;
  } else {
    return L::temperature_power;
  }
}

/// A temperature that no call knows beforehand.
template <class Slot>
inline constexpr bool varies = is_learned<Slot> || is_row_slot<Slot>;

/// One sentence where a policy lacks something, before its use explodes.
template <class L, class Domain, class StudentSlot, class TeacherSlot, class Signal>
constexpr void require_loss() {
  using X = pack<scalar_lanes<double>>;
  static_assert(is<L, pointwise> || is<L, logitwise> || is<L, labelwise> || is<L, rowwise> || is<L, batchwise> ||
                    is<L, constantly>,
                "limbeck: this loss's limbeck_loss is none of pointwise, logitwise, labelwise, rowwise, batchwise, "
                "composite");
  if constexpr (is<L, batchwise>) {
    static_assert(std::is_same_v<Signal, no_signal> || is_by_row<L>,
                  "limbeck: a signal weighs rows one by one; a batchwise loss relates them to each other");
    static_assert(requires { L::temperature_power; } || std::is_same_v<StudentSlot, fixed_slot<1, 1>>,
                  "limbeck: this batchwise loss reads no temperature; take it out of at_temperature");
    static_assert(!is_learned<StudentSlot> && !is_row_slot<StudentSlot> && !is_row_slot<TeacherSlot>,
                  "limbeck: a batchwise loss has one temperature a call, a number or a schedule");
  }
  static_assert(is<L, pointwise> || is<L, labelwise> || is<L, constantly> ||
                    !(is_deviation<StudentSlot> || is_deviation<TeacherSlot>),
                "limbeck: standardized(T) is the temperature of a softmax; this loss reads the logits themselves");
  static_assert(!requires { L::teacher_has_temperature; } ||
                    !(is_learned<TeacherSlot> || is_row_slot<TeacherSlot>),
                "limbeck: sparse rows were made at one temperature; per_row{}, a signal or learned(T) cannot be the teacher's");
  static_assert(!(fixed_temperature<L> && varies<StudentSlot>) && !(fixed_teacher_temperature<L> && varies<TeacherSlot>),
                "limbeck: this loss reads likelihoods, parameters or answers, which stand at T = 1; per_row{}, a signal or "
                "learned(T) cannot be their temperature (of answers: at_temperature(T, 1, ...))");
  static_assert(is<L, batchwise> || requires { L::temperature_power + 0; },
                "limbeck: this loss declares no temperature_power, the k of the factor T^k that keeps the size of its "
                "gradient (2 for the KL family, 0 for none)");
  if constexpr (is<L, pointwise> || is<L, logitwise>) {
    static_assert(requires(const L& l, const point<X>& x) { X(l.value(x)); },
                  "limbeck: this loss lacks `template <class X> X value(const point<X>&) const`");
    static_assert(requires(const L& l, const point<X>& x) { X(l.flow(x)); },
                  "limbeck: this loss lacks `template <class X> X flow(const point<X>&) const`, q times the "
                  "derivative of its value with respect to q");
  } else if constexpr (is<L, labelwise>) {
    static_assert(requires(const L& l, const label_point<X>& x) { label_outcome<X>(l.outcome(x)); },
                  "limbeck: this loss lacks `template <class X> label_outcome<X> outcome(const label_point<X>&) const`");
  } else if constexpr (is<L, rowwise>) {
    static_assert(requires(const L& l, const row<double>& x) { double(l(x)); },
                  "limbeck: this loss lacks `template <class T> T operator()(const row<T>&) const`");
  }
  static_assert(top_in<Domain>::size == 0 || needs_teacher<L>(),
                "limbeck: on<top_of_teacher<k>> holds a loss that reads no teacher; its classes are ranked by the teacher");
  static_assert(is<L, pointwise> || std::is_same_v<Domain, all>,
                "limbeck: on<domain> holds a loss that is not pointwise; only sums over classes have a domain");
}

/// The terms, of a tuple of them, for which `Wanted<their number, their type>` holds.
template <template <std::size_t, class> class Wanted, class... Term>
constexpr auto terms_that(const hana::tuple<Term...>& terms) {
  return [&]<std::size_t... K>(std::index_sequence<K...>) {
    const auto one = [&](auto k) {
      if constexpr (Wanted<decltype(k)::value, std::remove_cvref_t<decltype(terms[hana::size_c<decltype(k)::value>])>>::value) {
        return hana::make_tuple(terms[hana::size_c<decltype(k)::value>]);
      } else {
        return hana::tuple<>{};
      }
    };
    return hana::flatten(hana::make_tuple(one(std::integral_constant<std::size_t, K>{})...));
  }
  (std::index_sequence_for<Term...>{});
}

/// A policy whose option is @p value, in whatever stands around it.
template <auto Member, class E>
constexpr E with_number(E e, double value) {
  if constexpr (requires { e.setting; e.inner; }) {
    e.inner = with_number<Member>(e.inner, value);
  } else {
    e.*Member = static_cast<std::remove_cvref_t<decltype(e.*Member)>>(value);
  }
  return e;
}
/// A term one of whose settings is a signal.
template <auto Member, class L, class D, class S, class U, class Signal, class Place, class X>
constexpr auto with_row_numbers(const term<L, D, S, U, Signal, Place>& t, const X& x, double progress) {
  const auto both = with_setting<Member>(t.signal, bind_signal<void, S, U, Signal::leaves>(x, progress));
  return term<L, D, S, U, std::remove_cv_t<decltype(both)>, Place>{t.loss, both, t.weight, t.student_t, t.teacher_t, t.power, t.name};
}

template <class E, class S, class U, class D, std::size_t Base, class Signal, class Place>
constexpr auto flatten(const E& e, context<S, U, D, Base, Signal, Place> c) {
  if constexpr (is<E, composite>) {
    const auto inner = e.terms();
    if (c.name.empty()) c.name = loss_name<E>();
    return flatten(inner, c);
  } else if constexpr (is<E, layered>) {
    static_assert(std::is_same_v<S, fixed_slot<1, 1>> && std::is_same_v<U, fixed_slot<1, 1>> && std::is_same_v<D, all> &&
                      std::is_same_v<Signal, no_signal>,
                  "limbeck: a temperature, a signal or a domain stands inside at_layers, around its loss");
    return hana::tuple<>{};
  } else if constexpr (!is<E, expression>) {
    require_loss<E, D, S, U, Signal>();
    if constexpr (requires { e.check(); }) e.check();
    if (!(c.weight - c.weight == 0))
      raise<value_error>("limbeck: the weight of " + std::string(loss_name<E>()) + " is " + show(c.weight));
    if (c.name.empty()) c.name = loss_name<E>();
    return hana::make_tuple(term<E, D, S, U, Signal, Place>{e, c.signal, c.weight, c.student_t, c.teacher_t,
                                                     c.scaled ? temperature_power<E>() : 0, c.name});
  } else if constexpr (is_part<E>) {
    return terms_that<E::template has_term>(flatten(*e.whole, c));
  } else if constexpr (requires { typename E::place; e.inner; }) {
    return flatten(e.inner, c.template placed<typename E::place>());
  } else if constexpr (requires { e.first; e.second; }) {
    return hana::concat(flatten(e.first, c),
                        flatten(e.second, c.template moved<S, U, D, Base + temperatures_in<decltype(e.first)>()>()));
  } else if constexpr (requires { e.student; e.teacher; e.inner; }) {
    using Student = std::remove_cvref_t<decltype(e.student)>;
    using Teacher = std::remove_cvref_t<decltype(e.teacher)>;
    using NS = typename slot_of<2 * Base, Student>::type;
    c.student_t = c.teacher_t = temperature_at(e.student, c.progress);
    if constexpr (std::is_same_v<Teacher, same_temperature>) {
      return flatten(e.inner, c.template moved<NS, typename of_teacher_slot<NS>::type, D, Base + 1>());
    } else {
      using NU = std::conditional_t<signal<Teacher>, teacher_row_slot, typename of_teacher_slot<typename slot_of<2 * Base + 1, Teacher>::type>::type>;
      c.teacher_t = temperature_at(e.teacher, c.progress);
      return flatten(e.inner, c.template moved<NS, NU, D, Base + 1>());
    }
  } else if constexpr (requires { e.setting; e.inner; }) {
    if constexpr (signal<decltype(e.setting)>) {
      const auto inner = flatten(e.inner, c);
      return hana::make_tuple(with_row_numbers<E::member>(inner[hana::size_c<0>], e.setting, c.progress));
    } else {
      return flatten(with_number<E::member>(e.inner, e.setting(c.progress)), c);
    }
  } else if constexpr (requires { e.weighing; e.inner; }) {
    return flatten(e.inner, c.weighed(bind_signal<typename E::side, S, U, Signal::leaves>(e.weighing, c.progress)));
  } else if constexpr (requires { e.weight; e.inner; }) {
    c.weight *= e.weight(c.progress);
    return flatten(e.inner, c);
  } else if constexpr (requires { typename E::domain; e.inner; }) {
    return flatten(e.inner, c.template moved<S, U, typename E::domain, Base>());
  } else if constexpr (requires { E::name; e.inner; }) {
    c.name = E::name.view();
    return flatten(e.inner, c);
  } else if constexpr (requires { E::takes_scale_away; }) {
    static_assert(!is<decltype(e.inner), layered>, "limbeck: unscaled stands inside at_layers, around its loss");
    c.scaled = false;
    return flatten(e.inner, c);
  } else {
    return flatten(e.inner, c);
  }
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
