#ifndef LIMBECK_TRAINER_EARLY_STOPPING_HPP
#define LIMBECK_TRAINER_EARLY_STOPPING_HPP

/// @file
/// Ending a run that no longer gets better, and going back to where it was best.

#include <limbeck/trainer/concepts.hpp>

#include <cmath>
#include <iterator>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The metric of this epoch. @throws value_error where nobody reports it, or it is NaN after having been measured.
inline double watched(const training_run& run, const std::string& metric, const char* who) {
  if (!run.metrics.contains(metric)) {
    std::string known;
    for (const auto& [name, value] : run.metrics.all()) known += (known.empty() ? "" : ", ") + name;
    raise<value_error>(std::string("limbeck: ") + who + " watches '" + metric +
                       "', which no callback before it reports (" +
                       (known.empty() ? "there are no metrics" : "there are: " + known) + ")");
  }
  return run.metrics[metric];
}

}  // namespace detail

/// Ends the run when a metric has not improved for some evaluations. Epochs without an evaluation do not count.
/// (Prechelt, *Early Stopping, But When?*, 1998, the criterion UP.)
struct early_stopping {
  std::string metric = "accuracy";  ///< whose
  bool lower_is_better = false;     ///< for a loss: true
  std::size_t patience = 5;         ///< evaluations without an improvement that are borne; the next one ends the run
  double by = 0;                    ///< what counts as one: better than the best by more than this
  double best = std::numeric_limits<double>::quiet_NaN();  ///< so far: state
  std::uint64_t waited = 0;                                ///< evaluations since then: state

  void after_epoch(training_run& run) {
    const double value = detail::watched(run, metric, "early_stopping");
    if (value != value) return;
    if (best != best || (lower_is_better ? best - value : value - best) > by) {
      best = value;
      waited = 0;
    } else if (++waited > patience) {
      run.stop = true;
    }
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("best", best);
    archive("waited", waited);
  }
};

/// What `keep_best` watches.
struct keep_best_settings {
  std::string metric = "accuracy";  ///< whose
  bool lower_is_better = false;     ///< for a loss: true
};

/// Remembers the parameters of the epoch with the best metric (the first among equals) and puts them back at the end of
/// the run. An interrupted run keeps its last ones. Memory: one copy of the parameters.
template <parametrised Model>
class keep_best {
 public:
  /// Of @p model, which outlives it.
  explicit keep_best(Model& model, keep_best_settings settings = {}) : model_(&model), settings_(std::move(settings)) {}
  /// The metric at its best, NaN before the first evaluation.
  double best() const { return best_; }

  void after_epoch(training_run& run) {
    const double value = detail::watched(run, settings_.metric, "keep_best");
    if (value != value || !(best_ != best_ || (settings_.lower_is_better ? value < best_ : value > best_))) return;
    best_ = value;
    kept_.clear();
    for (auto&& part : model_->parameters()) kept_.insert(kept_.end(), std::begin(part), std::end(part));
  }
  void end(training_run& run) {
    if (run.interrupted || kept_.empty()) return;
    auto from = kept_.begin();
    for (auto&& part : model_->parameters())
      for (auto& x : part) x = *from++;
  }
  /// Saves or restores the state. @throws value_error where what is restored is of another model.
  template <class Archive>
  void serialize(Archive& archive) {
    std::vector<number> kept = kept_;
    archive("best", best_);
    archive("kept", kept);
    std::size_t numbers = 0;
    for (auto&& part : model_->parameters())
      numbers += static_cast<std::size_t>(std::distance(std::begin(part), std::end(part)));
    if (!kept.empty() && kept.size() != numbers)
      raise<value_error>("limbeck: keep_best restored " + std::to_string(kept.size()) + " numbers, the model has " +
                         std::to_string(numbers));
    kept_ = std::move(kept);
  }

 private:
  using number = std::remove_cvref_t<decltype(*std::begin(*std::begin(std::declval<Model&>().parameters())))>;
  Model* model_;
  keep_best_settings settings_;
  double best_ = std::numeric_limits<double>::quiet_NaN();
  std::vector<number> kept_;
};

LIMBECK_END_NAMESPACE

#endif
