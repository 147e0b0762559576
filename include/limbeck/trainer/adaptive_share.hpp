#ifndef LIMBECK_TRAINER_ADAPTIVE_SHARE_HPP
#define LIMBECK_TRAINER_ADAPTIVE_SHARE_HPP

/// @file
/// A share of what the student writes that grows where the data alone no longer helps.

#include <limbeck/trainer/early_stopping.hpp>

#include <algorithm>
#include <limits>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// The share of an `on_policy`, and a callback that raises it: where a metric that falls in training is, at an evaluation, at least
/// `worse` above what it was at the last rise (at the first evaluation, where there was none), the share grows by `by`, to 1 at most.
/// It is given to both, `on_policy(share, ...)` and `fit(source, settings, validation, share)`, and saved with the run.
///
/// Ko et al., *DistiLLM: Towards Streamlined Distillation for Large Language Models*, 2024, arXiv:2402.03898, by the authors' code, which
/// compares with the evaluation before training at first; the paper was not read.
struct adaptive_share {
  std::string metric = "nll";  ///< whose
  double by = 0.1;             ///< a rise
  double worse = 0.1;          ///< what is one
  double share = 0;            ///< in [0, 1]: as the run begins, and then
  double last = std::numeric_limits<double>::quiet_NaN();  ///< the metric at the last rise: state

  /// The share now.
  double operator()(double) const { return share; }
  void after_epoch(training_run& run) {
    const double value = detail::watched(run, metric, "adaptive_share");
    if (value != value) return;
    if (last != last) {
      last = value;
    } else if (value >= last + worse) {
      share = (std::min)(1.0, share + by);
      last = value;
    }
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("share", share);
    archive("last", last);
  }
  /// What a run is made of: not its state.
  std::string describe() const {
    return "adaptive_share of " + metric + " by " + detail::digits(by) + " where worse by " + detail::digits(worse);
  }
};

LIMBECK_END_NAMESPACE

#endif
