#ifndef LIMBECK_TRAINER_ON_POLICY_HPP
#define LIMBECK_TRAINER_ON_POLICY_HPP

/// @file
/// Training on what the student writes: a data source for `fit`.

#include <limbeck/core/describe.hpp>
#include <limbeck/core/number.hpp>
#include <limbeck/trainer/drawn.hpp>
#include <limbeck/trainer/modes.hpp>
#include <limbeck/trainer/prompted_data.hpp>
#include <limbeck/trainer/replay.hpp>
#include <limbeck/trainer/writers.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// A data source that has its answers written anew: with probability @p Share a step trains on what `write` gives for its prompts,
/// else on the answers of @p Data. Nothing is differentiated through the writing.
///
///     lk::on_policy source(0.5, student, data, [&](const lk::rollouts& own, std::uint64_t seed) {
///       return lk::sample(student, lk::prompts_of(own), {.length = 64, .temperature = 0.9, .seed = seed});
///     });
///     lk::trainer{student, teacher, lk::unscaled(lk::jensen_shannon{.beta = 0.5}), adam}.fit(source, settings);
///
/// - share: a number, a schedule or an `adaptive_share`, in [0, 1]; one draw a step, of all its sequences;
/// - student: in evaluation while `write` runs, with its weights at the beginning of the step;
/// - data: a `prompted_source`; one that writes itself (an `on_policy` by the teacher, for the others' steps) is asked where this one
///   does not write;
/// - write: a callable of the `rollouts` of the step's prompts with the data's own answers, of a seed and, where it takes them, of the
///   numbers of their rows; gives `rollouts` with these prompts. Any decoding: `sample`, `interleaved`, `rewritten` of the own answers;
/// - past: a `replay` of what was written before; none where left out.
///
/// A step is written once, before its first micro-batch, and random is only its seed, which is that of the run and the step: a run that
/// is resumed goes on bit for bit, and whatever the micro-batch, the mean is over all tokens of the step. What is passed as an lvalue
/// is referred to, what as an rvalue is owned.
///
/// Agarwal et al., *On-Policy Distillation of Language Models: Learning from Self-Generated Mistakes*, 2024, arXiv:2306.13649, whose
/// lambda is the share, as Hugging Face's TRL has it (the student there stays in training mode while it writes).
template <class Share, class Student, class Data, class Write, class Past = detail::no_replay>
class on_policy {
 public:
  /// @cond
  on_policy(Share&& share, Student& student, Data&& data, Write&& write, Past&& past = Past{})
      : share_(std::forward<Share>(share)),
        student_(&student),
        data_(std::forward<Data>(data)),
        write_(std::forward<Write>(write)),
        past_(std::forward<Past>(past)) {
    static_assert(prompted_source<Data>,
                  "limbeck: on_policy needs data with own(rows), the rollouts of prompts and answers, and batch(rows, written), as "
                  "prompted_data and two_contexts");
    static_assert(answer_writer<Write>,
                  "limbeck: what writes for on_policy is called with the rollouts of the step's prompts and a seed (and, where it takes "
                  "them, the numbers of their rows), and gives rollouts");
  }
  std::size_t size() const { return static_cast<std::size_t>(data_.size()); }
  std::vector<std::size_t> source_rows(std::span<const std::size_t> rows) const { return detail::source_rows(data_, rows); }

  void prepare(std::span<const std::size_t> rows, const draw_request& request) {
    asked_.assign(rows.begin(), rows.end());
    rows_.clear();
    at_ = 0;
    random_stream random = request.random.split(writing_stream);
    const double u = random.uniform(), fraction = request.now.fraction(), share = share_(fraction);
    if (!(share >= 0 && share <= 1))
      raise<value_error>("limbeck: the share of on_policy is " + detail::show(share) + ", expected a number in [0, 1]");
    if (!(u < share)) {
      if constexpr (requires { data_.prepare(rows, request); }) {
        draw_request inner = request;
        inner.random = random;
        data_.prepare(rows, inner);
      }
      return;
    }
    if (past_.writes_anew(u / share, fraction)) {
      const rollouts own = data_.own(rows);
      {
        const evaluating mode(*student_);
        written_ = detail::write_answers(write_, own, random(), rows);
      }
      require_same_prompts(own);
      rows_ = asked_;
      past_.keep(rows_, written_);
    } else {
      const rollouts kept = past_.draw(asked_.size(), random, rows_);
      written_ = given_answers(prompts_of(data_.own(rows_)), answers_of(kept));
    }
  }
  rollouts own(std::span<const std::size_t> rows) { return data_.own(rows); }
  batch_of<Data> batch(std::span<const std::size_t> rows, const rollouts& written) { return data_.batch(rows, written); }
  batch_of<Data> batch(std::span<const std::size_t> rows) {
    if (at_ == rows_.size()) return data_.batch(rows);  // its own answers, also outside of a step
    if (rows.size() > rows_.size() - at_ || !std::equal(rows.begin(), rows.end(), asked_.begin() + static_cast<std::ptrdiff_t>(at_)))
      raise<value_error>("limbeck: on_policy has written for the rows of a step, and is asked for others before all of these");
    rollouts part = detail::part_of(written_, at_, rows.size());
    const auto which = std::span<const std::size_t>(rows_).subspan(at_, rows.size());
    at_ += rows.size();
    return data_.batch(which, std::move(part));
  }
  template <class Archive>
  void serialize(Archive& archive) {
    if constexpr (serializable<std::remove_reference_t<Past>>) archive("past", past_);
    if constexpr (serializable<std::remove_reference_t<Data>>) archive("data", data_);
  }
  std::string describe() const {
    return "on_policy " + detail::described(share_) + ", " + detail::described(past_) + ", " +
           std::string(detail::type_name<std::remove_cvref_t<Write>>()) + ", of " +
           std::string(detail::type_name<std::remove_cvref_t<Data>>());
  }
  /// @endcond

 private:
  static constexpr std::uint64_t writing_stream = 0x7772697465;  // no sampler of rows splits so

  void require_same_prompts(const rollouts& own) const {
    if (written_.size() != own.size())
      raise<shape_error>("limbeck: " + std::to_string(written_.size()) + " sequences are written for on_policy, expected " +
                         std::to_string(own.size()) + ", one a prompt");
    const prompts_of theirs(written_), mine(own);
    for (std::size_t s = 0; s < own.size(); ++s)
      if (!std::ranges::equal(theirs[s], mine[s]))
        raise<value_error>("limbeck: sequence " + std::to_string(s) + " that is written for on_policy has another prompt");
  }

  Share share_;
  Student* student_;
  Data data_;
  Write write_;
  Past past_;
  std::vector<std::size_t> asked_{}, rows_{};  // of the step; of what was written, and empty where nothing was
  rollouts written_{};
  std::size_t at_ = 0;
};

/// @cond
namespace detail {
template <class S>
struct share_type {
  using type = S;
};
template <class S>
  requires std::is_arithmetic_v<std::remove_cvref_t<S>>
struct share_type<S> {
  using type = constant;
};
}  // namespace detail
template <class S, class M, class D, class W>
on_policy(S&&, M&, D&&, W&&) -> on_policy<typename detail::share_type<S>::type, M, D, W>;
template <class S, class M, class D, class W, class P>
on_policy(S&&, M&, D&&, W&&, P&&) -> on_policy<typename detail::share_type<S>::type, M, D, W, P>;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
