#ifndef LIMBECK_OBJECTIVE_HEAD_CALL_HPP
#define LIMBECK_OBJECTIVE_HEAD_CALL_HPP

/// @file
/// A call on heads: for a chunk of rows at a time the logits, the sweep over them, and the products of its gradient.

#include <limbeck/objective/head_chunks.hpp>
#include <limbeck/objective/report.hpp>
#include <limbeck/objective/run_time.hpp>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// @p a, or null where it is no X.
template <class X, class A>
const X* if_it_is(const A& a) {
  if constexpr (std::is_same_v<X, A>) {
    return &a;
  } else {
    return nullptr;
  }
}
template <class X, class... A>
const X* the_one_of(const A&... a) {
  const X* found = nullptr;
  ((found = found ? found : if_it_is<X>(a)), ...);
  return found;
}

/// f(student, arguments) with the element type known: a head in the place of the student is a `head_student`.
template <class E, class F, class Student, class... A>
auto with_head_type(F&& f, Student& student, A&... args) {
  if constexpr (!is_head<Student>) {
    return with_element_type<E>(f, student, args...);
  } else {
    using Sweep = memory_of_call<Student, A...>;
    const auto as_student = [&](const auto& hidden, auto&... known) {
      using T = typename tensor_traits<std::remove_cvref_t<decltype(hidden)>>::scalar;
      using Backend = std::conditional_t<std::is_void_v<typename Student::backend>,
                                         tensor_traits<std::remove_cvref_t<decltype(hidden)>>, typename Student::backend>;
      const head_student<T, Backend> s{student.template as<T, Sweep>()};
      return f(s, known...);
    };
    constexpr memory_kind where = kind_of_memory<Sweep>;
    if constexpr (std::is_void_v<typename Student::scalar>) {
      (void)stored_view<const float>(student.hidden, "hidden", where);  // says what is wrong with it by its own name
      return with_element_type<E>(as_student, student.hidden, args...);
    } else {
      using T = typename Student::scalar;
      using Hidden = typename stored_tensor<const T, Sweep>::type;
      return typed_call<T, E>(as_student, Hidden{stored_view<const T>(student.hidden, "hidden", where)}, args...);
    }
  }
}

/// A target that is no head.
template <class A>
inline constexpr bool is_target_only = target<std::remove_cvref_t<A>> && !is_head<A>;

enum class head_result { evaluation, value, report };

/// A call of which student, teacher or both are heads.
template <head_result Result, class E, class Student, class... A>
auto evaluate_heads(const E& e, Student& given, A&... args) {
  return with_head_type<E>([&](const auto& student, auto&&... known) {
    using S = std::remove_cvref_t<decltype(student)>;
    constexpr bool head = is_head<std::remove_const_t<Student>>;
    using T = typename tensor_traits<S>::scalar;
    constexpr bool places = (std::is_same_v<std::remove_cvref_t<decltype(known)>, head_gradient_argument<T, typename tensor_traits<S>::sweep>> || ...);
    const auto run_problem = [&](const auto& terms, auto& in, auto& ws, auto& executor, auto signature) {
      using Signature = decltype(signature);
      using Traits = typename Signature::student_traits;
      using Plan = typename plan_of<std::remove_cvref_t<decltype(terms)>>::type;
      using Memory = typename Traits::sweep;
      static_assert(std::is_same_v<Memory, host_rows> || !head || !(is_target_only<decltype(known)> || ...),
                    "limbeck: on a device a student of logits_of compares with logits or with another logits_of; fill(target, "
                    "tensor) writes a target's rows there");
      static_assert(!Plan::template any<batchwise>,
                    "limbeck: a batchwise loss relates all rows of a call, and logits_of shows it a chunk of them at a time");
      static_assert(head || !places,
                    "limbeck: head_gradient belongs to a student of logits_of(hidden, weights); this student is a tensor of logits");
      static_assert(!head || places || !Signature::gradient,
                    "limbeck: the gradient of logits_of(hidden, weights) goes into(head_gradient(of_hidden, of_weights)); there is "
                    "no tensor of logits to have one");
      static_assert(!Signature::teacher_gradient, "limbeck: into_teacher(g) takes tensors; the logits of logits_of have no gradient of their own");
      static_assert(Result != head_result::evaluation || Signature::gradient,
                    "limbeck: a call on logits_of makes no gradients; pass into(head_gradient(of_hidden, of_weights)), of a student "
                    "that is a tensor into(gradient), or ask for value(...)");
      static_assert(Result != head_result::value || !Signature::gradient,
                    "limbeck: value() writes no gradient; call the objective itself");
      using Sweep = sweep_for<Memory>;
      heads_of_call<T, Memory> heads{nullptr, the_one_of<head_view<T, Memory>>(known...),
                                     the_one_of<head_gradient_argument<T, Memory>>(known...)};
      if constexpr (head) heads.student = &student.head;
      constexpr bool wants = Result == head_result::evaluation;
      check_problem<Memory>(in, terms, wants && !head);
      heads.check(in);
      if constexpr (Result == head_result::report) heads.gradient = nullptr;  // a report writes to nobody
      if constexpr (wants && !head) clear_beyond<Memory>(in, ws);
      if constexpr (measures_temperatures<E>) check_shapes(in, false, false);
      constexpr bool sweeps_gradient = Result != head_result::value;
      using Mode = typename Signature::template mode<sweep_mode<sweeps_gradient, Signature::soft_labels, wants && Signature::temperature_output>>;
      const auto run = [&](const auto& some, bool own, const auto& after) {
        head_chunks<T, Memory> chunks(in, heads, own, std::type_identity<Traits>{}, ws, executor);
        return chunks.each(executor, [&](problem<T>& chunk, auto& how) {
          if constexpr (measures_temperatures<E>) measure_temperatures<Traits, void>(e, chunk, ws, how);
          const auto swept = [&] { return Sweep::template run<T, typename Traits::template lanes<T>, Mode>(chunk, some, ws, how); };
          if constexpr (std::is_void_v<decltype(swept())>) {
            swept();
            after(chunks, chunk);
          } else {
            const auto part = swept();
            after(chunks, chunk);
            return part;
          }
        });
      };
      const auto nothing = [](const auto&, const auto&) {};
      if constexpr (Result == head_result::report) {
        static_assert(!Signature::deferred, "limbeck: a report reads its numbers at once; leave deferred(result) out");
        objective_report out;
        hana::for_each(terms, [&](const auto& term) {
          double squares = 0;
          const evaluation of_term = run(hana::make_tuple(term), true, [&](const auto& chunks, const auto& chunk) {
            squares += chunks.squared_norm(chunk);
          });
          if constexpr (Signature::over_ranks) squares = of_all_ranks(in, squares);
          out.add(term.name, term.weight, of_term.loss, squares);
        });
        return out;
      } else if constexpr (Result == head_result::value) {
        if constexpr (Signature::deferred) {
          run(terms, false, nothing);
        } else {
          return run(terms, false, nothing).loss;
        }
      } else {
        return run(terms, head, nothing);
      }
    };
    return with_problem<true>(e, run_problem, student, known...);
  }, given, args...);
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
