#ifndef LIMBECK_CORE_PROGRESS_HPP
#define LIMBECK_CORE_PROGRESS_HPP

/// @file
/// Progress: how much of a run is done, the one thing that schedules depend on.

#include <limbeck/core/errors.hpp>

#include <concepts>

LIMBECK_BEGIN_NAMESPACE

/// A fraction in [0, 1]. Step 0 of a run is progress 0; its last step is progress 1.
class progress {
 public:
  constexpr progress() = default;
  /// @throws value_error where @p fraction is not in [0, 1].
  constexpr explicit progress(double fraction) : fraction_(fraction) {
    if (!(fraction >= 0 && fraction <= 1))
      raise<value_error>("limbeck: progress is " + detail::show(fraction) + ", expected a fraction in [0, 1]");
  }
  /// Step @p step (from 0) of @p total: step / (total - 1), and 0 for a run of one step.
  /// @throws value_error where step >= total.
  template <std::integral Step, std::integral Total>
  constexpr progress(Step step, Total total)
      : progress(total > 1 ? static_cast<double>(step) / static_cast<double>(total - 1)
                           : (total == 1 && step == 0 ? 0.0 : 2.0)) {}
  /// In [0, 1].
  constexpr double fraction() const { return fraction_; }

 private:
  double fraction_ = 0;
};

LIMBECK_END_NAMESPACE

#endif
