#ifndef LIMBECK_TRAINER_LEARNED_HPP
#define LIMBECK_TRAINER_LEARNED_HPP

/// @file
/// What an objective learns beside the student, as the trainer sees it: zeroed, stepped and archived.

#include <limbeck/objective/learned.hpp>
#include <limbeck/trainer/archive.hpp>
#include <limbeck/trainer/checkpoint_format.hpp>
#include <limbeck/trainer/concepts.hpp>
#include <limbeck/trainer/training_ranks.hpp>

#include <algorithm>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Some parameters and their gradients, of one model or of several: what an optimiser is handed in the place of a model.
template <class T>
class parameter_view {
 public:
  /// Adds those of @p model: `parameters()` and `gradients()`, ranges of spans of T.
  template <class Model>
  void add(Model&& model) {
    for (auto&& p : model.parameters()) parameters_.push_back(std::span<T>(p));
    for (auto&& g : model.gradients()) gradients_.push_back(std::span<T>(g));
    if (parameters_.size() != gradients_.size())
      raise<shape_error>("limbeck: a model has " + std::to_string(parameters_.size()) + " tensors of parameters and " +
                         std::to_string(gradients_.size()) + " of gradients");
  }
  /// Adds one tensor.
  void add(std::span<T> parameters, std::span<T> gradients) {
    parameters_.push_back(parameters);
    gradients_.push_back(gradients);
  }
  const std::vector<std::span<T>>& parameters() const { return parameters_; }  ///< in the order of adding
  const std::vector<std::span<T>>& gradients() const { return gradients_; }    ///< of these

 private:
  std::vector<std::span<T>> parameters_, gradients_;
};

/// @cond
namespace detail {
/// An optimiser that is handed what an objective learns apart from the student: its tensors are no spans.
template <class Optimizer, class Student, class T>
concept steps_parts = requires(Optimizer& o, Student& s, const parameter_view<T>& parts, progress p) {
  o.step(s, parts, p);
};
}  // namespace detail
/// @endcond

/// An optimiser of some tensors of a model only: the others are frozen. `only(adam(0.01), {0, 1})` steps the first two
/// tensors of `parameters()`, and all that the objective learns beside the model; an lvalue is referred to.
template <class Optimizer>
class only {
 public:
  /// @p tensors: their numbers in the range `parameters()`.
  only(Optimizer&& optimizer, std::vector<std::size_t> tensors)
      : optimizer_(std::forward<Optimizer>(optimizer)), tensors_(std::move(tensors)) {}
  /// @throws value_error where the model has no tensor of a number.
  template <class Model>
  void step(Model& model, progress p) {
    step(model, parameter_view<scalar_of<Model>>(), p);
  }
  /// The same, and all of @p parts.
  template <class Model, class T>
  void step(Model& model, const parameter_view<T>& parts, progress p) {
    static_assert(!detail::steps_parts<std::remove_reference_t<Optimizer>, Model, T>,
                  "limbeck: only(optimizer, tensors) picks from a model's parameters(); this optimiser steps tensors of its own "
                  "(LibTorch's), so leave those that are frozen out of its groups");
    parameter_view<T> all, some;
    all.add(model);
    for (const std::size_t i : tensors_) {
      if (i >= all.parameters().size())
        raise<value_error>("limbeck: only(optimizer, ...) names tensor " + std::to_string(i) + " of a model of " +
                           std::to_string(all.parameters().size()));
      some.add(all.parameters()[i], all.gradients()[i]);
    }
    some.add(parts);
    optimizer_.step(some, p);
  }
  /// Saves or restores the optimiser, where that has something to save.
  template <class Archive>
  void serialize(Archive& archive) {
    if constexpr (serializable<std::remove_reference_t<Optimizer>>) archive("optimizer", optimizer_);
  }
  /// The optimiser, and which tensors.
  std::string describe() const {
    std::string text = "only tensors";
    for (const std::size_t i : tensors_) text += ' ' + std::to_string(i);
    return text + ", " + detail::described(optimizer_);
  }

 private:
  template <class Model>
  using scalar_of =
      typename std::remove_cvref_t<decltype(std::span(*std::begin(std::declval<Model&>().parameters())))>::element_type;
  Optimizer optimizer_;
  std::vector<std::size_t> tensors_;
};
/// @cond
template <class O>
only(O&&, std::vector<std::size_t>) -> only<O>;

namespace detail {

/// In the place of an optimiser of parts.
struct no_optimizer {};

struct no_part {
  template <class P>
  void operator()(P&) const {}
};

template <class L>
concept holds_parts = requires(const L& l) {
  l.visit_learned(no_part{});
};
template <class First, class Second>
struct same_scalar {
  using A = typename First::type;
  using B = typename Second::type;
  static_assert(std::is_void_v<A> || std::is_void_v<B> || std::is_same_v<A, B>,
                "limbeck: the parts of this objective that learn hold different scalar types");
  using type = std::type_identity<std::conditional_t<std::is_void_v<A>, B, A>>;
};
template <class First, class Second>
using one_scalar = typename same_scalar<First, Second>::type;
/// The element type of the parts of an objective; void where it learns nothing.
template <class E>
constexpr auto learned_type() {
  if constexpr (calls_over_ranks<E>) {
    return learned_type<std::remove_const_t<decltype(E::inner)>>();
  } else if constexpr (!loss<E>) {
    return std::type_identity<void>{};
  } else if constexpr (is<E, composite>) {
    return learned_type<std::remove_cvref_t<decltype(std::declval<const E&>().terms())>>();
  } else if constexpr (is<E, layered>) {
    return learned_type<typename E::loss_type>();
  } else if constexpr (requires { typename E::inner_type; }) {
    return one_scalar<std::type_identity<typename E::own_scalar>, decltype(learned_type<typename E::inner_type>())>{};
  } else if constexpr (!is<E, expression>) {
    if constexpr (holds_parts<E>) {
      return std::type_identity<typename E::scalar>{};
    } else {
      return std::type_identity<void>{};
    }
  } else if constexpr (requires(const E& e) { e.first; e.second; }) {
    return one_scalar<decltype(learned_type<decltype(E::first)>()), decltype(learned_type<decltype(E::second)>())>{};
  } else if constexpr (requires(const E& e) { e.student; e.teacher; e.inner; }) {
    using Inner = typename decltype(learned_type<decltype(E::inner)>())::type;
    static_assert(!std::is_same_v<decltype(E::student), learned_temperature> &&
                      !std::is_same_v<decltype(E::teacher), learned_temperature>,
                  "limbeck: learned(T) of a double is a variable that no optimiser of a trainer would step; give it a "
                  "temperature_parameter<float> T");
    constexpr auto own = []<class Temperature>(std::type_identity<Temperature>) {
      if constexpr (is_learned_parameter<Temperature>) {
        return std::type_identity<typename std::remove_pointer_t<decltype(Temperature::parameter)>::scalar>{};
      } else {
        return std::type_identity<void>{};
      }
    };
    return one_scalar<one_scalar<decltype(own(std::type_identity<decltype(E::student)>{})),
                                 decltype(own(std::type_identity<decltype(E::teacher)>{}))>,
                      std::type_identity<Inner>>{};
  } else {
    return learned_type<decltype(E::inner)>();
  }
}
template <class Objective>
using learned_t = typename decltype(learned_type<std::remove_cv_t<Objective>>())::type;

/// f(part) for each part that learns, once.
template <class Objective, class F>
void each_learned(const Objective& objective, const F& f) {
  std::vector<const void*> done;
  for_each_learned(objective, [&](auto& part) {
    if constexpr (learned_part<std::remove_reference_t<decltype(part)>>) {
      if (std::find(done.begin(), done.end(), &part) != done.end()) return;
      done.push_back(&part);
      f(part);
    }
  });
}

template <class Objective>
void zero_learned(const Objective& objective) {
  if constexpr (!std::is_void_v<learned_t<Objective>>)
    each_learned(objective, [](auto& part) { part.zero_gradients(); });
}

/// What was learned and what is remembered, under the numbers of its first appearance.
template <class Archive, class Objective>
void archive_learned(Archive& archive, const Objective& objective, const std::string& prefix = "learned/") {
  std::vector<const void*> done;
  for_each_learned(objective, [&](auto& part) {
    if (std::find(done.begin(), done.end(), &part) != done.end()) return;
    archive(prefix + std::to_string(done.size()), part);
    done.push_back(&part);
  });
}

/// @p share of the derivatives of a call.
template <class Objective, class Result>
void learn_temperatures(const Objective& objective, const Result& result, progress p, double share = 1) {
  if constexpr (calls_over_ranks<Objective>) {
    learn_temperatures(objective.inner, result, p, share);
  } else if constexpr (!std::is_void_v<learned_t<Objective>> && requires { result.temperature_gradient; })
    pull_back_temperatures(objective, result, share, p.fraction());
}

template <class Student, class T>
concept shows_gradients = learned_part<Student> &&
    std::is_same_v<typename std::remove_cvref_t<decltype(std::span(*std::begin(std::declval<Student&>().parameters())))>::element_type, T>;

template <class M>
inline constexpr bool is_parameter_view = false;
template <class T>
inline constexpr bool is_parameter_view<parameter_view<T>> = true;

/// One sentence where nobody could step what an objective learns.
template <class Student, class Objective, class Optimizer, class PartsOptimizer>
constexpr bool require_learned() {
  using T = learned_t<Objective>;
  if constexpr (!std::is_void_v<T>) {
    if constexpr (std::is_same_v<PartsOptimizer, no_optimizer>) {
      constexpr bool steps = steps_parts<Optimizer, Student, T> ||
                             (shows_gradients<Student, T> && optimizer<Optimizer, parameter_view<T>>);
      static_assert(steps,
                    "limbeck: this objective learns something (a projection, variances, a temperature), which the optimiser "
                    "steps with the student where the student has parameters() and gradients() of its scalar type and "
                    "step(model, progress) takes any model with both; else give the trainer a fifth argument, the "
                    "optimiser of what the objective learns");
      return steps;
    } else {
      static_assert(optimizer<PartsOptimizer, parameter_view<T>>,
                    "limbeck: the optimiser of what the objective learns lacks step(model, progress) for any model with "
                    "parameters() and gradients()");
      return optimizer<PartsOptimizer, parameter_view<T>>;
    }
  } else {
    return true;
  }
}

/// Sums over ranks what a student's `backward` and the parts of its objective have added up; parts that have seen all rows on each
/// rank are equal already.
template <class Student, class Objective>
void sum_gradients(const training_ranks& ranks, Student& student, const Objective& objective, span_sums& sums) {
  if (ranks.size() == 1) return;
  if (ranks.hook()) {
    ranks.hook()();
  } else if constexpr (shows_spans<Student>) {
    sums(ranks.comm(), student.gradients());
  }
  if constexpr (!std::is_void_v<learned_t<Objective>> && !calls_over_ranks<Objective>) {
    parameter_view<learned_t<Objective>> parts;
    each_learned(objective, [&](auto& part) { parts.add(part); });
    sums(ranks.comm(), parts.gradients());
  }
}
/// @throws value_error where nobody could sum the gradients of a student.
template <class Student>
void require_summable(const training_ranks& ranks) {
  if (ranks.size() > 1 && !ranks.hook() && !shows_spans<Student>)
    raise<value_error>("limbeck: a run over " + std::to_string(ranks.size()) +
                       " ranks is asked for, but the student has no gradients(), a range of spans, for the trainer to sum; "
                       ".ranks = {world, [&] { ... }} sums them its own way");
}
/// f(objective) on each rank, which calls it, and the loss of all ranks. One on the rows of all is called once, for the loss of all; there
/// others wait for a rank that fails before.
template <class Objective, class F>
void call_on_ranks(const communicator_ref& comm, Objective& objective, double& loss, const F& f) {
  if constexpr (calls_over_ranks<Objective>) {
    agree(comm, [&] {
      bool called = false;
      const auto noted = [&](auto&&... all) {
        called = true;
        return objective(all...);
      };
      or_else([&] { f(noted); },
              [&] {
                if (called) go_on();
                objective.give_up();
              });
    });
  } else {
    agree_on_sum(comm, {&loss, 1}, [&] { f(objective); });
  }
}
/// @throws value_error where an objective on the rows of all ranks is not on those of the run, or is to see them in parts.
template <class Objective>
void require_joined([[maybe_unused]] const Objective& objective, [[maybe_unused]] const training_ranks& ranks,
                    [[maybe_unused]] std::size_t micro_batch) {
  if constexpr (calls_over_ranks<Objective>) {
    const auto words = [](const communicator_ref& c) { return "rank " + std::to_string(c.rank()) + " of " + std::to_string(c.size()); };
    if (ranks.size() != objective.comm().size() || ranks.comm().rank() != objective.comm().rank())
      raise<value_error>("limbeck: batch_over(world, objective) is of " + words(objective.comm()) + ", and the run of " +
                         words(ranks.comm()) + "; both are of one world: .ranks = world");
    if (micro_batch > 0)
      raise<value_error>("limbeck: micro_batch is " + std::to_string(micro_batch) +
                         ", but batch_over(world, objective) sees all rows of a step in one call; leave micro_batch at 0");
  }
}
/// A checksum of a model's parameters, as a line of a composition.
template <class Model>
std::string parameters_line(const std::string& key, Model& model) {
  if constexpr (parametrised<Model>) {
    std::uint64_t hash = fnv1a("");
    for (auto&& part : model.parameters()) {
      const auto bytes = std::as_bytes(std::span(part));
      hash = fnv1a({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, hash);
    }
    return key + " = " + hexadecimal(hash) + '\n';
  } else {
    return "";
  }
}
/// The same of all that an objective learns.
template <class Objective>
std::string learned_line(const std::string& key, const Objective& objective) {
  if constexpr (std::is_void_v<learned_t<Objective>>) {
    return "";
  } else {
    parameter_view<learned_t<Objective>> parts;
    each_learned(objective, [&](auto& part) { parts.add(part); });
    return parameters_line(key, parts);
  }
}

template <class Student, class Objective, class Optimizer, class PartsOptimizer>
void step_all(Student& student, const Objective& objective, Optimizer& optimizer, PartsOptimizer& of_parts, progress p) {
  using T = learned_t<Objective>;
  if constexpr (std::is_void_v<T>) {
    optimizer.step(student, p);
  } else if constexpr (std::is_same_v<PartsOptimizer, no_optimizer> && steps_parts<Optimizer, Student, T>) {
    parameter_view<T> parts;
    each_learned(objective, [&](auto& part) { parts.add(part); });
    optimizer.step(student, parts, p);
  } else if constexpr (std::is_same_v<PartsOptimizer, no_optimizer>) {
    parameter_view<T> all;
    all.add(student);
    each_learned(objective, [&](auto& part) { all.add(part); });
    optimizer.step(all, p);
  } else {
    optimizer.step(student, p);
    parameter_view<T> parts;
    each_learned(objective, [&](auto& part) { parts.add(part); });
    of_parts.step(parts, p);
  }
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
