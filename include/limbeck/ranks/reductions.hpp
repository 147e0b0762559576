#ifndef LIMBECK_RANKS_REDUCTIONS_HPP
#define LIMBECK_RANKS_REDUCTIONS_HPP

/// @file
/// Sums, maxima and agreements of ranks, over any communicator. Each function is called by all ranks, with outputs of the same
/// size, and leaves the same bits on each.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/workspace.hpp>
#include <limbeck/ranks/communicator.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class T>
concept plain = std::is_trivially_copyable_v<T>;

/// x_i = op(... op(op(x_i of rank 0, x_i of rank 1), x_i of rank 2) ...) on every rank. Short ones go to all; of long ones each
/// rank takes a piece, and all pieces go to all: 2 (n - 1)/n of the bytes a rank.
template <class C, class T, class Op>
void all_reduce(const C& comm, std::span<T> x, workspace& ws, Op op) {
  const auto n = static_cast<std::size_t>(comm.size());
  if (n == 1) return;
  const auto fold = [&](const T* parts, std::size_t length, std::size_t stride, T* to) {
    std::copy_n(parts, length, to);
    for (std::size_t k = 1; k < n; ++k)
      for (std::size_t i = 0; i < length; ++i) to[i] = op(to[i], parts[k * stride + i]);
  };
  constexpr std::size_t is_short = 4096;  // bytes: there, what a message costs is that it is one
  if (x.size_bytes() <= is_short || n == 2) {
    T* const all = reinterpret_cast<T*>(ws.reserve(n * x.size_bytes()));
    comm.all_gather(std::as_bytes(x), std::as_writable_bytes(std::span<T>(all, n * x.size())));
    return fold(all, x.size(), x.size(), x.data());
  }
  const std::size_t piece = (x.size() + n - 1) / n, whole = piece * n;
  T* const mine = reinterpret_cast<T*>(ws.reserve(2 * whole * sizeof(T)));
  T* const came = mine + whole;
  std::copy(x.begin(), x.end(), mine);
  std::fill(mine + x.size(), mine + whole, T{});
  comm.all_to_all(std::as_bytes(std::span<T>(mine, whole)), std::as_writable_bytes(std::span<T>(came, whole)));
  fold(came, piece, piece, mine);
  comm.all_gather(std::as_bytes(std::span<T>(mine, piece)), std::as_writable_bytes(std::span<T>(came, whole)));
  std::copy_n(came, x.size(), x.data());
}

}  // namespace detail

/// x_i = the sum of the ranks' x_i, in the order of the ranks, in T. Sends (size - 1)/size of the bytes twice, or once to each where
/// they are few. @p ws: memory of a caller who calls often.
template <communicator C, class T>
  requires std::is_arithmetic_v<T>
void all_reduce_sum(const C& comm, std::span<T> x, workspace& ws) {
  detail::all_reduce(comm, x, ws, [](T a, T b) { return static_cast<T>(a + b); });
}
/// The same with memory of its own.
template <communicator C, class T>
  requires std::is_arithmetic_v<T>
void all_reduce_sum(const C& comm, std::span<T> x) {
  workspace ws;
  all_reduce_sum(comm, x, ws);
}
/// The sum of the ranks' numbers.
template <communicator C, class T>
  requires std::is_arithmetic_v<T>
T all_reduce_sum(const C& comm, T x) {
  all_reduce_sum(comm, std::span<T>(&x, 1));
  return x;
}

/// x_i = the largest of the ranks' x_i; NaN where one of them is.
template <communicator C, class T>
  requires std::is_arithmetic_v<T>
void all_reduce_max(const C& comm, std::span<T> x, workspace& ws) {
  detail::all_reduce(comm, x, ws, [](T a, T b) { return a != a || b <= a ? a : b; });
}
/// The same with memory of its own.
template <communicator C, class T>
  requires std::is_arithmetic_v<T>
void all_reduce_max(const C& comm, std::span<T> x) {
  workspace ws;
  all_reduce_max(comm, x, ws);
}
/// The largest of the ranks' numbers.
template <communicator C, class T>
  requires std::is_arithmetic_v<T>
T all_reduce_max(const C& comm, T x) {
  all_reduce_max(comm, std::span<T>(&x, 1));
  return x;
}

/// What the ranks brought, one after the other, as many from each.
template <communicator C, detail::plain T>
std::vector<T> all_gather(const C& comm, std::span<const T> mine) {
  std::vector<T> all(mine.size() * static_cast<std::size_t>(comm.size()));
  comm.all_gather(std::as_bytes(mine), std::as_writable_bytes(std::span<T>(all)));
  return all;
}
/// One of each rank.
template <communicator C, detail::plain T>
  requires(!std::ranges::range<T>)
std::vector<T> all_gather(const C& comm, const T& mine) {
  return all_gather(comm, std::span<const T>(&mine, 1));
}

/// The x of rank @p root, on each.
template <communicator C, detail::plain T>
void broadcast(const C& comm, std::span<T> x, int root) {
  comm.broadcast(std::as_writable_bytes(x), root);
}
/// The text of rank @p root, on each.
template <communicator C>
void broadcast(const C& comm, std::string& text, int root) {
  std::uint64_t length = text.size();
  broadcast(comm, std::span<std::uint64_t>(&length, 1), root);
  text.resize(static_cast<std::size_t>(length));
  broadcast(comm, std::span<char>(text), root);
}

/// What a rank proposes, and whose proposal has won.
template <class T>
struct proposal {
  T value;              ///< the larger wins; NaN never does
  std::uint64_t index;  ///< of two equal ones the lower wins
  int rank = 0;         ///< whose it is
};
/// The best of the ranks' proposals (value, index), with the rank that it came from: one message of some 24 bytes to each.
template <communicator C, class T>
proposal<T> all_reduce_arg_max(const C& comm, T value, std::uint64_t index) {
  struct one {
    T value;
    std::uint64_t index;
  };
  const std::vector<one> all = all_gather(comm, one{value, index});
  proposal<T> best{all[0].value, all[0].index, 0};
  for (std::size_t k = 1; k < all.size(); ++k) {
    const one& x = all[k];
    const bool better = best.value == best.value ? x.value > best.value : x.value == x.value;
    if (better || (x.value == best.value && x.index < best.index)) best = {x.value, x.index, static_cast<int>(k)};
  }
  return best;
}

namespace detail {

/// What has gone wrong on a rank.
enum class rank_fault : std::uint64_t { none, shape, value, other };

/// What a rank's part of something has thrown.
struct noted_fault {
  rank_fault kind = rank_fault::none;
  std::string what;
};
/// f(), and what it threw: for ranks that tell each other before any of them gives up.
template <class F>
noted_fault note_fault(F f) {
  noted_fault found;
  const auto note = [&](rank_fault kind, const std::exception& e) { found = {kind, e.what()}; };
  or_else(
      [&] {
        attempt<std::exception>(
            [&] {
              attempt<value_error>([&] { attempt<shape_error>(f, [&](const shape_error& e) { note(rank_fault::shape, e); }); },
                                   [&](const value_error& e) { note(rank_fault::value, e); });
            },
            [&](const std::exception& e) { note(rank_fault::other, e); });
      },
      [&] { found = {rank_fault::other, "something that is no std::exception was thrown"}; });
  return found;
}

/// @p what, as of rank @p k of @p size; what was agreed on before has its rank already.
inline std::string said_by_rank(std::size_t k, int size, std::string what) {
  constexpr std::string_view ours = "limbeck: ", rank = "rank ";
  if (what.starts_with(ours)) what.erase(0, ours.size());
  const std::string of = " of " + std::to_string(size) + ": ";
  const std::size_t number_ends = what.starts_with(rank) ? what.find(' ', rank.size()) : std::string::npos;
  const bool said = number_ends != std::string::npos && what.compare(number_ends, of.size(), of) == 0;
  if (size > 1 && !said) what.insert(0, std::string(rank) + std::to_string(k) + of);
  return std::string(ours) + what;
}
/// Throws on all ranks what is wrong on the lowest that brings a fault.
template <class C>
void throw_lowest(const C& comm, const std::vector<rank_fault>& all, std::string what) {
  const auto first = std::find_if(all.begin(), all.end(), [](rank_fault x) { return x != rank_fault::none; });
  if (first == all.end()) return;
  const int root = static_cast<int>(first - all.begin());
  broadcast(comm, what, root);
  what = said_by_rank(static_cast<std::size_t>(root), comm.size(), std::move(what));
  if (*first == rank_fault::shape) raise<shape_error>(what);
  if (*first == rank_fault::value) raise<value_error>(what);
  raise<std::runtime_error>(what);
}
/// The same of what each rank brings.
template <class C>
void agree_on(const C& comm, rank_fault mine, std::string what) {
  throw_lowest(comm, all_gather(comm, mine), std::move(what));
}

}  // namespace detail

/// f() on each rank, and where it threw on one, the same exception on all: nobody waits for a rank that has given up. @p f asks
/// nothing of other ranks, but that it may agree with all of them, where no rank throws before all have come so far: the others would
/// wait for it. One message of 8 bytes to each. What f returns, is each rank's own. Of one rank it is f() itself.
/// @throws shape_error, value_error or runtime_error, as the lowest rank whose f did, with its rank and its message.
template <communicator C, class F>
auto agree(const C& comm, F f) -> decltype(f()) {
  if (comm.size() == 1) return f();
  if constexpr (std::is_void_v<decltype(f())>) {
    detail::noted_fault fault = detail::note_fault([&] { f(); });
    detail::agree_on(comm, fault.kind, std::move(fault.what));
  } else {
    std::optional<decltype(f())> result;
    detail::noted_fault fault = detail::note_fault([&] { result.emplace(f()); });
    detail::agree_on(comm, fault.kind, std::move(fault.what));
    return std::move(*result);
  }
}

/// agree() and all_reduce_sum in one message of 8 (1 + x.size()) bytes: x = the sum, in the order of the ranks, of what each rank's
/// f() has left in its x.
template <communicator C, class F>
void agree_on_sum(const C& comm, std::span<double> x, F f) {
  if (comm.size() == 1) return f();
  detail::noted_fault fault = detail::note_fault([&] { f(); });
  std::vector<double> mine(x.begin(), x.end());
  mine.push_back(static_cast<double>(fault.kind));
  const std::vector<double> all = all_gather(comm, std::span<const double>(mine));
  std::vector<detail::rank_fault> faults;
  for (std::size_t at = x.size(); at < all.size(); at += mine.size()) faults.push_back(static_cast<detail::rank_fault>(all[at]));
  detail::throw_lowest(comm, faults, std::move(fault.what));
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = all[i];
    for (std::size_t at = i + mine.size(); at < all.size(); at += mine.size()) x[i] += all[at];
  }
}

LIMBECK_END_NAMESPACE

#endif
