#ifndef LIMBECK_TRAINER_MUTUAL_HPP
#define LIMBECK_TRAINER_MUTUAL_HPP

/// @file
/// Students that teach each other.

#include <limbeck/trainer/learned.hpp>
#include <limbeck/trainer/loop.hpp>
#include <limbeck/trainer/modes.hpp>

#include <array>

LIMBECK_BEGIN_NAMESPACE

/// One of the students of a `mutual_trainer`, with its own objective and optimiser. What is passed as an lvalue is
/// referred to, what as an rvalue is owned.
template <class Student, class Objective, class Optimizer>
struct pupil {
  Student student;      ///< a model, or a reference to one
  Objective objective;  ///< what it minimises
  Optimizer optimizer;  ///< of its parameters
  /// Refers to lvalues, owns rvalues.
  pupil(Student&& s, Objective&& loss, Optimizer&& o)
      : student(std::forward<Student>(s)),
        objective(std::forward<Objective>(loss)),
        optimizer(std::forward<Optimizer>(o)) {}
};
/// @cond
template <class S, class O, class P>
pupil(S&&, O&&, P&&) -> pupil<S, O, P>;
/// @endcond

/// Trains K >= 2 students at once, each with the predictions of the others, held fixed, as its teachers: the loss of
/// student k is the mean over its peers l of its objective with l as the teacher. With `cross_entropy{} + forward_kl{}`
/// that is CE(k) + 1/(K - 1) sum over l of KL(p_l || p_k).
///
/// Zhang, Xiang, Hospedales and Lu, *Deep Mutual Learning*, 2018, arXiv:1706.00384. The mean over peers is the paper's
/// as two re-implementations have it (its text was not read); the authors' code adds the divergences up without 1/(K -
/// 1), which is the same for two students. Students are updated one after the other within a step, and each sees those
/// before it already updated, as in the authors' code, which however draws a new batch for each; here a step is one
/// batch for all. With `simultaneous`, all are updated after all have been asked, as in other re-implementations. A
/// step costs K forward passes of each student, or one where `simultaneous`.
///
/// BD-KD (2022, arXiv:2212.12965) is this loop with objectives that weigh a forward and a reverse KL by entropies.
template <class... Pupils>
class mutual_trainer {
  static constexpr std::size_t count = sizeof...(Pupils);
  static_assert(count >= 2, "limbeck: mutual learning needs two pupils at least");
  using all_pupils = std::tuple<Pupils...>;

 public:
  /// Two or more of `pupil{student, objective, optimizer}`.
  explicit mutual_trainer(Pupils... pupils) : pupils_(std::move(pupils)...) {}
  /// Whether all pupils are updated at once at the end of a step, instead of one after the other.
  bool simultaneous = false;
  /// The loss of each pupil at the last step.
  const std::array<double, count>& losses() const { return losses_; }

  /// Trains on @p data as `trainer::fit` does; `training_run::loss` is the mean of the pupils' losses.
  template <class Data, class... Callbacks>
  training_result fit(Data&& data, const fit_settings& settings, Callbacks&&... callbacks) {
    using Source = std::remove_reference_t<Data>;
    detail::require_data<Source>();
    static_assert((!detail::calls_over_ranks<decltype(Pupils::objective)> && ...),
                  "limbeck: mutual learning takes no batch_over(world, objective); over ranks its pupils have losses of rows");
    if (settings.skip_bad_steps > 0 && !simultaneous)
      raise<value_error>(
          "limbeck: skip_bad_steps needs pupils that are updated simultaneously; one after the other, some have moved "
          "when a later one finds the step bad");
    if constexpr (data_source<Source>) {
      using X = inputs_of<Source>;
      (detail::require_student<student_of<Pupils>, X>(), ...);
      (detail::require_optimizer<optimizer_of<Pupils>, student_of<Pupils>>(), ...);
      if constexpr ((student<student_of<Pupils>, X> && ...) &&
                    (optimizer<optimizer_of<Pupils>, student_of<Pupils>> && ...)) {
        (detail::require_learned<student_of<Pupils>, std::remove_reference_t<decltype(Pupils::objective)>,
                                 optimizer_of<Pupils>, detail::no_optimizer>(),
         ...);
        learner<detail::logits_of<student_of<Pupils>, X>...> all{*this, {}, {}};
        return detail::run_training(all, data, settings, callbacks...);
      }
    }
    return {};
  }

 private:
  template <class P>
  using student_of = std::remove_reference_t<decltype(std::declval<P&>().student)>;
  template <class P>
  using optimizer_of = std::remove_reference_t<decltype(std::declval<P&>().optimizer)>;

  /// f.operator()<0>(), f.operator()<1>(), ...
  template <class F>
  static void each(F&& f) {
    [&]<std::size_t... K>(std::index_sequence<K...>) { (f.template operator()<K>(), ...); }
    (std::make_index_sequence<count>{});
  }

  template <std::size_t K>
  void clear() {
    std::get<K>(pupils_).student.zero_gradients();
    detail::zero_learned(std::get<K>(pupils_).objective);
  }

  template <class... Logits>
  struct learner {
    static_assert((std::is_same_v<typename detail::sweep_of<Logits>::type, host_rows> && ...),
                  "limbeck: mutual learning takes the mean of gradients on the host; its logits are host tensors");
    mutual_trainer& of;
    std::tuple<detail::gradient_buffer<Logits>...> gradient;  // over all peers
    workspace ws;
    detail::span_sums sums{};
    using gives = detail::given_outputs<Logits...>;
    static constexpr bool joins = false;

    template <class X>
    auto forward_all(X& inputs) {
      return std::apply(
          [&](auto&... p) { return std::tuple<decltype(p.student.forward(inputs))...>{p.student.forward(inputs)...}; },
          of.pupils_);
    }
    /// Adds to the gradients of pupil K over one micro-batch, and to its loss.
    template <std::size_t K, class All, class Batch>
    void learn(const All& logits, detail::micro_batch<Batch>& part, progress p, const detail::whole_batch<Batch>& whole) {
      auto& mine = std::get<K>(of.pupils_);
      const auto& own = std::get<K>(logits);
      auto&& where = std::get<K>(gradient).view(own);
      const double share = 1 / static_cast<double>(count - 1);
      const auto seen = [&](const auto& result) { detail::learn_temperatures(mine.objective, result, p, share); };
      auto to = into(where);
      each([&]<std::size_t L>() {
        if constexpr (L != K) {
          of.losses_[K] += share * detail::call_objective(mine.objective, own, std::get<L>(logits), whole, part, p, to, ws, seen);
          to.add = true;
        }
      });
      if constexpr (count > 2) detail::scale_gradient(where, share);
      auto&& slope = std::get<K>(gradient).tensor_for(own);
      if (whole.finite) detail::require_finite(of.losses_[K], slope);
      mine.student.backward(slope);
    }
    template <class Batch>
    double step(detail::whole_batch<Batch>& whole, progress p) {
      of.losses_.fill(0);
      each([&]<std::size_t K>() { detail::set_training(std::get<K>(of.pupils_).student); });
      const auto clear = [&]<std::size_t K>() { of.template clear<K>(); };
      const auto add_up = [&]<std::size_t K>() {
        detail::sum_gradients(whole.ranks, std::get<K>(of.pupils_).student, std::get<K>(of.pupils_).objective, sums);
      };
      const auto move = [&]<std::size_t K>() {
        auto& mine = std::get<K>(of.pupils_);
        detail::no_optimizer of_parts;
        detail::step_all(mine.student, mine.objective, mine.optimizer, of_parts, p);
      };
      if (of.simultaneous) {
        agree_on_sum(whole.ranks.comm(), of.losses_, [&] {
          each(clear);
          for (auto& part : whole.parts) {
            const auto logits = forward_all(part.batch.inputs);
            each([&]<std::size_t K>() { this->template learn<K>(logits, part, p, whole); });
          }
        });
        each(add_up);  // all, before an optimiser may throw
        each(move);
      } else {
        each([&]<std::size_t K>() {
          agree_on_sum(whole.ranks.comm(), {&of.losses_[K], 1}, [&] {
            clear.template operator()<K>();
            for (auto& part : whole.parts)
              this->template learn<K>(forward_all(part.batch.inputs), part, p, whole);
          });
          add_up.template operator()<K>();
          agree(whole.ranks.comm(), [&] { move.template operator()<K>(); });  // the next pupil's messages follow
        });
      }
      double total = 0;
      for (const double x : of.losses_) total += x;
      return total / static_cast<double>(count);
    }
    void zero_gradients() {
      each([&]<std::size_t K>() { of.template clear<K>(); });
    }
    template <class Archive>
    void archive(Archive& archive) {
      each([&]<std::size_t K>() {
        auto& mine = std::get<K>(of.pupils_);
        const std::string name = "pupil/" + std::to_string(K);
        detail::archive_model(archive, (name + "/student").c_str(), mine.student);
        if constexpr (serializable<std::remove_reference_t<decltype(mine.optimizer)>>)
          archive(name + "/optimizer", mine.optimizer);
        detail::archive_learned(archive, mine.objective, name + "/learned/");
      });
    }
    std::string describe() const {
      std::string text = detail::line("simultaneous", of.simultaneous ? "true" : "false");
      each([&]<std::size_t K>() {
        auto& mine = std::get<K>(of.pupils_);
        const std::string name = "pupil " + std::to_string(K) + ' ';
        text += detail::type_line(name + "student", mine.student) +
                detail::objective_lines(name + "objective", mine.objective) +
                detail::optimizer_lines(name + "optimizer", mine.optimizer);
      });
      return text;
    }
    std::string start() const {
      std::string text;
      each([&]<std::size_t K>() {
        const std::string name = "pupil " + std::to_string(K);
        text += detail::parameters_line("parameters of " + name, std::get<K>(of.pupils_).student) +
                detail::learned_line("what the objective of " + name + " learns", std::get<K>(of.pupils_).objective);
      });
      return text;
    }
    void require_summable(const training_ranks& ranks, std::size_t) const {
      if (ranks.hook())
        raise<value_error>("limbeck: mutual learning over ranks sums each pupil's gradients() itself, in their turn; it takes no hook");
      (detail::require_summable<student_of<Pupils>>(ranks), ...);
    }
    void require_storable() const { (detail::require_storable<student_of<Pupils>, optimizer_of<Pupils>>(), ...); }
  };

  all_pupils pupils_;
  std::array<double, count> losses_{};
};

LIMBECK_END_NAMESPACE

#endif
