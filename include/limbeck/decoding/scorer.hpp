#ifndef LIMBECK_DECODING_SCORER_HPP
#define LIMBECK_DECODING_SCORER_HPP

/// @file
/// What decoding asks of a model: the logits of next tokens.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/tokens/segments.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// One sequence of a request to a scorer: the logits behind its last `wanted` tokens, `wanted` rows.
///
/// A model that keeps state (a recurrent one, a cache of keys and values) keeps it by `sequence`, and goes on at `known`:
/// so many leading tokens are those of its last request for this sequence. Less than it has seen: a draft was dropped, and the state
/// goes back. 0: a new sequence. No row is wanted behind a token that is known, so a state that went to `known` is enough.
struct prefix {
  std::size_t sequence = 0;            ///< a number that stays with the sequence while it is decoded
  std::span<const token_id> tokens{};  ///< prompt, and what was written since
  std::size_t known = 0;               ///< leading tokens that this scorer was shown before, unchanged
  std::size_t wanted = 1;              ///< 1 to tokens.size() - known: rows, behind tokens[size - wanted], ..., tokens[size - 1]
  std::size_t prompt = 0;              ///< leading tokens that are the prompt
};

namespace detail {
template <class X>
concept logits_of_tokens = tensor<std::remove_cvref_t<X>> || run_time_tensor<std::remove_cvref_t<X>>;
}  // namespace detail

/// A model as decoding sees it: `m(requests)` for a `std::span<const prefix>` gives a tensor on the host with a row of logits for
/// each position that is wanted, those of a request one behind another, requests in order. It may be a reference to the model's own
/// memory, or a view of it, read before the next call.
template <class M>
concept scorer = requires(std::remove_reference_t<M>& m, std::span<const prefix> requests) {
  { m(requests) } -> detail::logits_of_tokens;
};

namespace detail {

template <class... M>
constexpr void require_scorers() {
  static_assert((scorer<M> && ...),
                "limbeck: decoding asks a scorer: m(requests), for a std::span<const lk::prefix>, gives a tensor with the logits of next tokens");
}

/// f(x) of a scorer's logits as rows on the host.
template <class Logits, class F>
auto with_logits(const Logits& logits, F&& f) {
  if constexpr (run_time_tensor<Logits>) {
    const any_tensor x = any_tensor_traits<Logits>::view(logits);
    switch (x.type) {
      case element_type::float64: return f(x.template rows<const double>("logits"));
      case element_type::float16: return f(x.template rows<const float16>("logits"));
      case element_type::bfloat16: return f(x.template rows<const bfloat16>("logits"));
      default: return f(x.template rows<const float>("logits"));
    }
  } else {
    static_assert(std::is_same_v<typename tensor_traits<Logits>::sweep, host_rows>,
                  "limbeck: decoding chooses tokens on the host: a scorer gives its logits in memory that the CPU reads");
    return f(tensor_traits<Logits>::view(logits));
  }
}

/// What a scorer has answered, with as many rows as were wanted.
template <class Logits>
struct scored {
  Logits logits;  // a reference, where the scorer gives one
  std::size_t size() const {
    return with_logits(logits, [](const auto& x) { return x.samples; });
  }
  std::size_t classes() const {
    return with_logits(logits, [](const auto& x) { return x.classes; });
  }
  /// Row @p r in double.
  void read(std::size_t r, std::span<double> out) const {
    with_logits(logits, [&](const auto& x) {
      for (std::size_t c = 0; c < out.size(); ++c) out[c] = static_cast<double>(x(r, c));
    });
  }
  /// A copy in @p memory: for who asks two scorers that may be one, in two contexts.
  scored<rows<const double>> kept(std::vector<double>& memory) const {
    const std::size_t n = size(), width = classes();
    memory.resize(n * width);
    for (std::size_t r = 0; r < n; ++r) read(r, std::span(memory).subspan(r * width, width));
    return {{memory.data(), n, width}};
  }
};

/// m(requests), checked: @p rows rows, and as many classes as before, where there was a before.
template <class M>
auto score(M& m, std::string_view name, std::span<const prefix> requests, std::size_t rows, std::size_t& vocabulary) {
  scored<decltype(m(requests))> answer{m(requests)};
  const std::size_t classes = answer.classes();
  if (vocabulary == 0) vocabulary = classes;
  if (answer.size() != rows || classes != vocabulary || classes == 0)
    throw_shape("what the " + std::string(name) + " gives", answer.size(), classes, rows, vocabulary);
  return answer;
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
