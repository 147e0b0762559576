#ifndef LIMBECK_TRAINER_TRAINER_HPP
#define LIMBECK_TRAINER_TRAINER_HPP

/// @file
/// The trainer: binds a student, a teacher, an objective and an optimiser.
///
///     lk::trainer trainer{student, teacher, objective, optimizer};
///     auto result = trainer.fit(data, {.epochs = 20, .batch = 128, .checkpoint = "run.ckpt"},
///                               lk::validation(student, test), lk::csv_metrics{"run.csv"}, lk::progress_bar{});

#include <limbeck/trainer/learned.hpp>
#include <limbeck/trainer/loop.hpp>
#include <limbeck/trainer/modes.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Trains a student: `student`, `teacher` and `optimizer` as in concepts.hpp; @p Objective is an objective, or any
/// callable that takes its arguments (so a lambda can add some: `[&](auto&&... a) { return objective(a...,
/// lk::on(pool)); }`).
///
/// A step draws a batch, sets the gradients to zero, and for each micro-batch asks teacher and student for logits,
/// calls the objective with `mean_over` the weight of the whole batch, and hands the gradient back; then the optimiser
/// steps. What is passed as an lvalue is referred to, what as an rvalue is owned. A student with `train()` and `eval()` is
/// set to train before each step.
///
/// What the losses of an objective learn beside the student (the `learned_part`s of a `projected`, a `vid`, a `crd`, a
/// `learned(temperature_parameter)`) is found in it, zeroed and stepped with the student, and saved with the run, as is a
/// memory bank. The optimiser then steps a model whose `parameters()` and `gradients()` are the student's followed by
/// those of the parts, or, where it has `step(student, parts, progress)`, gets the parts apart, a `parameter_view`; with a
/// fifth argument, an optimiser of its own steps the parts. An objective that is a lambda
/// shows nothing of what it holds.
///
/// Losses that relate samples are trained over ranks by `batch_over(world, objective)` in the place of the objective, beside
/// `.ranks = world`: each rank then has the loss of all rows of a step and the gradient by its own, which are summed; what the objective
/// learns or remembers sees all rows on each rank, and is not. A step is one call on each rank, also on one without rows: data, student
/// and teacher are then asked for 0 rows. `fit` throws a value_error where the worlds differ, or with a `micro_batch`.
template <class Student, class Teacher, class Objective, class Optimizer, class PartsOptimizer = detail::no_optimizer>
class trainer {
 public:
  /// In this order; `no_teacher{}` where the objective has none.
  trainer(Student&& s, Teacher&& t, Objective&& loss, Optimizer&& o)
      : student_(std::forward<Student>(s)),
        teacher_(std::forward<Teacher>(t)),
        objective_(std::forward<Objective>(loss)),
        optimizer_(std::forward<Optimizer>(o)) {}
  /// The same; @p of_parts steps what the objective learns.
  trainer(Student&& s, Teacher&& t, Objective&& loss, Optimizer&& o, PartsOptimizer&& of_parts)
      : student_(std::forward<Student>(s)),
        teacher_(std::forward<Teacher>(t)),
        objective_(std::forward<Objective>(loss)),
        optimizer_(std::forward<Optimizer>(o)),
        parts_optimizer_(std::forward<PartsOptimizer>(of_parts)) {}

  /// Trains on @p data, a `data_source`, watched by @p callbacks.
  ///
  /// With `settings.checkpoint`, the run is resumed where that file is there: the numbers are those of a run that never
  /// stopped, bit for bit. For that the student, the optimiser and, where they change, the teacher and the data have a
  /// `serialize` (for a student or teacher, `parameters()` will do; an optimiser may be an empty class).
  /// @throws value_error where a setting is out of range, shape_error where the data has no rows, checkpoint_error
  /// where the checkpoint does not fit or cannot be written; and what objective, data, models and callbacks throw. Over
  /// ranks all throw what one has thrown, with its rank: a value_error, a shape_error or else a runtime_error.
  template <class Data, class... Callbacks>
  training_result fit(Data&& data, const fit_settings& settings, Callbacks&&... callbacks) {
    using Source = std::remove_reference_t<Data>;
    if constexpr (fits<Source>()) {
      auto one = learner_on<Source>();
      return detail::run_training(one, data, settings, callbacks...);
    } else {
      return {};
    }
  }

  /// @cond
  /// Whether it can train on such data; says what is missing.
  template <class Source>
  static constexpr bool fits() {
    detail::require_data<Source>();
    if constexpr (data_source<Source>) {
      using X = inputs_of<Source>;
      using Given = typename detail::given_by<student_type, X>::type;
      detail::require_student<student_type, X>();
      detail::require_teacher_of<teacher_type, batch_of<Source>, Given>();
      detail::require_optimizer<optimizer_type, student_type>();
      if constexpr (limbeck::student<student_type, X> && detail::teaches<teacher_type, batch_of<Source>, Given> &&
                    limbeck::optimizer<optimizer_type, student_type>)
        return detail::require_learned<student_type, objective_type, optimizer_type, parts_optimizer_type>();
    }
    return false;
  }
  /// What a loop drives.
  template <class Source>
  auto learner_on() {
    return learner<detail::logits_of<student_type, inputs_of<Source>>>{*this, {}, {}};
  }
  /// @endcond

 private:
  using student_type = std::remove_reference_t<Student>;
  using teacher_type = std::remove_reference_t<Teacher>;
  using objective_type = std::remove_reference_t<Objective>;
  using optimizer_type = std::remove_reference_t<Optimizer>;
  using parts_optimizer_type = std::remove_reference_t<PartsOptimizer>;

  template <class Logits>
  struct learner {
    trainer& of;
    detail::gradient_buffer<Logits> gradient;
    detail::workspace_for_logits<Logits> ws;
    detail::span_sums sums{};
    using gives = detail::given_outputs<Logits>;
    static constexpr bool joins = detail::calls_over_ranks<objective_type>;

    template <class Batch>
    double step(detail::whole_batch<Batch>& whole, progress p) {
      double loss = 0;
      const auto seen = [&](const auto& result) { detail::learn_temperatures(of.objective_, result, p); };
      const auto learn = [&](auto& objective, auto& part) {
        const auto use = [&](auto&& logits, const auto& taught) {
          auto where = gradient.view(logits);
          loss += detail::call_objective(objective, logits, taught, whole, part, p, into(where), ws, seen);
          auto&& slope = gradient.tensor_for(logits);
          if (whole.finite) detail::require_finite(loss, slope);
          of.student_.backward(slope);
        };
        const auto after = [&](const auto& taught) { use(of.student_.forward(part.batch.inputs), taught); };
        if constexpr (std::is_same_v<teacher_type, no_teacher>) {
          after(no_teacher{});
        } else if constexpr (detail::answers_student<teacher_type, Batch, Logits>) {
          const auto forward = [&]() -> decltype(auto) { return of.student_.forward(part.batch.inputs); };
          detail::ask_around_student<Logits>(of.teacher_, part.batch, part.source, forward, use);
        } else {
          after(detail::ask_teacher(of.teacher_, part.batch, part.source));  // first: it may be the student itself
        }
      };
      detail::call_on_ranks(whole.ranks.comm(), of.objective_, loss, [&](auto& objective) {
        detail::set_training(of.student_);
        zero_gradients();
        for (auto& part : whole.parts) learn(objective, part);
      });
      detail::sum_gradients(whole.ranks, of.student_, of.objective_, sums);
      detail::step_all(of.student_, of.objective_, of.optimizer_, of.parts_optimizer_, p);
      return loss;
    }
    void zero_gradients() {
      of.student_.zero_gradients();
      detail::zero_learned(of.objective_);
    }
    template <class Archive>
    void archive(Archive& archive) {
      detail::archive_model(archive, "student", of.student_);
      if constexpr (serializable<teacher_type>) archive("teacher", of.teacher_);
      if constexpr (serializable<optimizer_type>) archive("optimizer", of.optimizer_);
      if constexpr (serializable<parts_optimizer_type>) archive("parts_optimizer", of.parts_optimizer_);
      detail::archive_learned(archive, of.objective_);
    }
    std::string describe() const {
      std::string text = detail::type_line("student", of.student_) + detail::type_line("teacher", of.teacher_) +
                         detail::objective_lines("objective", of.objective_) +
                         detail::optimizer_lines("optimizer", of.optimizer_);
      if constexpr (!std::is_same_v<parts_optimizer_type, detail::no_optimizer>)
        text += detail::optimizer_lines("optimizer of parts", of.parts_optimizer_);
      return text;
    }
    std::string start() const {
      return detail::parameters_line("student's parameters", of.student_) +
             detail::learned_line("what the objective learns", of.objective_);
    }
    void require_summable(const training_ranks& ranks, std::size_t micro_batch) const {
      detail::require_summable<student_type>(ranks);
      detail::require_joined(of.objective_, ranks, micro_batch);
    }
    void require_storable() const {
      detail::require_storable<student_type, optimizer_type>();
      if constexpr (!std::is_same_v<parts_optimizer_type, detail::no_optimizer>)
        detail::require_storable<student_type, parts_optimizer_type>();
    }
  };

  Student student_;
  Teacher teacher_;
  Objective objective_;
  Optimizer optimizer_;
  PartsOptimizer parts_optimizer_{};
};

/// @cond
template <class S, class T, class O, class P>
trainer(S&&, T&&, O&&, P&&) -> trainer<S, T, O, P>;
template <class S, class T, class O, class P, class Q>
trainer(S&&, T&&, O&&, P&&, Q&&) -> trainer<S, T, O, P, Q>;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
