#ifndef LIMBECK_OBJECTIVE_RUN_HPP
#define LIMBECK_OBJECTIVE_RUN_HPP

/// @file
/// From the arguments of a call to its terms and its problem.

#include <limbeck/objective/measured.hpp>
#include <limbeck/objective/whole_batch.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Of a call whose classes are over ranks, objective/classes_over.hpp: with_problem on all of them, none of which goes on
/// alone; and what can be said of it by its types.
template <bool InChunks, class Student, class E, class F, class... Args>
auto with_problem_over_ranks(const E& e, F&& f, Student& student, Args&... args);
template <class E, class Plan, class Signature, class... Args>
constexpr bool require_over_ranks();
/// The sum of the ranks' @p x.
template <class T>
double of_all_ranks(const problem<T>& in, double x);

/// f(terms at this progress, problem, workspace, executor, signature) for the arguments of a call. @p InChunks: the student's
/// logits are there a chunk at a time, so that a signal for a temperature is measured then.
template <bool InChunks = false, class Student, class E, class F, class... Args>
auto with_problem(const E& e, F&& f, Student& student, Args&... args) {
  using Bare = std::remove_cvref_t<Student>;
  require_tensor<Bare>();
  (require_argument<std::remove_cvref_t<Args>>(), ...);
  if constexpr (tensor<Bare> && has_tag<classes_over_tag, std::remove_cvref_t<Args>...>) {
    return with_problem_over_ranks<InChunks>(e, f, student, args...);
  } else if constexpr (tensor<Bare>) {
    using Traits = tensor_traits<Bare>;
    using T = typename Traits::scalar;
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "limbeck: logits are float or double");
    using Signature = signature<Bare, std::remove_cvref_t<Args>...>;
    static_assert(Signature::tensors <= 2, "limbeck: there is one student and one teacher; further tensors have names, as soft_labels(P) for one-hot rows "
                  "and probabilities in the place of labels");
    problem<T> in;
    using Workspace = workspace_of<typename Traits::sweep>;
    Workspace local;
    Workspace* ws = &local;
    std::size_t seen = 0;
    apply_argument<T, typename Traits::sweep>(in, ws, seen, student);
    (apply_argument<T, typename Traits::sweep>(in, ws, seen, args), ...);
    const auto terms = flatten(e, context<>{.progress = in.progress});
    using Plan = typename plan_of<std::remove_cv_t<decltype(terms)>>::type;
    static_assert(require_call<T, Plan, Signature, has_temperature_signal<E>(), is_scheduled<E>()>::checked());
    if constexpr (Signature::over_ranks) static_assert(require_over_ranks<E, Plan, Signature, std::remove_cvref_t<Args>...>());
    if constexpr (Plan::softmaxes::size > 0) require_two_classes(in);
    in.settle_labels();
    const auto run = [&](problem<T>& all, Workspace& memory) {
      check_terms(all, terms);
      if constexpr (InChunks) {
        static_assert(statistics_of_terms<std::remove_cv_t<decltype(terms)>> == 0 && !temperatures_hold_statistics<E>(),
                      "limbeck: median_of, quantile_of, mean_of and share_of read all rows before the first is swept, and logits_of shows "
                      "them a chunk at a time; measure(signal, ...) first, and give what comes of it");
        return f(terms, all, memory, executor_of(args...), Signature{});
      } else {
        using Target = typename Signature::target_type;
        if constexpr (measures_temperatures<E> || statistics_of_terms<std::remove_cv_t<decltype(terms)>> > 0 ||
                      Signature::teacher_gradient)
          sweep_for<typename Traits::sweep>::begin_measuring(all, memory, executor_of(args...));
        if constexpr (measures_temperatures<E>) {
          check_shapes(all, false, false);
          measure_temperatures<Traits, Target>(e, all, memory, executor_of(args...));
        }
        return f(measured_terms<Traits, Target>(terms, all, memory, executor_of(args...)), all, memory, executor_of(args...), Signature{});
      }
    };
    if constexpr (Signature::template has<batch_over_tag>) {
      constexpr bool on_host = std::is_same_v<typename Traits::sweep, host_rows>;
      static_assert(!InChunks, "limbeck: batch_over(world) gathers rows of logits, and logits_of shows a chunk of them at a time");
      static_assert(on_host, "limbeck: batch_over(world) gathers rows on the host, and these live on a device");
      static_assert(!Signature::has_target || !Plan::template any<batchwise>,
                    "limbeck: a batchwise loss over ranks reads the teacher's rows as a tensor; fill(target, tensor) first");
      if constexpr (!InChunks && on_host) {
        check_shapes(in, Signature::gradient, terms_take_any_width(terms));
        return whole_batch_of(args...).show(in, {Signature::gradient, Signature::teacher_gradient}, *ws, run);
      } else {
        return run(in, *ws);
      }
    } else {
      return run(in, *ws);
    }
  }
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
