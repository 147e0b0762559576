#ifndef LIMBECK_BACKEND_THRUST_HEAD_HPP
#define LIMBECK_BACKEND_THRUST_HEAD_HPP

/// @file
/// Heads on a device: chunks of logits in its memory, the products there, and no round trip between chunks.

#include <limbeck/backend/thrust/batch.hpp>
#include <limbeck/backend/thrust/dense.hpp>
#include <limbeck/backend/thrust/places.hpp>
#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/backend/thrust/sweep.hpp>
#include <limbeck/backend/thrust/workspace.hpp>
#include <limbeck/objective/head_chunks.hpp>

#include <algorithm>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// Element i of rows, in numbers of type T side by side.
template <class T>
struct copy_element {
  stored_rows<const T> from;
  T* to;
  LIMBECK_HOST_DEVICE void operator()(std::size_t i) const { to[i] = from(i / from.classes, i % from.classes); }
};
/// The same of the rows of a call: zeros for one that does not count, whatever stands there.
template <class T>
struct copy_counted_element {
  problem<T> in;
  stored_rows<const T> from;
  T* to;
  LIMBECK_HOST_DEVICE void operator()(std::size_t i) const {
    const std::size_t r = i / from.classes;
    to[i] = in.valid(r) ? from(r, i % from.classes) : T(0);
  }
};
/// The bias in every row of logits.
template <class T>
struct spread_bias {
  stored_rows<const T> bias;
  T* to;
  LIMBECK_HOST_DEVICE void operator()(std::size_t i) const { to[i] = bias(0, i % bias.classes); }
};
/// The sum of the rows of a gradient, in their order, at one class; added to what is there where @p add.
template <class T>
struct sum_of_column {
  rows<const T> from;
  rows<T> to;
  bool add;
  LIMBECK_HOST_DEVICE void operator()(std::size_t c) const {
    T total(0);
    for (std::size_t r = 0; r < from.samples; ++r) total += from(r, c);
    to(0, c) = (add ? to(0, c) : T(0)) + total;
  }
};
/// A gradient to memory of another type.
template <class T>
struct give_element {
  const T* from;
  stored_rows<T> to;
  bool add;
  LIMBECK_HOST_DEVICE void operator()(std::size_t i) const {
    const std::size_t r = i / to.classes, c = i % to.classes;
    to.put(r, c, (add ? to(r, c) : T(0)) + from[i]);
  }
};
/// 1 / the weight of the rows that count.
template <class T>
struct normalize_rows {
  problem<T> in;
  double* to;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    double weight = 0;
    for_own<double>(team, in.samples(), [&](std::size_t r) { weight += in.valid(r) ? in.weight(r) : 0; });
    weight = sum_over(team, weight);
    if (team.rank() == 0) *to = weight > 0 ? 1 / weight : 0;
  }
};

/// What the chunks of a call have left becomes what the call leaves: sums, or the fault of the lowest row.
struct join_outcomes {
  const device_outcome* parts;
  std::size_t count;
  bool wants_weight;  // there is no mean of rows without any
  device_outcome* out;
  LIMBECK_HOST_DEVICE void operator()(std::size_t) const {
    device_outcome all = *out;
    all.loss = all.weight = all.rows = 0;
    for (double& t : all.temperature_gradient) t = 0;
    all.fault_code = 0;
    all.shown = 0;
    for (std::size_t k = 0; k < count; ++k) {
      const device_outcome& p = parts[k];
      if (p.fault_code != 0 && all.fault_code == 0) {
        all.fault_code = p.fault_code;
        all.fault_row = p.fault_row;
        all.fault_column = p.fault_column;
        all.fault_has_column = p.fault_has_column;
        all.fault_value = p.fault_value;
        all.fault_label = p.fault_label;
      }
      all.weight += p.weight;
      all.rows += p.rows;
      all.shown += p.shown;
      all.loss += p.loss;
      for (std::size_t i = 0; i < 8; ++i) all.temperature_gradient[i] += p.temperature_gradient[i];
    }
    if (wants_weight && all.shown > 0 && all.weight == 0 && all.fault_code == 0) {
      all.fault_code = static_cast<int>(fault::no_weight);
      all.loss = static_cast<double>(std::numeric_limits<float>::quiet_NaN());
    }
    *out = all;
  }
};

/// Where the sweep of a chunk leaves what it finds.
struct chunk_outcome {
  using limbeck_deferred = void;
  device_outcome* place;
  const double* normalizer;  // on the device, null where the host knows it
  device_outcome* begin(device_stream, std::size_t, std::int64_t) const { return place; }
};

template <class T>
class head_chunks<T, device_memory> {
  using view = head_view<T, device_memory>;
  static constexpr std::size_t chunk_bytes = std::size_t{1} << 27, classes_a_block = 4096, most_rows = 8192;

  const problem<T>& call_;
  const heads_of_call<T, device_memory> heads_;
  device_workspace& ws_;
  const dense_primitives<T, device_memory> dense_;
  std::size_t rows_ = 0, chunks_ = 0;  // of a chunk; of the call
  T *student_ = nullptr, *teacher_ = nullptr, *gradient_ = nullptr;  // logits, and the gradient of the student's
  T *hidden_ = nullptr, *weights_ = nullptr;                         // copies in numbers of type T, of a chunk, of a block
  device_outcome* outcomes_ = nullptr;                               // one a chunk

 public:
  template <class Traits, class Executor>
  head_chunks(const problem<T>& call, const heads_of_call<T, device_memory>& heads, bool gradient, std::type_identity<Traits>,
              device_workspace& ws, Executor&)
      : call_(call), heads_(heads), ws_(ws), dense_{ws.stream(), ws.products()} {
    static_assert(std::is_same_v<std::remove_const_t<Executor>, serial> || std::is_same_v<Executor, device_result>,
                  "limbeck: on(executor) is for rows on the host; a device runs its rows itself, on the stream of the "
                  "device_workspace");
    const std::size_t teacher_classes = heads.teacher ? heads.teacher->classes() : 0;
    const std::size_t row_bytes = (std::max)({std::size_t{1}, call.classes(), teacher_classes}) * sizeof(T);
    rows_ = (std::min)(std::clamp<std::size_t>(chunk_bytes / row_bytes, 64, most_rows) / 64 * 64, call.samples());
    chunks_ = rows_ ? (call.samples() + rows_ - 1) / rows_ : 0;
    std::size_t width = 0, block = 0;
    const view* const both[] = {heads.student, heads.teacher};
    for (const view* head : both) {
      if (!head) continue;
      width = (std::max)(width, head->width());
      if (!head->weights.plain()) block = (std::max)(block, (std::min)(classes_a_block, head->classes()) * head->width());
    }
    std::byte* base = nullptr;
    const auto place = [&] {  // in memory that begins at base; returns its size
      std::size_t used = 0;
      const auto take = [&]<class Element>(Element*& to, std::size_t count) {
        if (base && count > 0) to = reinterpret_cast<Element*>(base + used);
        used += (count * sizeof(Element) + 255) / 256 * 256;
      };
      take(outcomes_, chunks_);
      take(student_, heads.student ? rows_ * call.classes() : 0);
      take(teacher_, rows_ * teacher_classes);
      take(gradient_, gradient ? rows_ * call.classes() : 0);
      take(hidden_, rows_ * width);
      take(weights_, block);
      return used;
    };
    base = ws.beside().beside().reserve(place());
    place();
  }

  /// sweep(problem of a chunk, where it leaves its outcome), for all of them; where the student's head has a gradient, it is given
  /// what the sweep wrote. Returns what they have found, or leaves it in @p executor.
  template <class Executor, class Sweep>
  auto each(Executor& executor, const Sweep& sweep) {
    constexpr bool later = std::is_same_v<Executor, device_result>;
    const device_stream stream = ws_.stream();
    device_outcome* out;
    if constexpr (later) {
      out = executor.begin(stream, call_.classes(), call_.ignore_index);
    } else {
      out = ws_.outcome();
    }
    if (chunks_ > 0) clear_device(outcomes_, chunks_ * sizeof(device_outcome), stream);
    if (chunks_ == 0) clear();
    // where labels, weights or a mask say which rows count, what the mean divides by is known to the device alone
    const bool mean = call_.reduce == reduction::mean, asked = mean && call_.mean_over == 0;
    const bool weighed = asked && (call_.labels.data() || call_.row_weights.data() || call_.row_mask.data());
    if (weighed)
      batch_memory<device_memory>::each_row(device_tasks{stream}, 1, whole_block, normalize_rows<T>{call_, &out->normalizer});
    for (std::size_t k = 0; k < chunks_; ++k) {
      problem<T> chunk = part(k * rows_, (std::min)(rows_, call_.samples() - k * rows_));
      if (asked && !weighed) chunk.mean_over = static_cast<double>(call_.samples());
      if (heads_.student) {
        logits(*heads_.student, numbers(chunk, heads_.student->hidden), student_);
        chunk.student = rows<const T>(student_, chunk.samples(), call_.classes());
      }
      if (heads_.teacher) {
        logits(*heads_.teacher, numbers(chunk, heads_.teacher->hidden), teacher_);
        chunk.teacher = rows<const T>(teacher_, chunk.samples(), heads_.teacher->classes());
      }
      chunk.target = {};
      if (gradient_) {
        chunk.gradient = rows<T>(gradient_, chunk.samples(), call_.classes());
        chunk.add = false;
      }
      const chunk_outcome where{outcomes_ + k, weighed ? &out->normalizer : nullptr};
      sweep(chunk, where);
      if (heads_.gradient) give(chunk, k == 0);
    }
    on_stream(stream, 1, join_outcomes{outcomes_, chunks_, asked, out});
    if constexpr (!later) return read_outcome(out, stream, call_.classes(), call_.ignore_index);
  }
  /// That of the gradient of a chunk. Waits.
  double squared_norm(const problem<T>& chunk) const {
    device_outcome done;
    fetch_from_device(&done, outcomes_, sizeof(done), ws_.stream());
    return sweep_for<device_memory>::squared_norm(
        stored_rows<T>(rows<T>(gradient_, chunk.samples(), call_.classes())));
  }

 private:
  /// Rows of the call as a problem of their own.
  problem<T> part(std::size_t first, std::size_t count) const {
    problem<T> p = call_;
    p.first_row = first;
    const auto take = [&](auto& x) { x = x.part(first, count); };
    take(p.student), take(p.teacher), take(p.soft_labels), take(p.gradient);
    take(p.labels), take(p.row_weights), take(p.row_mask), take(p.row_temperatures);
    if (p.row_losses) p.row_losses += first;
    if (p.row_temperature_gradient) p.row_temperature_gradient += first;
    return p;
  }
  /// Rows of the chunk in numbers of type T.
  rows<const T> numbers(const problem<T>& chunk, const stored_rows<const T>& x) const {
    const stored_rows<const T> own = x.part(chunk.first_row, chunk.samples());
    return own.plain() ? own.as_native() : copied(own, hidden_);
  }
  /// The same, with zeros for those that do not count: the products of a gradient meet them.
  rows<const T> counted(const problem<T>& chunk, const stored_rows<const T>& x) const {
    const bool all = !(call_.labels.data() || call_.row_weights.data() || call_.row_mask.data());
    const stored_rows<const T> own = x.part(chunk.first_row, chunk.samples());
    if (all) return numbers(chunk, x);
    on_stream(ws_.stream(), own.samples * own.classes, copy_counted_element<T>{chunk, own, hidden_});
    return {hidden_, own.samples, own.classes};
  }
  rows<const T> copied(const stored_rows<const T>& x, T* to) const {
    on_stream(ws_.stream(), x.samples * x.classes, copy_element<T>{x, to});
    return {to, x.samples, x.classes};
  }
  /// f(first class, rows of weights in numbers of type T), for all classes.
  template <class F>
  void each_block(const stored_rows<const T>& weights, F&& f) const {
    if (weights.plain()) return f(std::size_t{0}, rows<const T>(weights.as_native()));
    for (std::size_t c = 0; c < weights.samples; c += classes_a_block)
      f(c, copied(weights.part(c, (std::min)(classes_a_block, weights.samples - c)), weights_));
  }

  /// z = h W^T + b.
  void logits(const view& head, const rows<const T>& h, T* out) const {
    const std::size_t classes = head.classes();
    if (head.bias.data) on_stream(ws_.stream(), h.samples * classes, spread_bias<T>{head.bias, out});
    each_block(head.weights, [&](std::size_t c, const rows<const T>& w) {
      dense_.multiply(T(1), h, w.transposed(), T(head.bias.data ? 1 : 0),
                      rows<T>(out + c, h.samples, w.samples, static_cast<std::ptrdiff_t>(classes)));
    });
  }

  /// From the gradient of a chunk's logits. @p first: nothing has been added to those of weights and bias.
  void give(const problem<T>& chunk, bool first) const {
    const head_gradient_argument<T, device_memory>& to = *heads_.gradient;
    const rows<const T> g(gradient_, chunk.samples(), call_.classes());
    const bool sum = to.add || !first;
    if (to.weights.data)
      dense_.multiply(T(1), g.transposed(), counted(chunk, heads_.student->hidden), T(sum ? 1 : 0), to.weights.as_native());
    if (to.bias.data) on_stream(ws_.stream(), g.classes, sum_of_column<T>{g, to.bias.as_native(), sum});
    if (!to.hidden.data) return;
    const stored_rows<T> own = to.hidden.part(chunk.first_row, chunk.samples());
    const bool in_place = own.plain();
    const rows<T> h = in_place ? own.as_native() : rows<T>(hidden_, own.samples, own.classes);
    each_block(heads_.student->weights, [&](std::size_t c, const rows<const T>& w) {
      dense_.multiply(T(1), rows<const T>(g.data + c, g.samples, w.samples, g.sample_stride), w,
                      T((in_place && to.add) || c > 0 ? 1 : 0), h);
    });
    if (!in_place) on_stream(ws_.stream(), own.samples * own.classes, give_element<T>{hidden_, own, to.add});
  }
  /// What no chunk writes, where there is none.
  void clear() const {
    if (!heads_.gradient || heads_.gradient->add) return;
    const stored_rows<T>* const sums[] = {&heads_.gradient->weights, &heads_.gradient->bias};
    for (const stored_rows<T>* x : sums)
      if (x->data) sweep_for<device_memory>::clear_on(ws_, *x);
  }
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
