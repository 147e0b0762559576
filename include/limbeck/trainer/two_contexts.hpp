#ifndef LIMBECK_TRAINER_TWO_CONTEXTS_HPP
#define LIMBECK_TRAINER_TWO_CONTEXTS_HPP

/// @file
/// Answers behind two prompts: what a model says where it knows more, taught to itself.

#include <limbeck/core/describe.hpp>
#include <limbeck/trainer/archive.hpp>
#include <limbeck/trainer/kept_logits.hpp>
#include <limbeck/trainer/modes.hpp>
#include <limbeck/trainer/prompted_data.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// An `answer_batch`, and what a teacher reads in the place of `inputs`: the same answers behind other prompts.
struct two_context_batch {
  rollouts inputs{};                 ///< what the student reads
  rollouts privileged{};             ///< what the teacher reads
  std::vector<token_id> labels{};    ///< the tokens of the answers, one a row of logits
  std::vector<float> row_weights{};  ///< of these rows
};

/// The same answers in two contexts: the student reads the prompt, the teacher, who is `privileged(teacher)`, a privileged one, as
/// the question with its solution. Row by row both have the logits of the same token of the answer.
///
/// Zhao et al., *Self-Distilled Reasoner: On-Policy Self-Distillation for Large Language Models*, 2026, arXiv:2601.18734, by the
/// authors' code.
class two_contexts {
 public:
  /// One privileged prompt a prompt. @throws as prompted_data.
  two_contexts(std::vector<std::vector<token_id>> prompts, std::vector<std::vector<token_id>> privileged,
               std::vector<std::vector<token_id>> answers = {}, answer_mean mean_over = answer_mean::tokens)
      : plain_(std::move(prompts), std::move(answers), mean_over), privileged_(std::move(privileged)) {
    if (privileged_.size() != plain_.size())
      detail::throw_length("privileged", privileged_.size(), plain_.size(), "one a prompt");
    detail::require_prompts(privileged_, "privileged prompt");
  }
  /// How many sequences.
  std::size_t size() const { return plain_.size(); }
  /// The plain prompts of these rows with the answers that the data has.
  rollouts own(std::span<const std::size_t> rows) const { return plain_.own(rows); }
  /// These rows. @throws value_error where an answer is empty.
  two_context_batch batch(std::span<const std::size_t> rows) const { return batch(rows, own(rows)); }
  /// The same with other answers.
  two_context_batch batch(std::span<const std::size_t> rows, rollouts written) const {
    two_context_batch b;
    b.privileged = given_answers(of_rows(privileged_, rows), answers_of(written));
    b.inputs = std::move(written);
    detail::label_answers(b, rows, plain_.mean_over());
    return b;
  }
  /// @cond
  std::string describe() const { return "two_contexts of " + plain_.describe(); }
  /// @endcond

 private:
  prompted_data plain_;
  std::vector<std::vector<token_id>> privileged_;
};

/// Both contexts of a `two_contexts` for the student: each sequence of @p Data is read in both, and learnt in the plain one with the weight `plain`,
/// in the privileged one with 1. For a token it gives 2 rows, all plain ones first. With `privileged(teacher)` the teacher's row is
/// the privileged one at both, so that a divergence from it is 0 where teacher and student are one model in one context.
///
/// Ye and Ng, *Self-J: Selective Instruction Following with Alignment Self-Evaluation*, 2024, by the authors' code: NLL(privileged) + 0.3
/// NLL(plain) + 2 KL(privileged, held fixed || plain), each a mean over tokens, is 1.3 times the mean that `cross_entropy{} + (2 /
/// 0.3) * forward_kl{}` has here. (Its KL leaves out the token that ends an answer.)
class both_contexts {
 public:
  /// @p plain: at least 0. @throws value_error where it is not, or not finite.
  explicit both_contexts(two_contexts data, double plain = 0.3) : data_(std::move(data)), plain_(static_cast<float>(plain)) {
    if (!(plain_ >= 0 && plain_ - plain_ == 0))
      raise<value_error>("limbeck: the weight of the plain context is " + detail::show(plain) +
                         ", expected a finite number that is at least 0");
  }
  /// How many sequences.
  std::size_t size() const { return data_.size(); }
  /// The plain prompts of these rows with the answers that the data has.
  rollouts own(std::span<const std::size_t> rows) const { return data_.own(rows); }
  /// These rows. @throws value_error where an answer is empty.
  two_context_batch batch(std::span<const std::size_t> rows) const { return batch(rows, own(rows)); }
  /// The same with other answers.
  two_context_batch batch(std::span<const std::size_t> rows, rollouts written) const {
    two_context_batch b = data_.batch(rows, std::move(written));
    b.inputs = detail::joined(b.inputs, b.privileged);
    b.privileged = detail::joined(b.privileged, b.privileged);
    const std::size_t n = b.labels.size();
    b.labels.resize(2 * n);
    b.row_weights.resize(2 * n);
    for (std::size_t r = 0; r < n; ++r) {
      b.labels[n + r] = b.labels[r];
      b.row_weights[n + r] = b.row_weights[r];
      b.row_weights[r] *= plain_;
    }
    return b;
  }
  /// @cond
  std::string describe() const { return "both_contexts, the plain one times " + detail::digits(plain_) + ", of " + data_.describe(); }
  /// @endcond

 private:
  two_contexts data_;
  float plain_;
};

/// What `privileged` returns: a teacher for the trainer.
template <class Teacher>
class privileged_teacher {
 public:
  /// @cond
  explicit privileged_teacher(Teacher&& t) : teacher_(std::forward<Teacher>(t)) {}
  template <class Batch>
    requires requires(Batch& b) { b.privileged; }
  auto operator()(Batch& batch) {
    const evaluating mode(teacher_);
    return kept_.copy(teacher_.forward(batch.privileged));
  }
  template <class Archive>
  void serialize(Archive& archive)
    requires serializable<std::remove_reference_t<Teacher>>
  {
    archive("teacher", teacher_);
  }
  /// @endcond

 private:
  Teacher teacher_;
  detail::kept_logits kept_{};  // where the teacher is the student itself, its logits go with its next forward
};

/// @p teacher as one that reads the privileged context of a `two_contexts` batch: a frozen model, the average of a student, or the
/// student itself with its weights at the beginning of the step. It is in evaluation while it is asked. So that it may be the student,
/// whatever it gives is copied, of a head its hidden states; tensors that own their memory, as LibTorch's, are held. What it gives is on the
/// host therefore: a callable of the batch is a teacher on a device, `[&](auto& batch) { return frozen.forward(batch.privileged); }`.
/// An lvalue is referred to.
template <class Teacher>
privileged_teacher<Teacher> privileged(Teacher&& teacher) {
  return privileged_teacher<Teacher>(std::forward<Teacher>(teacher));
}

LIMBECK_END_NAMESPACE

#endif
