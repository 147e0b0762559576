#ifndef LIMBECK_INTEROP_TORCH_MODULE_HPP
#define LIMBECK_INTEROP_TORCH_MODULE_HPP

/// @file
/// LibTorch's modules as students and teachers of a trainer:
///
///     lk::torch_module student(network);      // a torch::nn::Sequential, a holder or a module of your own
///     lk::torch_teacher teacher(script);      // the same, or a torch::jit::Module
///     lk::trainer trainer{student, teacher, objective, optimizer};

#include <limbeck/interop/torch.hpp>
#include <limbeck/objective/outputs.hpp>

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn/module.h>

#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// How a module is asked where no function says how: `forward(inputs)`; a torch::jit::Module wraps what goes in and out.
struct ask_torch_module {
  template <class M, class X>
    requires requires(M& m, X& x) { m.forward(x); }
  auto operator()(M& m, X& x) const {
    return m.forward(x);
  }
  template <class M>
    requires(requires(M& m, const at::Tensor& x) { m.forward({x}).toTensor(); } && !requires(M& m, const at::Tensor& x) { m.forward(x); })
  at::Tensor operator()(M& m, const at::Tensor& x) const {
    return m.forward({x}).toTensor();
  }
};

template <class X>
inline constexpr bool is_torch_output = std::is_same_v<X, at::Tensor>;
/// The elements of a list of layers; of anything else itself.
template <class X>
struct layer_type {
  using type = X;
};
template <layer_list X>
struct layer_type<X> {
  using type = std::remove_cvref_t<decltype(std::declval<X&>()[0])>;
};
template <class X>
using layer_of = typename layer_type<X>::type;
template <class... Output>
inline constexpr bool is_torch_output<outputs<Output...>> = (is_torch_output<layer_of<std::remove_cvref_t<decltype(Output::value)>>> && ...);
/// f of a tensor, or of each of a list of layers.
template <class X, class F>
void each_layer_of(const X& x, const F& f) {
  if constexpr (requires { x.size(); x[0]; } && !std::is_same_v<X, at::Tensor>) {
    for (std::size_t i = 0; i < x.size(); ++i) f(x[i]);
  } else {
    f(x);
  }
}
template <class Forward, class M, class X>
concept gives_torch_output = requires(const Forward& f, M& m, X& x) {
  requires is_torch_output<std::remove_cvref_t<decltype(f(m, x))>>;
};

/// The module behind a holder or a pointer.
template <class M>
auto& behind_holder(M& m) {
  if constexpr (requires { *m.operator->(); }) return *m.operator->();
  else return m;
}

/// What is common to students and teachers.
template <class Module, class Forward>
class torch_network {
 public:
  torch_network(Module&& m, Forward f) : held_(std::forward<Module>(m)), forward_(std::move(f)) {}
  /// The module itself, behind its holder.
  auto& module() { return behind_holder(held_); }
  /// A view of each parameter, in torch's order: for an averager. @throws value_error where one is not of float,
  /// shape_error where it is not contiguous.
  std::vector<std::span<float>> parameters() {
    std::vector<std::span<float>> all;
    for (const at::Tensor& p : module().parameters()) all.push_back(span_of(p, "parameter tensor ", all.size()));
    return all;
  }

 protected:
  using module_type = std::remove_reference_t<decltype(behind_holder(std::declval<Module&>()))>;
  static std::span<float> span_of(const at::Tensor& x, const char* what, std::size_t i) {
    return any_tensor_traits<at::Tensor>::view(x).template span<float>((what + std::to_string(i)).c_str());
  }
  Module held_;
  Forward forward_;
};

/// Numbers of a contiguous tensor under a name of an archive, in their own type.
template <class Archive>
void archive_torch_tensor(Archive& archive, const std::string& name, const at::Tensor& x) {
  if (!x.defined()) return;  // batch normalisation without running statistics
  const any_tensor view = any_tensor_traits<at::Tensor>::view(x);
  const auto as = [&]<class T>(T) { archive(name, view.template span<T>(name.c_str())); };
  switch (view.type) {
    case element_type::float32: return as(float{});
    case element_type::float64: return as(double{});
    case element_type::int64: return as(std::int64_t{});
    case element_type::int32: return as(std::int32_t{});
    case element_type::uint8: return as(std::uint8_t{});
    case element_type::boolean: return as(bool{});
    default: raise<value_error>("limbeck: " + name + " is " + view.str() + ", which no checkpoint stores");
  }
}

}  // namespace detail
/// @endcond

/// A LibTorch module as a student: what a trainer asks for, over the module's own tensors and autograd.
///
/// @p Module is a holder (`torch::nn::Sequential`), a pointer to a module, a module of your own, or a torch::jit::Module;
/// an lvalue is referred to, an rvalue owned. Its `forward(inputs)` gives a tensor, or `outputs{output<"logits">(z),
/// output<"layer3">(h)}`, of which each may be a list; with a second argument that function says how: `torch_module(m, [](auto& m, const
/// torch::Tensor& x) { return m.classify(x); })`.
template <class Module, class Forward = detail::ask_torch_module>
class torch_module : public detail::torch_network<Module, Forward> {
  using base = detail::torch_network<Module, Forward>;

 public:
  /// @p m; @p f(module, inputs) instead of its forward.
  explicit torch_module(Module&& m, Forward f = {}) : base(std::forward<Module>(m), std::move(f)) {}

  /// The outputs of these inputs, at the end of autograd's graph; after `eval()` without one.
  template <class X>
    requires detail::gives_torch_output<Forward, typename base::module_type, X>
  auto forward(X& inputs) {
    const c10::AutoGradMode graph(!evaluated_ && c10::GradMode::is_enabled());
    auto out = this->forward_(this->module(), inputs);
    last_.clear();
    if (evaluated_) return out;
    if constexpr (detail::is_outputs<decltype(out)>) {
      std::apply([&](const auto&... o) { (detail::each_layer_of(o.value, [&](const at::Tensor& t) { last_.push_back(t); }), ...); }, out.all);
    } else {
      last_.push_back(out);
    }
    return out;
  }
  /// Adds to the gradients of the parameters, from those of the outputs of the last `forward`, whose graph it uses up.
  /// @throws value_error where no output has a graph.
  template <class Gradient>
  void backward(const Gradient& gradient) {
    std::vector<at::Tensor> ends, slopes;
    std::size_t next = 0;
    const auto take = [&](const at::Tensor& slope) {
      const at::Tensor end = next < last_.size() ? last_[next] : at::Tensor();
      ++next;
      if (!end.defined() || !end.requires_grad()) return;
      ends.push_back(end);
      slopes.push_back(slope);
    };
    if constexpr (detail::is_outputs<Gradient>) {
      std::apply([&](const auto&... o) { (detail::each_layer_of(o.value, take), ...); }, gradient.all);
    } else {
      take(gradient);
    }
    if (ends.empty())
      raise<value_error>("limbeck: backward of a torch_module without a graph: every parameter is frozen, grad mode is off, or "
                         "there was no forward in training");
    torch::autograd::backward(ends, slopes);
    last_.clear();
  }
  /// Sets the gradients to 0, in place, and makes those that are not there yet; of frozen parameters nothing is made.
  void zero_gradients() {
    for (const at::Tensor& p : this->module().parameters())
      if (p.requires_grad()) made_gradient(p).zero_();
  }
  /// A view of the gradient of each parameter, in the order of `parameters()`; zeros of one that has none.
  /// @throws as `parameters`.
  std::vector<std::span<float>> gradients() {
    std::vector<std::span<float>> all;
    for (const at::Tensor& p : this->module().parameters())
      all.push_back(base::span_of(made_gradient(p), "gradient tensor ", all.size()));
    return all;
  }

  /// To train: what `eval()` has changed is as it was, submodules that were in evaluation before (a frozen batch
  /// normalisation) stay there. A module that is in evaluation as a whole is set to train.
  void train() {
    if (evaluated_) {
      if constexpr (has_parts) {
        std::size_t i = 0;
        this->module().apply([&](torch::nn::Module& part) { part.train(modes_[i++]); });  // from the whole to its parts
      } else {
        this->module().train(modes_.front());
      }
    }
    evaluated_ = false;
    if (!this->module().is_training()) this->module().train(true);
  }
  /// To evaluate, until `train()`: `module.eval()`, and `forward` leaves no graph.
  void eval() {
    if (evaluated_) return;
    modes_.clear();
    if constexpr (has_parts) {
      this->module().apply([&](torch::nn::Module& part) { modes_.push_back(part.is_training()); });
    } else {
      modes_.push_back(this->module().is_training());
    }
    this->module().eval();
    evaluated_ = true;
  }
  /// Which of the two.
  bool is_training() { return !evaluated_ && this->module().is_training(); }

  /// Saves or restores parameters and buffers, under torch's names for them, each in its own type.
  /// @throws shape_error where one is not contiguous, value_error where it is of 16 bits, on a device or not strided.
  template <class Archive>
  void serialize(Archive& archive) {
    const auto all = [&](const auto& named) {
      for (const auto& item : named) {
        if constexpr (requires { item.key(); }) {
          detail::archive_torch_tensor(archive, item.key(), item.value());
        } else {
          detail::archive_torch_tensor(archive, item.name, item.value);
        }
      }
    };
    all(this->module().named_parameters());
    all(this->module().named_buffers());
  }

 private:
  static constexpr bool has_parts = std::derived_from<typename base::module_type, torch::nn::Module>;
  static at::Tensor& made_gradient(const at::Tensor& p) {
    at::Tensor& g = p.mutable_grad();
    if (!g.defined()) g = at::zeros_like(p.detach());
    return g;
  }
  std::vector<at::Tensor> last_;  // what the last forward in training gave
  std::vector<bool> modes_;       // of the module and its parts, before eval()
  bool evaluated_ = false;
};
/// @cond
template <class M>
torch_module(M&&) -> torch_module<M>;
template <class M, class F>
torch_module(M&&, F) -> torch_module<M, F>;
/// @endcond

/// A LibTorch module as a teacher: in evaluation, without a graph. @p Module and @p Forward as of `torch_module`. A trainer
/// does not save it; one that moves is in the hands of an averager `in_place(teacher.parameters())`, which is saved.
template <class Module, class Forward = detail::ask_torch_module>
class torch_teacher : public detail::torch_network<Module, Forward> {
  using base = detail::torch_network<Module, Forward>;

 public:
  /// Sets @p m to evaluation; @p f(module, inputs) instead of its forward.
  explicit torch_teacher(Module&& m, Forward f = {}) : base(std::forward<Module>(m), std::move(f)) { this->module().eval(); }
  /// The outputs of these inputs.
  template <class X>
    requires detail::gives_torch_output<Forward, typename base::module_type, X>
  auto forward(X& inputs) {
    const c10::AutoGradMode graph(false);
    return this->forward_(this->module(), inputs);
  }
};
/// @cond
template <class M>
torch_teacher(M&&) -> torch_teacher<M>;
template <class M, class F>
torch_teacher(M&&, F) -> torch_teacher<M, F>;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
