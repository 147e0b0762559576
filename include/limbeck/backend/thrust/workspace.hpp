#ifndef LIMBECK_BACKEND_THRUST_WORKSPACE_HPP
#define LIMBECK_BACKEND_THRUST_WORKSPACE_HPP

/// @file
/// What the caller owns on the device: scratch memory with its stream, and results that stay there until asked for.

#include <limbeck/backend/thrust/system.hpp>
#include <limbeck/engine/problem.hpp>
#include <limbeck/objective/arguments.hpp>

#include <limits>
#include <memory>
#include <stdexcept>

LIMBECK_BEGIN_NAMESPACE

class device_products;

namespace detail {

/// What a call leaves on the device. All zero before the first; each call leaves `fault` and `ticket` as it found them.
struct device_outcome {
  double loss, weight, rows, shown;
  double temperature_gradient[8];
  double normalizer;
  unsigned long long fault;  // 0: none; else the complement of row * 16 + code, so that the lowest row is the maximum
  unsigned int ticket;       // blocks that are done
  int fault_code;
  unsigned long long fault_row, fault_column;
  int fault_has_column;
  double fault_value;
  long long fault_label;
  double fault_loss;
  int fault_in_float, fault_of_teacher;

  LIMBECK_HOST_DEVICE void report(const fault_place& p) {
    fault_code = static_cast<int>(p.code);
    fault_row = p.row;
    fault_column = p.column;
    fault_has_column = p.has_column;
    fault_value = p.value;
    fault_label = p.label;
    fault_loss = p.loss;
    fault_in_float = p.in_float;
    fault_of_teacher = p.of_teacher;
    loss = static_cast<double>(std::numeric_limits<float>::quiet_NaN());
  }
  LIMBECK_HOST_DEVICE fault_place place() const {
    fault_place p;
    p.code = static_cast<detail::fault>(fault_code);
    p.row = static_cast<std::size_t>(fault_row);
    p.column = static_cast<std::size_t>(fault_column);
    p.has_column = fault_has_column != 0;
    p.value = fault_value;
    p.label = fault_label;
    p.loss = fault_loss;
    p.in_float = fault_in_float != 0;
    p.of_teacher = fault_of_teacher != 0;
    return p;
  }
};

/// An outcome that is zero before its first call.
class outcome_block {
 public:
  device_outcome* get(device_stream stream) {
    const bool fresh = memory_.size() == 0;
    auto* const out = reinterpret_cast<device_outcome*>(memory_.reserve(sizeof(device_outcome)));
    if (fresh) clear_device(out, sizeof(device_outcome), stream);
    return out;
  }
  const device_outcome* get() const { return reinterpret_cast<const device_outcome*>(memory_.data()); }

 private:
  device_block memory_;
};

/// Waits, throws the error that the device has found, or returns its numbers.
inline evaluation read_outcome(const device_outcome* on_device, device_stream stream, std::size_t classes,
                               std::int64_t ignored) {
  device_outcome o;
  fetch_from_device(&o, on_device, sizeof(o), stream);
  if (o.fault_code != 0) throw_fault(o.place(), classes, ignored);
  evaluation e;
  e.loss = o.loss;
  e.weight = o.weight;
  e.rows = static_cast<std::size_t>(o.rows);
  for (std::size_t i = 0; i < e.temperature_gradient.size(); ++i) e.temperature_gradient[i] = o.temperature_gradient[i];
  return e;
}

}  // namespace detail

/// Scratch memory on the device, and the stream on which its calls run: `device_workspace ws(stream);`.
///
/// Grows to what the largest call so far has needed. Calls with one workspace follow each other on its stream; use
/// one workspace a stream. A call without a workspace allocates and runs on the default stream.
class device_workspace {
 public:
  using limbeck_workspace = void;
  /// On @p stream; without one, on the default stream.
  explicit device_workspace(device_stream stream = {}) : stream_(stream) {}
  /// The stream of its calls.
  device_stream stream() const { return stream_; }
  /// Bytes held on the device.
  std::size_t size() const { return block_.size(); }
  /// At least @p bytes, aligned to 16; the content is unspecified.
  std::byte* reserve(std::size_t bytes) { return block_.reserve(bytes); }
  /// Memory that a further `reserve` leaves alone, on the same stream: what one sweep hands to the next of the same call.
  device_workspace& beside() {
    if (!beside_) beside_ = std::make_unique<device_workspace>(stream_);
    return *beside_;
  }
  /// Matrix products by @p library, which outlives the calls, such as `cublas_products`; without one, by a kernel of Limbeck's.
  void use(device_products& library) { products_ = &library; }
  template <class Products>
  void use(const Products&&) = delete;
  /// Who multiplies; null for Limbeck's own kernel.
  device_products* products() const { return products_; }
  /// @cond
  detail::device_outcome* outcome() { return outcome_.get(stream_); }
  /// @endcond

 private:
  device_stream stream_;
  detail::device_block block_;
  detail::outcome_block outcome_;
  device_products* products_ = nullptr;
  std::unique_ptr<device_workspace> beside_;
};

/// The outcome of a call that has not been waited for: `objective(..., into(g), ws, deferred(result));`
///
/// The call returns at once, with no round trip to the device; loss and errors stay there. `get()` waits and returns
/// the evaluation, or throws what the call would have thrown of values (shapes are checked in the call). An error has
/// been described on the device, in stream order, so the inputs may have changed since. Serves any number of calls, one
/// after the other; what the previous one has found is lost if nobody asks.
class device_result {
 public:
  using limbeck_deferred = void;
  device_result() = default;

  /// @throws value_error what the device has found wrong; std::logic_error where no call was deferred to this.
  evaluation get() const {
    if (!used_) raise<std::logic_error>("limbeck: no call has been deferred to this device_result");
    return detail::read_outcome(outcome(), stream_, classes_, ignored_);
  }
  /// The loss in device memory, written in stream order, NaN after an error: for a kernel of yours that needs it.
  const double* loss() const { return used_ ? &outcome()->loss : nullptr; }

  /// @cond
  detail::device_outcome* begin(device_stream stream, std::size_t classes, std::int64_t ignored) {
    used_ = true;
    stream_ = stream;
    classes_ = classes;
    ignored_ = ignored;
    return outcome_.get(stream);
  }
  /// @endcond

 private:
  const detail::device_outcome* outcome() const { return outcome_.get(); }
  bool used_ = false;
  device_stream stream_{};
  std::size_t classes_ = 0;
  std::int64_t ignored_ = 0;
  detail::outcome_block outcome_;
};

/// Leaves loss and errors on the device; the call then returns nothing. With `into(g)`, or in `value(...)`.
inline detail::executor_argument<device_result> deferred(device_result& result) { return {result}; }

namespace detail {
template <>
struct workspace_for<device_memory> {
  using type = device_workspace;
};
}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
