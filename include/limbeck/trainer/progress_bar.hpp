#ifndef LIMBECK_TRAINER_PROGRESS_BAR_HPP
#define LIMBECK_TRAINER_PROGRESS_BAR_HPP

/// @file
/// How far a run is, for somebody who watches.

#include <limbeck/trainer/training_run.hpp>

#include <boost/timer/progress_display.hpp>

#include <memory>
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#elif defined(_WIN32)
#include <io.h>
#endif

LIMBECK_BEGIN_NAMESPACE

namespace detail {
/// Whether the standard error is a terminal.
inline bool somebody_watches() {
#if defined(__unix__) || defined(__APPLE__)
  return ::isatty(2) != 0;
#elif defined(_WIN32)
  return ::_isatty(2) != 0;
#else
  return false;
#endif
}
}  // namespace detail

/// A callback that draws Boost.Timer's progress display on the standard error, and nothing at all where that is no
/// terminal. A resumed run begins where it stands. Of several ranks the first draws.
class progress_bar {
 public:
  progress_bar() : progress_bar(std::cerr, detail::somebody_watches()) {}
  /// On @p out, which outlives it, where @p shown.
  progress_bar(std::ostream& out, bool shown) : out_(&out), shown_(shown) {}

  void begin(training_run& run) {
    if (!shown_ || run.ranks.rank() != 0) return;
    display_ = std::make_unique<boost::timer::progress_display>(static_cast<unsigned long>(run.steps), *out_);
    if (run.step > 0) *display_ += static_cast<unsigned long>(run.step);
  }
  void after_step(training_run&) {
    if (display_) ++*display_;
  }
  void end(training_run& run) {
    if (display_ && run.step < run.steps) *out_ << std::endl;
    display_.reset();
  }

 private:
  std::ostream* out_;
  bool shown_;
  std::unique_ptr<boost::timer::progress_display> display_;
};

LIMBECK_END_NAMESPACE

#endif
