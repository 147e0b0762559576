#ifndef LIMBECK_OBJECTIVE_HEAD_CALL_HPP
#define LIMBECK_OBJECTIVE_HEAD_CALL_HPP

/// @file
/// A call on heads: for a chunk of rows at a time the logits, the sweep over them, and what their gradient says of hidden states,
/// weights and bias.

#include <limbeck/objective/head.hpp>
#include <limbeck/objective/report.hpp>
#include <limbeck/objective/run.hpp>
#include <limbeck/objective/run_time.hpp>

#include <algorithm>
#include <span>
#include <tuple>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// The heads of a call and where the student's gradients go; null where there is none.
template <class T>
struct heads_of_call {
  const head_view<T>*student = nullptr, *teacher = nullptr;
  const head_gradient_argument<T>* gradient = nullptr;

  /// @throws shape_error, value_error
  void check(const problem<T>& in) const {
    if (!gradient) return;
    const auto same = [&](const char* name, const stored_rows<T>& g, std::size_t samples, std::size_t columns) {
      if (g.data && (g.samples != samples || g.classes != columns)) throw_shape(name, g.samples, g.classes, samples, columns);
    };
    same("hidden gradient", gradient->hidden, in.samples(), student->width());
    same("weights gradient", gradient->weights, in.classes(), student->width());
    same("bias gradient", gradient->bias, 1, in.classes());
    for (const stored_rows<T>* g : {&gradient->weights, &gradient->bias})
      if (g->data && !g->native())
        raise<value_error>(std::string("limbeck: ") + (g == &gradient->bias ? "bias" : "weights") + " gradient is " +
                           name_of(g->type) + ", expected " + name_of(element_type_of<T>) + ": it is summed over chunks of rows");
    for (const stored_rows<T>* g : {&gradient->hidden, &gradient->weights, &gradient->bias})
      for (const head_view<T>* head : {student, teacher})
        if (head && (overlaps(*g, head->hidden) || overlaps(*g, head->weights) || overlaps(*g, head->bias)))
          raise<value_error>("limbeck: head_gradient overlaps a head; outputs need memory of their own");
  }
};

/// The chunks of one call.
template <class T>
class head_chunks {
  static constexpr std::size_t chunk_bytes = std::size_t{1} << 24, classes_a_block = 1024;

  const problem<T>& call_;
  const heads_of_call<T> heads_;
  const dense_primitives<T>& dense_;
  workspace& products_;  // the memory of one product
  const executor_ref on_;
  scratch memory_;
  std::size_t rows_;  // of a chunk
  T *student_ = nullptr, *teacher_ = nullptr, *gradient_ = nullptr;  // logits, and the gradient of the student's
  T *hidden_ = nullptr, *weights_ = nullptr;                         // copies in numbers of type T, of a chunk, of a block

 public:
  /// @p gradient: whether one of the student's logits is wanted that is not in the call's own tensor.
  template <class Executor>
  head_chunks(const problem<T>& call, const heads_of_call<T>& heads, bool gradient, const dense_primitives<T>& dense,
              workspace& ws, Executor& executor)
      : call_(call), heads_(heads), dense_(dense), products_(ws.beside().beside().beside()), on_(executor),
        memory_(ws.beside().beside()) {
    const std::size_t row_bytes = (std::max<std::size_t>)(1, call.classes()) * sizeof(T);
    rows_ = std::clamp<std::size_t>(chunk_bytes / row_bytes, 24, 3072) / 12 * 12;
    rows_ = (std::min)(rows_, call.samples());
    const auto take = [&](bool wanted, std::size_t columns) { return wanted ? memory_.take<T>(rows_ * columns).data() : nullptr; };
    student_ = take(heads.student, call.classes());
    teacher_ = take(heads.teacher, call.classes());
    gradient_ = take(gradient, call.classes());
    std::size_t width = 0, block = 0;
    for (const head_view<T>* head : {heads.student, heads.teacher}) {
      if (!head) continue;
      width = (std::max)(width, head->width());
      if (!head->weights.native()) block = (std::max)(block, (std::min)(classes_a_block, head->classes()) * head->width());
    }
    hidden_ = take(true, width);
    weights_ = block ? memory_.take<T>(block).data() : nullptr;
  }

  /// sweep(problem of a chunk), for all of them; where the student's head has a gradient, it is given what the sweep wrote.
  template <class Sweep>
  void each(const Sweep& sweep) {
    clear();
    bool first = true;
    for (std::size_t begin = 0, end = 0;; begin = end, first = false) {
      while (begin < call_.samples() && !call_.valid(begin)) ++begin;
      if (begin == call_.samples()) break;
      end = (std::min)(call_.samples(), begin + rows_);
      while (!call_.valid(end - 1)) --end;
      problem<T> chunk = call_;
      chunk.first_row = begin;
      chunk.end_row = end;
      if (heads_.student) {
        logits(*heads_.student, begin, end, student_);
        chunk.student = placed<const T>(student_, begin);
      }
      if (heads_.teacher) {
        logits(*heads_.teacher, begin, end, teacher_);
        chunk.target = {};
        chunk.teacher = placed<const T>(teacher_, begin);
      }
      if (gradient_) {
        chunk.gradient = placed<T>(gradient_, begin);
        chunk.add = false;
      }
      sweep(chunk);
      if (heads_.gradient) give(begin, end, first);
    }
  }
  /// That of the gradient of a chunk.
  double squared_norm(const problem<T>& chunk) const {
    return sweep_for<host_rows>::squared_norm(
        stored_rows<T>(rows<T>(gradient_, chunk.end_row - chunk.first_row, call_.classes(), row_stride())));
  }

 private:
  std::ptrdiff_t row_stride() const { return static_cast<std::ptrdiff_t>(call_.classes()); }
  /// A chunk as rows of the call, of which only its own are there.
  template <class U>
  stored_rows<U> placed(T* chunk, std::size_t begin) const {
    stored_rows<U> x;
    // by integers: the address of row 0 is that of no object
    x.data = reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(chunk) - begin * call_.classes() * sizeof(T));
    x.samples = call_.samples();
    x.classes = call_.classes();
    x.sample_stride = row_stride();
    return x;
  }
  void multiply(const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c) const {
    scratch memory(products_);
    dense_.multiply(T(1), a, b, beta, c, memory, on_);
  }
  /// Rows [begin, end) of @p x in numbers of type T; zeros for those that do not count, whatever stands there.
  rows<const T> numbers(const stored_rows<const T>& x, std::size_t begin, std::size_t end, T* copy) const {
    bool all = x.native();
    for (std::size_t r = begin; all && r < end; ++r) all = call_.valid(r);
    if (all) return {x.row(begin), end - begin, x.classes, x.sample_stride, x.class_stride};
    on_(end - begin, [&](std::size_t i, std::size_t) {
      T* const to = copy + i * x.classes;
      if (call_.valid(begin + i)) {
        copy_row(x, begin + i, to);
      } else {
        std::fill_n(to, x.classes, T(0));
      }
    });
    return {copy, end - begin, x.classes, static_cast<std::ptrdiff_t>(x.classes)};
  }
  static void copy_row(const stored_rows<const T>& x, std::size_t r, T* to) {
    if (x.class_stride == 1) return with_stored_row(x, r, [&](const auto* from) { widen(from, x.classes, to); });
    for (std::size_t c = 0; c < x.classes; ++c) to[c] = x(r, c);
  }
  /// f(first class, rows of weights in numbers of type T), for all classes.
  template <class F>
  void each_block(const stored_rows<const T>& weights, F&& f) const {
    if (weights.native()) return f(std::size_t{0}, rows<const T>(weights.as_native()));
    for (std::size_t c = 0; c < weights.samples; c += classes_a_block) {
      const std::size_t count = (std::min)(classes_a_block, weights.samples - c);
      on_(count, [&](std::size_t i, std::size_t) { copy_row(weights, c + i, weights_ + i * weights.classes); });
      f(c, rows<const T>(weights_, count, weights.classes, static_cast<std::ptrdiff_t>(weights.classes)));
    }
  }

  /// z = h W^T + b.
  void logits(const head_view<T>& head, std::size_t begin, std::size_t end, T* out) const {
    const std::size_t classes = head.classes();
    const rows<const T> h = numbers(head.hidden, begin, end, hidden_);
    if (head.bias.data) {
      copy_row(head.bias, 0, out);
      on_(end - begin - 1, [&](std::size_t i, std::size_t) { std::copy_n(out, classes, out + (i + 1) * classes); });
    }
    each_block(head.weights, [&](std::size_t c, const rows<const T>& w) {
      multiply(h, w.transposed(), T(head.bias.data ? 1 : 0), rows<T>(out + c, h.samples, w.samples, row_stride()));
    });
  }

  /// From the gradient of a chunk's logits. @p first: nothing has been added to those of weights and bias.
  void give(std::size_t begin, std::size_t end, bool first) const {
    const head_gradient_argument<T>& to = *heads_.gradient;
    const rows<const T> g(gradient_, end - begin, call_.classes(), row_stride());
    const T sum = to.add || !first ? T(1) : T(0);
    if (to.weights.data)
      multiply(g.transposed(), numbers(heads_.student->hidden, begin, end, hidden_), sum, to.weights.as_native());
    if (to.bias.data) add_rows(g, sum, to.bias.as_native());
    if (!to.hidden.data) return;
    const bool in_place = to.hidden.native();
    const rows<T> h = in_place ? rows<T>(to.hidden.row(begin), end - begin, to.hidden.classes, to.hidden.sample_stride, to.hidden.class_stride)
                               : rows<T>(hidden_, end - begin, to.hidden.classes, static_cast<std::ptrdiff_t>(to.hidden.classes));
    each_block(heads_.student->weights, [&](std::size_t c, const rows<const T>& w) {
      multiply(rows<const T>(g.data + c, g.samples, w.samples, row_stride()), w, T((in_place && to.add) || c > 0 ? 1 : 0), h);
    });
    for (std::size_t i = 0; !in_place && i < h.samples; ++i)
      for (std::size_t k = 0; k < h.classes; ++k)
        to.hidden.put(begin + i, k, (to.add ? to.hidden(begin + i, k) : T(0)) + h(i, k));
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
    for (const stored_rows<T>* x : {&heads_.gradient->weights, &heads_.gradient->bias})
      for (std::size_t r = 0; x->data && r < x->samples; ++r) zero(*x, r);
  }
};

/// @p a, or null where it is no X.
template <class X, class A>
const X* if_it_is(const A& a) {
  if constexpr (std::is_same_v<X, A>) {
    return &a;
  } else {
    return nullptr;
  }
}
template <class X, class... A>
const X* the_one_of(const A&... a) {
  const X* found = nullptr;
  ((found = found ? found : if_it_is<X>(a)), ...);
  return found;
}

/// f(student, arguments) with the element type known: a head in the place of the student is a `head_student`.
template <class E, class F, class Student, class... A>
auto with_head_type(F&& f, Student& student, A&... args) {
  if constexpr (!is_head<Student>) {
    return with_element_type<E>(f, student, args...);
  } else {
    const auto as_student = [&](const auto& hidden, auto&... known) {
      using T = typename tensor_traits<std::remove_cvref_t<decltype(hidden)>>::scalar;
      using Backend = std::conditional_t<std::is_void_v<typename Student::backend>,
                                         tensor_traits<std::remove_cvref_t<decltype(hidden)>>, typename Student::backend>;
      const head_student<T, Backend> s{student.template as<T>()};
      return f(s, known...);
    };
    if constexpr (std::is_void_v<typename Student::scalar>) {
      return with_element_type<E>(as_student, student.hidden, args...);
    } else {
      return typed_call<typename Student::scalar, E>(as_student, student.hidden, args...);
    }
  }
}

enum class head_result { evaluation, value, report };

/// A call of which student, teacher or both are heads.
template <head_result Result, class E, class Student, class... A>
auto evaluate_heads(const E& e, Student& given, A&... args) {
  return with_head_type<E>([&](const auto& student, auto&&... known) {
    using S = std::remove_cvref_t<decltype(student)>;
    constexpr bool head = is_head<std::remove_const_t<Student>>;
    using T = typename tensor_traits<S>::scalar;
    constexpr bool places = (std::is_same_v<std::remove_cvref_t<decltype(known)>, head_gradient_argument<T>> || ...);
    const auto run_problem = [&](const auto& terms, auto& in, auto& ws, auto& executor, auto signature) {
      using Signature = decltype(signature);
      using Traits = typename Signature::student_traits;
      using Plan = typename plan_of<std::remove_cvref_t<decltype(terms)>>::type;
      static_assert(std::is_same_v<typename Traits::sweep, host_rows>,
                    "limbeck: logits_of multiplies on the host; for a device, write the logits there and pass them");
      static_assert(!Plan::template any<batchwise>,
                    "limbeck: a batchwise loss relates all rows of a call, and logits_of shows it a chunk of them at a time");
      static_assert(head || !places,
                    "limbeck: head_gradient belongs to a student of logits_of(hidden, weights); this student is a tensor of logits");
      static_assert(!head || places || !Signature::gradient,
                    "limbeck: the gradient of logits_of(hidden, weights) goes into(head_gradient(of_hidden, of_weights)); there is "
                    "no tensor of logits to have one");
      static_assert(Result != head_result::evaluation || Signature::gradient,
                    "limbeck: a call on logits_of makes no gradients; pass into(head_gradient(of_hidden, of_weights)), of a student "
                    "that is a tensor into(gradient), or ask for value(...)");
      static_assert(Result != head_result::value || !Signature::gradient,
                    "limbeck: value() writes no gradient; call the objective itself");
      using Sweep = sweep_for<typename Traits::sweep>;
      heads_of_call<T> heads{nullptr, the_one_of<head_view<T>>(known...), the_one_of<head_gradient_argument<T>>(known...)};
      if constexpr (head) heads.student = &student.head;
      constexpr bool wants = Result == head_result::evaluation;
      check_problem<typename Traits::sweep>(in, terms, wants && !head);
      heads.check(in);
      constexpr bool sweeps_gradient = Result != head_result::value;
      using Mode = sweep_mode<sweeps_gradient, Signature::soft_labels, wants && Signature::temperature_output>;
      const auto run = [&](const auto& some, bool own, const auto& after) {
        head_chunks<T> chunks(in, heads, own, dense_for<Traits, T>(), ws, executor);
        evaluation all;
        chunks.each([&](problem<T>& chunk) {
          if constexpr (has_temperature_signal<E>()) measure_temperatures<Traits>(temperature_signal(e), chunk, ws, executor);
          const evaluation part = Sweep::template run<T, typename Traits::template lanes<T>, Mode>(chunk, some, ws, executor);
          all.loss += part.loss;
          all.weight += part.weight;
          all.rows += part.rows;
          for (std::size_t i = 0; i < all.temperature_gradient.size(); ++i)
            all.temperature_gradient[i] += part.temperature_gradient[i];
          after(chunks, chunk);
        });
        return all;
      };
      const auto nothing = [](const auto&, const auto&) {};
      if constexpr (Result == head_result::report) {
        objective_report out;
        hana::for_each(terms, [&](const auto& term) {
          double squares = 0;
          const evaluation of_term = run(hana::make_tuple(term), true, [&](const auto& chunks, const auto& chunk) {
            squares += chunks.squared_norm(chunk);
          });
          out.add(term.name, term.weight, of_term.loss, squares);
        });
        return out;
      } else if constexpr (Result == head_result::value) {
        return run(terms, false, nothing).loss;
      } else {
        return run(terms, head, nothing);
      }
    };
    return with_problem<true>(e, run_problem, student, known...);
  }, given, args...);
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
