#ifndef LIMBECK_OBJECTIVE_RUN_TIME_HPP
#define LIMBECK_OBJECTIVE_RUN_TIME_HPP

/// @file
/// Calls in which a tensor's element type is known at run time only: they become one of two calls that know it.
///
/// By position the first such tensor is the student. With two more, these are teacher and labels; one more is what the
/// call lacks: the labels beside a teacher that is a target, the teacher beside labels that are a vector, and else the
/// teacher if the objective reads one.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/objective/flatten.hpp>
#include <limbeck/objective/requirements.hpp>

#include <boost/hana/unpack.hpp>

#include <array>
#include <string>
#include <tuple>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

template <class A>
inline constexpr bool is_any_argument = requires {
  typename std::remove_cvref_t<A>::limbeck_run_time;
};
/// A head in the place of logits.
template <class A>
inline constexpr bool is_logits = is_head<A> && !is_named<std::remove_cvref_t<A>>;
template <class... A>
inline constexpr bool any_run_time = ((run_time_tensor<A> || is_any_argument<A>) || ...);

/// The memory in which an argument of a call says that it lives, void for one that says nothing: a tensor of run-time type is
/// where the others are.
template <class A>
struct told_memory {
  static constexpr auto told() {
    if constexpr (run_time_tensor<A> || requires { typename A::limbeck_run_time; }) {
      if constexpr (requires { typename A::backend::sweep; }) {
        return std::type_identity<typename A::backend::sweep>{};
      } else {
        return std::type_identity<void>{};
      }
    } else if constexpr (tensor<A>) {
      return std::type_identity<typename tensor_traits<A>::sweep>{};
    } else if constexpr (target<A>) {
      return std::type_identity<target_memory<A>>{};
    } else if constexpr (is_labels<A>) {
      return std::type_identity<vector_memory_t<A>>{};
    } else if constexpr (requires { typename A::memory; }) {
      return std::type_identity<typename A::memory>{};
    } else {
      return std::type_identity<void>{};
    }
  }
  using type = typename decltype(told())::type;
};
template <>
struct told_memory<workspace> {
  using type = host_rows;
};
template <class E>
struct told_memory<executor_argument<E>> {
  using type = host_rows;
};
/// What the arguments of a call say together: a device that one of them names, else the host, void where none names any.
template <class... A>
struct told_by {
  using type = void;
};
template <class A, class... Rest>
struct told_by<A, Rest...> {
  using own = typename told_memory<std::remove_cvref_t<A>>::type;
  using rest = typename told_by<Rest...>::type;
  using type = std::conditional_t<std::is_void_v<own> || (std::is_same_v<own, host_rows> && !std::is_void_v<rest>), rest, own>;
};
/// Where a call runs: on the device that one of its arguments names, else on the host.
template <class... A>
using memory_of_call =
    std::conditional_t<std::is_void_v<typename told_by<A...>::type>, host_rows, typename told_by<A...>::type>;

/// What the terms of an objective say: what a loss holds, or a signal that is given, lives in one memory.
template <class Term>
constexpr auto told_by_term() {
  struct elsewhere {};
  if constexpr (requires { typename Term::loss_type::memory; }) {
    return std::type_identity<typename Term::loss_type::memory>{};
  } else if constexpr (Term::signal_type::template lives_in<host_rows> && !Term::signal_type::template lives_in<elsewhere>) {
    return std::type_identity<host_rows>{};
  } else {
    return std::type_identity<void>{};
  }
}
template <class... Term>
struct told_by_terms {
  using type = void;
};
template <class Term, class... Rest>
struct told_by_terms<Term, Rest...> {
  using own = typename decltype(told_by_term<Term>())::type;
  using type = std::conditional_t<std::is_void_v<own>, typename told_by_terms<Rest...>::type, own>;
};
template <class E>
struct told_by_objective {
  using Terms = decltype(flatten(std::declval<const E&>(), context<>{}));
  template <class... Term>
  static told_by_terms<Term...> of(const hana::tuple<Term...>&);
  using type = typename decltype(of(std::declval<Terms>()))::type;
};

/// A workspace that knows only when it is called in which memory the student is.
template <class A>
inline constexpr bool is_chooser = requires { typename std::remove_cvref_t<A>::limbeck_chooser; };
template <class... A>
inline constexpr bool has_chooser = (is_chooser<A> || ...);

/// The memory of a student whose type is known at run time: of a tensor, a head, the first of several outputs.
template <class X>
memory_kind memory_of(const X& x) {
  if constexpr (run_time_tensor<X>) {
    return any_tensor_traits<X>::view(x).memory;
  } else if constexpr (requires { x.hidden.memory; }) {
    return x.hidden.memory;
  } else if constexpr (requires { std::get<0>(x.all).value; }) {
    return memory_of(std::get<0>(x.all).value);
  } else if constexpr (requires { x.data()[0]; x.size(); } && !tensor<X>) {  // layers
    return x.size() == 0 ? memory_kind::host : memory_of(x.data()[0]);
  } else {
    return kind_of_memory<typename tensor_traits<X>::sweep>;
  }
}
/// f(the arguments of a call), the workspace that chooses replaced by the one it chose.
template <class E, class F, class Student, class... A>
auto with_chosen_memory(const F& f, Student& student, A&... args) {
  const auto choose = [&](auto& chooser) {
    const auto replaced = []<class X>(X& x, auto& ws) -> auto& {
      if constexpr (is_chooser<X>) {
        return ws;
      } else {
        return x;
      }
    };
    using By = typename told_by<Student, A...>::type;
    using Told = typename std::conditional_t<std::is_void_v<By>, told_by_objective<E>, std::type_identity<By>>::type;
    return chooser.template choose<Told>(student, [&](auto& ws) { return f(student, replaced(args, ws)...); });
  };
  const auto first = []<class X, class... Rest>(const auto& self, X& x, Rest&... rest) -> auto& {
    if constexpr (is_chooser<X>) {
      return x;
    } else {
      return self(self, rest...);
    }
  };
  return choose(first(first, args...));
}

/// Whether a call on @p T can take this argument, as far as its type says.
template <class T, class A>
constexpr bool fits() {
  using Bare = std::remove_cvref_t<A>;
  if constexpr (run_time_tensor<Bare> || is_any_argument<Bare>) {
    return true;
  } else if constexpr (tensor<Bare>) {
    return true;
  } else if constexpr (target<Bare>) {
    return std::is_same_v<typename Bare::scalar, T>;
  } else if constexpr (is_named<Bare>) {
    return requires(Bare & a, problem<T> & in) { a.apply(in); };
  } else {
    return true;
  }
}

template <class T, class L>
constexpr bool fits_loss() {
  if constexpr (requires { typename L::scalar; }) {
    return std::is_same_v<typename L::scalar, T>;
  } else {
    return true;
  }
}

template <class E>
constexpr bool reads_teacher() {
  using Terms = decltype(flatten(std::declval<const E&>(), context<>{}));
  return decltype(hana::unpack(std::declval<Terms>(), []<class... Term>(const Term&...) {
    return std::bool_constant<((needs_teacher<typename Term::loss_type>() || decltype(Term::signal)::needs_teacher) ||
                               ...)>{};
  }))::value;
}

/// Whether a call on @p T can run this objective: some losses hold numbers of one type (`scalar`).
template <class T, class E>
constexpr bool runs_in() {
  using Terms = decltype(flatten(std::declval<const E&>(), context<>{}));
  return decltype(hana::unpack(std::declval<Terms>(), []<class... Term>(const Term&...) {
    return std::bool_constant<(fits_loss<T, typename Term::loss_type>() && ...)>{};
  }))::value;
}

enum class place { as_it_is, student, teacher, labels };

/// What each argument of a call is.
template <class E, class... A>
constexpr std::array<place, sizeof...(A)> places() {
  constexpr bool run_time[] = {run_time_tensor<A>...};
  constexpr bool matrix[] = {(tensor<std::remove_cvref_t<A>> || target<std::remove_cvref_t<A>> || is_logits<A>)...};
  bool teacher = false;
  const bool labels = (is_labels<std::remove_cvref_t<A>> || ...);
  std::size_t unknown = 0;
  for (std::size_t i = 1; i < sizeof...(A); ++i) {
    teacher = teacher || matrix[i];
    unknown += run_time[i];
  }
  std::array<place, sizeof...(A)> out{};
  if (run_time[0]) out[0] = place::student;
  for (std::size_t i = 1; i < sizeof...(A); ++i) {
    if (!run_time[i]) continue;
    const bool is_teacher = !teacher && (unknown > 1 || labels || reads_teacher<E>());
    out[i] = is_teacher ? place::teacher : place::labels;
    teacher = true;  // what follows it can only be the labels
    --unknown;
  }
  return out;
}

/// An argument as a call on @p T takes it, in the memory of @p Sweep.
template <class T, class Sweep, place Place, class A>
decltype(auto) typed(A&& a) {
  constexpr memory_kind where = kind_of_memory<Sweep>;
  if constexpr (is_any_argument<A>) {
    return a.template as<T, Sweep>();
  } else if constexpr (Place == place::as_it_is) {
    return std::forward<A>(a);
  } else {
    const any_tensor x = any_tensor_traits<std::remove_cvref_t<A>>::view(a);
    if constexpr (Place == place::labels) {
      if (!is_integer(x.type)) raise<value_error>("limbeck: labels is " + x.str() + ", expected whole numbers");
      return any_labels<Sweep>{x.vector("labels", where)};
    } else {
      using Tensor = typename stored_tensor<const T, Sweep>::type;
      if constexpr (Place == place::student) {  // its type decides in what is computed: nothing is narrowed, silently
        const bool short_float = x.type == element_type::float16 || x.type == element_type::bfloat16;
        if ((std::is_same_v<T, double> || !short_float) && x.type != element_type_of<T>)
          (void)x.template rows<const T>("student", where);  // says which type is expected
      }
      return Tensor{stored_view<const T>(x, Place == place::student ? "student" : "teacher", where)};
    }
  }
}

/// Labels of several dimensions are those of the logits' samples, in the same order.
/// @throws shape_error otherwise: [steps, batch] for [batch, steps, classes] would be as many.
inline void check_label_shape(const any_tensor& student, const any_tensor& labels) {
  if (labels.rank < 2 || !is_integer(labels.type) || (student.rank > 3 && !student.named_classes)) return;
  bool same = labels.rank + 1 == student.rank;
  for (std::size_t i = 0; same && i < labels.rank; ++i) same = labels.shape[i] == student.shape[i];
  if (!same)
    raise<shape_error>("limbeck: labels is " + labels.str() + ", and student is " + student.str() +
                       ", expected the dimensions before the classes (one-hot rows and probabilities are soft_labels(P))");
}

template <class T, class E, class F, class... A>
auto typed_call(F&& f, A&&... args) {
  static_assert((std::size_t{run_time_tensor<A> || tensor<std::remove_cvref_t<A>> || target<std::remove_cvref_t<A>> ||
                             is_labels<std::remove_cvref_t<A>>} +
                 ...) <= 3,
                "limbeck: a call has one student, one teacher and one vector of labels; further tensors have names");
  static constexpr auto where = places<E, A...>();
  using Sweep = memory_of_call<A...>;
  return [&]<std::size_t... Index>(std::index_sequence<Index...>) {
    if constexpr (where[0] == place::student) {
      const auto check = [&]<place Place>(const any_tensor& student, const auto& a) {
        if constexpr (Place == place::labels)
          check_label_shape(student, any_tensor_traits<std::remove_cvref_t<decltype(a)>>::view(a));
      };
      const auto view = [](const auto& first, const auto&...) {
        return any_tensor_traits<std::remove_cvref_t<decltype(first)>>::view(first);
      };
      (check.template operator()<where[Index]>(view(args...), args), ...);
    }
    // a tuple in braces: the first argument that is wrong is the one that is named
    std::tuple<decltype(typed<T, Sweep, where[Index]>(std::forward<A>(args)))...> all{
        typed<T, Sweep, where[Index]>(std::forward<A>(args))...};
    return f(std::get<Index>(all)...);
  }
  (std::index_sequence_for<A...>{});
}

/// f(arguments that know their type), by the type of the student.
template <class E, class F, class Student, class... A>
auto with_element_type(F&& f, Student&& student, A&&... args) {
  if constexpr (!any_run_time<Student, A...>) {
    return f(std::forward<Student>(student), std::forward<A>(args)...);
  } else if constexpr (!run_time_tensor<Student>) {
    require_tensor<std::remove_cvref_t<Student>>();
    using T = typename tensor_traits<std::remove_cvref_t<Student>>::scalar;
    static_assert((fits<T, A>() && ...), "limbeck: student and another argument hold different scalar types");
    return typed_call<T, E>(f, std::forward<Student>(student), std::forward<A>(args)...);
  } else {
    constexpr bool in_float = runs_in<float, E>() && (fits<float, A>() && ...);
    constexpr bool in_double = runs_in<double, E>() && (fits<double, A>() && ...);
    static_assert(in_float || in_double,
                  "limbeck: the tensors, targets, named arguments and losses of this call hold different scalar types");
    const any_tensor x = any_tensor_traits<std::remove_cvref_t<Student>>::view(student);
    if constexpr (in_float && in_double) {
      if (x.type == element_type::float64)
        return typed_call<double, E>(f, std::forward<Student>(student), std::forward<A>(args)...);
      if (x.type != element_type::float32 && x.type != element_type::float16 && x.type != element_type::bfloat16)
        raise<value_error>("limbeck: student is " + x.str() + ", expected float32, float64, float16 or bfloat16");
    }
    // the one type that the other arguments have; another one is refused as the student is viewed
    using T = std::conditional_t<in_float, float, double>;
    return typed_call<T, E>(f, std::forward<Student>(student), std::forward<A>(args)...);
  }
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
