#ifndef LIMBECK_TRAINER_TRAINING_RUN_HPP
#define LIMBECK_TRAINER_TRAINING_RUN_HPP

/// @file
/// A run as its callbacks see it, its settings and its result.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/progress.hpp>
#include <limbeck/trainer/metrics.hpp>
#include <limbeck/trainer/training_ranks.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>

LIMBECK_BEGIN_NAMESPACE

/// How to train.
struct fit_settings {
  std::size_t epochs = 1;  ///< passes over the data, at least 1
  /// Steps of the whole run; 0: those of the epochs. The last one is then the end of its epoch, a short one perhaps.
  std::size_t steps = 0;
  std::size_t batch = 32;  ///< rows a step, at least 1; the last step of an epoch takes what is left
  /// Rows that go through the student at once; 0: the whole batch. Up to rounding, no number depends on it.
  std::size_t micro_batch = 0;
  std::uint64_t seed = 0;  ///< of the order of the rows, a new one each epoch
  /// Where not empty: the run is saved here, goes on from here where the file is there, and Ctrl-C ends it between two
  /// steps with the file written.
  std::filesystem::path checkpoint{};
  /// Whether a run whose checkpoint says fewer (or more) epochs or steps goes on to these, a finished one too. Schedules are then read
  /// at its new progress from there on: step over the steps of all epochs.
  bool extend = false;
  std::size_t checkpoint_every = 0;  ///< steps between two saves; 0: at the end of each epoch
  /// Bad steps in a row that are skipped: those whose batch, logits or labels are refused with a `value_error`, or whose
  /// loss or gradient (where it is on the host) is not finite. The optimiser does not step, the gradients are set to
  /// zero, `after_step` is not called, and `skipped` counts. One more in a row throws what was wrong. 0: none is looked for; anything
  /// else is refused in programs without exceptions.
  std::size_t skip_bad_steps = 0;
  /// The ranks over which the run is trained, all with the same settings: `.ranks = world`. Of the rows of each step a rank takes an
  /// even part, or those that its data `owns(row)`; the mean is over the rows of all, and so are losses and what `validation` reports.
  /// `batch` is that of all ranks, `micro_batch` a rank's; `checkpoint` may be another path on each.
  training_ranks ranks{};
};

namespace detail {
inline void require_positive(const char* name, std::size_t x) {
  if (x == 0) raise<value_error>(std::string("limbeck: ") + name + " is 0, expected at least 1");
}
}  // namespace detail

/// What callbacks are handed: where the run stands, and what to do about it.
struct training_run {
  std::uint64_t step = 0;          ///< steps done
  std::uint64_t steps = 0;         ///< in the whole run
  std::uint64_t epoch = 0;         ///< epochs done
  std::uint64_t epochs = 0;        ///< in the whole run
  std::uint64_t resumed_from = 0;  ///< the step of the checkpoint that the run went on from; 0: from the start
  std::uint64_t skipped = 0;       ///< those of the steps done that were bad, see `fit_settings::skip_bad_steps`
  double loss = 0;                 ///< of the last step
  double epoch_loss = 0;           ///< its mean over the rows of this epoch so far
  bool end_of_epoch = false;       ///< whether the last step was the last of its epoch
  bool stop = false;               ///< set it to end the run after this step
  bool interrupted = false;        ///< whether a signal ends it
  metric_list metrics{};           ///< what callbacks report: of this step, NaN where it was not measured at this step
  /// Of the step to come, of the last one in `after_step`: 0 at the first, 1 at the last.
  progress now{};
  communicator_ref ranks = detail::no_other_rank;  ///< who trains: callbacks that write or print do so on rank 0
};

/// What `fit` returns.
struct training_result {
  std::uint64_t steps = 0;   ///< done, those before a resumption included
  std::uint64_t epochs = 0;  ///< done
  std::uint64_t skipped = 0;  ///< those of the steps that were bad
  double loss = 0;           ///< mean over the rows of the last epoch
  bool interrupted = false;  ///< by a signal: run it again to go on
  bool stopped = false;      ///< by a callback, before the last epoch
  metric_list metrics{};     ///< as last measured
};

/// An object that watches a run, of any class: it has one or more of the hooks `begin(run)`, `after_step(run)`,
/// `after_epoch(run)` and `end(run)`, each called with a `training_run&`. Hooks of one moment run in the order in which
/// the callbacks are given. One with a `serialize` is saved and resumed with the run.
///
/// - `begin`: before the first step, after a checkpoint has been read;
/// - `after_step`: after each step; `after_epoch`: after the last one of an epoch, and after its `after_step`;
/// - `end`: after the last step, also where the run was stopped or interrupted (then after it was saved).
template <class C>
concept callback = requires(std::remove_cvref_t<C>& c, training_run& r) {
  c.begin(r);
}
|| requires(std::remove_cvref_t<C>& c, training_run& r) { c.after_step(r); }
|| requires(std::remove_cvref_t<C>& c, training_run& r) { c.after_epoch(r); }
|| requires(std::remove_cvref_t<C>& c, training_run& r) { c.end(r); };

LIMBECK_END_NAMESPACE

#endif
