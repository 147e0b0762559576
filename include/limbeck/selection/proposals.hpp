#ifndef LIMBECK_SELECTION_PROPOSALS_HPP
#define LIMBECK_SELECTION_PROPOSALS_HPP

/// @file
/// What the ranks of a greedy selection say to each other: the rows that each would choose next, with their numbers.

#include <limbeck/ranks/reductions.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// A row of the whole and its key: the larger comes first, the lower row among equals.
struct standing {
  static constexpr double gone = -std::numeric_limits<double>::infinity();  ///< the key of what cannot be chosen
  double key = gone;
  std::uint64_t row = ~std::uint64_t{0};
  bool before(const standing& other) const { return key > other.key || (key == other.key && row < other.row); }
};

/// A row that may be the next choice. Every rank has the same of it, and changes it as the others do.
struct proposed_row : standing {
  double weight = 1;       ///< what its key is multiplied by
  std::uint32_t seen = 0;  ///< how many centres its key knows
  std::uint32_t place = 0;
};

/// Rounds of proposals. In each, every rank proposes some of its rows, in their order, and says how its next one stands at most:
/// one message, which brings the rows' numbers too where they are few. Until something that nobody has proposed may stand before
/// the best of them, no more needs to be said.
template <communicator C, class T>
class proposals {
 public:
  /// Of rows of @p width numbers; @p most of each rank in a round, where they are short.
  proposals(const C& comm, std::size_t width, std::size_t most) : comm_(comm), width_(width) {
    constexpr std::size_t few = 262144;  // bytes that reach a rank: so many take about as long as another message
    const auto ranks = static_cast<std::size_t>(comm.size());
    const std::size_t fit = few / ranks / (width * sizeof(T) + sizeof(proposed_row));
    along_ = ranks == 1 || fit > 0;
    slots_ = ranks == 1 ? 1 : (std::max)(std::size_t{1}, (std::min)(most, fit));
    const auto round_up = [](std::size_t bytes) { return (bytes + 15) / 16 * 16; };
    numbers_ = round_up(sizeof(header) + slots_ * sizeof(proposed_row));
    mine_.resize(round_up(numbers_ + slots_ * width * sizeof(T)));
    message_ = along_ ? mine_.size() : numbers_;
    all_.resize(ranks * message_);
    rests_.assign(ranks, {(std::numeric_limits<double>::infinity)(), 0});  // nothing is known
    rows_.reserve(ranks * slots_);
  }

  /// This rank's part of a round, while it is made.
  class round {
   public:
    /// Whether it may propose another row.
    bool open() const { return count_ < to_.slots_; }
    /// Proposes a row; @p x: its numbers, null where nobody will ask for them.
    void add(proposed_row row, const T* x) {
      row.place = static_cast<std::uint32_t>(static_cast<std::size_t>(to_.comm_.rank()) * to_.slots_ + count_);
      std::memcpy(to_.mine_.data() + sizeof(header) + count_ * sizeof(row), &row, sizeof(row));
      if (x != nullptr) std::memcpy(to_.mine_.data() + to_.numbers_ + count_ * to_.width_ * sizeof(T), x, to_.width_ * sizeof(T));
      ++count_;
    }

   private:
    friend proposals;
    explicit round(proposals& to) : to_(to) {}
    proposals& to_;
    std::size_t count_ = 0;
  };

  /// A round: `propose(round)` proposes this rank's rows and returns the standing of what it has left, or one before it. What is
  /// left of the round before is gone. @throws on every rank what propose throws on one.
  template <class F>
  void next_round(F propose) {
    round mine(*this);
    header head;
    noted_fault fault;
    const auto run = [&] { head.rest = propose(mine); };
    if (comm_.size() == 1) {
      run();
    } else {
      fault = note_fault(run);
    }
    head.fault = fault.kind;
    head.count = mine.count_;
    std::memcpy(mine_.data(), &head, sizeof(head));
    comm_.all_gather(std::span<const std::byte>(mine_.data(), message_), std::span<std::byte>(all_));
    rows_.clear();
    bool whole = true;
    for (std::size_t k = 0; k < rests_.size(); ++k) {
      const std::byte* from = all_.data() + k * message_;
      std::memcpy(&head, from, sizeof(head));
      whole = whole && head.fault == rank_fault::none;
      rests_[k] = head.rest;
      rows_.resize(rows_.size() + head.count);
      if (head.count > 0) std::memcpy(rows_.data() + rows_.size() - head.count, from + sizeof(head), head.count * sizeof(proposed_row));
    }
    if (!whole) agree_on(comm_, fault.kind, std::move(fault.what));
    taken_ = false;
  }

  /// The best that is proposed and not taken; null where nothing is, or the numbers of the others have not travelled along, so that
  /// nobody can say what the one that was taken has changed.
  proposed_row* best() {
    proposed_row* first = nullptr;
    if (!spent())
      for (proposed_row& x : rows_)
        if (x.key > standing::gone && (first == nullptr || x.before(*first))) first = &x;
    return first;
  }
  /// Whether @p x stands before everything that is not proposed.
  bool certain(const proposed_row& x) const {
    return std::none_of(rests_.begin(), rests_.end(), [&](const standing& rest) { return rest.before(x); });
  }
  /// Whether another round may bring something, where there is no best().
  bool any_left() const {
    const auto left = [](const standing& x) { return x.key > standing::gone; };
    return std::any_of(rests_.begin(), rests_.end(), left) || (spent() && std::any_of(rows_.begin(), rows_.end(), left));
  }
  /// The numbers of a proposed row: best()'s before it is taken, or any one's where rows travel along. Otherwise
  /// the rank that has them sends them to all, so that all ask. Good until the next call.
  const T* numbers(const proposed_row& x) {
    const std::size_t rank = x.place / slots_, slot = x.place % slots_;
    if (along_) return reinterpret_cast<const T*>(all_.data() + rank * message_ + numbers_) + slot * width_;
    came_.resize(width_);
    if (static_cast<int>(rank) == comm_.rank())
      std::memcpy(came_.data(), mine_.data() + numbers_ + slot * width_ * sizeof(T), width_ * sizeof(T));
    broadcast(comm_, std::span<T>(came_), static_cast<int>(rank));
    return came_.data();
  }
  /// Takes @p x: nobody proposes it again.
  void take(proposed_row& x) {
    x.key = standing::gone;
    taken_ = true;
  }
  /// `f(row)` for what this rank has proposed and nobody has taken.
  template <class F>
  void each_own(F&& f) const {
    for (const proposed_row& x : rows_)
      if (x.key > standing::gone && static_cast<int>(x.place / slots_) == comm_.rank()) f(x);
  }

 private:
  struct header {
    standing rest;
    rank_fault fault = rank_fault::none;
    std::uint64_t count = 0;
  };

  bool spent() const { return taken_ && !along_; }

  const C& comm_;
  std::size_t width_, slots_ = 1, numbers_ = 0, message_ = 0;
  bool along_ = true, taken_ = false;
  std::vector<std::byte> mine_, all_;
  std::vector<standing> rests_;
  std::vector<proposed_row> rows_;
  std::vector<T> came_;
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
