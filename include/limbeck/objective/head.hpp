#ifndef LIMBECK_OBJECTIVE_HEAD_HPP
#define LIMBECK_OBJECTIVE_HEAD_HPP

/// @file
/// Logits that are a product, in the place of a tensor of logits that is never there: the head of a language model has more
/// classes than memory has room for.
///
///     loss(lk::logits_of(hidden, weights), lk::logits_of(teacher_hidden, teacher_weights), tokens,
///          lk::into(lk::head_gradient(hidden_gradient, weights_gradient)));

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/lifetime.hpp>
#include <limbeck/engine/target.hpp>
#include <limbeck/objective/argument_tags.hpp>

#include <cstddef>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// A head in numbers of type T. In the place of a teacher, a target.
template <class T, class Memory = host_rows>
struct head_view {
  using limbeck_target = void;
  using limbeck_head = void;
  using scalar = T;
  using memory = Memory;
  static constexpr std::size_t scratch_rows = 0;
  stored_rows<const T> hidden, weights, bias;  // samples x width, classes x width, 1 x classes or nothing

  LIMBECK_HOST_DEVICE std::size_t samples() const { return hidden.samples; }
  LIMBECK_HOST_DEVICE std::size_t classes() const { return weights.samples; }
  LIMBECK_HOST_DEVICE std::size_t width() const { return hidden.classes; }
  /// One row: for a target among others. A call with a head takes many rows at once.
  template <class Team>
  LIMBECK_HOST_DEVICE void fill(const target_row<T, Team>& r) const {
    for_own<T>(r.team, classes(), [&](std::size_t c) {
      double z = bias.data ? static_cast<double>(bias(0, c)) : 0;
      for (std::size_t k = 0; k < width(); ++k)
        z += static_cast<double>(hidden(r.index, k)) * static_cast<double>(weights(c, k));
      r.out[c] = static_cast<T>(z);
    });
  }
};

/// The student of a call whose logits are not there, only their shape; @p Backend is what `tensor_traits` says of the hidden
/// states.
template <class T, class Backend>
struct head_student {
  head_view<T, typename Backend::sweep> head;
};

/// Where the gradients of a head go; a member without data is not wanted.
template <class T, class Memory = host_rows>
struct head_gradient_argument {
  using limbeck_argument = void;
  using limbeck_head = void;
  using tag = gradient_tag;
  using memory = Memory;
  stored_rows<T> hidden, weights, bias;
  bool add = false;
  void apply(problem<T>&) const {}
};

template <class A>
inline constexpr bool is_head = requires { typename std::remove_cvref_t<A>::limbeck_head; };
template <class... A>
inline constexpr bool has_head = (is_head<A> || ...);

/// A vector, or a matrix of one row or one column, as rows of one sample.
inline any_tensor one_row(any_tensor x, const char* name) {
  const std::size_t along = x.rank == 2 && x.shape[0] == 1 ? 1 : 0;
  if (x.rank != 1 && !(x.rank == 2 && x.shape[1 - along] == 1))
    raise<shape_error>(std::string("limbeck: ") + name + " is " + x.str() + ", expected a vector");
  x.shape[1] = x.shape[along], x.strides[1] = x.strides[along];
  x.rank = 2;
  x.shape[0] = 1, x.strides[0] = x.shape[1];
  return x;
}
inline any_tensor whole_or_nothing(std::nullptr_t) { return {}; }
template <class X>
any_tensor whole_or_nothing(X&& x) {
  using Bare = std::remove_cvref_t<X>;
  constexpr bool known = storable<std::remove_reference_t<X>> || !std::is_void_v<vector_element_t<Bare>>;
  static_assert(known, "limbeck: hidden states, weights and bias of a head, and their gradients, are tensors of floats (is their "
                       "backend's header included?), the bias a vector");
  if constexpr (known) {
    return memory_view(x);
  } else {
    return {};
  }
}

/// What `tensor_traits` says, void where the element type is known at run time.
template <class X>
struct head_backend {
  using type = void;
  using scalar = void;
};
template <class X>
  requires(tensor<X> && !run_time_tensor<X>)
struct head_backend<X> {
  using type = tensor_traits<X>;
  using scalar = typename type::scalar;
};

/// What a head keeps of tensors that are handles, for those who want them back; a library whose tensors are, specialises it.
template <class Hidden>
struct head_handles {};
/// Where a head keeps an @p X as a handle, it may be a temporary.
template <class X, class Handles>
constexpr void require_kept_or_held() {
  if constexpr (!requires(Handles & h, X && x) { h.hidden = x; }) require_kept<X>();
}

}  // namespace detail
/// @endcond

/// What `logits_of` returns: views of a head.
template <class Hidden>
struct head_logits {
  /// @cond
  using limbeck_view = void;
  using limbeck_run_time = void;
  using limbeck_head = void;
  using backend = typename detail::head_backend<Hidden>::type;
  using scalar = typename detail::head_backend<Hidden>::scalar;
  template <class T, class Sweep>
  detail::head_view<T, Sweep> as() const {
    if constexpr (!std::is_void_v<backend>)
      static_assert(std::is_same_v<typename backend::sweep, Sweep>,
                    "limbeck: student and teacher live in different memory (host and device)");
    constexpr memory_kind where = detail::kind_of_memory<Sweep>;
    detail::head_view<T, Sweep> x{stored_view<const T>(hidden, "hidden", where), stored_view<const T>(weights, "weights", where), {}};
    if (x.weights.classes != x.hidden.classes)
      raise<shape_error>("limbeck: weights is " + weights.str() + " of a head whose hidden states are " + hidden.str() +
                         ", expected classes x width");
    if (bias.type == element_type::none) return x;
    x.bias = stored_view<const T>(bias, "bias", where);
    if (x.bias.classes != x.weights.samples) detail::throw_length("bias", x.bias.classes, x.weights.samples, "one a class");
    return x;
  }
  auto as_target() const {
    static_assert(!std::is_void_v<scalar>, "limbeck: a target needs to know its type; logits_of(as_rows<const float>(hidden), ...)");
    using Backend = std::conditional_t<std::is_void_v<backend>, tensor_traits<rows<const float>>, backend>;
    return as<typename Backend::scalar, typename Backend::sweep>();
  }
  /// @endcond
  any_tensor hidden;   ///< samples x width
  any_tensor weights;  ///< classes x width
  any_tensor bias;     ///< one a class, as rows of one sample; of no type where there is none
  /// @cond
  [[no_unique_address]] detail::head_handles<Hidden> handles;
  /// @endcond
};

/// The logits z = h W^T + b of a head, for the place of a student's or a teacher's tensor in a call; they are never there as a
/// whole. A call takes a chunk of rows at a time, as many as make 32 MiB of logits: the product, the objective's sweep over
/// them, and the products of its gradient, so that memory is that of three such chunks where a tensor of logits takes
/// samples x classes several times over. Rows that do not count (masked, ignored, of weight 0) are left out of the products at
/// the ends of a chunk, so that a prompt costs nothing.
///
/// @p hidden is samples x width (of three dimensions, all but the last are samples), @p weights classes x width as a linear layer
/// holds them (`samples_in_columns(W)` for width x classes), @p bias a vector of one a class. They may be of any floating-point
/// types, 16 bits among them: those of the student's hidden states decide whether the call computes in float or in double.
/// The student's gradients go `into(head_gradient(...))`. Any objective of rows stands on top; batchwise losses relate all rows
/// and are refused. In the place of a teacher it is a target, too, so that an ensemble may have one, a row at a time.
///
/// The same bits for any number of workers. Tensors on a device are multiplied there, 128 MiB of logits at a time: by Limbeck's own
/// kernel, or by the library that the `device_workspace` was given.
/// Cost: 2 samples x classes x width operations for each side's logits and for each gradient.
/// @throws shape_error where the bias is no vector; where shapes do not fit, when the call is made.
///
/// After P. Hsu et al., "Liger Kernel: Efficient Triton Kernels for LLM Training", 2024 (arXiv:2410.10989), whose
/// FusedLinearCrossEntropy takes chunks of rows likewise.
template <class Hidden, class Weights, class Bias = std::nullptr_t>
auto logits_of(Hidden&& hidden, Weights&& weights, Bias&& bias = nullptr) {
  head_logits<std::remove_cvref_t<Hidden>> head{detail::whole_or_nothing(hidden), detail::whole_or_nothing(weights), {}, {}};
  using Handles = detail::head_handles<std::remove_cvref_t<Hidden>>;
  detail::require_kept_or_held<Hidden, Handles>();
  detail::require_kept_or_held<Weights, Handles>();
  if constexpr (!std::is_null_pointer_v<std::remove_cvref_t<Bias>>) {
    detail::require_kept_or_held<Bias, Handles>();
    head.bias = detail::one_row(detail::whole_or_nothing(bias), "bias");
    if constexpr (requires { head.handles.bias = bias; }) head.handles.bias = bias;
  }
  if constexpr (requires { head.handles.hidden = hidden, head.handles.weights = weights; })
    head.handles.hidden = hidden, head.handles.weights = weights;
  return head;
}

/// What `head_gradient` returns: views of its tensors.
struct head_gradients {
  /// @cond
  using limbeck_view = void;
  using limbeck_argument = void;
  using limbeck_run_time = void;
  using limbeck_head = void;
  using tag = detail::gradient_tag;
  template <class T, class Sweep>
  detail::head_gradient_argument<T, Sweep> as() const {
    detail::head_gradient_argument<T, Sweep> x;
    const auto see = [](stored_rows<T>& to, const any_tensor& from, const char* name) {
      if (from.type != element_type::none) to = stored_view<T>(from, name, detail::kind_of_memory<Sweep>);
    };
    see(x.hidden, hidden, "hidden gradient");
    see(x.weights, weights, "weights gradient");
    see(x.bias, bias, "bias gradient");
    x.add = add;
    return x;
  }
  template <class F>
  void each(const F& f) const {
    if (hidden.type != element_type::none) f(hidden, "hidden states");
    if (weights.type != element_type::none) f(weights, "weights");
    if (bias.type != element_type::none) f(bias, "bias");
  }
  /// @endcond
  any_tensor hidden;   ///< samples x width, of no type where it is not wanted
  any_tensor weights;  ///< classes x width, likewise
  any_tensor bias;     ///< one a class, as rows of one sample, likewise
  bool add = false;    ///< to what stands there
};

/// Where the derivatives by a head's hidden states, weights and bias go: tensors of their shapes, for `into` and `add_to`;
/// `nullptr` for one that is not wanted. Those of weights and bias are sums over chunks of rows and are of the type that
/// the call computes in, float unless the student's hidden states are double; that of the hidden states may be of 16 bits.
template <class Hidden, class Weights = std::nullptr_t, class Bias = std::nullptr_t>
head_gradients head_gradient(Hidden&& hidden, Weights&& weights = nullptr, Bias&& bias = nullptr) {
  head_gradients g;
  g.hidden = detail::whole_or_nothing(hidden);
  g.weights = detail::whole_or_nothing(weights);
  if constexpr (!std::is_null_pointer_v<std::remove_cvref_t<Bias>>)
    g.bias = detail::one_row(detail::whole_or_nothing(bias), "bias gradient");
  return g;
}

/// @cond
template <class T, class Backend>
struct tensor_traits<detail::head_student<T, Backend>> {
  static constexpr bool is_view = true;
  using scalar = T;
  template <class S>
  using lanes = typename Backend::template lanes<S>;
  using sweep = typename Backend::sweep;
  template <class S>
    requires requires { Backend::template dense<S>(); }
  static const auto& dense() {
    return Backend::template dense<S>();
  }
  static stored_rows<const T> view(const detail::head_student<T, Backend>& x) {
    stored_rows<const T> shape;
    shape.samples = x.head.samples();
    shape.classes = x.head.classes();
    return shape;
  }
};
/// @endcond

LIMBECK_END_NAMESPACE

#endif
