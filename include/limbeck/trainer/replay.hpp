#ifndef LIMBECK_TRAINER_REPLAY_HPP
#define LIMBECK_TRAINER_REPLAY_HPP

/// @file
/// Answers that were written before, for steps that train on them again.

#include <limbeck/core/describe.hpp>
#include <limbeck/core/number.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/decoding/rollouts.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {
struct no_replay {
  static bool writes_anew(double, double) { return true; }
  static void keep(std::span<const std::size_t>, const rollouts&) {}
  static rollouts draw(std::size_t, random_stream&, std::vector<std::size_t>&) { return {}; }
};
}  // namespace detail
/// @endcond

/// The last answers of a run, for `on_policy`: of its steps that train on what is written, this share @p Fresh writes anew, and so do all
/// until `capacity` answers are there; the others draw from these, without repetition. The oldest leave first. Saved with the run.
///
/// Ko et al., *DistiLLM: Towards Streamlined Distillation for Large Language Models*, 2024, arXiv:2402.03898, by the authors' code:
/// capacity 1,000, and a share that falls with the steps, 1 to 0.
template <schedule Fresh>
class replay {
 public:
  /// @p capacity: sequences, at least those of a step; @p fresh: a number or a schedule in [0, 1].
  /// @throws value_error where the capacity is 0 and, in a step, where the share is not in [0, 1].
  explicit replay(std::size_t capacity, Fresh fresh) : capacity_(capacity), fresh_(std::move(fresh)) {
    if (capacity == 0) raise<value_error>("limbeck: the capacity of replay is 0, expected at least 1");
  }
  /// How many answers are there.
  std::size_t size() const { return rows_.size(); }

  /// @cond
  bool writes_anew(double u, double fraction) const {
    const double fresh = fresh_(fraction);
    if (!(fresh >= 0 && fresh <= 1))
      raise<value_error>("limbeck: the share of replay that is fresh is " + detail::show(fresh) + ", expected a number in [0, 1]");
    return u < fresh || size() < capacity_;
  }
  void keep(std::span<const std::size_t> rows, const rollouts& written) {
    for (std::size_t s = 0; s < written.size(); ++s) {
      const auto answer = written.answer(s);
      rows_.push_back(rows[s]);
      lengths_.push_back(answer.size());
      tokens_.insert(tokens_.end(), answer.begin(), answer.end());
    }
    if (size() <= capacity_) return;
    const auto leave = static_cast<std::ptrdiff_t>(size() - capacity_);
    const auto gone = std::accumulate(lengths_.begin(), lengths_.begin() + leave, std::size_t{0});
    rows_.erase(rows_.begin(), rows_.begin() + leave);
    lengths_.erase(lengths_.begin(), lengths_.begin() + leave);
    tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(gone));
  }
  /// The answers of @p count of them, behind empty prompts; @p rows: those of the data to which they belong.
  rollouts draw(std::size_t count, random_stream& random, std::vector<std::size_t>& rows) const {
    if (count > size())
      raise<value_error>("limbeck: the capacity of replay is " + std::to_string(capacity_) + ", a step has " +
                         std::to_string(count) + " sequences");
    const segments places = segments::of_lengths(lengths_);
    std::vector<std::size_t> all(size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    random.shuffle(all);
    rollouts out;
    std::vector<std::size_t> lengths;
    rows.clear();
    for (std::size_t i = 0; i < count; ++i) {
      const auto from = tokens_.begin() + static_cast<std::ptrdiff_t>(places.begin(all[i]));
      out.tokens.insert(out.tokens.end(), from, from + static_cast<std::ptrdiff_t>(lengths_[all[i]]));
      lengths.push_back(lengths_[all[i]]);
      rows.push_back(rows_[all[i]]);
    }
    out.sequences = segments::of_lengths(lengths);
    out.prompts.resize(count);
    return out;
  }
  template <class Archive>
  void serialize(Archive& archive) {
    auto rows = rows_, lengths = lengths_;
    auto tokens = tokens_;
    archive("rows", rows);
    archive("lengths", lengths);
    archive("tokens", tokens);
    std::size_t left = tokens.size();
    const bool fit = rows.size() == lengths.size() && std::ranges::all_of(lengths, [&](std::size_t length) {
                       return length <= left && (left -= length, true);
                     });
    if (!fit || left > 0)
      raise<value_error>("limbeck: the restored replay has " + std::to_string(rows.size()) + " rows, " + std::to_string(lengths.size()) +
                         " lengths and " + std::to_string(tokens.size()) + " tokens, which are not theirs");
    rows_ = std::move(rows);
    lengths_ = std::move(lengths);
    tokens_ = std::move(tokens);
  }
  std::string describe() const { return "replay of " + std::to_string(capacity_) + ", fresh " + detail::described(fresh_); }
  /// @endcond

 private:
  std::size_t capacity_;
  Fresh fresh_;
  std::vector<std::size_t> rows_{}, lengths_{};
  std::vector<token_id> tokens_{};
};
/// @cond
template <class F>
replay(std::size_t, F) -> replay<decltype(as_schedule(std::declval<F>()))>;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
