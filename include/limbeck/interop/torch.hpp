#ifndef LIMBECK_INTEROP_TORCH_HPP
#define LIMBECK_INTEROP_TORCH_HPP

/// @file
/// LibTorch's tensors, without a copy: `objective(logits, teacher, labels, into(gradient))`, then
/// `logits.backward(gradient)`; or `differentiable(objective, logits, teacher, labels).backward()`.
///
/// Tensors of any floating-point type, strided as they like (a batch x positions x vocabulary is rows too), with
/// labels of any whole type. Nothing is read or written but the memory that a call needs: torch's thread pool and grad
/// mode are left alone. Tensors on a device: interop/torch_cuda.hpp.

#include <limbeck/objective/objective.hpp>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

inline element_type element_type_from(c10::ScalarType t) {
  using enum element_type;
  switch (t) {  // the enumerators' own names are macros of X11's
    case at::kBool: return boolean;
    case at::kChar: return int8;
    case at::kByte: return uint8;
    case at::kShort: return int16;
    case at::kInt: return int32;
    case at::kLong: return int64;
    case at::kHalf: return float16;
    case at::kBFloat16: return bfloat16;
    case at::kFloat: return float32;
    case at::kDouble: return float64;
    default: return none;
  }
}

}  // namespace detail

/// A `torch::Tensor` where any call takes a tensor. `as_rows<const float>(t)` and `as_span<float>(t)` give one to a
/// target, a selector or an averager. @throws value_error for a tensor that is undefined or not strided (sparse,
/// quantised).
template <>
struct any_tensor_traits<at::Tensor> {
  static constexpr bool shares_memory = true;  ///< a torch::Tensor is a handle
  /// Its memory, shape, strides and type.
  static any_tensor view(const at::Tensor& x) {
    if (!x.defined()) raise<value_error>("limbeck: this torch::Tensor is undefined");
    if (x.layout() != c10::Layout::Strided)
      raise<value_error>("limbeck: this torch::Tensor is not strided; pass x.to_dense()");
    if (x.is_neg() || x.is_conj())
      raise<value_error>("limbeck: this torch::Tensor is a lazy negative or conjugate; pass x.resolve_neg()");
    any_tensor out;
    out.rank = static_cast<std::size_t>(x.dim());
    any_tensor::check_rank(out.rank);
    out.data = x.data_ptr();
    out.type = detail::element_type_from(x.scalar_type());
    out.memory = x.is_cpu() ? memory_kind::host : x.is_cuda() ? memory_kind::cuda : memory_kind::other;
    out.read_only = false;
    for (std::size_t i = 0; i < out.rank; ++i) {
      out.shape[i] = static_cast<std::ptrdiff_t>(x.size(static_cast<std::int64_t>(i)));
      out.strides[i] = static_cast<std::ptrdiff_t>(x.stride(static_cast<std::int64_t>(i)));
    }
    return out;
  }
  /// Fresh memory of the same shape and type, outside autograd's graph.
  static at::Tensor gradient_like(const at::Tensor& x) {
    return at::empty_like(x.detach(), at::MemoryFormat::Contiguous);
  }
};

/// @cond
namespace detail {

/// The usual call is loss.backward(): no pass over the gradient for a factor of 1. A device is not waited for.
inline bool is_one(const at::Tensor& outer) { return outer.is_cpu() && outer.item<double>() == 1; }

/// Whether a call leaves its result on a device.
template <class... Args>
inline constexpr bool is_deferred = (requires { typename std::remove_cvref_t<Args>::runner::limbeck_deferred; } || ...);
/// A loss as a tensor of @p type beside @p x.
inline at::Tensor loss_beside(const at::Tensor& x, double loss, c10::ScalarType type) {
  return at::full({}, loss, x.options().dtype(type).requires_grad(false));
}
/// The one that a call has left on the device.
template <class... Args>
at::Tensor loss_left(const at::Tensor& x, c10::ScalarType type, const Args&... args) {
  const double* const where = executor_of(args...).loss();
  return at::from_blob(const_cast<double*>(where), {}, x.options().dtype(at::kDouble).requires_grad(false)).to(type, false, true);
}

/// A loss whose gradient was computed together with its value.
struct torch_loss : torch::autograd::Function<torch_loss> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor&, const at::Tensor& gradient,
                            const at::Tensor& loss) {
    context->save_for_backward({gradient});
    return loss;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    if (c10::GradMode::is_enabled())
      raise<value_error>("limbeck: the gradient of this loss has no gradient of its own (create_graph is set)");
    const at::Tensor gradient = context->get_saved_variables()[0];
    const bool alone = is_one(outer[0]);
    return {alone ? gradient : outer[0] * gradient, at::Tensor(), at::Tensor()};
  }
};

template <>
struct head_handles<at::Tensor> {
  at::Tensor hidden, weights, bias;
};

/// The same of a head, whose hidden states, weights and bias may each want a gradient.
struct torch_head_loss : torch::autograd::Function<torch_head_loss> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor&, const at::Tensor&,
                            const c10::optional<at::Tensor>&, const head_handles<at::Tensor>& gradients, const at::Tensor& loss) {
    context->save_for_backward({gradients.hidden, gradients.weights, gradients.bias});
    return loss;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outer) {
    if (c10::GradMode::is_enabled())
      raise<value_error>("limbeck: the gradient of this loss has no gradient of its own (create_graph is set)");
    torch::autograd::variable_list all = context->get_saved_variables();
    const bool alone = is_one(outer[0]);
    for (at::Tensor& g : all)
      if (g.defined() && !alone) g = (outer[0] * g).to(g.scalar_type());
    all.resize(5);
    return all;
  }
};

}  // namespace detail
/// @endcond

/// The loss as a node of autograd's graph: `differentiable(objective, logits, teacher, labels, ws).backward()`, or
/// added to other torch losses first. The arguments are those of the objective, without `into`; the student's logits
/// come first, and only they get a gradient (learned temperatures are refused). Value and gradient are computed at once, here; with grad mode off, or
/// where the logits need no gradient, the value alone. With `deferred(result)` the loss stays on the device, and nobody waits:
/// what is wrong with values is then known to `result.get()`, and the loss is NaN.
///
/// Returns a scalar of the logits' type. @throws as the objective; from `backward`, value_error if the graph of the
/// backward pass is asked for (there is no second derivative). Allocates the gradient, which the graph keeps.
template <class Objective, class... Args>
at::Tensor differentiable(const Objective& objective, const at::Tensor& student, Args&&... args) {
  using Terms = std::remove_cvref_t<decltype(detail::flatten(objective, detail::context<>{}))>;
  static_assert(detail::plan_of<Terms>::type::learned == 0,
                "limbeck: differentiable hands no gradient to a learned temperature, which would stay as it is; call the "
                "objective itself, which returns it");
  const bool wants = student.requires_grad() && c10::GradMode::is_enabled();
  const auto type = student.scalar_type();
  if constexpr (detail::is_deferred<Args...>) {
    at::Tensor gradient;
    if (wants) {
      gradient = any_tensor_traits<at::Tensor>::gradient_like(student);
      objective(student, args..., into(gradient));
    } else {
      objective.value(student, args...);
    }
    const at::Tensor loss = detail::loss_left(student, type, args...);
    return wants ? detail::torch_loss::apply(student, gradient, loss) : loss;
  } else {
    if (!wants) return detail::loss_beside(student, objective.value(student, std::forward<Args>(args)...), type);
    const auto result = objective(student, std::forward<Args>(args)...);
    static_assert(
        requires { result.gradient; }, "limbeck: differentiable keeps the gradient itself; leave into(gradient) out");
    return detail::torch_loss::apply(student, result.gradient, detail::loss_beside(student, result.loss, type));
  }
}
/// The same of a student's head, whose logits are never there: `differentiable(objective, logits_of(hidden, weights, bias),
/// logits_of(teacher_hidden, teacher_weights), labels, ws)`. Of hidden states, weights and bias those get a gradient that
/// want one. Returns a scalar of float, or of double where the hidden states are double.
template <class Objective, class... Args>
at::Tensor differentiable(const Objective& objective, const head_logits<at::Tensor>& student, Args&&... args) {
  using Terms = std::remove_cvref_t<decltype(detail::flatten(objective, detail::context<>{}))>;
  static_assert(detail::plan_of<Terms>::type::learned == 0,
                "limbeck: differentiable hands no gradient to a learned temperature, which would stay as it is; call the "
                "objective itself, which returns it");
  const auto& [hidden, weights, bias] = student.handles;
  const auto type = hidden.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const auto wants = [](const at::Tensor& x) { return x.defined() && x.requires_grad() && c10::GradMode::is_enabled(); };
  if (!wants(hidden) && !wants(weights) && !wants(bias)) {
    if constexpr (detail::is_deferred<Args...>) {
      objective.value(student, args...);
      return detail::loss_left(hidden, type, args...);
    } else {
      return detail::loss_beside(hidden, objective.value(student, std::forward<Args>(args)...), type);
    }
  }
  detail::head_handles<at::Tensor> g;
  const auto like = [](const at::Tensor& x, auto of) { return at::empty(x.sizes(), x.options().dtype(of).requires_grad(false)); };
  if (wants(hidden)) g.hidden = like(hidden, hidden.scalar_type());
  if (wants(weights)) g.weights = like(weights, type);
  if (wants(bias)) g.bias = like(bias, type);
  const auto view = [](const at::Tensor& x) { return x.defined() ? any_tensor_traits<at::Tensor>::view(x) : any_tensor{}; };
  head_gradients to{view(g.hidden), view(g.weights), {}};
  if (g.bias.defined()) to.bias = detail::one_row(view(g.bias), "bias gradient");
  at::Tensor loss;
  if constexpr (detail::is_deferred<Args...>) {
    objective(student, args..., into(to));
    loss = detail::loss_left(hidden, type, args...);
  } else {
    loss = detail::loss_beside(hidden, objective(student, std::forward<Args>(args)..., into(to)).loss, type);
  }
  if (g.weights.defined()) g.weights = g.weights.to(weights.scalar_type());
  if (g.bias.defined()) g.bias = g.bias.to(bias.scalar_type());
  return detail::torch_head_loss::apply(hidden, weights, bias.defined() ? c10::make_optional(bias) : c10::nullopt, g, loss);
}

LIMBECK_END_NAMESPACE

#endif
