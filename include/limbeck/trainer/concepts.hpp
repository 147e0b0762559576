#ifndef LIMBECK_TRAINER_CONCEPTS_HPP
#define LIMBECK_TRAINER_CONCEPTS_HPP

/// @file
/// What the trainer asks of your classes. Nothing is inherited: a class that has the expressions is one.

#include <limbeck/core/progress.hpp>
#include <limbeck/objective/objective.hpp>
#include <limbeck/objective/parts.hpp>
#include <limbeck/trainer/archive.hpp>
#include <limbeck/trainer/data.hpp>
#include <limbeck/trainer/model_archive.hpp>
#include <limbeck/trainer/training_run.hpp>

#include <algorithm>
#include <iterator>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// A tensor of floats, also one that says so at run time only, or a head: logits that are a product.
template <class X>
concept any_output = tensor<X> || run_time_tensor<std::remove_cvref_t<X>> || is_head<X>;
template <class X>
inline constexpr bool all_outputs = any_output<X>;
template <class X>
concept output_or_layers = any_output<X> || layer_list<std::remove_cvref_t<X>>;
template <class... Output>
inline constexpr bool all_outputs<outputs<Output...>> = (output_or_layers<decltype(Output::value)> && ...);

template <class M, class X>
concept has_forward = requires(M& m, X& x) {
  requires all_outputs<std::remove_cvref_t<decltype(m.forward(x))>>;
};
template <class M, class X>
using logits_of = std::remove_cvref_t<decltype(std::declval<M&>().forward(std::declval<X&>()))>;

/// The gradient that a student is handed: a tensor like its logits, or a view of one where the logits are a view; of
/// several outputs, one each.
template <class Logits>
class gradient_buffer;
template <tensor Logits>
class gradient_buffer<Logits> {
  using traits = tensor_traits<Logits>;
  using made = std::remove_cvref_t<decltype(traits::gradient_like(std::declval<const Logits&>()))>;

 public:
  /// Of the shape of @p logits; allocates only where the shape has changed.
  auto view(const Logits& logits) {
    const auto x = traits::view(logits);
    if (!memory_ || x.samples != samples_ || x.classes != classes_) {
      memory_.emplace(traits::gradient_like(logits));
      samples_ = x.samples;
      classes_ = x.classes;
    }
    return traits::view_gradient(*memory_, logits);
  }
  /// What goes to `backward`.
  decltype(auto) tensor_for(const Logits& logits) {
    if constexpr (tensor<made>) {
      return static_cast<const made&>(*memory_);
    } else {
      return traits::view_gradient(*memory_, logits);
    }
  }

 private:
  std::optional<made> memory_;
  std::size_t samples_ = 0, classes_ = 0;
};
template <run_time_tensor Logits>
  requires(!tensor<Logits>)
class gradient_buffer<Logits> {
 public:
  auto& view(const Logits& logits) {
    const any_tensor x = any_tensor_traits<Logits>::view(logits);
    if (!memory_ || !same_shape(x, any_tensor_traits<made>::view(*memory_))) memory_.emplace(make_gradient(logits));
    return *memory_;
  }
  const auto& tensor_for(const Logits&) { return *memory_; }

 private:
  using made = decltype(make_gradient(std::declval<const Logits&>()));
  static bool same_shape(const any_tensor& a, const any_tensor& b) {
    return a.type == b.type && a.rank == b.rank && std::equal(a.shape.begin(), a.shape.begin() + static_cast<std::ptrdiff_t>(a.rank), b.shape.begin());
  }
  std::optional<made> memory_;
};
/// Of a head, the gradients of hidden states, weights and bias: memory for all of them, in numbers in which is computed.
template <class Hidden>
class gradient_buffer<head_logits<Hidden>> {
 public:
  head_gradients view(const head_logits<Hidden>& head) {
    const bool doubles = head.hidden.type == element_type::float64;
    std::size_t used = 0;
    const std::size_t sizes[] = {head.hidden.size(), head.weights.size(), head.bias.type == element_type::none ? 0 : head.bias.size()};
    const std::size_t all = sizes[0] + sizes[1] + sizes[2];
    doubles ? doubles_.resize(all) : floats_.resize(all);
    const auto take = [&](const any_tensor& like, std::size_t size) {
      void* const at = doubles ? static_cast<void*>(doubles_.data() + used) : floats_.data() + used;
      used += size;
      any_tensor made(at, doubles ? element_type::float64 : element_type::float32, std::span(like.shape.data(), like.rank), false);
      made.named_classes = like.named_classes;
      return made;
    };
    views_ = {};
    views_.hidden = take(head.hidden, sizes[0]);
    views_.weights = take(head.weights, sizes[1]);
    if (sizes[2] > 0) views_.bias = take(head.bias, sizes[2]);
    return views_;
  }
  const head_gradients& tensor_for(const head_logits<Hidden>&) const { return views_; }

 private:
  std::vector<float> floats_;
  std::vector<double> doubles_;
  head_gradients views_;
};
/// Of layers, one each: lists.
template <layer_list Layers>
class gradient_buffer<Layers> {
  using layer = std::remove_cvref_t<decltype(std::declval<const Layers&>()[0])>;
  using buffer = gradient_buffer<layer>;
  std::vector<buffer> buffers_;
  std::vector<std::remove_cvref_t<decltype(std::declval<buffer&>().view(std::declval<const layer&>()))>> views_;

 public:
  auto& view(const Layers& layers) {
    buffers_.resize(layers.size());
    views_.clear();
    for (std::size_t i = 0; i < layers.size(); ++i) views_.push_back(buffers_[i].view(layers[i]));
    return views_;
  }
  struct tensors {
    buffer* of;
    const Layers* layers;
    std::size_t size() const { return layers->size(); }
    decltype(auto) operator[](std::size_t i) const { return of[i].tensor_for((*layers)[i]); }
  };
  tensors tensor_for(const Layers& layers) { return {buffers_.data(), &layers}; }
};
template <class... Output>
class gradient_buffer<outputs<Output...>> {
 public:
  auto view(const outputs<Output...>& all) {
    return each([](auto& buffer, auto& x) -> decltype(auto) { return buffer.view(x); }, all);
  }
  auto tensor_for(const outputs<Output...>& all) {
    return each([](auto& buffer, auto& x) -> decltype(auto) { return buffer.tensor_for(x); }, all);
  }

 private:
  template <class F>
  auto each(const F& f, const outputs<Output...>& all) {
    return [&]<std::size_t... Index>(std::index_sequence<Index...>) {
      return outputs{output<Output::name>(f(std::get<Index>(buffers_), std::get<Index>(all.all).value))...};
    }
    (std::index_sequence_for<Output...>{});
  }
  std::tuple<gradient_buffer<std::remove_cvref_t<decltype(Output::value)>>...> buffers_;
};
template <class Logits>
using gradient_of = decltype(std::declval<gradient_buffer<Logits>&>().tensor_for(std::declval<const Logits&>()));

}  // namespace detail

namespace detail {
template <class A>
inline constexpr bool is_taught = any_output<A> || target<A> || layer_list<A>;
template <class... Output>
inline constexpr bool is_taught<outputs<Output...>> = (is_taught<std::remove_cvref_t<decltype(Output::value)>> && ...);
template <class A>
concept taught = is_taught<std::remove_cvref_t<A>>;
}  // namespace detail

/// What learns, over inputs @p X of your own type:
///
/// - `s.forward(x)`: the logits of these inputs, a tensor (or a reference to one that lives until the next `forward`), or
///   several: `outputs{output<"logits">(z), output<"layer3">(h)}`, of which each is a tensor or a list of tensors;
/// - `s.backward(g)`: *adds* to the gradients of the parameters, from the gradient of the loss with respect to the logits
///   of the last `forward`, a tensor of their kind, or `outputs` of such tensors (`g.of<"layer3">()`, of a list
///   `g.of<"hidden">()[i]`);
/// - `s.zero_gradients()`: sets the gradients of the parameters to zero. The trainer calls it before each step.
template <class S, class X>
concept student = detail::has_forward<S, X> && requires(S& s, X& x, detail::gradient_of<detail::logits_of<S, X>> g) {
  s.backward(g);
  s.zero_gradients();
};

/// What teaches, over batches @p Batch of the data: the first of these that it has,
///
/// - `t.forward(batch.inputs)`;
/// - `t.rows(numbers)`, of the rows of the data: a cache of logits such as `cached_teacher`;
/// - `t(batch.inputs)`, or `t(batch)`;
///
/// or, before all of them, `t.answer(batch, outputs)`, of what the student's `forward` has just given for this batch (a tensor, or all
/// its `outputs`): a teacher that judges samples of a generator, as in distribution matching. It
/// gives logits (a tensor), a target, or several of these: `outputs`. Or it is `outputs{output<"name">(t), ...}` of
/// such teachers, each of which is asked. Or it is `no_teacher`. Who does not answer is asked before the student's `forward`.
template <class T, class Batch>
concept teacher = std::is_same_v<T, no_teacher> ||
    detail::taught<decltype(detail::ask_teacher(std::declval<T&>(), std::declval<Batch&>(), {}))>;

/// @cond
namespace detail {
/// What a student gives for @p X; nothing where it takes none.
template <class S, class X>
struct given_by {
  struct type {};
};
template <class S, class X>
  requires has_forward<S, X>
struct given_by<S, X> {
  using type = logits_of<S, X>;
};
/// Whether a teacher is one beside a student of these outputs.
template <class T, class Batch, class Outputs>
inline constexpr bool teaches = limbeck::teacher<T, Batch>;
template <class T, class Batch, class Outputs>
  requires judges<T, Batch, Outputs>
inline constexpr bool teaches<T, Batch, Outputs> =
    taught<decltype(std::declval<T&>().answer(std::declval<Batch&>(), std::declval<const Outputs&>()))>;
template <class... Output, class Batch, class Outputs>
  requires answers_student<outputs<Output...>, Batch, Outputs>
inline constexpr bool teaches<outputs<Output...>, Batch, Outputs> =
    (teaches<std::remove_reference_t<typename Output::type>, Batch, Outputs> && ...);
}  // namespace detail
/// @endcond

/// What moves the parameters of a student: `o.step(student, progress)`, along the gradients that `backward` has added
/// up.
template <class O, class Student>
concept optimizer = requires(O& o, Student& s, progress p) {
  o.step(s, p);
};

/// What makes a teacher's parameters follow a student's: `a.update(student.parameters(), progress)`, or without the
/// progress. It knows its teacher: an `averager` does, also one `in_place(teacher.parameters())`.
template <class A, class Student>
concept follower = parametrised<Student> &&(
    requires(A& a, Student& s, progress p) { a.update(s.parameters(), p); } ||
    requires(A & a, Student& s) { a.update(s.parameters()); });

namespace detail {

template <class D>
constexpr void require_data() {
  static_assert(
      data_source<D>,
      "limbeck: this data source lacks size(), or batch(rows) for a std::span<const std::size_t> whose result "
      "has a member inputs");
}
template <class S, class X>
constexpr void require_student() {
  static_assert(has_forward<S, X>,
                "limbeck: this student lacks forward(inputs) that takes the inputs of the data and returns logits, a "
                "tensor or outputs of tensors (is its backend's header included?)");
  if constexpr (has_forward<S, X>) {
    static_assert(
        requires(S & s, gradient_of<logits_of<S, X>> g) { s.backward(g); },
        "limbeck: this student lacks backward(gradient) that takes a tensor of the kind of its logits");
    static_assert(
        requires(S & s) { s.zero_gradients(); },
        "limbeck: this student lacks zero_gradients(); the trainer calls it before a step, and backward adds "
        "up over micro-batches");
  }
}
template <class T, class Batch, class Outputs>
constexpr void require_teacher_of() {
  static_assert(
      teaches<T, Batch, Outputs>,
      "limbeck: this teacher has no forward(inputs), no rows(numbers), no answer(batch, outputs), and no call with the inputs or with "
      "the batch, that gives logits or a target; lk::no_teacher{} stands for none");
}
template <class O, class S>
constexpr void require_optimizer() {
  static_assert(optimizer<O, S>, "limbeck: this optimiser lacks step(student, progress)");
}
template <class C>
constexpr void require_callback() {
  static_assert(
      callback<C>,
      "limbeck: this callback has none of begin(run), after_step(run), after_epoch(run) and end(run) that takes "
      "a limbeck::training_run&");
}
template <class A, class S>
constexpr void require_follower() {
  static_assert(parametrised<S>, "limbeck: averaging needs parameters(), a range of spans, of the student");
  if constexpr (parametrised<S>)
    static_assert(follower<A, S>, "limbeck: this averager lacks update(parameters_of_the_student)");
}

/// @throws value_error where a run with these cannot be resumed.
template <class Student, class Optimizer>
void require_storable() {
  if (!serializable<Student> && !parametrised<Student>)
    raise<value_error>(
        "limbeck: a checkpoint is asked for, but the student has neither serialize(archive) nor parameters()");
  if (!serializable<Optimizer> && !std::is_empty_v<Optimizer>)
    raise<value_error>("limbeck: a checkpoint is asked for, but the optimiser has no serialize(archive)");
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
