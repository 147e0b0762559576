#ifndef LIMBECK_DIFFUSION_OVERRIDE_LABELS_HPP
#define LIMBECK_DIFFUSION_OVERRIDE_LABELS_HPP

/// @file
/// Score forgetting distillation: what the teacher is told in the place of a label that the generator is to forget.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/engine/target.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <cstdint>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
inline void check_forgotten(std::size_t forgotten, std::size_t classes) {
  if (classes < 2 || forgotten >= classes)
    raise<value_error>("limbeck: the label to forget is " + std::to_string(forgotten) + " of " + std::to_string(classes) +
                       " classes, expected one of at least 2");
}
/// Whether a vector can hold these labels.
template <class Out>
void check_labels_fit(std::size_t classes) {
  using Label = vector_element_t<std::remove_cvref_t<Out>>;
  static_assert(std::is_integral_v<Label>, "limbeck: override_labels writes a vector of whole numbers");
  if (static_cast<std::uintmax_t>(classes - 1) > static_cast<std::uintmax_t>((std::numeric_limits<Label>::max)()))
    raise<value_error>("limbeck: the labels of " + std::to_string(classes) + " classes do not fit into the type of out");
}
/// The class with the highest logit + noise(row) but the forgotten one.
template <class Logits, class Out, class Noise>
void override_by(const Logits& logits, std::size_t forgotten, Out& out, const Noise& noise_of) {
  static_assert(tensor<Logits>, "limbeck: the logits are no tensor of floats (is its backend's header included?)");
  require_host<Logits>();
  const auto x = tensor_traits<Logits>::view(logits);
  check_forgotten(forgotten, x.classes);
  check_labels_fit<Out>(x.classes);
  const auto to = output_vector("out", out, x.samples);
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (std::size_t r = 0; r < x.samples; ++r) {
    bool any = false;
    for (std::size_t c = 0; c < x.classes; ++c) {
      const double l = c == forgotten ? -infinity : static_cast<double>(x(r, c));
      if (!(l < infinity))
        raise<value_error>("limbeck: logit " + std::to_string(c) + " of row " + std::to_string(r) + " is " + show(l) +
                           ", expected a finite number or -inf");
      any = any || l > -infinity;
    }
    if (!any) raise<value_error>("limbeck: row " + std::to_string(r) + " of the logits has no class but the forgotten one");
  }
  for (std::size_t r = 0; r < x.samples; ++r) {
    auto noise = noise_of(r);
    std::size_t best = 0;
    double most = -infinity;
    for (std::size_t c = 0; c < x.classes; ++c) {
      const double l = static_cast<double>(x(r, c)) + noise();
      if (c != forgotten && l > most) best = c, most = l;
    }
    put(to, r, best);
  }
}
}  // namespace detail
/// @endcond

/// Labels for the teacher where samples of a label are to be forgotten: any other of @p classes, each as likely.
///
/// Score forgetting distillation is `score_identity` twice: of retained samples, all of whose denoisers are told their label;
/// and, with weight 0.01 and {.alpha = 1.2}, of samples that the generator made of the label to forget, where the teacher alone
/// is told another one, by this function or always the same. The denoiser of generated samples is trained on both, with the label
/// to forget. An override by that label is an ordinary term; a weight of 0 leaves ordinary distillation.
/// @param classes how many there are
/// @param forgotten below @p classes, of which there are at least 2
/// @param stream row r's label is drawn by `stream.split(first + r)`
/// @param out a vector of whole numbers, one a row; @param first the place of its first row in the batch
/// O(rows). @throws value_error where @p forgotten is no class, or the type of @p out does not hold all classes.
///
/// Chen, Zhang and Zhou, Score Forgetting Distillation: A Swift, Data-Free Method for Machine Unlearning in Diffusion Models,
/// 2024, arXiv:2409.11219, after the authors' code.
template <class Out>
void override_labels(std::size_t classes, std::size_t forgotten, const random_stream& stream, Out&& out, std::size_t first = 0) {
  detail::check_forgotten(forgotten, classes);
  detail::check_labels_fit<Out>(classes);
  const auto to = detail::vector_memory(out);
  for (std::size_t r = 0; r < to.size; ++r) {
    const std::size_t other = stream.split(first + r).below(classes - 1);
    detail::put(to, r, other < forgotten ? other : other + 1);
  }
}
/// The likeliest other label by a classifier's @p logits of the samples, samples x classes, on the host; among equals the lowest.
/// @throws as the other; shape_error where @p out has not one number a row, value_error naming the row where a logit is NaN or
/// +inf, or all
///   others are -inf. Then @p out is as it was.
template <class Logits, class Out>
void override_labels(const Logits& logits, std::size_t forgotten, Out&& out) {
  detail::override_by(logits, forgotten, out, [](std::size_t) { return [] { return 0.0; }; });
}
/// Another label drawn from the softmax of @p logits without the forgotten one (Gumbel and max).
template <class Logits, class Out>
  requires(!std::is_integral_v<Logits>)
void override_labels(const Logits& logits, std::size_t forgotten, const random_stream& stream, Out&& out, std::size_t first = 0) {
  detail::override_by(logits, forgotten, out, [&](std::size_t r) {
    return [mine = stream.split(first + r)]() mutable { return -std::log(-std::log1p(-mine.uniform()) + 1e-300); };
  });
}

LIMBECK_END_NAMESPACE

#endif
