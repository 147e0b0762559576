#ifndef LIMBECK_TRAINER_PROMPTED_DATA_HPP
#define LIMBECK_TRAINER_PROMPTED_DATA_HPP

/// @file
/// Prompts and answers as data for the trainer.
///
/// A row of the data is a sequence. Its batch has a row of logits a token of the answers, so that labels are the answers themselves:
/// nothing is shifted, masked or padded, no logits of a prompt are ever computed, and a model that reads the same answer behind another
/// prompt gives the same rows.

#include <limbeck/decoding/rollouts.hpp>
#include <limbeck/trainer/data.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Some sequences, as a student and its losses take them. The student gives, for each sequence in turn, the logits behind all its
/// tokens from the last of the prompt to the last but one: `x.answer(s).size()` rows.
struct answer_batch {
  rollouts inputs{};                 ///< prompt and answer of each sequence
  std::vector<token_id> labels{};    ///< the tokens of the answers, one a row of logits
  std::vector<float> row_weights{};  ///< of these rows
};
/// The prompts of some sequences, as what is sampled behind. Views them, a temporary to the end of the statement.
class prompts_of {
 public:
  /// Of @p x, which outlives it.
  explicit prompts_of(const rollouts& x) : of_(&x) {}
  /// How many.
  std::size_t size() const { return of_->size(); }
  /// One of them.
  std::span<const token_id> operator[](std::size_t s) const { return (*of_)[s].first(of_->prompts[s]); }

 private:
  const rollouts* of_;
};
/// The answers of some sequences. Views them, a temporary to the end of the statement.
class answers_of {
 public:
  /// Of @p x, which outlives it.
  explicit answers_of(const rollouts& x) : of_(&x) {}
  /// How many.
  std::size_t size() const { return of_->size(); }
  /// One of them.
  std::span<const token_id> operator[](std::size_t s) const { return of_->answer(s); }

 private:
  const rollouts* of_;
};

/// Of lists of tokens, one a row of the data, those of some rows: `in_context(m, of_rows(texts, rows))` in a writer, whose sequence s is
/// row `rows[s]`. Views both.
class of_rows {
 public:
  /// @p texts: one a row of the data, or none at all, for which each is empty. @throws value_error where a row is not there.
  of_rows(const std::vector<std::vector<token_id>>& texts, std::span<const std::size_t> rows) : texts_(&texts), rows_(rows) {
    for (const std::size_t r : rows)
      if (!texts.empty() && r >= texts.size())
        raise<value_error>("limbeck: of_rows names row " + std::to_string(r) + ", there are " + std::to_string(texts.size()));
  }
  of_rows(std::vector<std::vector<token_id>>&&, std::span<const std::size_t>) = delete;  // it would be gone
  /// How many.
  std::size_t size() const { return rows_.size(); }
  /// One of them.
  std::span<const token_id> operator[](std::size_t s) const {
    return texts_->empty() ? std::span<const token_id>() : std::span<const token_id>((*texts_)[rows_[s]]);
  }

 private:
  const std::vector<std::vector<token_id>>* texts_;
  std::span<const std::size_t> rows_;
};

/// How the losses of tokens become one number.
enum class answer_mean {
  tokens,    ///< their mean over all tokens of the step
  sequences  ///< the mean over sequences of their means over the tokens of each
};

/// A data source whose answers another may write: `d.own(rows)`, the `rollouts` of prompts with the answers that the data has, empty
/// where there are none, and `d.batch(rows, written)`, what `d.batch(rows)` is with these answers.
template <class D>
concept prompted_source = data_source<D> &&
    requires(std::remove_cvref_t<D>& d, std::span<const std::size_t> rows, const rollouts& written) {
  { d.own(rows) } -> std::same_as<rollouts>;
  { d.batch(rows, written) } -> std::same_as<batch_of<D>>;
};

/// @cond
namespace detail {

using token_lists = std::vector<std::vector<token_id>>;

/// Labels and weights of what was written. @throws value_error where an answer is empty.
template <class Batch>
void label_answers(Batch& b, std::span<const std::size_t> rows, answer_mean mean_over) {
  for (std::size_t s = 0; s < b.inputs.size(); ++s) {
    const auto answer = b.inputs.answer(s);
    if (answer.empty())
      raise<value_error>("limbeck: the answer of row " + std::to_string(rows[s]) + " is empty, expected a token at least");
    b.labels.insert(b.labels.end(), answer.begin(), answer.end());
    b.row_weights.insert(b.row_weights.end(), answer.size(),
                         mean_over == answer_mean::tokens ? 1.0F : 1.0F / static_cast<float>(answer.size()));
  }
}

/// Sequences @p first to before first + count, with all that is known of them.
inline rollouts part_of(const rollouts& all, std::size_t first, std::size_t count) {
  const auto from = static_cast<std::ptrdiff_t>(all.sequences.begin(first));
  const auto to = static_cast<std::ptrdiff_t>(count > 0 ? all.sequences.end(first + count - 1) : all.sequences.begin(first));
  const auto cut = [](const auto& x, std::ptrdiff_t a, std::ptrdiff_t b) {
    return std::remove_cvref_t<decltype(x)>(x.begin() + a, x.begin() + b);
  };
  rollouts out{.tokens = cut(all.tokens, from, to)};
  out.prompts = cut(all.prompts, static_cast<std::ptrdiff_t>(first), static_cast<std::ptrdiff_t>(first + count));
  std::vector<std::size_t> lengths(count);
  for (std::size_t s = 0; s < count; ++s) lengths[s] = all.sequences.length(first + s);
  out.sequences = segments::of_lengths(lengths);
  if (all.log_probabilities.size() == all.tokens.size()) out.log_probabilities = cut(all.log_probabilities, from, to);
  if (all.writers.size() == all.tokens.size()) out.writers = cut(all.writers, from, to);
  return out;
}

/// One behind the other.
inline rollouts joined(const rollouts& a, const rollouts& b) {
  std::vector<std::span<const token_id>> prompts, answers;
  for (const rollouts* x : {&a, &b})
    for (std::size_t s = 0; s < x->size(); ++s) {
      prompts.push_back((*x)[s].first(x->prompts[s]));
      answers.push_back(x->answer(s));
    }
  return given_answers(prompts, answers);
}

inline void require_prompts(const token_lists& prompts, const char* what) {
  for (std::size_t r = 0; r < prompts.size(); ++r)
    if (prompts[r].empty())
      raise<value_error>(std::string("limbeck: the ") + what + " of row " + std::to_string(r) +
                         " is empty, expected a token at least, that of a beginning");
}

}  // namespace detail
/// @endcond

/// Prompts, and the answers to learn where there are any: a `prompted_source`. Holds them.
class prompted_data {
 public:
  /// One answer a prompt, or none at all, where answers are always written.
  /// @throws shape_error where there are other numbers of them, value_error where a prompt is empty.
  explicit prompted_data(std::vector<std::vector<token_id>> prompts, std::vector<std::vector<token_id>> answers = {},
                         answer_mean mean_over = answer_mean::tokens)
      : prompts_(std::move(prompts)), answers_(std::move(answers)), mean_over_(mean_over) {
    if (!answers_.empty() && answers_.size() != prompts_.size())
      detail::throw_length("answers", answers_.size(), prompts_.size(), "one a prompt");
    detail::require_prompts(prompts_, "prompt");
  }
  /// How many sequences.
  std::size_t size() const { return prompts_.size(); }
  /// The prompts of these rows with the answers that the data has.
  rollouts own(std::span<const std::size_t> rows) const {
    return given_answers(of_rows(prompts_, rows), of_rows(answers_, rows));
  }
  /// These rows. @throws value_error where an answer is empty.
  answer_batch batch(std::span<const std::size_t> rows) const { return batch(rows, own(rows)); }
  /// The same with other answers.
  answer_batch batch(std::span<const std::size_t> rows, rollouts written) const {
    answer_batch b{.inputs = std::move(written)};
    detail::label_answers(b, rows, mean_over_);
    return b;
  }
  /// Which of two means.
  answer_mean mean_over() const { return mean_over_; }
  /// @cond
  std::string describe() const {
    return std::string("prompted_data, a mean over ") + (mean_over_ == answer_mean::tokens ? "tokens" : "sequences");
  }
  /// @endcond

 private:
  std::vector<std::vector<token_id>> prompts_, answers_;
  answer_mean mean_over_;
};

LIMBECK_END_NAMESPACE

#endif
