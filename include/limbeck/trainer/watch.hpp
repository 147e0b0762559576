#ifndef LIMBECK_TRAINER_WATCH_HPP
#define LIMBECK_TRAINER_WATCH_HPP

/// @file
/// A callback that sees a student imitate the faults of its teacher.

#include <limbeck/trainer/training_run.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// How to watch.
struct watch_settings {
  std::size_t patience = 3;  ///< evaluations in a row, at least 1, after which a run counts as hacking
  std::size_t every = 1;     ///< epochs between two evaluations, at least 1; the last epoch is always evaluated
  std::string prefix = "";   ///< of the metrics' names
};

/// Reports two distances and whether they part: `proxy`, of the student to its teacher, which training lowers, and `golden`, of the
/// student to an oracle, which training is for. Where the first has fallen and the second risen since the evaluation before, for `patience` evaluations
/// in a row, `teacher_hacking` is 1, and stays so; before it is 0. All three are metrics, for `csv_metrics`, plots and `early_stopping`.
///
/// @p Proxy and @p Golden are callables without arguments that give a number: such as a `sequence_divergence` on samples, drawn with one seed at
/// each evaluation, so that what moves is the student and not the draw. The golden one may be an estimate on data of an oracle that nobody
/// can call, as `nll`. Its state is saved with the run.
///
///     lk::watch([&] { return lk::sequence_divergence(student, teacher, written()); },
///               [&] { return lk::sequence_divergence(student, oracle, written()); }, {.patience = 3})
///
/// Tiapkin et al., *On Teacher Hacking in Language Model Distillation*, 2025, arXiv:2502.02671, for the two metrics, by a review of it; the
/// paper looks at curves (the proxy leaves its power law while the golden metric rises), and the rule here is ours.
template <class Proxy, class Golden>
class watch {
 public:
  /// @throws value_error where patience or every is 0.
  watch(Proxy proxy, Golden golden, watch_settings settings = {})
      : proxy_(std::move(proxy)), golden_(std::move(golden)), settings_(std::move(settings)) {
    detail::require_positive("patience of watch", settings_.patience);
    detail::require_positive("every of watch", settings_.every);
  }
  /// Whether the two have parted.
  bool hacking() const { return in_a_row_ >= settings_.patience; }

  void begin(training_run& run) {
    for (const char* name : {"proxy", "golden", "teacher_hacking"})
      run.metrics.set(settings_.prefix + name, std::numeric_limits<double>::quiet_NaN());
  }
  void after_epoch(training_run& run) {
    if (run.epoch % settings_.every != 0 && run.epoch != run.epochs) return;
    const double proxy = static_cast<double>(proxy_()), golden = static_cast<double>(golden_());
    if (!hacking()) in_a_row_ = proxy < last_proxy_ && golden > last_golden_ ? in_a_row_ + 1 : 0;
    last_proxy_ = proxy;
    last_golden_ = golden;
    run.metrics.set(settings_.prefix + "proxy", proxy);
    run.metrics.set(settings_.prefix + "golden", golden);
    run.metrics.set(settings_.prefix + "teacher_hacking", hacking() ? 1 : 0);
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive("in_a_row", in_a_row_);
    archive("proxy", last_proxy_);
    archive("golden", last_golden_);
  }

 private:
  Proxy proxy_;
  Golden golden_;
  watch_settings settings_;
  std::uint64_t in_a_row_ = 0;
  double last_proxy_ = std::numeric_limits<double>::quiet_NaN(), last_golden_ = last_proxy_;
};

LIMBECK_END_NAMESPACE

#endif
