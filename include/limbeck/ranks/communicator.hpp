#ifndef LIMBECK_RANKS_COMMUNICATOR_HPP
#define LIMBECK_RANKS_COMMUNICATOR_HPP

/// @file
/// What ranks say to each other. A communicator moves bytes; whatever is added, is added here, in the order of the ranks, so
/// that the same number of ranks gives the same bits over any transport.

#include <limbeck/core/config.hpp>

#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// The ranks of a program, as seen by one of them: `mpi` (limbeck/mpi.hpp), `nccl` (limbeck/nccl.hpp), `one_rank`, or yours. All ranks
/// call the same functions with the same sizes in the same order, from one thread at a time, and each returns when the outputs are
/// whole; inputs and outputs do not overlap, and may be empty:
///
/// - `rank()` in [0, `size()`);
/// - `all_gather(mine, all)`: what each rank brought, one after the other; `all.size() == mine.size() * size()`;
/// - `all_to_all(mine, all)`: of `size()` equal pieces the k-th goes to rank k; of those that came the k-th is from rank k;
/// - `broadcast(bytes, root)`: those of rank `root`, on each.
template <class C>
concept communicator = requires(const C& c, std::span<const std::byte> mine, std::span<std::byte> all, int root) {
  { c.rank() } -> std::convertible_to<int>;
  { c.size() } -> std::convertible_to<int>;
  c.all_gather(mine, all);
  c.all_to_all(mine, all);
  c.broadcast(all, root);
};

/// A program of one process: what is shared, is its own. Code for ranks runs with it as without them.
struct one_rank {
  /// 0.
  constexpr int rank() const { return 0; }
  /// 1.
  constexpr int size() const { return 1; }
  /// Copies.
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) const { copy(mine, all); }
  /// Copies.
  void all_to_all(std::span<const std::byte> mine, std::span<std::byte> all) const { copy(mine, all); }
  /// Nothing.
  void broadcast(std::span<std::byte>, int) const {}

 private:
  static void copy(std::span<const std::byte> from, std::span<std::byte> to) {
    if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
  }
};

/// Any communicator, by reference: what is kept where its type is not known. A call takes one indirect jump.
class communicator_ref {
 public:
  /// Refers to @p c, which outlives it.
  template <communicator C>
    requires(!std::is_same_v<C, communicator_ref>)
  communicator_ref(const C& c)
      : who_(&c), rank_(c.rank()), size_(c.size()), call_([](const void* who, operation what, std::span<const std::byte> mine,
                                                             std::span<std::byte> all, int root) {
          const C& to = *static_cast<const C*>(who);
          if (what == operation::gather) return static_cast<void>(to.all_gather(mine, all));
          if (what == operation::exchange) return static_cast<void>(to.all_to_all(mine, all));
          to.broadcast(all, root);
        }) {}
  /// As the communicator that it refers to.
  int rank() const { return rank_; }
  /// The same.
  int size() const { return size_; }
  /// The same.
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) const { call_(who_, operation::gather, mine, all, 0); }
  /// The same.
  void all_to_all(std::span<const std::byte> mine, std::span<std::byte> all) const { call_(who_, operation::exchange, mine, all, 0); }
  /// The same.
  void broadcast(std::span<std::byte> bytes, int root) const { call_(who_, operation::spread, {}, bytes, root); }

 private:
  enum class operation { gather, exchange, spread };
  const void* who_;
  int rank_, size_;
  void (*call_)(const void*, operation, std::span<const std::byte>, std::span<std::byte>, int);
};

/// A communicator that counts what it is asked for: how often, and how many bytes this rank sends to others.
template <communicator C>
class counted {
 public:
  /// Counts what goes through @p c, which outlives it.
  explicit counted(const C& c) : to_(&c) {}
  /// As the communicator that it counts.
  int rank() const { return to_->rank(); }
  /// The same.
  int size() const { return to_->size(); }
  /// The same; counts the bytes once for each other rank.
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) const {
    note(mine.size() * others());
    to_->all_gather(mine, all);
  }
  /// The same; counts all pieces but its own.
  void all_to_all(std::span<const std::byte> mine, std::span<std::byte> all) const {
    note(mine.size() / (others() + 1) * others());
    to_->all_to_all(mine, all);
  }
  /// The same; counts the bytes once for each other rank, at the root.
  void broadcast(std::span<std::byte> bytes, int root) const {
    note(root == rank() ? bytes.size() * others() : 0);
    to_->broadcast(bytes, root);
  }
  /// How many calls there were.
  std::size_t calls() const { return calls_; }
  /// How many bytes this rank has sent, as if each went to each receiver by itself.
  std::size_t bytes() const { return bytes_; }
  /// Counts from 0 again.
  void reset() { calls_ = bytes_ = 0; }

 private:
  std::size_t others() const { return static_cast<std::size_t>(to_->size() - 1); }
  void note(std::size_t n) const { ++calls_, bytes_ += n; }
  const C* to_;
  mutable std::size_t calls_ = 0, bytes_ = 0;
};

LIMBECK_END_NAMESPACE

#endif
