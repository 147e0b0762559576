#ifndef LIMBECK_TRAINER_CONTRAST_HPP
#define LIMBECK_TRAINER_CONTRAST_HPP

/// @file
/// Steps on given and on written answers at once, each with a loss of its own.

#include <limbeck/objective/outputs.hpp>
#include <limbeck/trainer/prompted_data.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// One thing for the answers that the data has, "logits", and one for those that are written, "written".
template <class T>
using given_and_written = outputs<named_output<"logits", T>, named_output<"written", T>>;

/// Some sequences twice: with the answers that the data has, and behind all these with those that are written.
struct contrast_batch {
  rollouts inputs{};                                 ///< of all
  given_and_written<std::vector<token_id>> labels;   ///< the tokens of the answers, one a row of logits
  given_and_written<std::vector<float>> row_weights; ///< of these rows
};

/// Prompts whose answers are learnt beside those that are written: `on_policy(1, student, contrast(data), write)`, for a student and a
/// teacher that are `contrasted`, whose logits of given answers are "logits", those of written ones "written".
///
/// Ko et al., *DistiLLM-2: A Contrastive Approach Boosts the Distillation of LLMs*, 2025, arXiv:2503.07067, by the authors' code: the data's
/// answers are the teacher's, and the loss is `(2 - b) * skew_kl{.alpha = 0.1} + at<"written">(b * skew_reverse_kl{.alpha = 0.1})`, its
/// mean over sequences.
class contrast {
 public:
  /// Of @p data, which it holds.
  explicit contrast(prompted_data data) : data_(std::move(data)) {}
  /// How many prompts.
  std::size_t size() const { return data_.size(); }
  /// The prompts of these rows with the answers that the data has.
  rollouts own(std::span<const std::size_t> rows) const { return data_.own(rows); }
  /// These rows, with the data's answers in both places. @throws value_error where an answer is empty.
  contrast_batch batch(std::span<const std::size_t> rows) const { return batch(rows, own(rows)); }
  /// These rows with the data's answers and others.
  contrast_batch batch(std::span<const std::size_t> rows, const rollouts& written) const {
    answer_batch a = data_.batch(rows), b = data_.batch(rows, written);
    return {detail::joined(a.inputs, b.inputs),
            given_and_written<std::vector<token_id>>{{std::move(a.labels)}, {std::move(b.labels)}},
            given_and_written<std::vector<float>>{{std::move(a.row_weights)}, {std::move(b.row_weights)}}};
  }
  /// @cond
  std::string describe() const { return "contrast of " + data_.describe(); }
  /// @endcond

 private:
  prompted_data data_;
};

/// A @p Model that is given what `contrast` makes, and gives the logits of the two halves by name. Its `forward` gives rows on the
/// host, `rows<T>`, until the next one, and a `backward` takes such rows; all else is the model's.
template <class Model>
class contrasted : public Model {
 public:
  using Model::Model;
  /// Of a model as it is.
  explicit contrasted(Model model) : Model(std::move(model)) {}
  /// The model's logits, in two parts.
  auto forward(const rollouts& x) {
    const auto z = Model::forward(x);
    using View = std::remove_cv_t<decltype(z)>;
    std::size_t given = 0;
    for (std::size_t s = 0; s < x.size() / 2; ++s) given += x.answer(s).size();
    View of_given = z, of_written = z;
    of_given.samples = given;
    of_written.data = z.row(given);
    of_written.samples = z.samples - given;
    return outputs{output<"logits">(of_given), output<"written">(of_written)};
  }
  /// Adds to the model's gradients.
  template <class Gradients>
  void backward(const Gradients& g) {
    const auto a = g.template of<"logits">(), b = g.template of<"written">();
    using T = std::remove_const_t<typename decltype(a)::element>;
    static_assert(std::is_same_v<T, std::remove_const_t<typename decltype(b)::element>>);
    slope_.clear();
    for (const auto& part : {a, b})
      for (std::size_t r = 0; r < part.samples; ++r)
        for (std::size_t c = 0; c < part.classes; ++c) slope_.push_back(part(r, c));
    Model::backward(rows<const T>{slope_.data(), a.samples + b.samples, a.classes});
  }

 private:
  using number = std::remove_const_t<typename decltype(std::declval<Model&>().forward(std::declval<const rollouts&>()))::element>;
  std::vector<number> slope_;
};

LIMBECK_END_NAMESPACE

#endif
