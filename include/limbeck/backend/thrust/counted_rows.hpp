#ifndef LIMBECK_BACKEND_THRUST_COUNTED_ROWS_HPP
#define LIMBECK_BACKEND_THRUST_COUNTED_ROWS_HPP

/// @file
/// Which rows of a batch in device memory count. The host reads nothing of them, but where labels, weights or a mask may take
/// some out: then it waits once, for their number.

#include <limbeck/backend/thrust/batch.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

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
struct gather_weights {
  any_vector from;
  const std::size_t* which;
  double* to;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    if (team.rank() == 0) to[i] = from.number(which[i]);
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
  any_vector labels, weights;
  rows<T> gradient, teacher_gradient;
  double mean_over = 0;
  std::span<std::size_t> call_rows;  // empty: all

  /// @throws what require_whole says. Waits for the device where there are labels, weights or a mask.
  counted_device_rows(const problem<T>& in, std::string_view name, bool by_row, bool with_gradient, device_workspace& ws)
      : memory(ws), on{ws.stream()}, student(in.student.as_native()), teacher(in.teacher.as_native()), labels(in.labels),
        weights(in.row_weights), by_row_(by_row) {
    require_mean_of_tensors(in, name, by_row);
    const std::size_t samples = in.samples();
    numbers.rows = samples;
    numbers.weight = static_cast<double>(samples);
    if (samples > 0 && (in.labels.data() || in.row_weights.data() || in.row_mask.data())) take_census(in, name);
    if (!by_row) require_whole_mean(in, numbers.weight, name);
    mean_over = in.reduce != reduction::mean ? 1 : in.mean_over > 0 ? in.mean_over : numbers.weight;
    if (with_gradient) gradient = in.gradient.as_native(), teacher_gradient = in.teacher_gradient.as_native();
    if (numbers.rows == 0) return;
    const bool all = numbers.rows == samples;
    call_rows = all ? std::span<std::size_t>{} : call_rows.first(numbers.rows);
    if (!all || !in.student.plain()) student = gathered(in.student);
    if (teacher.data && (!all || !in.teacher.plain())) teacher = gathered(in.teacher);
    if (labels.data() && !all) {
      const std::span<std::int64_t> y = memory.take<std::int64_t>(numbers.rows);
      run(1, gather_labels{in.labels, call_rows.data(), y.data()});
      labels = any_vector(y.data(), numbers.rows);
    }
    if (weights.data() && !all) {
      const std::span<double> w = memory.take<double>(numbers.rows);
      run(1, gather_weights{in.row_weights, call_rows.data(), w.data()});
      weights = any_vector(w.data(), numbers.rows);
    }
    if (with_gradient && !(all && in.gradient.plain())) gradient = zeros(in.classes());
    if (teacher_gradient.data && !(all && in.teacher_gradient.plain())) teacher_gradient = zeros(in.teacher.classes);
  }
  /// Adds what the copies have gathered to the gradients of the call.
  void give_gradient(const problem<T>& in) const {
    give(gradient, in.gradient);
    give(teacher_gradient, in.teacher_gradient);
  }

 private:
  bool by_row_;

  void give(const rows<T>& from, const stored_rows<T>& to) const {
    if (from.data != to.data) run(from.classes, give_row<T>{from, call_rows.empty() ? nullptr : call_rows.data(), to});
  }
  rows<T> zeros(std::size_t classes) {
    const rows<T> g(memory.take<T>(numbers.rows * classes).data(), numbers.rows, classes);
    clear_device(g.data, numbers.rows * classes * sizeof(T), on.stream);
    return g;
  }
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
    if (!by_row_ && all.unlike < none) throw_unlike_weights(all.unlike_weight, static_cast<std::size_t>(all.unlike), all.each, name);
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

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
