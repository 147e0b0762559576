#ifndef LIMBECK_DRIVER_SELF_TRAINING_HPP
#define LIMBECK_DRIVER_SELF_TRAINING_HPP

/// @file
/// Self-training: a teacher labels rows, a student learns from them and becomes the next teacher.

#include <limbeck/core/rows.hpp>
#include <limbeck/trainer/model_archive.hpp>
#include <limbeck/trainer/interruptible.hpp>
#include <limbeck/driver/rounds.hpp>

#include <optional>

LIMBECK_BEGIN_NAMESPACE

/// Rows that a teacher has labelled.
struct pseudo_labels {
  std::vector<std::size_t> rows{};     ///< of the pool, increasing
  std::vector<int> labels{};           ///< the likeliest class of each, the lowest among equals
  std::vector<float> probabilities{};  ///< of each, one row after the other; empty where they are hard
  std::size_t classes = 0;             ///< columns of `probabilities`
};

/// Rows of which a teacher is sure: those whose largest probability softmax(logits) is at least a threshold. With 0,
/// all.
///
/// The filter of pseudo-labelling, used before soft or hard labels in Noisy Student (Xie, Luong, Hovy and Le, 2020,
/// arXiv:1911.04252); its balancing of the classes is `top_per_class`.
struct confident_labels {
  double threshold = 0;  ///< in [0, 1]
  bool soft = false;     ///< whether to give the probabilities as well
  /// @p logits is a tensor on the host, rows of the pool x classes.
  /// @throws value_error where the threshold is not in [0, 1], or a row has a NaN, a +inf, or nothing but -inf.
  template <tensor Logits>
  pseudo_labels operator()(const Logits& logits) const {
    if (!(threshold >= 0 && threshold <= 1))
      raise<value_error>("limbeck: confident_labels::threshold is " + detail::show(threshold) +
                         ", expected a number in [0, 1]");
    const auto x = tensor_traits<Logits>::view(logits);
    pseudo_labels out;
    if (soft) out.classes = x.classes;
    std::vector<double> p(x.classes);
    for (std::size_t r = 0; r < x.samples; ++r) {
      const std::size_t best = detail::softmax_of(x, r, p);
      if (p[best] < threshold) continue;
      out.rows.push_back(r);
      out.labels.push_back(static_cast<int>(best));
      for (std::size_t c = 0; soft && c < p.size(); ++c) out.probabilities.push_back(static_cast<float>(p[c]));
    }
    return out;
  }
};

/// How to run the generations.
struct self_training_settings {
  std::size_t generations = 1;  ///< students, at least 1
  /// Where not empty: the teacher is saved here after each generation, and the run goes on from here where the file is
  /// there.
  std::filesystem::path checkpoint{};
};

/// What `self_training` returns.
struct self_training_result {
  std::vector<metric_list> generations{};  ///< what `measure` said of each student
  bool interrupted = false;                ///< by a signal: run it again to go on
};

namespace detail {

template <class Choose, class Logits>
auto choose_labels(Choose& choose, Logits&& logits, std::size_t generation) {
  if constexpr (requires { choose(logits, generation); }) {
    return choose(logits, generation);
  } else {
    return choose(logits);
  }
}

}  // namespace detail

/// Generations of students. @p teacher comes in trained on the labelled rows, and goes out as the last student. In
/// generation g, from 1:
///
/// 1. `predict(teacher)` gives its logits over the pool, a tensor (or whatever `choose` takes);
/// 2. `choose(logits)`, or `choose(logits, g)`, gives what `train` takes: the pseudo-labels of `confident_labels{}`, the
///    labelled rows of `top_per_class{.per_class = k}`, or yours;
/// 3. `train(chosen, g)` returns a student, trained on them and on what else there is (noise on its inputs, the
///    labelled rows, a fine-tuning on these alone: all that is its own business);
/// 4. the student becomes the teacher, and `measure(teacher)` may say how good it is: a `metric_list`, a number, or
/// nothing.
///
/// With all rows and soft labels of the labelled data itself these are born-again networks (Furlanello et al., 2018,
/// arXiv:1805.04770); with noise and unlabelled data, Noisy Student (arXiv:1911.04252); with `top_per_class`,
/// billion-scale semi-supervised learning (Yalniz et al., 2019, arXiv:1905.00546).
///
/// The model has a `serialize` or `parameters()` where a checkpoint is asked for. A signal ends the run after the
/// training that it meets, and that generation is done again on resumption.
/// @throws value_error where a setting is 0, checkpoint_error as `load_checkpoint`.
template <class Model, class Train, class Predict, class Choose, class Measure>
self_training_result self_training(const self_training_settings& settings, Model& teacher, Train&& train,
                                   Predict&& predict, Choose&& choose, Measure&& measure) {
  detail::require_positive("generations", settings.generations);
  self_training_result result;
  auto state = detail::rounds_state(result.generations, [&](auto& archive) {
    if (!detail::archive_model(archive, "teacher", teacher))
      raise<value_error>(
          "limbeck: a checkpoint is asked for, but the model has neither serialize(archive) nor parameters()");
    detail::archive_parts(archive, train, predict, choose, measure);
  });
  detail::resume_rounds(settings.checkpoint, state, "self-training");
  std::optional<interruptible> stop;
  if (!settings.checkpoint.empty()) stop.emplace();
  while (result.generations.size() < settings.generations) {
    const std::size_t generation = result.generations.size() + 1;
    auto chosen = detail::choose_labels(choose, predict(teacher), generation);
    Model next = train(chosen, generation);
    result.interrupted = stop && stop->requested();
    if (result.interrupted) return result;
    teacher = std::move(next);
    result.generations.push_back(detail::metrics_of([&]() -> decltype(auto) { return measure(teacher); }));
    if (!settings.checkpoint.empty()) save_checkpoint(settings.checkpoint, state, "self-training");
  }
  return result;
}
/// The same, without a measure.
template <class Model, class Train, class Predict, class Choose>
self_training_result self_training(const self_training_settings& settings, Model& teacher, Train&& train,
                                   Predict&& predict, Choose&& choose) {
  const auto nothing = [](const Model&) {};
  return self_training(settings, teacher, train, predict, choose, nothing);
}

LIMBECK_END_NAMESPACE

#endif
