#ifndef LIMBECK_ENGINE_BATCH_HPP
#define LIMBECK_ENGINE_BATCH_HPP

/// @file
/// What a batchwise loss sees: all rows at once, scratch memory, an executor and the dense primitives of the backend.
///
/// `using limbeck_loss = batchwise;` and `template <class T> double operator()(const batch<T>&) const`, which returns the
/// loss and, where there is a gradient, *adds* `scale` times its derivative with respect to the student to it. Such a loss runs
/// on the host. One that is written over `each_row`, `sum_rows` and `multiply` runs wherever its rows live:
/// `template <class T, class Memory> auto operator()(const batch<T, Memory>&) const -> batch_number<Memory>`.
///
/// It may declare `static constexpr bool any_width = true` where student and teacher may have different numbers of
/// columns, `needs_teacher = false`, `needs_labels = true`, `into_teacher = true` where it adds to `teacher_gradient`, and
/// `temperature_power` (0 unless told; a batchwise
/// loss that declares it reads `student_temperature` and `teacher_temperature`, the others refuse `at_temperature`).
/// One that is a sum over rows, each by its own, declares `by_row = true`: it weighs row r by `row_weight(r)`, divides by
/// `total()`, and may stand in micro-batches and under `sum`.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/executor.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/scratch.hpp>
#include <limbeck/core/team.hpp>
#include <limbeck/engine/dense.hpp>
#include <limbeck/engine/statistics.hpp>

#include <boost/hana/for_each.hpp>

#include <algorithm>
#include <cmath>
#include <span>
#include <type_traits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Who works on a batch that lives in @p Memory. A backend with memory of its own specialises it.
template <class Memory>
struct batch_memory;

/// The host: an executor runs the rows, each by one thread.
template <>
struct batch_memory<host_rows> {
  using scratch_type = scratch;
  using executor_type = executor_ref;
  using number = double;  ///< a loss

  /// Where numbers live that a loss learns.
  template <class T>
  using storage = std::vector<T>;
  template <class T>
  static std::span<T> view(std::vector<T>& v) {
    return v;
  }
  template <class T>
  static T* address(std::vector<T>& v) {
    return v.data();
  }
  template <class T>
  static const T* address(const std::vector<T>& v) {
    return v.data();
  }
  template <class T>
  static void fill(std::vector<T>& v, T value) {
    std::fill(v.begin(), v.end(), value);
  }
  template <class T>
  static void clear(std::vector<T>& v) {
    fill(v, T(0));
  }
  template <class Archive, class T>
  static void serialize(Archive& archive, const char* name, std::vector<T>& v) {
    std::span<T> all(v);
    archive(name, all);
  }

  template <class Batch, class F>
  static void each_row(const Batch& x, std::size_t n, std::size_t, const F& f) {
    if (n == 1) return f(detail::single_team{}, 0);  // no team of threads for one
    x.on(n, [&](std::size_t r, std::size_t) { f(detail::single_team{}, r); });
  }
  template <class Batch>
  static std::size_t slots(const Batch& x, std::size_t) {
    return x.on.workers();
  }
  template <class Batch, class F>
  static void each_row_in_slots(const Batch& x, std::size_t n, std::size_t, std::size_t, const F& f) {
    x.on(n, [&](std::size_t r, std::size_t worker) { f(detail::single_team{}, r, worker); });
  }
  template <class Batch>
  static void add_up(const Batch&, const std::span<double>& values, double* total) {
    double all = 0;
    for (const double v : values) all += v;
    *total = all;
  }
  template <class T, class Batch>
  static void multiply(const Batch& x, T alpha, const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c) {
    x.dense.multiply(alpha, a, b, beta, c, x.memory, x.on);
  }
};

/// What a batchwise loss returns: a double, or on a device a number that is still there.
template <class Memory>
using batch_number = typename batch_memory<Memory>::number;

/// A whole batch, for a batchwise loss: the rows of the call that count. Where a label, a mask or a weight of 0 takes some
/// out, the others stand side by side in memory of the call's. In the memory of a device nothing of it is read by the host:
/// what is done to a row is a functor, trivially copyable, called as `f(team, r)` with the threads that share the row
/// (core/team.hpp), and numbers go from one step to the next by address.
template <class T, class Memory = host_rows>
struct batch {
  using place = batch_memory<Memory>;  ///< who does what a loss asks for
  static constexpr bool on_host = std::is_same_v<Memory, host_rows>;  ///< whether the host may read it
  rows<const T> student;  ///< samples x features (or classes)
  rows<const T> teacher;  ///< the same samples; no data where none is given
  any_vector labels;      ///< one a sample, or empty
  rows<T> gradient;       ///< to be added to; no data where none is wanted
  T scale;                ///< of the gradient: the term's weight, the reduction, T^k
  double student_temperature, teacher_temperature;  ///< of the term, at this call
  typename place::scratch_type& memory;             ///< for as long as the call runs
  const typename place::executor_type& on;          ///< same bits for any number of workers, please
  const dense_primitives<T, Memory>& dense;         ///< products
  std::span<const std::size_t> call_rows = {};  ///< which rows of the call these are, rising; empty: all
  std::size_t rows_of_call = 0;                 ///< how many it has, where these are not all
  rows<T> teacher_gradient = {};  ///< by the teacher's tensor, to be added to; no data where none is wanted
  any_vector weights = {};        ///< one a sample, or empty: 1 each; of a loss that is `by_row`
  double mean_over = 0;           ///< what a sum over rows is divided by; 0: the weight of these
  double progress = 0;            ///< where the run is, for schedules inside
  std::int64_t unlabelled = -100; ///< the label of rows that have none

  /// Whether the loss has to add to `gradient`.
  bool wants_gradient() const { return gradient.data != nullptr; }
  /// Whether the loss has to add to `teacher_gradient`: `scale` times its derivative with respect to the teacher.
  bool wants_teacher_gradient() const { return teacher_gradient.data != nullptr; }
  /// Rows of the batch.
  std::size_t samples() const { return student.samples; }
  /// The weight of row @p r; on a device, to be asked there.
  double row_weight(std::size_t r) const { return weights.data() ? weights.number(r) : 1; }
  /// What a loss that is `by_row` divides its sum by; the host's.
  double total() const {
    if (mean_over > 0) return mean_over;
    double all = weights.data() ? 0 : static_cast<double>(samples());
    for (std::size_t r = 0; weights.data() && r < samples(); ++r) all += weights.number(r);
    return all;
  }
  /// Rows of the call, those that do not count among them.
  std::size_t samples_of_call() const { return call_rows.empty() ? samples() : rows_of_call; }
  /// Which row of the call row @p r is, for data that the loss holds of each.
  std::size_t row_of_call(std::size_t r) const { return call_rows.empty() ? r : call_rows[r]; }

  /// f(team, r) for @p n rows, or anything else of which there are n, each about @p width numbers long.
  template <class F>
  void each_row(std::size_t n, std::size_t width, const F& f) const {
    place::each_row(*this, n, width, f);
  }
  /// How many of @p n rows are worked on at once.
  std::size_t slots(std::size_t n) const { return place::slots(*this, n); }
  /// f(team, r, slot) for n rows; no two of one slot run at once, so that each slot may have memory of its own.
  template <class F>
  void each_row_in_slots(std::size_t n, std::size_t width, const F& f) const {
    place::each_row_in_slots(*this, n, width, slots(n), f);
  }
  /// Where the sum of f(team, r) over the samples stands, added up in their order; f's result is the same on all threads.
  template <class F>
  const double* sum_rows(std::size_t width, const F& f) const;
  /// The same with slots.
  template <class F>
  const double* sum_rows_in_slots(std::size_t width, const F& f) const;
  /// Where the sum of values stands, in their order.
  const double* add_up(const std::span<double>& values) const {
    double* const total = memory.template take<double>(1).data();
    place::add_up(*this, values, total);
    return total;
  }
  /// c = alpha a b + beta c.
  void multiply(T alpha, const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c) const {
    place::template multiply<T>(*this, alpha, a, b, beta, c);
  }
};

namespace detail {

/// Keeps the value of each row.
template <class F>
struct value_of_row {
  F f;
  double* values;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    const double v = f(team, r);
    if (team.rank() == 0) values[r] = v;
  }
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r, std::size_t slot) const {
    const double v = f(team, r, slot);
    if (team.rank() == 0) values[r] = v;
  }
};

/// The products of a backend, where it has some.
template <class Traits, class T>
const dense_primitives<T>& dense_for() {
  if constexpr (requires { Traits::template dense<T>(); }) {
    return Traits::template dense<T>();
  } else {
    return dense_of<T>();
  }
}

/// The rows of a call that count: where all do and are of type T, the call's own memory; else copies, whose gradient is given back.
template <class T>
struct counted_rows {
  scratch memory;
  rows<const T> student, teacher;
  any_vector labels, weights;
  rows<T> gradient, teacher_gradient;
  double mean_over, progress;
  std::int64_t unlabelled;
  std::size_t samples_of_call;
  std::span<std::size_t> call_rows;

  /// @p count of the rows of @p in count.
  counted_rows(const problem<T>& in, std::size_t count, bool with_gradient, workspace& ws)
      : memory(ws), student(in.student.as_native()), teacher(in.teacher.as_native()), labels(in.labels), weights(in.row_weights),
        mean_over(in.reduce == reduction::mean ? in.mean_over : 1), progress(in.progress), unlabelled(in.unlabelled_index), samples_of_call(in.samples()) {
    if (with_gradient) gradient = in.gradient.as_native(), teacher_gradient = in.teacher_gradient.as_native();
    if (count == in.samples()) {
      if (!in.student.plain()) student = gathered(in.student, count);
      if (in.teacher.data && !in.teacher.plain()) teacher = gathered(in.teacher, count);
      if (with_gradient && !in.gradient.plain()) gradient = zeros(count, in.classes());
      if (teacher_gradient.data && !in.teacher_gradient.plain()) teacher_gradient = zeros(count, in.teacher.classes);
      return;
    }
    call_rows = memory.take<std::size_t>(count);
    for (std::size_t r = 0, i = 0; r < in.samples(); ++r)
      if (in.valid(r)) call_rows[i++] = r;
    student = gathered(in.student, count);
    if (in.teacher.data) teacher = gathered(in.teacher, count);
    if (labels.data()) {
      const std::span<std::int64_t> y = memory.take<std::int64_t>(count);
      for (std::size_t i = 0; i < count; ++i) y[i] = in.labels.integer(call_rows[i]);
      labels = any_vector(y.data(), count);
    }
    if (weights.data()) {
      const std::span<double> w = memory.take<double>(count);
      for (std::size_t i = 0; i < count; ++i) w[i] = in.weight(call_rows[i]);
      weights = any_vector(w.data(), count);
    }
    if (with_gradient) gradient = zeros(count, in.classes());
    if (teacher_gradient.data) teacher_gradient = zeros(count, in.teacher.classes);
  }
  /// Adds what the copies have gathered to the gradients of the call.
  void give_gradient(const problem<T>& in) const {
    give(gradient, in.gradient);
    give(teacher_gradient, in.teacher_gradient);
  }

 private:
  void give(const rows<T>& from, const stored_rows<T>& to) const {
    if (from.data == to.data) return;
    for (std::size_t i = 0; i < from.samples; ++i) {
      const std::size_t r = call_rows.empty() ? i : call_rows[i];
      for (std::size_t c = 0; c < from.classes; ++c) to.put(r, c, to(r, c) + from(i, c));
    }
  }
  rows<T> zeros(std::size_t count, std::size_t classes) {
    const std::span<T> g = memory.take<T>(count * classes);
    std::fill(g.begin(), g.end(), T(0));
    return rows<T>(g.data(), count, classes);
  }
  rows<const T> gathered(const stored_rows<const T>& x, std::size_t count) {
    const std::span<T> copy = memory.take<T>(count * x.classes);
    T* to = copy.data();
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t c = 0; c < x.classes; ++c) *to++ = x(call_rows.empty() ? i : call_rows[i], c);
    return rows<const T>(copy.data(), count, x.classes);
  }
};

/// One batchwise term of an objective: its weighted value; the gradient is added to.
template <class Traits, class T, class Term, class Executor>
double run_batchwise(const counted_rows<T>& in, const Term& term, const any_vector& weights, double mean_over, workspace& ws,
                     Executor& executor) {
  const executor_ref on(executor);
  scratch memory(ws);
  const double weight = term.weight * power(term.student_t, term.power);
  const batch<T> x{in.student, in.teacher, in.labels, in.gradient, static_cast<T>(weight),
                   term.student_t, term.teacher_t, memory, on, dense_for<Traits, T>(), in.call_rows, in.samples_of_call,
                   in.teacher_gradient, weights, mean_over, in.progress, in.unlabelled};
  return weight * term.loss(x);
}

/// All batchwise terms over the @p count rows of a call that count, which weigh @p weight together. measure(signal) yields what a
/// signal says of each row of the call.
template <class Traits, class T, class Terms, class Executor, class Measure>
double run_whole(const problem<T>& in, const Terms& terms, std::size_t count, double weight, bool gradient, workspace& ws,
                 Executor& executor, const Measure& measure) {
  const counted_rows<T> counted(in, count, gradient, ws.beside().beside());  // row temperatures are beside
  double value = 0;
  hana::for_each(terms, [&](const auto& term) {
    if constexpr (std::is_same_v<typename std::remove_cvref_t<decltype(term)>::signal_type, no_signal>) {
      value += run_batchwise<Traits>(counted, term, counted.weights, counted.mean_over, ws, executor);
    } else {
      const std::span<T> of_rows = measure(term.signal);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t r = counted.call_rows.empty() ? i : counted.call_rows[i];
        of_rows[i] = static_cast<T>(static_cast<double>(of_rows[r]) * in.weight(r));
      }
      value += run_batchwise<Traits>(counted, term, any_vector(of_rows.data(), count),
                                     counted.mean_over > 0 ? counted.mean_over : weight, ws, executor);
    }
  });
  if (gradient) counted.give_gradient(in);
  return value;
}

/// A type's name as a reader would write it: without the scopes.
inline std::string without_scopes(std::string_view name) {
  std::string text;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name.substr(i, 2) == "::") {
      const auto part_of_name = [](char c) { return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
      while (!text.empty() && part_of_name(text.back())) text.pop_back();
      ++i;
    } else {
      text += name[i];
    }
  }
  return text;
}

/// What an objective with a batchwise term, called @p name, asks of a call whatever its rows hold. @p by_row: all of them are.
template <class T>
void require_mean_of_tensors(const problem<T>& in, std::string_view name, bool by_row) {
  if (by_row && in.reduce == reduction::none)
    raise<value_error>("limbeck: " + without_scopes(name) + " works on a batch and keeps no losses of rows; none is for losses of rows");
  if (!by_row && in.reduce != reduction::mean)
    raise<value_error>(
        "limbeck: " + without_scopes(name) + " relates all rows of a call and has the mean of its paper; sum and none are for losses "
        "of rows");
  if (in.target.fill)
    raise<value_error>("limbeck: " + without_scopes(name) + " reads the teacher's tensor as a whole; fill(target, tensor) first");
}
template <class T>
void require_no_row_losses(const problem<T>& in) {
  if (in.row_losses) raise<value_error>("limbeck: row_losses is given, but a batchwise loss has no losses of rows");
}
[[noreturn]] inline void throw_unlike_weights(double w, std::size_t row, double each, std::string_view name) {
  raise<row_error>("limbeck: row_weights is " + show(w) + " at row " + std::to_string(row) + " and " + show(each) +
                   " at another; " + without_scopes(name) + " relates rows to each other, whose weights are all the same or 0");
}
/// @p weight: of all rows.
template <class T>
void require_whole_mean(const problem<T>& in, double weight, std::string_view name) {
  if (in.mean_over != 0 && !(std::abs(in.mean_over - weight) <= 1e-9 * weight))
    raise<value_error>("limbeck: mean_over is " + show(in.mean_over) + " in a call of rows that weigh " + show(weight) +
                       "; " + without_scopes(name) + " relates all rows of a batch and cannot be summed over parts of it, such as micro-batches");
}
/// All rows that count at once, each as much as the others unless the losses are @p by_row.
template <class T>
evaluation require_whole(const problem<T>& in, std::string_view name, bool by_row) {
  require_mean_of_tensors(in, name, by_row);
  evaluation e;
  double each = 1;
  for (std::size_t r = 0; r < in.samples(); ++r) {
    if (!in.valid(r)) continue;
    const double w = in.weight(r);
    if (e.rows == 0) each = w;
    if (w != each && !by_row) throw_unlike_weights(w, r, each, name);
    e.rows += 1;
    e.weight += w;
  }
  if (!by_row) require_whole_mean(in, e.weight, name);
  return e;
}

}  // namespace detail

template <class T, class Memory>
template <class F>
const double* batch<T, Memory>::sum_rows(std::size_t width, const F& f) const {
  const std::span<double> values = memory.template take<double>(samples());
  each_row(samples(), width, detail::value_of_row<F>{f, values.data()});
  return add_up(values);
}
template <class T, class Memory>
template <class F>
const double* batch<T, Memory>::sum_rows_in_slots(std::size_t width, const F& f) const {
  const std::span<double> values = memory.template take<double>(samples());
  each_row_in_slots(samples(), width, detail::value_of_row<F>{f, values.data()});
  return add_up(values);
}

LIMBECK_END_NAMESPACE

#endif
