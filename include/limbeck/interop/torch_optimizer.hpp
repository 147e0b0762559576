#ifndef LIMBECK_INTEROP_TORCH_OPTIMIZER_HPP
#define LIMBECK_INTEROP_TORCH_OPTIMIZER_HPP

/// @file
/// LibTorch's optimisers in a trainer: `lk::torch_optimizer(torch::optim::Adam(network->parameters(), 1e-3), lk::cosine(1, 0))`.

#include <limbeck/core/describe.hpp>
#include <limbeck/core/number.hpp>
#include <limbeck/interop/torch.hpp>
#include <limbeck/trainer/learned.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What one of torch's optimisers remembers of a tensor, and what it is set to. There are those of Adam, AdamW, RMSprop and
/// SGD; for another one specialise it, in this namespace: `state` and `options` are torch's types, `each(s, f)` calls
/// f(name, tensor) for every tensor of a state (an undefined one too), `steps(s)` is its count of steps or null, and
/// `describe(o)` the options in words, without the rate.
template <class Optimizer>
struct torch_optimizer_state;

/// @cond
namespace detail {
template <class State, class Options>
struct torch_adam_state {
  using state = State;
  using options = Options;
  template <class F>
  static void each(State& s, const F& f) {
    f("exp_avg", s.exp_avg());
    f("exp_avg_sq", s.exp_avg_sq());
    f("max_exp_avg_sq", s.max_exp_avg_sq());
  }
  static std::int64_t* steps(State& s) { return &s.step(); }
  static std::string describe(const Options& o) {
    return "betas " + show(std::get<0>(o.betas())) + ' ' + show(std::get<1>(o.betas())) + ", eps " + show(o.eps()) +
           ", weight_decay " + show(o.weight_decay()) + (o.amsgrad() ? ", amsgrad" : "");
  }
};
}  // namespace detail
template <>
struct torch_optimizer_state<torch::optim::Adam>
    : detail::torch_adam_state<torch::optim::AdamParamState, torch::optim::AdamOptions> {};
template <>
struct torch_optimizer_state<torch::optim::AdamW>
    : detail::torch_adam_state<torch::optim::AdamWParamState, torch::optim::AdamWOptions> {};
template <>
struct torch_optimizer_state<torch::optim::SGD> {
  using state = torch::optim::SGDParamState;
  using options = torch::optim::SGDOptions;
  template <class F>
  static void each(state& s, const F& f) {
    f("momentum_buffer", s.momentum_buffer());
  }
  static std::int64_t* steps(state&) { return nullptr; }
  static std::string describe(const options& o) {
    return "momentum " + detail::show(o.momentum()) + ", dampening " + detail::show(o.dampening()) + ", weight_decay " +
           detail::show(o.weight_decay()) + (o.nesterov() ? ", nesterov" : "");
  }
};
template <>
struct torch_optimizer_state<torch::optim::RMSprop> {
  using state = torch::optim::RMSpropParamState;
  using options = torch::optim::RMSpropOptions;
  template <class F>
  static void each(state& s, const F& f) {
    f("square_avg", s.square_avg());
    f("momentum_buffer", s.momentum_buffer());
    f("grad_avg", s.grad_avg());
  }
  static std::int64_t* steps(state& s) { return &s.step(); }
  static std::string describe(const options& o) {
    return "alpha " + detail::show(o.alpha()) + ", eps " + detail::show(o.eps()) + ", weight_decay " + detail::show(o.weight_decay()) +
           ", momentum " + detail::show(o.momentum()) + (o.centered() ? ", centered" : "");
  }
};
/// @endcond

/// One of torch's optimisers, as a trainer asks for it. It steps the tensors that it was made with, in its groups and with
/// their options, the rate of each group times a schedule of the run's progress (as torch's LambdaLR does).
///
/// What the objective learns beside the student (a projection, variances, a temperature) joins at the first step, as a group
/// of its own with the optimiser's default options; those spans are seen as tensors, nothing is copied.
///
/// Saved with a run: the optimiser's state of each tensor (moments, steps), that of what the objective learns, and torch's
/// default random generator of the CPU, from which dropout draws. A run that goes on is then one that never stopped, bit
/// for bit.
template <class Optimizer, schedule Rate = constant>
class torch_optimizer {
  using optimizer_type = std::remove_reference_t<Optimizer>;
  using traits = torch_optimizer_state<optimizer_type>;
  using state = typename traits::state;

 public:
  /// @p optimizer as an lvalue is referred to, as an rvalue owned; @p rate is what its rates are multiplied by, a number or a
  /// schedule, 1 unless told.
  template <class Number = double>
    requires number<Number>
  explicit torch_optimizer(Optimizer&& optimizer, const Number& rate = 1.0)
      : optimizer_(std::forward<Optimizer>(optimizer)), rate_(as_schedule(rate)) {
    for (auto& group : optimizer_.param_groups()) rates_.push_back(group.options().get_lr());
    own_groups_ = rates_.size();
    state empty;
    traits::each(empty, [&](const char*, at::Tensor&) { ++fields_; });
    of_parts_.moments.resize(fields_);
  }

  /// Moves the tensors of the optimiser along their gradients; of a `parameter_view` also those of the view.
  /// @throws value_error where a group was added to the optimiser later.
  template <class Model>
  void step(Model& model, progress p) {
    if constexpr (detail::is_parameter_view<Model>) {
      adopt(model);
    } else {
      leave_parts();
    }
    move(p);
  }
  /// The same with what an objective learns: the trainer's call where there is something.
  template <class Model, class T>
  void step(Model&, const parameter_view<T>& parts, progress p) {
    adopt(parts);
    move(p);
  }
  /// torch's own.
  optimizer_type& optimizer() { return optimizer_; }

  /// Saves or restores the state. @throws value_error where a tensor is neither of float nor of double.
  template <class Archive>
  void serialize(Archive& archive) {
    std::size_t i = 0;
    for (std::size_t g = 0; g < own_groups_; ++g)
      for (const at::Tensor& p : optimizer_.param_groups()[g].params()) {
        tensor_record record{*this, p};
        archive(std::to_string(i++), record);
      }
    if (!parts_.empty()) gather_parts();
    const part_record before = of_parts_;
    archive("learned", of_parts_);
    if (!parts_.empty() && of_parts_ != before) scatter_parts();
    at::Generator generator = at::detail::getDefaultCPUGenerator();
    std::vector<std::uint8_t> random = bytes_of(generator);
    const std::vector<std::uint8_t> now = random;
    archive("torch_random", random);
    if (random != now) {
      const std::lock_guard lock(generator.mutex());
      generator.set_state(at::from_blob(random.data(), {static_cast<std::int64_t>(random.size())}, at::kByte).clone());
    }
  }
  /// The optimiser's type, the settings of its groups, and the schedule.
  std::string describe() const {
    std::string text(detail::short_name<optimizer_type>());
    for (std::size_t g = 0; g < own_groups_; ++g) {
      const auto& group = optimizer_.param_groups()[g];
      text += (g ? "; " : " of ") + std::to_string(group.params().size()) + " tensors, rate " + detail::show(rates_[g]) + ", " +
              traits::describe(static_cast<const typename traits::options&>(group.options()));
    }
    return text + ", times " + detail::described(rate_);
  }

 private:
  /// What is remembered of all that the objective learns, in order: it may be restored before that is known.
  struct part_record {
    std::int64_t steps = 0;
    std::vector<std::vector<double>> moments;  // of each field, empty where there is none
    bool operator==(const part_record&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
      archive("steps", steps);
      std::size_t k = 0;
      state empty;
      traits::each(empty, [&](const char* name, at::Tensor&) { archive(name, moments[k++]); });
    }
  };
  /// What is remembered of one tensor.
  struct tensor_record {
    torch_optimizer& of;
    const at::Tensor& tensor;
    template <class Archive>
    void serialize(Archive& archive) {
      if (tensor.scalar_type() == at::kDouble) return run<double>(archive);
      if (tensor.scalar_type() == at::kFloat) return run<float>(archive);
      raise<value_error>("limbeck: the optimiser steps a tensor that is " + any_tensor_traits<at::Tensor>::view(tensor).str() +
                         ", expected float32 or float64");
    }
    template <class T, class Archive>
    void run(Archive& archive) {
      state next;
      if (const state* known = of.find(tensor)) next = *known;
      bool changed = false, any = false;
      if (std::int64_t* steps = traits::steps(next)) {
        const std::int64_t before = *steps;
        archive("steps", *steps);
        changed = *steps != before;
        any = *steps != 0;
      }
      traits::each(next, [&](const char* name, at::Tensor& moment) {
        std::vector<T> values = values_of<T>(moment);
        const std::vector<T> before = values;
        archive(name, values);
        any = any || !values.empty();
        if (values == before) return;
        changed = true;
        moment = tensor_like<T>(tensor, values.data(), values.size());
      });
      if (changed) of.put(tensor, any ? &next : nullptr);
    }
  };

  template <class T>
  static std::vector<T> values_of(const at::Tensor& x) {
    if (!x.defined()) return {};
    const at::Tensor c = x.detach().contiguous();
    const T* first = c.template data_ptr<T>();
    return std::vector<T>(first, first + c.numel());
  }
  /// Numbers in the shape, the strides and the type of @p like; undefined where there are none.
  template <class T>
  static at::Tensor tensor_like(const at::Tensor& like, T* values, std::size_t n) {
    if (n == 0 && like.numel() > 0) return {};
    if (static_cast<std::int64_t>(n) != like.numel())
      raise<shape_error>("limbeck: the archive holds " + std::to_string(n) + " numbers of an optimiser for a tensor of " +
                         std::to_string(like.numel()));
    at::Tensor out = at::empty_like(like.detach());
    out.copy_(at::from_blob(values, like.sizes(), at::TensorOptions().dtype(c10::CppTypeToScalarType<T>::value)));
    return out;
  }
  static std::vector<std::uint8_t> bytes_of(at::Generator& generator) {
    const std::lock_guard lock(generator.mutex());
    return values_of<std::uint8_t>(generator.get_state());
  }

  // torch finds the state of a tensor by its address, as text or as it is
  static auto key_of(const at::Tensor& p) {
    using key = typename std::remove_cvref_t<decltype(std::declval<optimizer_type&>().state())>::key_type;
    if constexpr (std::is_same_v<key, std::string>) {
      std::ostringstream text;
      text << p.unsafeGetTensorImpl();
      return text.str();
    } else {
      return static_cast<key>(p.unsafeGetTensorImpl());
    }
  }
  state* find(const at::Tensor& p) {
    const auto found = optimizer_.state().find(key_of(p));
    return found == optimizer_.state().end() ? nullptr : static_cast<state*>(found->second.get());
  }
  void put(const at::Tensor& p, const state* s) {
    if (s) optimizer_.state()[key_of(p)] = std::make_unique<state>(*s);
    else optimizer_.state().erase(key_of(p));
  }

  void move(progress p) {
    const double factor = rate_(p.fraction());
    auto& groups = optimizer_.param_groups();
    if (groups.size() != rates_.size())
      raise<value_error>("limbeck: the optimiser has " + std::to_string(groups.size()) + " groups, and had " +
                         std::to_string(rates_.size()) + "; groups are added before it becomes a torch_optimizer");
    for (std::size_t g = 0; g < groups.size(); ++g) groups[g].options().set_lr(rates_[g] * factor);
    optimizer_.step();
  }
  /// The spans of @p view as the last group.
  template <class T>
  void adopt(const parameter_view<T>& view) {
    std::vector<const void*> places;
    for (const auto& s : view.parameters()) places.push_back(s.data());
    for (const auto& s : view.gradients()) places.push_back(s.data());
    if (places == places_) return;
    leave_parts();
    const auto tensor = [](std::span<T> s) {
      return at::from_blob(s.data(), {static_cast<std::int64_t>(s.size())},
                           at::TensorOptions().dtype(c10::CppTypeToScalarType<T>::value));
    };
    for (std::size_t i = 0; i < view.parameters().size(); ++i) {
      parts_.push_back(tensor(view.parameters()[i]).requires_grad_(true));
      parts_.back().mutable_grad() = tensor(view.gradients()[i]);
    }
    if (parts_.empty()) return;
    optimizer_.add_param_group(torch::optim::OptimizerParamGroup(parts_));
    rates_.push_back(optimizer_.defaults().get_lr());
    places_ = std::move(places);
    scatter_parts();
  }
  /// The next objective learns something else, or nothing.
  void leave_parts() {
    if (parts_.empty()) return;
    for (const at::Tensor& p : parts_) put(p, nullptr);
    optimizer_.param_groups().pop_back();
    rates_.pop_back();
    parts_.clear();
    places_.clear();
    of_parts_ = {0, std::vector<std::vector<double>>(fields_)};
  }
  void gather_parts() {
    of_parts_ = {0, std::vector<std::vector<double>>(fields_)};
    for (const at::Tensor& p : parts_) {
      state* s = find(p);
      if (!s) continue;
      if (const std::int64_t* steps = traits::steps(*s)) of_parts_.steps = *steps;
      std::size_t k = 0;
      traits::each(*s, [&](const char*, const at::Tensor& moment) {
        const auto values = values_of<double>(moment.defined() ? moment.to(at::kDouble) : moment);
        auto& all = of_parts_.moments[k++];
        all.insert(all.end(), values.begin(), values.end());
      });
    }
  }
  void scatter_parts() {
    std::size_t total = 0, at = 0;
    bool any = of_parts_.steps != 0;
    for (const at::Tensor& p : parts_) total += static_cast<std::size_t>(p.numel());
    for (const auto& m : of_parts_.moments) {
      any = any || !m.empty();
      if (!m.empty() && m.size() != total)
        raise<shape_error>("limbeck: the archive holds an optimiser's state of " + std::to_string(m.size()) +
                           " numbers that an objective learns, this objective learns " + std::to_string(total));
    }
    for (const at::Tensor& p : parts_) {
      const auto n = static_cast<std::size_t>(p.numel());
      state next;
      if (std::int64_t* steps = traits::steps(next)) *steps = of_parts_.steps;
      std::size_t k = 0;
      traits::each(next, [&](const char*, at::Tensor& moment) {
        auto& m = of_parts_.moments[k++];
        if (!m.empty()) moment = tensor_like<double>(p, m.data() + at, n);
      });
      put(p, any ? &next : nullptr);
      at += n;
    }
  }

  Optimizer optimizer_;
  Rate rate_;
  std::vector<double> rates_;  // of each group, as given
  std::size_t own_groups_ = 0, fields_ = 0;
  std::vector<at::Tensor> parts_;    // views of what the objective learns
  std::vector<const void*> places_;  // where these and their gradients stand
  part_record of_parts_;             // as it was gathered or restored last
};
/// @cond
template <class O>
torch_optimizer(O&&) -> torch_optimizer<O, constant>;
template <class O, number N>
torch_optimizer(O&&, const N&) -> torch_optimizer<O, decltype(as_schedule(std::declval<const N&>()))>;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
