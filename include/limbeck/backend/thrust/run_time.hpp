#ifndef LIMBECK_BACKEND_THRUST_RUN_TIME_HPP
#define LIMBECK_BACKEND_THRUST_RUN_TIME_HPP

/// @file
/// Calls whose tensors say at run time where they live. A `device_workspace` among the arguments makes it a call on the device;
/// an `any_workspace` leaves that to the student.

#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/backend/thrust/workspace.hpp>
#include <limbeck/objective/run_time.hpp>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
template <>
struct told_memory<device_workspace> {
  using type = device_memory;
};
template <>
struct told_memory<executor_argument<device_result>> {
  using type = device_memory;
};
}  // namespace detail
/// @endcond

/// Scratch memory of the host and of the device, for calls on tensors whose memory is known at run time (LibTorch's, DLPack's):
/// `any_workspace ws(stream);`, then `objective(student, teacher, labels, into(gradient), ws)` runs where the student lives, on the
/// device in the order of @p stream. Both sweeps are compiled. All tensors of one call live in one memory.
///
/// With a C++ compiler Thrust's device is the host, and every tensor of the host's runs there.
class any_workspace {
 public:
  using limbeck_workspace = void;
  using limbeck_chooser = void;
  /// On @p stream; without one, on the default stream.
  explicit any_workspace(device_stream stream = {}) : device_(stream) {}
  workspace& on_host() { return host_; }             ///< for calls on the host
  device_workspace& on_device() { return device_; }  ///< for calls on the device

  /// @cond
  /// f(workspace of the memory of @p student); @p Told is what the other arguments say of it, or void.
  template <class Told, class Student, class F>
  auto choose(const Student& student, const F& f) {
    if constexpr (std::is_same_v<Told, device_memory>) {
      return f(device_);
    } else if constexpr (std::is_same_v<Told, host_rows>) {
      return f(host_);
    } else {
      if (detail::memory_of(student) == detail::kind_of_device) return f(device_);
      return f(host_);
    }
  }
  /// @endcond

 private:
  workspace host_;
  device_workspace device_;
};

LIMBECK_END_NAMESPACE

#endif
