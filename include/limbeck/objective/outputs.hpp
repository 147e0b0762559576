#ifndef LIMBECK_OBJECTIVE_OUTPUTS_HPP
#define LIMBECK_OBJECTIVE_OUTPUTS_HPP

/// @file
/// Several tensors of one model, by name: heads, layers, tokens, several teachers.
///
///     return lk::outputs{lk::output<"logits">(z), lk::output<"layer3">(h)};      // a student's forward
///     cross_entropy{} + lk::at<"layer3">(100 * lk::projected(p, lk::feature_mse{}))
///
/// An output may be a list of tensors, as the layers of a model are: objective/layered.hpp.
/// A loss that stands at no output stands at "logits". A tensor in the place of outputs is called "logits", too.

#include <limbeck/core/lifetime.hpp>
#include <limbeck/objective/arguments.hpp>
#include <limbeck/objective/expression.hpp>

#include <tuple>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// What `output` returns: a value, or a reference to one, under a name.
template <fixed_string Name, class Value>
struct named_output {
  static constexpr auto name = Name;  ///< as given
  using type = Value;                 ///< an lvalue reference where it refers
  Value value;                        ///< a tensor, most often
};

/// @cond
namespace detail {
/// A view or a handle is held as it is; of what owns its memory, an lvalue is referred to.
template <class Value>
using held_output = std::conditional_t<!owns_memory<Value>() || run_time_tensor<std::remove_cvref_t<Value>>,
                                       std::remove_cvref_t<Value>, Value>;
}  // namespace detail
/// @endcond

/// @p value under a name: holds a view or a handle (`rows`, `torch::Tensor`) and whatever is an rvalue, refers to any
/// other lvalue, which is a member of the model then and no variable of its `forward`.
template <fixed_string Name, class Value>
constexpr named_output<Name, detail::held_output<Value>> output(Value&& value) {
  return {std::forward<Value>(value)};
}

/// Tensors by name: what a student's or a teacher's `forward` returns, what `backward` is given (their gradients), and
/// what `into` takes. Also teachers by name: a teacher that asks each of them.
template <class... Output>
struct outputs {
  /// @cond
  using limbeck_outputs = void;
  /// @endcond
  static constexpr std::size_t size = sizeof...(Output);  ///< how many
  std::tuple<Output...> all;                              ///< in order

  /// From `output<"name">(value)`, one or more; each name once.
  constexpr explicit outputs(Output... o) : all(std::forward<Output>(o)...) {
    static_assert(once(), "limbeck: two outputs have one name");
  }

  /// Whether there is one of this name.
  template <fixed_string Name>
  static constexpr bool has = ((Output::name.view() == Name.view()) || ...);
  /// The value of this name.
  template <fixed_string Name>
  constexpr auto& of() {
    return find<Name>(*this);
  }
  /// The same.
  template <fixed_string Name>
  constexpr const auto& of() const {
    return find<Name>(*this);
  }

 private:
  static constexpr bool once() {
    const std::string_view names[] = {Output::name.view()...};
    for (std::size_t i = 0; i < size; ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (names[i] == names[j]) return false;
    return true;
  }
  template <fixed_string Name, class Self>
  static constexpr auto& find(Self& self) {
    static_assert(has<Name>,
                  "limbeck: there is no output of this name; at<\"name\"> and of<\"name\"> name one of "
                  "outputs{output<\"name\">(x), "
                  "...}, a loss without at stands at \"logits\", and a tensor alone is \"logits\"");
    constexpr std::size_t at = [] {
      const std::string_view names[] = {Output::name.view()...};
      std::size_t i = 0;
      while (i + 1 < size && names[i] != Name.view()) ++i;
      return i;
    }();
    return std::get<at>(self.all).value;
  }
};
/// @cond
template <class... Output>
outputs(Output...) -> outputs<Output...>;

template <fixed_string Student, fixed_string Teacher, loss E, bool Both = false>
struct located_loss : callable<located_loss<Student, Teacher, E, Both>> {
  using limbeck_loss = expression;
  using place = detail::at_place<Student, Teacher, Both>;
  E inner;
  constexpr explicit located_loss(E e) : inner(std::move(e)) {}
};

namespace detail {

template <class X>
inline constexpr bool is_outputs = requires {
  typename std::remove_cvref_t<X>::limbeck_outputs;
};

/// An argument of the sweeps at one output of the student.
template <fixed_string Name, class A>
struct located_argument {
  using limbeck_argument = void;
  static constexpr auto output = Name;
  A argument;  // a named argument, or a reference to labels
};

}  // namespace detail
/// @endcond

/// @p loss (or a sum of losses) between the student's output @p Student and the teacher's output @p Teacher, the same
/// unless told: `at<"layer3">(projected(p, hint{}))`, `at<"kd_head", "logits">(forward_kl{})`. Each pair of tensors
/// that losses compare is one sweep; what reads no teacher joins the first of its student's tensor.
template <fixed_string Student, fixed_string Teacher = Student, loss E>
constexpr auto at(const E& e) {
  static_assert(!detail::has_places<E>(), "limbeck: at<\"name\"> stands inside another one; a loss is at one output");
  return located_loss<Student, Teacher, E>(e);
}

/// @p loss (or a sum of losses) between two outputs of the student, each of which gets its gradient: two towers that are trained
/// together, `between<"image", "text">(symmetric_info_nce{})`. @p Second stands in the teacher's place; all losses inside have to have
/// their derivative by it, as for `into_teacher`. The call needs no teacher for it.
template <fixed_string First, fixed_string Second, loss E>
constexpr auto between(const E& e) {
  static_assert(First.view() != Second.view(), "limbeck: between stands between two outputs of a student, each with a name of its own");
  static_assert(!detail::has_places<E>(), "limbeck: at<\"name\"> stands inside another one; a loss is at one output");
  return located_loss<First, Second, E, true>(e);
}

/// An argument of the losses at one output of the student, in the place of the one that all outputs share: labels,
/// `row_weights(w)`, `row_mask(m)`, `mean_over(w)`, `soft_labels(p)`, ...: `at<"tokens">(token_labels)`.
template <fixed_string Student, class A>
  requires(!loss<A>)
constexpr auto at(A&& argument) {
  using Bare = std::remove_cvref_t<A>;
  if constexpr (requires { typename Bare::limbeck_argument; }) {
    return detail::located_argument<Student, Bare>{argument};
  } else {
    static_assert(detail::is_labels<Bare> || run_time_tensor<Bare>,
                  "limbeck: at<\"name\"> takes a loss, labels or a named argument such as row_weights(w)");
    static_assert(std::is_lvalue_reference_v<A> || std::is_trivially_copyable_v<Bare>,
                  "limbeck: at<\"name\">(labels) refers to the labels; keep them in a variable");
    return detail::located_argument<Student, const Bare&>{argument};
  }
}

LIMBECK_END_NAMESPACE

#endif
