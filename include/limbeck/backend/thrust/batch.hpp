#ifndef LIMBECK_BACKEND_THRUST_BATCH_HPP
#define LIMBECK_BACKEND_THRUST_BATCH_HPP

/// @file
/// Batches in device memory, for batchwise losses: who runs their rows, where their numbers stand, and what becomes of a loss.
///
/// Under nvcc a warp takes a row of up to 256 numbers and a block a longer one, on the workspace's stream; with a C++ compiler
/// Thrust's host systems run the same functors. The host reads nothing back, but where labels, weights or a mask may take rows
/// out: then it waits once, for their number.

#include <limbeck/backend/thrust/dense.hpp>
#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/backend/thrust/team.hpp>
#include <limbeck/backend/thrust/workspace.hpp>
#include <limbeck/engine/batch.hpp>

#if LIMBECK_ON_CUDA
#include <cub/device/device_radix_sort.cuh>
#else
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#endif

#include <thrust/copy.h>
#include <thrust/device_vector.h>
#include <thrust/fill.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Arrays of a device workspace, taken in order and given back together, as those of `scratch`.
class device_scratch {
 public:
  /// @p memory serves nothing else while this lives.
  explicit device_scratch(device_workspace& memory) : memory_(memory), base_(memory.reserve(0)), room_(memory.size()) {}
  device_scratch(const device_scratch&) = delete;
  device_scratch& operator=(const device_scratch&) = delete;
  ~device_scratch() {
    if (used_ > room_) detail::or_else([&] { memory_.reserve(used_); }, [] {});
  }
  /// @p count numbers on the device; the content is unspecified.
  template <class T>
  std::span<T> take(std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>, "limbeck: scratch holds plain numbers");
    const std::size_t bytes = (count * sizeof(T) + 127) / 128 * 128;
    const std::size_t at = used_;
    used_ += bytes;
    if (used_ <= room_) return {reinterpret_cast<T*>(base_ + at), count};
    overflow_.emplace_back();
    return {reinterpret_cast<T*>(overflow_.back().reserve(bytes)), count};
  }

 private:
  device_workspace& memory_;
  std::byte* base_;
  std::size_t room_, used_ = 0;
  std::vector<detail::device_block> overflow_;
};

/// A number on the device: constant + factor times what stands at an address, or the constant alone.
struct device_number {
  double constant = 0;         ///< what is added
  double factor = 1;           ///< of the number there
  const double* at = nullptr;  ///< on the device
  bool of_logits = false;      ///< which may be -inf: what is said where it is not finite

  /// @p c + @p f times what stands at @p p.
  device_number(double c, double f, const double* p) : constant(c), factor(f), at(p) {}
  /// A number that the host knows.
  device_number(double c) : constant(c) {}
  /// The number, on the device.
  LIMBECK_HOST_DEVICE double value() const { return at ? constant + factor * *at : constant; }
};

/// The stream on which the rows of a batch run.
struct device_tasks {
  device_stream stream{};  ///< of the workspace
};

namespace detail {

#if LIMBECK_ON_CUDA

inline constexpr int batch_warps = 4, batch_threads = 256;
inline constexpr std::size_t numbers_of_a_warp = 256;

template <class F>
__global__ void __launch_bounds__(32 * batch_warps) batch_rows_by_warps(const __grid_constant__ F f, std::size_t n) {
  const std::size_t r = static_cast<std::size_t>(blockIdx.x) * batch_warps + threadIdx.x / 32;
  if (r < n) f(lanes_team(), r);
}
template <class F>
__global__ void __launch_bounds__(batch_threads) batch_rows_by_blocks(const __grid_constant__ F f) {
  f(block_team(), static_cast<std::size_t>(blockIdx.x));
}
template <class F>
__global__ void __launch_bounds__(batch_threads) batch_rows_in_slots(const __grid_constant__ F f, std::size_t n) {
  const block_team team;
  for (std::size_t r = blockIdx.x; r < n; r += gridDim.x) {
    f(team, r, static_cast<std::size_t>(blockIdx.x));
    team.wait();  // the next row finds the slot's memory unused
  }
}

#else

template <class F>
struct batch_row {
  F f;
  void operator()(std::size_t r) const { f(single_team{}, r); }
};
template <class F>
struct batch_rows_of_slot {
  F f;
  std::size_t n, slots;
  void operator()(std::size_t slot) const {
    for (std::size_t r = slot; r < n; r += slots) f(single_team{}, r, slot);
  }
};
template <class F>
void for_each_on_device(std::size_t n, const F& f) {
  const thrust::counting_iterator<std::size_t> first(0);
  thrust::for_each(thrust::device, first, first + static_cast<std::ptrdiff_t>(n), f);
}

#endif

/// One team adds all values up, in one order.
struct add_values {
  const double* values;
  std::size_t n;
  double* total;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    const double sum = sum_own<double, double>(team, n, [&](std::size_t i) { return values[i]; });
    if (team.rank() == 0) *total = sum;
  }
};

inline constexpr std::size_t whole_block = 1024;  // "so many numbers that a block takes them"

}  // namespace detail

/// A device: its threads run the rows, each by a team.
template <>
struct batch_memory<device_memory> {
  using scratch_type = device_scratch;
  using executor_type = device_tasks;
  using number = device_number;  ///< a loss

  /// Where numbers live that a loss learns; what follows runs on the default stream.
  template <class T>
  using storage = thrust::device_vector<T>;
  template <class T>
  static device_span<T> view(thrust::device_vector<T>& v) {
    return {address(v), v.size()};
  }
  template <class T>
  static T* address(thrust::device_vector<T>& v) {
    return thrust::raw_pointer_cast(v.data());
  }
  template <class T>
  static const T* address(const thrust::device_vector<T>& v) {
    return thrust::raw_pointer_cast(v.data());
  }
  template <class T>
  static void fill(thrust::device_vector<T>& v, T value) {
    thrust::fill(v.begin(), v.end(), value);
  }
  template <class T>
  static void clear(thrust::device_vector<T>& v, const device_workspace& ws = device_workspace()) {
    detail::clear_device(thrust::raw_pointer_cast(v.data()), v.size() * sizeof(T), ws.stream());
  }
  template <class Archive, class T>
  static void serialize(Archive& archive, const char* name, thrust::device_vector<T>& v) {
    std::vector<T> staged(v.size());
    thrust::copy(v.begin(), v.end(), staged.begin());
    std::span<T> all(staged);
    archive(name, all);
    thrust::copy(staged.begin(), staged.end(), v.begin());
  }

  template <class Batch, class F>
  static void each_row(const Batch& x, std::size_t n, std::size_t width, const F& f) {
    each_row(x.on, n, width, f);
  }
  /// The same without a batch.
  template <class F>
  static void each_row([[maybe_unused]] const device_tasks& on, std::size_t n, [[maybe_unused]] std::size_t width, const F& f) {
    static_assert(std::is_trivially_copyable_v<F>, "limbeck: what runs on a device is copied to it");
    if (n == 0) return;
#if LIMBECK_ON_CUDA
    if (width <= detail::numbers_of_a_warp) {
      const auto blocks = static_cast<unsigned>((n + detail::batch_warps - 1) / detail::batch_warps);
      detail::batch_rows_by_warps<<<blocks, 32 * detail::batch_warps, 0, on.stream>>>(f, n);
    } else {
      detail::batch_rows_by_blocks<<<static_cast<unsigned>(n), detail::batch_threads, 0, on.stream>>>(f);
    }
    detail::require_success(cudaGetLastError(), "limbeck: launching rows of a batch");
#else
    detail::for_each_on_device(n, detail::batch_row<F>{f});
#endif
  }
  template <class Batch>
  static std::size_t slots(const Batch&, std::size_t n) {
    constexpr std::size_t most = LIMBECK_ON_CUDA ? 128 : 16;
    return n < most ? n : most;
  }
  template <class Batch, class F>
  static void each_row_in_slots([[maybe_unused]] const Batch& x, std::size_t n, std::size_t, std::size_t slots, const F& f) {
    static_assert(std::is_trivially_copyable_v<F>, "limbeck: what runs on a device is copied to it");
    if (n == 0) return;
#if LIMBECK_ON_CUDA
    detail::batch_rows_in_slots<<<static_cast<unsigned>(slots), detail::batch_threads, 0, x.on.stream>>>(f, n);
    detail::require_success(cudaGetLastError(), "limbeck: launching rows of a batch");
#else
    detail::for_each_on_device(slots, detail::batch_rows_of_slot<F>{f, n, slots});
#endif
  }
  template <class Batch>
  static void add_up(const Batch& x, const std::span<double>& values, double* total) {
    each_row(x.on, 1, detail::whole_block, detail::add_values{values.data(), values.size(), total});
  }
  /// Numbers in rising order, NaN last; @p values may be in another order then.
  template <class T, class Batch>
  static const T* sorted([[maybe_unused]] const Batch& x, const std::span<T>& values) {
#if LIMBECK_ON_CUDA
    const auto n = static_cast<std::int64_t>(values.size());
    T* const out = x.memory.template take<T>(values.size()).data();
    std::size_t bytes = 0;
    const auto sort = [&](void* memory) {
      detail::require_success(cub::DeviceRadixSort::SortKeys(memory, bytes, static_cast<const T*>(values.data()), out, n, 0,
                                                             static_cast<int>(8 * sizeof(T)), x.on.stream),
                              "limbeck: sorting numbers of a batch");
    };
    sort(nullptr);  // asks for its memory
    sort(x.memory.template take<std::byte>(bytes).data());
    return out;
#else
    std::sort(values.begin(), values.end(), [](T a, T b) { return a < b || (a == a && b != b); });
    return values.data();
#endif
  }
  template <class T, class Batch>
  static void multiply(const Batch& x, T alpha, const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c) {
    x.dense.multiply(alpha, a, b, beta, c);
  }
};

namespace detail {

// --- Which rows count -----------------------------------------------------------------------------------------------

/// What the host has to know of a call whose labels, weights or mask are on the device.
struct row_census {
  double rows, shown, weight;
  double lowest_bad, lowest_valid;  // rows, infinity for none
  double each, unlike, unlike_weight;  // the first weight, the first row of another
};

inline constexpr std::size_t rows_of_a_census = 256;

template <class T>
struct count_part {
  problem<T> in;
  row_census* parts;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t part) const {
    constexpr double none = std::numeric_limits<double>::infinity();
    const std::size_t first = part * rows_of_a_census, samples = in.samples();
    const std::size_t last = first + rows_of_a_census < samples ? first + rows_of_a_census : samples;
    team_array<double, 3> sums{};
    team_array<double, 2> lowest{{-none, -none}};
    for_own<double>(team, last - first, [&](std::size_t i) {
      const std::size_t r = first + i;
      const double at = -static_cast<double>(r);
      if (in.bad_weight(r) != fault::none) {
        lowest.v[0] = at > lowest.v[0] ? at : lowest.v[0];
        return;
      }
      if (in.shown(r)) sums.v[1] += 1;
      if (!in.valid(r)) return;
      sums.v[0] += 1;
      sums.v[2] += in.weight(r);
      lowest.v[1] = at > lowest.v[1] ? at : lowest.v[1];
    });
    sums = team.sum(sums);
    lowest = team.highest(lowest);
    if (team.rank() == 0) parts[part] = {sums.v[0], sums.v[1], sums.v[2], -lowest.v[0], -lowest.v[1], 0, none, 0};
  }
};

/// Parts become the numbers of rows before them; the whole stands behind the last.
template <class T>
struct total_census {
  problem<T> in;
  row_census* parts;
  std::size_t count;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (team.rank() != 0) return;
    constexpr double none = std::numeric_limits<double>::infinity();
    row_census all{0, 0, 0, none, none, 0, none, 0};
    for (std::size_t i = 0; i < count; ++i) {
      const row_census part = parts[i];
      parts[i].rows = all.rows;
      all.rows += part.rows, all.shown += part.shown, all.weight += part.weight;
      all.lowest_bad = part.lowest_bad < all.lowest_bad ? part.lowest_bad : all.lowest_bad;
      all.lowest_valid = part.lowest_valid < all.lowest_valid ? part.lowest_valid : all.lowest_valid;
    }
    if (all.lowest_valid < none) all.each = in.weight(static_cast<std::size_t>(all.lowest_valid));
    parts[count] = all;
  }
};

/// The rows that count, side by side, and the first whose weight is another than that of the first of all.
template <class T>
struct list_rows {
  problem<T> in;
  row_census* parts;
  std::size_t count;
  std::size_t* rows_that_count;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t part) const {
    if (team.rank() != 0) return;
    const std::size_t first = part * rows_of_a_census, samples = in.samples();
    const std::size_t last = first + rows_of_a_census < samples ? first + rows_of_a_census : samples;
    auto next = static_cast<std::size_t>(parts[part].rows);
    for (std::size_t r = first; r < last; ++r) {
      if (in.bad_weight(r) != fault::none || !in.valid(r)) continue;
      rows_that_count[next++] = r;
      if (in.weight(r) == parts[count].each || parts[part].unlike <= static_cast<double>(r)) continue;
      parts[part].unlike = static_cast<double>(r), parts[part].unlike_weight = in.weight(r);
    }
  }
};
struct find_unlike {
  row_census* parts;
  std::size_t count;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (team.rank() != 0) return;
    for (std::size_t i = count; i-- > 0;)
      if (parts[i].unlike < std::numeric_limits<double>::infinity())
        parts[count].unlike = parts[i].unlike, parts[count].unlike_weight = parts[i].unlike_weight;
  }
};

template <class T>
struct gather_row {
  stored_rows<const T> from;
  const std::size_t* which;  // null: all
  rows<T> to;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    for_own<T>(team, to.classes, [&](std::size_t c) { to(i, c) = from(which ? which[i] : i, c); });
  }
};
template <class T>
struct give_row {
  rows<T> from;
  const std::size_t* which;
  stored_rows<T> to;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    const std::size_t r = which ? which[i] : i;
    for_own<T>(team, to.classes, [&](std::size_t c) { to.put(r, c, to(r, c) + from(i, c)); });
  }
};
struct gather_labels {
  any_vector from;
  const std::size_t* which;
  std::int64_t* to;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    if (team.rank() == 0) to[i] = from.integer(which[i]);
  }
};
template <class T>
struct locate_weight {
  problem<T> in;
  std::size_t r;
  fault_place* place;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (team.rank() == 0) *place = locate_fault(in, in.bad_weight(r), r);
  }
};

/// The rows of a call that count, in device memory: see counted_rows.
template <class T>
struct counted_device_rows {
  device_scratch memory;
  device_tasks on;
  evaluation numbers;  // rows and weight
  rows<const T> student, teacher;
  any_vector labels;
  rows<T> gradient;
  std::span<std::size_t> call_rows;  // empty: all

  /// @throws what require_whole says. Waits for the device where there are labels, weights or a mask.
  counted_device_rows(const problem<T>& in, std::string_view name, bool with_gradient, device_workspace& ws)
      : memory(ws), on{ws.stream()}, student(in.student.as_native()), teacher(in.teacher.as_native()), labels(in.labels) {
    require_mean_of_tensors(in, name);
    const std::size_t samples = in.samples();
    numbers.rows = samples;
    numbers.weight = static_cast<double>(samples);
    if (samples > 0 && (in.labels.data() || in.row_weights.data() || in.row_mask.data())) take_census(in, name);
    require_whole_mean(in, numbers.weight, name);
    if (with_gradient) gradient = in.gradient.as_native();
    if (numbers.rows == 0) return;
    const bool all = numbers.rows == samples;
    call_rows = all ? std::span<std::size_t>{} : call_rows.first(numbers.rows);
    if (!all || !in.student.native()) student = gathered(in.student);
    if (teacher.data && (!all || !in.teacher.native())) teacher = gathered(in.teacher);
    if (labels.data() && !all) {
      const std::span<std::int64_t> y = memory.take<std::int64_t>(numbers.rows);
      run(1, gather_labels{in.labels, call_rows.data(), y.data()});
      labels = any_vector(y.data(), numbers.rows);
    }
    if (!with_gradient || (all && in.gradient.native())) return;
    gradient = rows<T>(memory.take<T>(numbers.rows * in.classes()).data(), numbers.rows, in.classes());
    clear_device(gradient.data, numbers.rows * in.classes() * sizeof(T), on.stream);
  }
  /// Adds what the copies have gathered to the gradient of the call.
  void give_gradient(const problem<T>& in) const {
    if (gradient.data == in.gradient.data) return;
    run(in.classes(), give_row<T>{gradient, call_rows.empty() ? nullptr : call_rows.data(), in.gradient});
  }

 private:
  template <class F>
  void run(std::size_t width, const F& f) const {
    batch_memory<device_memory>::each_row(on, numbers.rows, width, f);
  }
  rows<const T> gathered(const stored_rows<const T>& x) {
    const rows<T> copy(memory.take<T>(numbers.rows * x.classes).data(), numbers.rows, x.classes);
    run(x.classes, gather_row<T>{x, call_rows.empty() ? nullptr : call_rows.data(), copy});
    return copy;
  }
  void take_census(const problem<T>& in, std::string_view name) {
    using device = batch_memory<device_memory>;
    const std::size_t count = (in.samples() + rows_of_a_census - 1) / rows_of_a_census;
    row_census* const parts = memory.take<row_census>(count + 1).data();
    call_rows = memory.take<std::size_t>(in.samples());
    device::each_row(on, count, rows_of_a_census, count_part<T>{in, parts});
    device::each_row(on, 1, 1, total_census<T>{in, parts, count});
    device::each_row(on, count, 1, list_rows<T>{in, parts, count, call_rows.data()});
    device::each_row(on, 1, 1, find_unlike{parts, count});
    row_census all;
    fetch_from_device(&all, parts + count, sizeof(all), on.stream);
    constexpr double none = std::numeric_limits<double>::infinity();
    if (all.lowest_bad < none) throw_bad_weight(in, static_cast<std::size_t>(all.lowest_bad));
    if (all.shown > 0 && all.weight == 0 && in.mean_over == 0) {
      fault_place nothing;
      nothing.code = fault::no_weight;
      throw_fault(nothing, in.classes(), in.ignore_index);
    }
    if (all.unlike < none) throw_unlike_weights(all.unlike_weight, static_cast<std::size_t>(all.unlike), all.each, name);
    numbers.rows = static_cast<std::size_t>(all.rows);
    numbers.weight = all.weight;
  }
  [[noreturn]] void throw_bad_weight(const problem<T>& in, std::size_t r) {
    fault_place* const place = memory.take<fault_place>(1).data();
    batch_memory<device_memory>::each_row(on, 1, 1, locate_weight<T>{in, r, place});
    fault_place found;
    fetch_from_device(&found, place, sizeof(found), on.stream);
    throw_fault(found, in.classes(), in.ignore_index);
  }
};

// --- What becomes of a loss -----------------------------------------------------------------------------------------

/// An outcome of which no sweep has written anything.
struct begin_outcome {
  device_outcome* out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (team.rank() != 0) return;
    out->loss = out->weight = out->rows = 0;
    for (double& by_t : out->temperature_gradient) by_t = 0;
    out->fault_code = 0;
  }
};

/// Adds a term to the outcome of the call. Where it is not finite, the input to blame is looked for; where there is none, it is
/// +inf, or lost.
template <class T>
struct conclude_term {
  rows<const T> student, teacher;
  const std::size_t* call_rows;  // null: all
  device_number number;
  double factor, rows_that_count, weight;
  device_outcome* out;

  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    const double loss = number.value();
    fault_place place;
    if (loss - loss != 0) place = blame(team, loss);
    if (team.rank() != 0) return;
    out->rows = rows_that_count;
    out->weight = weight;
    if (out->fault_code != 0) return;
    if (place.code == fault::none) {
      out->loss += factor * loss;
    } else {
      out->report(place);
    }
  }

 private:
  template <class Team>
  LIMBECK_HOST_DEVICE fault_place blame(const Team& team, double loss) const {
    fault_place place;
    if (number.of_logits) {
      if (find_bad_logits(team, student, fault::student, place)) return place;
      if (find_bad_logits(team, teacher, fault::teacher, place)) return place;
    } else {
      if (find_not_finite(team, student, fault::student_number, place)) return place;
      if (find_not_finite(team, teacher, fault::teacher_number, place)) return place;
    }
    if (loss > 0) return place;
    place.code = fault::range;
    place.loss = loss;
    place.in_float = sizeof(T) == 4;
    place.value = -1;
    find_largest(team, student, false, place);
    find_largest(team, teacher, true, place);
    return place;
  }
  LIMBECK_HOST_DEVICE std::size_t row_of_call(std::size_t r) const { return call_rows ? call_rows[r] : r; }
  LIMBECK_HOST_DEVICE static std::size_t count(const rows<const T>& x) { return x.data ? x.samples * x.classes : 0; }
  LIMBECK_HOST_DEVICE static T element(const rows<const T>& x, std::size_t i) { return x(i / x.classes, i % x.classes); }
  LIMBECK_HOST_DEVICE void put(const rows<const T>& x, std::size_t i, fault_place& place) const {
    place.row = row_of_call(i / x.classes);
    place.column = i % x.classes;
  }
  template <class Team>
  LIMBECK_HOST_DEVICE bool find_not_finite(const Team& team, const rows<const T>& x, fault code, fault_place& place) const {
    constexpr double none = -std::numeric_limits<double>::infinity();
    double first = none;
    for_own<T>(team, count(x), [&](std::size_t i) {
      const T v = element(x, i);
      if (v - v != T(0) && -static_cast<double>(i) > first) first = -static_cast<double>(i);
    });
    first = highest_over(team, first);
    if (!(first > none)) return false;
    const auto i = static_cast<std::size_t>(-first);
    place.code = code;
    place.value = static_cast<double>(element(x, i));
    place.has_column = true;
    put(x, i, place);
    return true;
  }
  /// The first row without a softmax: with a number that is neither finite nor -inf, or with none that is finite.
  template <class Team>
  LIMBECK_HOST_DEVICE bool find_bad_logits(const Team& team, const rows<const T>& x, fault code, fault_place& place) const {
    constexpr double none = -std::numeric_limits<double>::infinity();
    double first = none;
    for_own<T>(team, x.samples, [&](std::size_t r) {
      bool bad = false, any = false;
      for (std::size_t c = 0; c < x.classes; ++c) {
        const T v = x(r, c);
        any = any || v - v == T(0);
        bad = bad || !(v <= (std::numeric_limits<T>::max)());
      }
      if ((bad || !any) && -static_cast<double>(r) > first) first = -static_cast<double>(r);
    });
    first = highest_over(team, first);
    if (!(first > none)) return false;
    problem<T> in;
    in.student = student;
    in.teacher = teacher;
    const auto r = static_cast<std::size_t>(-first);
    place = locate_fault(in, code, r);
    place.row = row_of_call(r);
    return true;
  }
  template <class Team>
  LIMBECK_HOST_DEVICE void find_largest(const Team& team, const rows<const T>& x, bool of_teacher, fault_place& place) const {
    const auto size = [&](std::size_t i) {
      const T v = element(x, i);
      return static_cast<double>(v < T(0) ? -v : v);
    };
    double most = -1, first = -std::numeric_limits<double>::infinity();
    for_own<T>(team, count(x), [&](std::size_t i) { most = size(i) > most ? size(i) : most; });
    most = highest_over(team, most);
    if (!(most > place.value)) return;
    for_own<T>(team, count(x), [&](std::size_t i) {
      if (size(i) == most && -static_cast<double>(i) > first) first = -static_cast<double>(i);
    });
    first = highest_over(team, first);
    place.value = most;
    place.of_teacher = of_teacher;
    put(x, static_cast<std::size_t>(-first), place);
  }
};

/// One batchwise term of an objective: added to the outcome, and to the gradient.
template <class T, class Term>
void run_batchwise_on_device(const counted_device_rows<T>& in, const Term& term, const problem<T>& call, device_workspace& ws,
                             const dense_primitives<T, device_memory>& dense, device_outcome* out) {
  device_scratch memory(ws);
  const double weight = term.weight * power(term.student_t, term.power);
  const batch<T, device_memory> x{in.student, in.teacher, in.labels, in.gradient, static_cast<T>(weight), term.student_t,
                                  term.teacher_t, memory, in.on, dense, in.call_rows, call.samples()};
  if constexpr (std::is_invocable_v<decltype(term.loss), decltype(x)>) {  // else it has been said
    const device_number value = term.loss(x);
    batch_memory<device_memory>::each_row(
        in.on, 1, whole_block,
        conclude_term<T>{in.student, in.teacher, in.call_rows.data(), value, weight, static_cast<double>(in.numbers.rows),
                         in.numbers.weight, out});
  }
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
