#ifndef LIMBECK_OBJECTIVE_OBJECTIVE_HPP
#define LIMBECK_OBJECTIVE_OBJECTIVE_HPP

/// @file
/// The call: `objective(student, teacher, labels, progress, into(gradient), workspace, ...)`.
///
/// Checks shapes and settings, reads the terms at this progress, and runs one sweep of the rows. Throws `shape_error`
/// and `value_error`; inputs stay as they were. With `into` and a workspace that has served a call of this size before,
/// nothing is allocated.

#include <limbeck/engine/sweep.hpp>
#include <limbeck/objective/flatten.hpp>
#include <limbeck/objective/head_call.hpp>
#include <limbeck/objective/named_call.hpp>
#include <limbeck/objective/report.hpp>
#include <limbeck/objective/requirements.hpp>
#include <limbeck/objective/run.hpp>
#include <limbeck/objective/run_time.hpp>
#include <limbeck/objective/whole_batch.hpp>

#include <boost/hana/for_each.hpp>

#include <functional>
#include <tuple>

LIMBECK_BEGIN_NAMESPACE

/// What a call without `into` returns: `auto [loss, gradient] = objective(student, teacher, labels);`
template <class Gradient>
struct evaluation_with_gradient : evaluation {
  Gradient gradient;  ///< with respect to the student's logits, a tensor of its kind
  /// For structured bindings: loss, gradient.
  template <std::size_t Index>
  const auto& get() const {
    if constexpr (Index == 0) {
      return this->loss;
    } else {
      return gradient;
    }
  }
};

/// @cond
namespace detail {

/// A call on a student whose type is known at run time, and which is given no place for the gradient.
template <class First, class... Rest>
inline constexpr bool wants_gradient_like_student =
    run_time_tensor<First> && !has_tag<gradient_tag, std::remove_cvref_t<Rest>...>;
template <class Student, class... Rest>
auto gradient_like_student(const Student& student, const Rest&...) {
  using Traits = any_tensor_traits<Student>;
  constexpr bool makes = requires { Traits::gradient_like(student); };
  static_assert(makes, "limbeck: a view whose type is known at run time only makes no gradient; pass into(gradient)");
  if constexpr (makes) {
    return evaluation_with_gradient<decltype(Traits::gradient_like(student))>{{}, Traits::gradient_like(student)};
  } else {
    return evaluation_with_gradient<any_tensor>{};
  }
}

// The three calls once all types are known.

template <class E, class... Args>
auto evaluate(const E& e, Args&&... args) {
  const auto run_problem = [&](const auto& terms, auto& in, auto& ws, auto& executor, auto signature) {
    using Signature = decltype(signature);
    using Traits = typename Signature::student_traits;
    using Mode = typename Signature::template mode<
        sweep_mode<true, Signature::soft_labels, Signature::temperature_output, typename Signature::target_type>>;
    const auto run = [&] {
      check_problem<typename Traits::sweep>(in, terms, true);
      clear_beyond<typename Traits::sweep>(in, ws);
      const auto own = [&] { return run_terms<Traits, Mode>(in, terms, ws, executor); };
      if constexpr (Signature::teacher_gradient) {
        return run_both_sides<Traits>(in, terms, ws, executor, own);
      } else {
        return own();
      }
    };
    if constexpr (Signature::gradient) {
      return run();
    } else {
      static_assert(!Signature::deferred,
                    "limbeck: deferred(result) goes with into(gradient): a gradient that the call makes would be gone "
                    "before the device has written it");
      const auto& student = std::get<0>(std::forward_as_tuple(args...));
      using Gradient = decltype(Traits::gradient_like(student));
      evaluation_with_gradient<Gradient> result{{}, Traits::gradient_like(student)};
      in.gradient = Traits::view_gradient(result.gradient, student);
      static_cast<evaluation&>(result) = run();
      return result;
    }
  };
  return with_problem(e, run_problem, args...);
}

template <class E, class... Args>
auto evaluate_value(const E& e, Args&&... args) {
  const auto run_problem = [&](const auto& terms, auto& in, auto& ws, auto& executor, auto signature) {
    using Signature = decltype(signature);
    using Traits = typename Signature::student_traits;
    static_assert(!Signature::gradient && !Signature::teacher_gradient,
                  "limbeck: value() writes no gradient; call the objective itself");
    check_problem<typename Traits::sweep>(in, terms, false);
    const auto run = [&] {
      using Mode = typename Signature::template mode<sweep_mode<false, Signature::soft_labels, false, typename Signature::target_type>>;
      return run_terms<Traits, Mode>(in, terms, ws, executor);
    };
    if constexpr (std::is_void_v<decltype(run())>) {
      run();
    } else {
      return run().loss;
    }
  };
  return with_problem(e, run_problem, args...);
}

template <class E, class... Args>
auto evaluate_terms(const E& e, Args&&... args) {
  const auto run_problem = [&](const auto& terms, auto& in, auto& ws, auto& executor, auto signature) {
    using Signature = decltype(signature);
    using Traits = typename Signature::student_traits;
    using Mode = typename Signature::template mode<sweep_mode<true, Signature::soft_labels, false, typename Signature::target_type>>;
    using Sweep = sweep_for<typename Traits::sweep>;
    static_assert(!Signature::deferred, "limbeck: a report reads its numbers at once; leave deferred(result) out");
    static_assert(!Signature::teacher_gradient, "limbeck: a report writes to nobody; leave into_teacher(g) out");
    const auto& student = std::get<0>(std::forward_as_tuple(args...));
    auto gradient = [&] {
      if constexpr (Signature::template has<batch_over_tag>) {
        return std::vector<typename Traits::scalar>(in.samples() * in.classes());
      } else {
        return Traits::gradient_like(student);
      }
    }();
    if constexpr (Signature::template has<batch_over_tag>) {
      in.gradient = rows<typename Traits::scalar>(gradient.data(), in.samples(), in.classes());
    } else {
      in.gradient = Traits::view_gradient(gradient, student);
    }
    in.add = false;
    check_problem<typename Traits::sweep>(in, terms, true);
    objective_report out;
    hana::for_each(terms, [&](const auto& term) {
      const auto alone = hana::make_tuple(term);
      const evaluation of_term = run_terms<Traits, Mode>(in, alone, ws, executor);
      double squares = Sweep::squared_norm(in.gradient);
      if constexpr (Signature::over_ranks) squares = of_all_ranks(in, squares);
      out.add(term.name, term.weight, of_term.loss, squares);
    });
    in.gradient = {};  // its memory goes
    return out;
  };
  return with_problem(e, run_problem, args...);
}

/// A call with named outputs: their gradients too, where no place for them is given.
template <class E, class Student, class... Args>
auto evaluate_by_name(const E& e, Student& student, Args&... args) {
  if constexpr (has_tag<gradient_tag, std::remove_cvref_t<Args>...>) {
    return with_named(e, [](const auto& call) { return call.evaluate(); }, student, args...);
  } else {
    auto made = map_outputs(student, [](const auto& x) { return make_gradient(x); });
    evaluation_with_gradient<decltype(made)> result{{}, std::move(made)};
    auto views = [&] {
      if constexpr (is_outputs<Student>) {
        return [&]<class... Output, std::size_t... Index>(const outputs<Output...>*, std::index_sequence<Index...>) {
          return outputs{output<Output::name>(
              view_made_gradient(std::get<Index>(result.gradient.all).value, std::get<Index>(student.all).value))...};
        }(static_cast<std::remove_cvref_t<Student>*>(nullptr), std::make_index_sequence<outputs_in<Student>()>{});
      } else {
        return outputs{output<"logits">(view_made_gradient(result.gradient, student))};
      }
    }();
    const auto where = into(views);
    static_cast<evaluation&>(result) =
        with_named(e, [](const auto& call) { return call.evaluate(); }, student, args..., where);
    return result;
  }
}

}  // namespace detail
/// @endcond

template <class Self>
template <class... Args>
auto callable<Self>::operator()(Args&&... args) const {
  if constexpr (detail::has_chooser<Args...>) {
    return detail::with_chosen_memory<Self>([this](auto&... known) { return (*this)(known...); }, args...);
  } else if constexpr (detail::has_meeting<Args...>) {
    return detail::with_meeting([this](auto&... known) { return (*this)(known...); }, args...);
  } else if constexpr (detail::by_name<Self, Args...>()) {
    return detail::evaluate_by_name(static_cast<const Self&>(*this), args...);
  } else if constexpr (detail::wants_gradient_like_student<Args...>) {
    auto result = detail::gradient_like_student(args...);
    static_cast<evaluation&>(result) = (*this)(std::forward<Args>(args)..., into(result.gradient));
    return result;
  } else if constexpr (detail::wants_gradient_of_part<Args...>) {
    const auto& student = std::get<0>(std::forward_as_tuple(args...));
    auto made = detail::make_gradient(student);
    evaluation_with_gradient<decltype(made)> result{{}, std::move(made)};
    static_cast<evaluation&>(result) = (*this)(args..., into(detail::view_made_gradient(result.gradient, student)));
    return result;
  } else if constexpr (detail::has_head<Args...>) {
    return detail::evaluate_heads<detail::head_result::evaluation>(static_cast<const Self&>(*this), args...);
  } else {
    return detail::with_element_type<Self>(
        [this](auto&&... known) {
          return detail::evaluate(static_cast<const Self&>(*this), std::forward<decltype(known)>(known)...);
        },
        std::forward<Args>(args)...);
  }
}

template <class Self>
template <class... Args>
auto callable<Self>::value(Args&&... args) const {
  if constexpr (detail::has_chooser<Args...>) {
    return detail::with_chosen_memory<Self>([this](auto&... known) { return this->value(known...); }, args...);
  } else if constexpr (detail::has_meeting<Args...>) {
    return detail::with_meeting([this](auto&... known) { return this->value(known...); }, args...);
  } else if constexpr (detail::by_name<Self, Args...>()) {
    return detail::with_named(static_cast<const Self&>(*this), [](const auto& call) { return call.value(); }, args...);
  } else if constexpr (detail::has_head<Args...>) {
    return detail::evaluate_heads<detail::head_result::value>(static_cast<const Self&>(*this), args...);
  } else return detail::with_element_type<Self>(
      [this](auto&&... known) {
        return detail::evaluate_value(static_cast<const Self&>(*this), std::forward<decltype(known)>(known)...);
      },
      std::forward<Args>(args)...);
}

template <class Self>
template <class... Args>
auto callable<Self>::report(Args&&... args) const {
  if constexpr (detail::has_chooser<Args...>) {
    return detail::with_chosen_memory<Self>([this](auto&... known) { return this->report(known...); }, args...);
  } else if constexpr (detail::has_meeting<Args...>) {
    return detail::with_meeting([this](auto&... known) { return this->report(known...); }, args...);
  } else if constexpr (detail::by_name<Self, Args...>()) {
    return detail::with_named(static_cast<const Self&>(*this), [](const auto& call) { return call.report(); }, args...);
  } else if constexpr (detail::has_head<Args...>) {
    return detail::evaluate_heads<detail::head_result::report>(static_cast<const Self&>(*this), args...);
  } else return detail::with_element_type<Self>(
      [this](auto&&... known) {
        return detail::evaluate_terms(static_cast<const Self&>(*this), std::forward<decltype(known)>(known)...);
      },
      std::forward<Args>(args)...);
}

template <class Self>
plan_text callable<Self>::plan(double progress) const {
  const Self& self = static_cast<const Self&>(*this);
  std::vector<detail::term_words> words = detail::words_of(self);
  std::erase_if(words, [](const detail::term_words& w) { return w.of_layers; });
  if constexpr (!detail::has_places<Self>()) {
    return plan_text(detail::flatten(self, detail::context<>{.progress = progress}), words);
  } else {
    constexpr auto& parts = detail::parts<Self>;
    plan_text all;
    detail::for_each_index<parts.count>([&](auto i) {
      constexpr auto& part = parts.all[i];
      std::vector<detail::term_words> own;
      for (std::size_t k = 0; k < words.size(); ++k)
        if (parts.of_term[k] == i) own.push_back(words[k]);
      std::string title = "at the student's output \"" + std::string(part.student) + '"';
      if (part.reads_teacher) title += (part.both ? ", its \"" : ", the teacher's \"") + std::string(part.teacher) + '"';
      const detail::objective_part<Self, i> objective(self);
      all.add(title + '\n', plan_text(detail::flatten(objective, detail::context<>{.progress = progress}), own));
    });
    detail::each_layered(self, progress, 1, [&]<class L>(const L& layers, double weight) {
      const std::string title = std::string(layers.alike ? "at each pair" : "at the first pair") + " of the student's layers \"" + std::string(L::place::student) +
                                "\", the teacher's \"" + std::string(L::place::teacher) + "\": " + layers.map.describe() + '\n';
      if (layers.map.size() == 0) return all.add(title, {});
      all.add(title, (weight * layers.losses[0]).plan(progress));
    });
    return all;
  }
}

LIMBECK_END_NAMESPACE

/// @cond
template <class G>
struct std::tuple_size<limbeck::evaluation_with_gradient<G>> : std::integral_constant<std::size_t, 2> {};
template <class G>
struct std::tuple_element<0, limbeck::evaluation_with_gradient<G>> {
  using type = const double;
};
template <class G>
struct std::tuple_element<1, limbeck::evaluation_with_gradient<G>> {
  using type = const G;
};
/// @endcond

#endif
