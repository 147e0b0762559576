#ifndef LIMBECK_TRAINER_KEPT_LOGITS_HPP
#define LIMBECK_TRAINER_KEPT_LOGITS_HPP

/// @file
/// Copies of what a model gives, for who asks it again before they are read.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/half.hpp>
#include <limbeck/core/lifetime.hpp>
#include <limbeck/objective/head.hpp>
#include <limbeck/objective/layered.hpp>
#include <limbeck/objective/outputs.hpp>

#include <cstddef>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// Memory for what one model gives: each view is copied, each tensor that owns its memory is held as it is.
class kept_logits {
 public:
  template <class Given>
  auto copy(Given&& given) {
    next_ = 0;
    return one(std::forward<Given>(given));
  }

 private:
  template <class Given>
  auto one(Given&& x) {
    using Bare = std::remove_cvref_t<Given>;
    if constexpr (is_outputs<Bare>) {
      return std::apply([&](const auto&... o) { return outputs{output<std::remove_cvref_t<decltype(o)>::name>(one(o.value))...}; },
                        x.all);
    } else if constexpr (layer_list<Bare>) {
      std::vector<std::remove_cvref_t<decltype(one(x[0]))>> all;
      for (std::size_t i = 0; i < x.size(); ++i) all.push_back(one(x[i]));
      return all;
    } else if constexpr (requires { x.handles.hidden; }) {
      return x;
    } else if constexpr (is_head<Bare>) {  // its weights stay as they are until the step
      Bare head = x;
      head.hidden = one(x.hidden);
      return head;
    } else if constexpr (run_time_tensor<Bare>) {
      if constexpr (owns_memory<Bare>() && !std::is_trivially_copyable_v<Bare>) {
        return Bare(std::forward<Given>(x));
      } else {
        return elements(any_tensor_traits<Bare>::view(x));
      }
    } else if constexpr (tensor<Bare>) {
      using Traits = tensor_traits<Bare>;
      static_assert(std::is_same_v<typename Traits::sweep, host_rows>,
                    "limbeck: privileged copies what a model gives, on the host; on a device give a callable of the batch as the teacher, "
                    "[&](auto& batch) { return frozen.forward(batch.privileged); }, of a model that is not the student");
      using T = arithmetic_of_t<typename Traits::scalar>;
      const auto from = Traits::view(x);
      T* const to = static_cast<T*>(memory(from.samples * from.classes * sizeof(T)));
      for (std::size_t r = 0; r < from.samples; ++r)
        for (std::size_t c = 0; c < from.classes; ++c) to[r * from.classes + c] = static_cast<T>(from(r, c));
      return rows<const T>{to, from.samples, from.classes};
    } else {
      return Bare(std::forward<Given>(x));  // a target: no student gives one
    }
  }
  any_tensor elements(const any_tensor& x) {
    if (x.memory != memory_kind::host)
      raise<value_error>("limbeck: privileged copies what a model gives, and this is " + x.str() + " on a device");
    const std::size_t size = size_of(x.type);
    auto* to = static_cast<std::byte*>(memory(x.size() * size));
    any_tensor out(to, x.type, {x.shape.data(), x.rank});
    out.named_classes = x.named_classes;
    for (std::size_t i = 0; i < out.size(); ++i, to += size) {
      std::ptrdiff_t at = 0;
      std::size_t rest = i;
      for (std::size_t d = x.rank; d-- > 0; rest /= static_cast<std::size_t>(x.shape[d]))
        at += static_cast<std::ptrdiff_t>(rest % static_cast<std::size_t>(x.shape[d])) * x.strides[d];
      std::memcpy(to, static_cast<const std::byte*>(x.data) + at * static_cast<std::ptrdiff_t>(size), size);
    }
    return out;
  }
  void* memory(std::size_t bytes) {
    if (next_ == memory_.size()) memory_.emplace_back();
    memory_[next_].resize(bytes);
    return memory_[next_++].data();
  }
  std::vector<std::vector<std::byte>> memory_{};
  std::size_t next_ = 0;
};

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
