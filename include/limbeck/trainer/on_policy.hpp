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
#include <concepts>
#include <cstddef>
#include <span>
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
    static_assert(requires { { share_(0.5) } -> std::convertible_to<double>; },
                  "limbeck: the share of on_policy is a number, a schedule or an adaptive_share");
    static_assert(requires { { past_.writes_anew(0.5, 0.5) } -> std::same_as<bool>; },
                  "limbeck: the last argument of on_policy is what keeps answers, as replay(1000, lk::linear(1, 0)) does");
  }
  std::size_t size() const { return static_cast<std::size_t>(data_.size()); }
  /// Of the last batch those whose answers it has, which are others where it is replayed.
  std::vector<std::size_t> source_rows(std::span<const std::size_t> rows) const {
    const std::size_t from = at_ - last_;
    return detail::source_rows(data_, last_ > 0 && rows.size() == last_ && asked_from(from, rows) ? trained_from(from, last_) : rows);
  }

  void prepare(std::span<const std::size_t> rows, const draw_request& request) {
    asked_.assign(rows.begin(), rows.end());
    forget();
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
    anew_ = past_.writes_anew(u / share, fraction);
    std::vector<std::size_t> drawn = asked_;
    if (anew_) {
      const rollouts own = data_.own(rows);
      const evaluating mode(*student_);
      const std::uint64_t seed = random();  // of a step's first rows; other ranks' answers are no copies of them
      const std::uint64_t of_rank = request.first == 0 ? seed : random_stream(seed).split(request.first)();
      written_ = detail::write_answers(write_, own, of_rank, rows, "on_policy");
    } else {
      const rollouts kept = past_.draw(asked_.size(), random, drawn);
      for (const std::size_t r : drawn)
        if (r >= size())
          raise<value_error>("limbeck: the replay of on_policy holds an answer of row " + std::to_string(r) + ", the data has " +
                             std::to_string(size()) + " rows");
      const rollouts own = data_.own(drawn);
      written_ = given_answers(prompts_of(own), answers_of(kept));
    }
    rows_ = std::move(drawn);
  }
  rollouts own(std::span<const std::size_t> rows) { return data_.own(rows); }
  auto batch(std::span<const std::size_t> rows, const rollouts& written) {
    last_ = 0;
    return data_.batch(rows, written);
  }
  auto batch(std::span<const std::size_t> rows) {
    last_ = 0;
    if (at_ == rows_.size()) return data_.batch(rows);  // its own answers, also outside of a step
    if (rows.size() > rows_.size() - at_ || !asked_from(at_, rows))
      raise<value_error>("limbeck: on_policy has written for the rows of a step, and is asked for others before all of these");
    step_guard unfinished{this};
    auto made = data_.batch(trained_from(at_, rows.size()), detail::part_of(written_, at_, rows.size()));
    at_ += last_ = rows.size();
    if (anew_ && at_ == rows_.size()) past_.keep(rows_, written_);
    unfinished.source = nullptr;
    return made;
  }
  template <class Archive>
  void serialize(Archive& archive) {
    if constexpr (serializable<std::remove_reference_t<Past>>) archive("past", past_);
    if constexpr (serializable<std::remove_reference_t<Data>>) archive("data", data_);
  }
  std::string describe() const {
    return "on_policy " + detail::described(share_) + ", " + detail::described(past_) + ", " +
           detail::described_or_type(write_) + ", of " + detail::described_or_type(data_);
  }
  /// @endcond

 private:
  static constexpr std::uint64_t writing_stream = 0x7772697465;  // no sampler of rows splits so

  /// A step whose batches cannot be made, and which `fit_settings::skip_bad_steps` leaves out, is over.
  struct step_guard {
    on_policy* source;
    ~step_guard() {
      if (source) source->forget();
    }
  };
  void forget() {
    rows_.clear();
    at_ = last_ = 0;
  }
  bool asked_from(std::size_t at, std::span<const std::size_t> rows) const {
    return std::equal(rows.begin(), rows.end(), asked_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  std::span<const std::size_t> trained_from(std::size_t at, std::size_t count) const {
    return std::span(rows_).subspan(at, count);
  }

  Share share_;
  Student* student_;
  Data data_;
  Write write_;
  Past past_;
  std::vector<std::size_t> asked_{}, rows_{};  // of the step; of what was written, and empty where nothing was
  rollouts written_{};
  std::size_t at_ = 0, last_ = 0;  // of rows_: how many are handed over, and how many in the last batch
  bool anew_ = false;
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
