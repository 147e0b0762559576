#ifndef LIMBECK_BACKEND_THRUST_INSIDE_HPP
#define LIMBECK_BACKEND_THRUST_INSIDE_HPP

/// @file
/// Objectives inside of losses in device memory: their sums and their faults stay there.

#include <limbeck/backend/thrust/sweep.hpp>
#include <limbeck/objective/inside.hpp>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

template <>
class inner_sum<device_memory> {
 public:
  template <class T>
  explicit inner_sum(const batch<T, device_memory>& outer) : all_(fresh(outer)) {}
  device_number result() const { return found_in(all_); }

  template <class T>
  void add(const batch<T, device_memory>& outer, double factor, const device_number& loss, const inner_tensors<T>& x) {
    batch_memory<device_memory>::each_row(
        outer.on, 1, whole_block,
        conclude_term<T>{x.student.as_native(), x.teacher.as_native(), nullptr, loss, factor, 0, 0, all_});
  }
  template <class T, class Terms>
  void sweep(const batch<T, device_memory>& outer, double factor, const problem<T>& in, const Terms& terms, device_workspace& ws) {
    const outcome_at out{fresh(outer)};
    sweep_for<device_memory>::run<T, host_lanes<T>, sweep_mode<true, false, false>>(in, terms, ws, out);
    device_number loss = found_in(out.place);
    loss.told = true;
    add(outer, factor, loss, inner_tensors<T>{});
  }
  template <class T, class Terms>
  void sweep_back(const batch<T, device_memory>& outer, const problem<T>& in, const Terms& terms, device_workspace& ws) {
    const outcome_at out{fresh(outer)};
    sweep_for<device_memory>::measure<T, host_lanes<T>, sweep_mode<true, false, false>>(in, terms, ws, out);
  }

 private:
  template <class T>
  static device_outcome* fresh(const batch<T, device_memory>& outer) {
    device_outcome* const out = outer.memory.template take<device_outcome>(1).data();
    clear_device(out, sizeof(device_outcome), outer.on.stream);
    return out;
  }
  static device_number found_in(const device_outcome* out) {
    device_number n(0, 1, &out->loss);
    n.inner = out;
    n.of_logits = true;
    return n;
  }

  device_outcome* all_;
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
