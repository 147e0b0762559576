#ifndef LIMBECK_TRAINER_INTERRUPTIBLE_HPP
#define LIMBECK_TRAINER_INTERRUPTIBLE_HPP

/// @file
/// Ctrl-C ends a loop between two steps, not in the middle of one.

#include <limbeck/core/config.hpp>

#include <csignal>
#include <mutex>

LIMBECK_BEGIN_NAMESPACE

/// While one lives, the first SIGINT or SIGTERM sets a flag; a second one does what it did before. They nest: inner and
/// outer loop see the same flag, and the outermost puts the handlers back that it found. A signal that is ignored
/// (nohup) stays ignored. Handlers belong to the process.
class interruptible {
 public:
  interruptible() {
    const std::lock_guard lock(mutex_);
    if (depth_++ > 0) return;
    flag_ = 0;
    for (int i = 0; i < 2; ++i) {
      before_[i] = std::signal(signals_[i], &interruptible::note);
      if (before_[i] == SIG_IGN) std::signal(signals_[i], SIG_IGN);
    }
  }
  ~interruptible() {
    const std::lock_guard lock(mutex_);
    if (--depth_ > 0) return;
    for (int i = 0; i < 2; ++i)
      if (before_[i] != SIG_ERR) std::signal(signals_[i], before_[i]);
  }
  interruptible(const interruptible&) = delete;
  interruptible& operator=(const interruptible&) = delete;
  /// Whether a signal has come.
  bool requested() const { return flag_ != 0; }

 private:
  using handler = void (*)(int);
  static void note(int signal) {
    flag_ = 1;
    for (int i = 0; i < 2; ++i)
      if (signals_[i] == signal) std::signal(signal, before_[i] == SIG_ERR ? SIG_DFL : before_[i]);
  }
  static constexpr int signals_[2] = {SIGINT, SIGTERM};
  inline static volatile std::sig_atomic_t flag_ = 0;
  inline static std::mutex mutex_;
  inline static int depth_ = 0;
  inline static handler before_[2] = {};
};

LIMBECK_END_NAMESPACE

#endif
