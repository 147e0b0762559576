#ifndef LIMBECK_OBJECTIVE_PARTS_HPP
#define LIMBECK_OBJECTIVE_PARTS_HPP

/// @file
/// The parts of an objective with named outputs: one for each pair of tensors that losses compare, an objective of one
/// student and one teacher. And the outputs of a model by number.

#include <limbeck/objective/layered.hpp>
#include <limbeck/objective/outputs.hpp>
#include <limbeck/objective/run.hpp>
#include <limbeck/objective/run_time.hpp>

#include <array>
#include <tuple>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

inline constexpr std::string_view logits_name = "logits";

/// The parts of a list of terms, in order of appearance.
template <class Terms>
struct parts_of;
template <class... Term>
struct parts_of<hana::tuple<Term...>> {
  struct part {
    std::string_view student, teacher;
    bool reads_teacher, both;  // a teacher's output, or a second one of the student
    bool first_of_student = false, first_of_second = false;  // whether no part before writes the same gradient
    /// Whether its call writes the gradient of this output of the student.
    constexpr bool writes(std::string_view name) const { return student == name || (both && teacher == name); }
    /// Whether it needs an output of a teacher.
    constexpr bool taught() const { return reads_teacher && !both; }
  };
  template <class Place>
  static constexpr bool is_both() {
    if constexpr (std::is_void_v<Place>)
      return false;
    else
      return Place::both;
  }
  template <class Place>
  static constexpr std::string_view student_of() {
    if constexpr (std::is_void_v<Place>)
      return logits_name;
    else
      return Place::student;
  }
  template <class Place>
  static constexpr std::string_view teacher_of() {
    if constexpr (std::is_void_v<Place>)
      return logits_name;
    else
      return Place::teacher;
  }
  template <class T>
  static constexpr bool reads = needs_teacher<typename T::loss_type>() || T::signal_type::needs_teacher;

  std::array<part, sizeof...(Term)> all{};
  std::array<std::size_t, sizeof...(Term)> of_term{};  // which part
  std::size_t count = 0;

  constexpr parts_of() {
    const std::array<part, sizeof...(Term)> terms{
        part{student_of<typename Term::place>(), teacher_of<typename Term::place>(), reads<Term>,
             reads<Term> && is_both<typename Term::place>()}...};
    for (const part& t : terms)
      if (t.reads_teacher) add(t);
    for (const part& t : terms)
      if (!t.reads_teacher) add(t);
    for (std::size_t k = 0; k != terms.size(); ++k) of_term[k] = index(terms[k]);
    for (std::size_t i = 0; i < count; ++i) {
      all[i].first_of_student = writer(all[i].student) == i;
      all[i].first_of_second = all[i].both && writer(all[i].teacher) == i;
    }
  }
  /// The part of losses at these outputs; @p t.reads_teacher: whether they look at the teacher's.
  constexpr std::size_t index(const part& t) const {
    std::size_t i = 0;
    while (i < count && !(all[i].student == t.student &&
                          (!t.reads_teacher || (all[i].teacher == t.teacher && all[i].both == t.both))))
      ++i;
    return i;
  }
  /// The first part that writes the gradient of this output of the student.
  constexpr std::size_t writer(std::string_view name) const {
    std::size_t i = 0;
    while (i < count && !all[i].writes(name)) ++i;
    return i;
  }
  /// Whether any part needs an output of a teacher.
  constexpr bool taught() const {
    for (std::size_t i = 0; i < count; ++i)
      if (all[i].taught()) return true;
    return false;
  }

 private:
  constexpr void add(const part& t) {
    if (index(t) == count) all[count++] = t;
  }
};

template <class E>
using terms_of = decltype(flatten(std::declval<const E&>(), context<>{}));
template <class E>
inline constexpr auto parts = parts_of<terms_of<E>>{};

/// Part @p Index of an objective, as an objective.
template <class E, std::size_t Index>
struct objective_part : callable<objective_part<E, Index>> {
  using limbeck_loss = expression;
  using limbeck_part = void;
  using whole_type = E;
  static constexpr std::size_t index = Index;
  const E* whole;
  constexpr explicit objective_part(const E& e) : whole(&e) {}

  template <std::size_t K, class>
  using has_term = std::bool_constant<parts<E>.of_term[K] == Index>;
  /// Whether the losses of @p Inner, at @p Place, are of this part.
  template <class Place, class Inner>
  static constexpr bool has_place() {
    using P = parts_of<terms_of<E>>;
    return parts<E>.index({P::template student_of<Place>(), P::template teacher_of<Place>(), reads_teacher<Inner>(),
                           reads_teacher<Inner>() && P::template is_both<Place>()}) == Index;
  }
};

// The outputs of a model; a tensor alone is "logits".

template <class X>
constexpr std::size_t output_index(std::string_view name) {
  if constexpr (!is_outputs<X>) {
    return name == logits_name ? 0 : 1;
  } else {
    return []<class... Output>(const outputs<Output...>*, std::string_view who) {
      const std::string_view names[] = {Output::name.view()...};
      std::size_t i = 0;
      while (i < sizeof...(Output) && names[i] != who) ++i;
      return i;
    }(static_cast<std::remove_cvref_t<X>*>(nullptr), name);
  }
}
template <class X>
constexpr std::size_t outputs_in() {
  if constexpr (is_outputs<X>)
    return std::remove_cvref_t<X>::size;
  else
    return 1;
}
template <std::size_t Index, class X>
constexpr auto& output_at(X& x) {
  if constexpr (is_outputs<X>)
    return std::get<Index>(x.all).value;
  else
    return x;
}
/// f of each output, under its name.
template <class X, class F>
constexpr auto map_outputs(X& x, F&& f) {
  if constexpr (is_outputs<X>) {
    return [&]<class... Output, std::size_t... Index>(const outputs<Output...>*, std::index_sequence<Index...>) {
      return outputs{output<Output::name>(f(std::get<Index>(x.all).value))...};
    }(static_cast<std::remove_cvref_t<X>*>(nullptr), std::make_index_sequence<outputs_in<X>()>{});
  } else {
    return f(x);
  }
}

/// A gradient for a tensor, and the view of it that a call writes to.
template <class X>
auto make_gradient(const X& x) {
  if constexpr (layer_list<X>) {
    std::vector<decltype(make_gradient(x[0]))> all;
    for (const auto& layer : x) all.push_back(make_gradient(layer));
    return all;
  } else if constexpr (run_time_tensor<X>) {
    constexpr bool makes = requires { any_tensor_traits<X>::gradient_like(x); };
    static_assert(makes, "limbeck: a view whose type is known at run time only makes no gradient; pass into(gradient)");
    if constexpr (makes) return any_tensor_traits<X>::gradient_like(x);
  } else {
    require_tensor<X>();
    if constexpr (tensor<X>) return tensor_traits<X>::gradient_like(x);
  }
}
template <class G, class X>
auto view_made_gradient(G& made, const X& x) {
  if constexpr (layer_list<X>) {
    std::vector<decltype(view_made_gradient(made[0], x[0]))> all;
    for (std::size_t i = 0; i < made.size(); ++i) all.push_back(view_made_gradient(made[i], x[i]));
    return all;
  } else if constexpr (run_time_tensor<X>)
    return any_tensor_traits<G>::view(made);
  else
    return tensor_traits<X>::view_gradient(made, x);
}

/// f(the workspace of @p Sweep among the arguments of a call, or a new one).
template <class Sweep, class F>
void with_workspace(const F& f) {
  const workspace_of<Sweep> own{};
  f(own);
}
template <class Sweep, class F, class A, class... Rest>
void with_workspace(const F& f, const A& a, const Rest&... rest) {
  if constexpr (std::is_same_v<A, workspace_of<Sweep>>) {
    f(a);
  } else {
    with_workspace<Sweep>(f, rest...);
  }
}

/// Zeros for a tensor that no loss looks at, in the order of the call's workspace. @p Told: where a tensor of run-time type lives.
template <class Told, class G, class... A>
void clear_gradient(G&& g, const A&... args) {
  using Tensor = std::remove_cvref_t<G>;
  const auto clear = [&]<class Sweep>(std::type_identity<Sweep>, const auto& x) {
    with_workspace<Sweep>([&](const auto& ws) { sweep_for<Sweep>::clear_on(ws, x); }, args...);
  };
  if constexpr (layer_list<Tensor>) {
    for (auto& x : g) clear_gradient<Told>(x, args...);
  } else if constexpr (is_head<Tensor>) {
    g.each([&](const any_tensor& x, const char*) { clear_gradient<Told>(x, args...); });
  } else if constexpr (run_time_tensor<Tensor>) {
    any_tensor all = any_tensor_traits<Tensor>::view(g);
    if (all.beyond > 0) all.shape[all.rank - 1] += static_cast<std::ptrdiff_t>(all.beyond);
    clear(std::type_identity<Told>{}, stored_view<float>(all, "gradient", kind_of_memory<Told>));
  } else if constexpr (requires { tensor_traits<Tensor>::beyond(g); }) {
    clear_gradient<Told>(g.tensor, args...);
  } else {
    const auto x = tensor_traits<Tensor>::view(g);
    using T = arithmetic_of_t<std::remove_const_t<typename decltype(x)::element>>;
    clear(std::type_identity<typename tensor_traits<Tensor>::sweep>{}, stored_rows<T>(x));
  }
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
