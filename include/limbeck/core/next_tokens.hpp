#ifndef LIMBECK_CORE_NEXT_TOKENS_HPP
#define LIMBECK_CORE_NEXT_TOKENS_HPP

/// @file
/// Labels of language models: the token behind each, by the same memory.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/errors.hpp>

#include <string>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// Labels that are read one further on.
template <class Memory>
struct next_token_labels {
  using limbeck_view = void;
  any_vector values;
  std::size_t size() const { return values.size(); }
};
template <class Memory>
struct vector_element<next_token_labels<Memory>> {
  using type = std::int64_t;  // any whole number
  using memory = Memory;
};
template <class Memory>
any_vector view_vector(const next_token_labels<Memory>& y) {
  return y.values;
}
inline void require_sequences(std::size_t tokens, std::size_t time) {
  if (time == 0 || tokens % time != 0)
    raise<shape_error>("limbeck: next_tokens of " + std::to_string(tokens) + " labels in sequences of " + std::to_string(time));
}
/// The same of a tensor whose type is known at run time, in the memory of the call.
struct any_next_tokens {
  using limbeck_view = void;
  using limbeck_run_time = void;
  any_tensor labels;
  std::size_t time;
  std::size_t size() const { return labels.size(); }
  template <class T, class Sweep>
  next_token_labels<Sweep> as() const {
    return {labels.vector("labels", kind_of_memory<Sweep>).next_within(time)};
  }
};
template <>
struct vector_element<any_next_tokens> {
  using type = std::int64_t;
  using memory = host_rows;  // for who reads them outside a call
};
inline any_vector view_vector(const any_next_tokens& y) { return y.as<float, host_rows>().values; }

template <class V>
inline constexpr bool is_next_tokens = std::is_same_v<V, any_next_tokens>;
template <class Memory>
inline constexpr bool is_next_tokens<next_token_labels<Memory>> = true;

}  // namespace detail
/// @endcond

/// Labels of rows of batch x time logits: row b time + t has the label of b time + t + 1, and the last of each sequence
/// has none: it is ignored, whatever `ignore_index` is. Nothing is copied; where a label is ignored, so is the row
/// before it.
///
/// For a call, the trainer's batches and metrics, in the place of labels. @p labels are batch x time whole numbers, the
/// inputs of the model: a vector, or a tensor whose type is known at run time.
/// @throws shape_error where @p time is 0, does not divide the number of labels, or is not the last dimension of a
/// tensor.
template <class V>
auto next_tokens(V&& labels, std::size_t time) {
  detail::require_kept<V>();
  using Bare = std::remove_cvref_t<V>;
  if constexpr (run_time_tensor<Bare>) {
    const any_tensor x = any_tensor_traits<Bare>::view(labels);
    if (!is_integer(x.type)) raise<value_error>("limbeck: labels is " + x.str() + ", expected whole numbers");
    if (x.rank > 1 && x.shape[x.rank - 1] != static_cast<std::ptrdiff_t>(time))
      raise<shape_error>("limbeck: labels is " + x.str() + ", expected sequences of " + std::to_string(time) +
                         " in the last dimension");
    detail::require_sequences(x.size(), time);
    return detail::any_next_tokens{x, time};
  } else {
    using Element = detail::vector_element_t<Bare>;
    static_assert(std::is_integral_v<Element> && !std::is_same_v<Element, bool> && !detail::is_next_tokens<Bare>,
                  "limbeck: next_tokens takes a vector of integer labels");
    const any_vector tokens = detail::view_vector(labels);
    detail::require_sequences(tokens.size(), time);
    return detail::next_token_labels<detail::vector_memory_t<Bare>>{tokens.next_within(time)};
  }
}

LIMBECK_END_NAMESPACE

#endif
