#ifndef LIMBECK_OBJECTIVE_HEAD_CHUNKS_HPP
#define LIMBECK_OBJECTIVE_HEAD_CHUNKS_HPP

/// @file
/// The chunks of a call on heads: their logits, and what the gradient of these says of hidden states, weights and bias.

#include <limbeck/objective/head.hpp>
#include <limbeck/objective/run.hpp>

#include <algorithm>
#include <cstdint>
#include <span>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// The heads of a call and where the student's gradients go; null where there is none.
template <class T, class Memory = host_rows>
struct heads_of_call {
  const head_view<T, Memory>*student = nullptr, *teacher = nullptr;
  const head_gradient_argument<T, Memory>* gradient = nullptr;

  /// @throws shape_error, value_error
  void check(const problem<T>& in) const {
    const head_view<T, Memory>* const both[] = {student, teacher};
    const auto apart = [&](const stored_rows<T>& g, bool from_tensors) {
      bool meets = from_tensors && (overlaps(g, in.teacher) || overlaps(g, in.soft_labels));
      for (const head_view<T, Memory>* head : both)
        meets = meets || (head && (overlaps(g, head->hidden) || overlaps(g, head->weights) || overlaps(g, head->bias)));
      if (meets)
        raise<value_error>("limbeck: a gradient overlaps what a call with heads reads; outputs need memory of their own");
    };
    apart(in.gradient, false);  // of a student that is a tensor: the rest has been seen
    if (!gradient) return;
    const auto same = [&](const char* name, const stored_rows<T>& g, std::size_t samples, std::size_t columns) {
      if (g.data && (g.samples != samples || g.classes != columns)) throw_shape(name, g.samples, g.classes, samples, columns);
    };
    same("hidden gradient", gradient->hidden, in.samples(), student->width());
    same("weights gradient", gradient->weights, in.classes(), student->width());
    same("bias gradient", gradient->bias, 1, in.classes());
    const stored_rows<T>* const places[] = {&gradient->weights, &gradient->bias, &gradient->hidden};
    for (const stored_rows<T>* g : places)
      if (g != &gradient->hidden && g->data && !g->plain())
        raise<value_error>(std::string("limbeck: ") + (g == &gradient->bias ? "bias" : "weights") + " gradient is " +
                           name_of(g->type) + ", expected " + name_of(element_type_of<T>) + ": it is summed over chunks of rows");
    for (const stored_rows<T>* g : places) apart(*g, true);
  }
};

/// The chunks of one call; a backend with memory of its own specialises them.
template <class T, class Memory>
class head_chunks;
template <class T>
class head_chunks<T, host_rows> {
  static constexpr std::size_t chunk_bytes = std::size_t{1} << 25, classes_a_block = 1024;

  const problem<T>& call_;
  const heads_of_call<T> heads_;
  const dense_primitives<T>& dense_;
  workspace& products_;  // the memory of one product
  const executor_ref on_;
  scratch memory_;
  std::size_t rows_;  // of a chunk
  std::size_t* places_ = nullptr;  // in the chunk, of the rows that count; rising
  std::size_t count_ = 0;          // how many are multiplied
  bool apart_ = false;             // whether these are only those that count
  T *student_ = nullptr, *teacher_ = nullptr, *gradient_ = nullptr;  // logits, and the gradient of the student's
  T *hidden_ = nullptr, *weights_ = nullptr;                         // copies in numbers of type T, of a chunk, of a block

 public:
  /// @p gradient: whether one of the student's logits is wanted that is not in the call's own tensor.
  template <class Traits, class Executor>
  head_chunks(const problem<T>& call, const heads_of_call<T>& heads, bool gradient, std::type_identity<Traits>, workspace& ws,
              Executor& executor)
      : call_(call), heads_(heads), dense_(dense_for<Traits, T>()), products_(ws.beside().beside().beside()), on_(executor),
        memory_(ws.beside().beside()) {
    const std::size_t teacher_classes = heads.teacher ? heads.teacher->classes() : 0;
    const std::size_t most = call.over ? call.over->most : 0;  // ranks take the same chunks
    if (call.over) call.over->sums_hidden = heads.gradient && heads.gradient->hidden.data;
    const std::size_t row_bytes = (std::max)({std::size_t{1}, call.classes(), teacher_classes, most}) * sizeof(T);
    rows_ = std::clamp<std::size_t>(chunk_bytes / row_bytes, 24, 3072) / 12 * 12;
    rows_ = (std::min)(rows_, call.samples());
    const auto take = [&](bool wanted, std::size_t columns) { return wanted ? memory_.template take<T>(rows_ * columns).data() : nullptr; };
    student_ = take(heads.student, call.classes());
    teacher_ = take(heads.teacher, teacher_classes);
    gradient_ = take(gradient, call.classes());
    std::size_t width = 0, block = 0;
    const head_view<T>* const both[] = {heads.student, heads.teacher};
    for (const head_view<T>* head : both) {
      if (!head) continue;
      width = (std::max)(width, head->width());
      if (!head->weights.plain()) block = (std::max)(block, (std::min)(classes_a_block, head->classes()) * head->width());
    }
    hidden_ = take(true, width);
    places_ = memory_.template take<std::size_t>(rows_).data();
    weights_ = block ? memory_.template take<T>(block).data() : nullptr;
  }

  /// The sum of sweep(problem of a chunk, executor) over all of them; where the student's head has a gradient, it is given what
  /// the sweep wrote.
  template <class Executor, class Sweep>
  evaluation each(Executor& executor, const Sweep& sweep) {
    evaluation all;
    clear();
    bool first = true;
    for (std::size_t begin = 0, end = 0;; begin = end, first = false) {
      while (begin < call_.samples() && !call_.valid(begin)) ++begin;
      if (begin == call_.samples()) break;
      end = (std::min)(call_.samples(), begin + rows_);
      while (!call_.valid(end - 1)) --end;
      find_places(begin, end);
      problem<T> chunk = call_;
      chunk.first_row = begin;
      chunk.end_row = end;
      if (heads_.student) {
        logits(*heads_.student, begin, student_);
        chunk.student = placed<const T>(student_, begin, heads_.student->classes());
      }
      if (heads_.teacher) {
        logits(*heads_.teacher, begin, teacher_);
        chunk.target = {};
        chunk.teacher = placed<const T>(teacher_, begin, heads_.teacher->classes());
      }
      if (gradient_) {
        chunk.gradient = placed<T>(gradient_, begin, call_.classes());
        chunk.add = false;
      }
      const evaluation part = sweep(chunk, executor);
      all.loss += part.loss;
      all.weight += part.weight;
      all.rows += part.rows;
      for (std::size_t i = 0; i < all.temperature_gradient.size(); ++i)
        all.temperature_gradient[i] += part.temperature_gradient[i];
      if (heads_.gradient) give(begin, first);
    }
    return all;
  }
  /// That of the gradient of a chunk.
  double squared_norm(const problem<T>& chunk) const {
    return sweep_for<host_rows>::squared_norm(
        stored_rows<T>(rows<T>(gradient_, chunk.end_row - chunk.first_row, call_.classes(), row_stride())));
  }

 private:
  std::ptrdiff_t row_stride() const { return static_cast<std::ptrdiff_t>(call_.classes()); }
  /// Products of few rows among many that do not count are of these alone: what is copied for it is a row of logits, which
  /// where most rows count would cost more than it saves.
  void find_places(std::size_t begin, std::size_t end) {
    count_ = 0;
    for (std::size_t r = begin; r < end; ++r)
      if (call_.valid(r)) places_[count_++] = r - begin;
    apart_ = count_ <= (end - begin) / 4 * 3;
    if (!apart_) count_ = end - begin;
  }
  std::size_t place(std::size_t i) const { return apart_ ? places_[i] : i; }
  /// A chunk as rows of the call, of which only its own are there.
  template <class U>
  stored_rows<U> placed(T* chunk, std::size_t begin, std::size_t classes) const {
    stored_rows<U> x;
    // by integers: the address of row 0 is that of no object
    x.data = reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(chunk) - begin * classes * sizeof(T));
    x.samples = call_.samples();
    x.classes = classes;
    x.sample_stride = static_cast<std::ptrdiff_t>(classes);
    return x;
  }
  void multiply(const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c) const {
    scratch memory(products_);
    dense_.multiply(T(1), a, b, beta, c, memory, on_);
  }
  /// The rows of @p x from @p begin that are multiplied, in numbers of type T; zeros for those that do not count, whatever
  /// stands there.
  rows<const T> numbers(const stored_rows<const T>& x, std::size_t begin, T* copy) const {
    bool all = x.plain() && !apart_;
    for (std::size_t i = 0; all && i < count_; ++i) all = call_.valid(begin + i);
    if (all) return {x.row(begin), count_, x.classes, x.sample_stride, x.class_stride};
    on_(count_, [&](std::size_t i, std::size_t) {
      T* const to = copy + i * x.classes;
      if (const std::size_t r = begin + place(i); call_.valid(r)) {
        copy_row(x, r, to);
      } else {
        std::fill_n(to, x.classes, T(0));
      }
    });
    return {copy, count_, x.classes, static_cast<std::ptrdiff_t>(x.classes)};
  }
  static void copy_row(const stored_rows<const T>& x, std::size_t r, T* to) {
    dispatch([&]<class Isa>(Isa) { staging<T>::template copy_in<Isa>(x, r, 1, x.classes, T(0), to); });
  }
  /// f(first class, rows of weights in numbers of type T), for all classes.
  template <class F>
  void each_block(const stored_rows<const T>& weights, F&& f) const {
    if (weights.plain()) return f(std::size_t{0}, rows<const T>(weights.as_native()));
    for (std::size_t c = 0; c < weights.samples; c += classes_a_block) {
      const std::size_t count = (std::min)(classes_a_block, weights.samples - c);
      on_(count, [&](std::size_t i, std::size_t) { copy_row(weights, c + i, weights_ + i * weights.classes); });
      f(c, rows<const T>(weights_, count, weights.classes, static_cast<std::ptrdiff_t>(weights.classes)));
    }
  }

  /// z = h W^T + b.
  void logits(const head_view<T>& head, std::size_t begin, T* out) const {
    const std::size_t classes = head.classes();
    const rows<const T> h = numbers(head.hidden, begin, hidden_);
    if (head.bias.data) {
      copy_row(head.bias, 0, out);
      on_(count_ - 1, [&](std::size_t i, std::size_t) { std::copy_n(out, classes, out + (i + 1) * classes); });
    }
    each_block(head.weights, [&](std::size_t c, const rows<const T>& w) {
      multiply(h, w.transposed(), T(head.bias.data ? 1 : 0), rows<T>(out + c, h.samples, w.samples, static_cast<std::ptrdiff_t>(classes)));
    });
    for (std::size_t i = count_; apart_ && i-- > 0;) move_row(out, classes, i, places_[i]);
  }
  static void move_row(T* chunk, std::size_t classes, std::size_t from, std::size_t to) {
    if (from != to) std::copy_n(chunk + from * classes, classes, chunk + to * classes);
  }

  /// From the gradient of a chunk's logits. @p first: nothing has been added to those of weights and bias.
  void give(std::size_t begin, bool first) const {
    const head_gradient_argument<T>& to = *heads_.gradient;
    for (std::size_t i = 0; apart_ && i < count_; ++i) move_row(gradient_, call_.classes(), places_[i], i);
    const rows<const T> g(gradient_, count_, call_.classes(), row_stride());
    const T sum = to.add || !first ? T(1) : T(0);
    if (to.weights.data)
      multiply(g.transposed(), numbers(heads_.student->hidden, begin, hidden_), sum, to.weights.as_native());
    if (to.bias.data) add_rows(g, sum, to.bias.as_native());
    if (!to.hidden.data) return;
    const bool in_place = to.hidden.plain() && !apart_ && !call_.over;
    const rows<T> h = in_place ? rows<T>(to.hidden.row(begin), count_, to.hidden.classes, to.hidden.sample_stride, to.hidden.class_stride)
                               : rows<T>(hidden_, count_, to.hidden.classes, static_cast<std::ptrdiff_t>(to.hidden.classes));
    each_block(heads_.student->weights, [&](std::size_t c, const rows<const T>& w) {
      multiply(rows<const T>(g.data + c, g.samples, w.samples, row_stride()), w, T((in_place && to.add) || c > 0 ? 1 : 0), h);
    });
    if (call_.over) {  // each rank has the products of its own classes, which may be none
      if (call_.classes() == 0) std::fill_n(hidden_, h.samples * h.classes, T(0));
      call_.over->add_up(*call_.over->comm, hidden_, h.samples * h.classes);
    }
    for (std::size_t i = 0; !in_place && i < h.samples; ++i)
      for (std::size_t k = 0; k < h.classes; ++k)
        to.hidden.put(begin + place(i), k, (to.add ? to.hidden(begin + place(i), k) : T(0)) + h(i, k));
  }
  /// out = the sum of the rows of @p g, + out where @p keep is 1; in the order of the rows.
  void add_rows(const rows<const T>& g, T keep, const rows<T>& out) const {
    constexpr std::size_t piece = 256;
    on_((g.classes + piece - 1) / piece, [&](std::size_t p, std::size_t) {
      const std::size_t from = p * piece, count = (std::min)(piece, g.classes - from);
      dispatch_loop([&](auto) LIMBECK_LAMBDA_INLINE {
        T total[piece]{};
        for (std::size_t r = 0; r < g.samples; ++r) {
          const T* const row = g.row(r) + from;
          if (count == piece) {
            for (std::size_t c = 0; c < piece; ++c) total[c] += row[c];
          } else {
            for (std::size_t c = 0; c < count; ++c) total[c] += row[c];
          }
        }
        for (std::size_t c = 0; c < count; ++c) out(0, from + c) = (keep == T(0) ? T(0) : out(0, from + c)) + total[c];
      });
    });
  }
  /// What no chunk writes.
  void clear() const {
    const bool own = call_.gradient.data && !call_.add && !gradient_;
    const bool hidden = heads_.gradient && heads_.gradient->hidden.data && !heads_.gradient->add;
    bool any = false;
    const auto zero = [&](const stored_rows<T>& x, std::size_t r) {
      for (std::size_t c = 0; c < x.classes; ++c) x.put(r, c, T(0));
    };
    for (std::size_t r = 0; r < call_.samples(); ++r) {
      if (call_.valid(r)) {
        any = true;
        continue;
      }
      if (call_.row_losses) call_.row_losses[r] = T(0);
      if (call_.row_temperature_gradient) call_.row_temperature_gradient[r] = T(0);
      if (own) zero(call_.gradient, r);
      if (hidden) zero(heads_.gradient->hidden, r);
    }
    if (any || !heads_.gradient || heads_.gradient->add) return;
    const stored_rows<T>* const sums[] = {&heads_.gradient->weights, &heads_.gradient->bias};
    for (const stored_rows<T>* x : sums)
      for (std::size_t r = 0; x->data && r < x->samples; ++r) zero(*x, r);
  }
};

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
