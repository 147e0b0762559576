#ifndef LIMBECK_AVERAGING_SOUP_HPP
#define LIMBECK_AVERAGING_SOUP_HPP

/// @file
/// Soups over ranks: each rank has a model of its own, and all leave with the mean of some or all of them.

#include <limbeck/averaging/parameters.hpp>
#include <limbeck/averaging/weighted_sum.hpp>
#include <limbeck/ranks/reductions.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// @throws shape_error on all ranks where one has other tensors than rank 0.
template <class C, class Views>
void require_same_tensors(const C& comm, const Views& views) {
  struct length {
    std::uint64_t elements;
    std::size_t size() const { return static_cast<std::size_t>(elements); }
  };
  std::uint64_t count = views.size();
  broadcast(comm, std::span<std::uint64_t>(&count, 1), 0);
  std::vector<length> first(static_cast<std::size_t>(count));
  if (comm.rank() == 0) std::transform(views.begin(), views.end(), first.begin(), [](const auto& x) { return length{x.size()}; });
  broadcast(comm, std::span<length>(first), 0);
  agree(comm, [&] { require_same_shapes(views, first, "parameters", "as on rank 0"); });
}

/// What each rank's weight is of their sum. All see all weights. @throws value_error
template <class C>
std::vector<double> shares_of(const C& comm, double weight) {
  std::vector<double> w = all_gather(comm, weight);
  for (std::size_t k = 0; k < w.size(); ++k)
    if (!(w[k] >= 0 && w[k] - w[k] == 0))
      raise<value_error>("limbeck: the weight of rank " + std::to_string(k) + " is " + show(w[k]) +
                         ", expected a finite number that is not negative");
  const double total = std::accumulate(w.begin(), w.end(), 0.0);
  if (!(total > 0 && total - total == 0))
    raise<value_error>("limbeck: the weights of all ranks sum to " + show(total) + ", expected a finite number above 0");
  for (double& x : w) x /= total;
  return w;
}

/// f(piece, from) for the elements [first, first + count) of @p views, one after the other as if they were one; @p from counts from
/// @p first. @p at is the tensor and the element where first stands, and then what follows.
template <class Views, class F>
void for_each_piece(const Views& views, std::pair<std::size_t, std::size_t>& at, std::size_t count, F f) {
  for (std::size_t from = 0; from < count;) {
    const auto& x = views[at.first];
    const std::size_t n = (std::min)(x.size() - at.second, count - from);
    f(x.subspan(at.second, n), from);
    from += n;
    at = at.second + n < x.size() ? std::pair{at.first, at.second + n} : std::pair{at.first + 1, std::size_t{0}};
  }
}

/// out = sum_k shares_k own_k over the ranks k, in their order: each rank takes a part of the elements from all, adds, and gives it to
/// all. Ranks of share 0 add nothing. @p out may be @p own.
template <class C, class T>
void add_soup(const C& comm, const std::vector<std::span<const T>>& own, std::span<const double> shares,
              const std::vector<std::span<T>>& out) {
  static_assert(is_averaged<T>, "limbeck: integer parameters have no mean; broadcast those of one rank");
  constexpr std::size_t most = 1 << 16;  // elements of a part
  const auto n = static_cast<std::size_t>(comm.size());
  const std::size_t total = total_size(out), room = n * (std::min)(most, (total + n - 1) / n);
  std::vector<T> mine(room), all(room);
  std::vector<double> weights;
  for (const double s : shares)
    if (s != 0) weights.push_back(s);
  std::pair<std::size_t, std::size_t> read{0, 0}, write{0, 0};
  for (std::size_t done = 0; done < total;) {
    const std::size_t count = (std::min)(room, total - done), part = (count + n - 1) / n;
    for_each_piece(own, read, count, [&](std::span<const T> x, std::size_t i) { std::copy(x.begin(), x.end(), mine.data() + i); });
    std::fill(mine.data() + count, mine.data() + n * part, T{});
    comm.all_to_all(std::as_bytes(std::span(mine).first(n * part)), std::as_writable_bytes(std::span(all).first(n * part)));
    std::vector<std::span<const T>> parts;
    for (std::size_t k = 0; k < n; ++k)
      if (shares[k] != 0) parts.push_back(std::span<const T>(all).subspan(k * part, part));
    weighted_sum(parts, weights, std::span(mine).first(part));
    comm.all_gather(std::as_bytes(std::span(mine).first(part)), std::as_writable_bytes(std::span(all).first(n * part)));
    for_each_piece(out, write, count, [&](std::span<T> x, std::size_t i) { std::copy_n(all.data() + i, x.size(), x.data()); });
    done += count;
  }
}

}  // namespace detail
/// @endcond

/// The soup of the ranks' models: on every rank @p parameters become sum_k w_k theta_k / sum_k w_k, with the parameters theta_k and the
/// @p weight w_k of rank k; the plain mean where all say 1. Weighted by the rows that each rank has trained on, it is a round of
/// federated averaging. A rank of weight 0 takes the soup and adds nothing, whatever it holds.
///
/// The sums are `weighted_sum`'s, in double and in the order of the ranks: the same bits on every rank, those of one machine that has
/// all models. Each rank sends 2 (size - 1)/size of its model's bytes, in its own element type (or 16 bits); memory beside the model:
/// 2^17 elements for each rank there is, at most. Batch-norm statistics are to be computed anew afterwards.
///
/// Wortsman et al., Model soups, 2022, arXiv:2203.05482; McMahan, Moore, Ramage, Hampson and Aguera y Arcas, Communication-Efficient
/// Learning of Deep Networks from Decentralized Data (FedAvg), 2017, arXiv:1602.05629, algorithm 1.
/// @throws (on all ranks) shape_error where one has other numbers or sizes of tensors than rank 0; value_error where a weight is
///         negative or not finite, or all are 0. Nothing has moved then.
template <communicator C, parameter_range Parameters>
void soup(const C& comm, Parameters&& parameters, double weight = 1) {
  using T = detail::parameter_t<Parameters>;
  static_assert(std::is_same_v<detail::parameter_memory_t<Parameters>, host_rows>, "limbeck: soups are made on the host");
  const auto to = agree(comm, [&] { return detail::views_of<T>(parameters, "parameter tensor"); });
  detail::require_same_tensors(comm, to);
  const std::vector<double> shares = detail::shares_of(comm, weight);
  detail::add_soup<C, T>(comm, {to.begin(), to.end()}, shares, to);
}

/// What greedy_soup() has chosen.
struct greedy_choice {
  std::vector<int> ranks;  ///< whose models are in it, as they were taken
  double score;            ///< the soup's
};
/// The greedy soup of the ranks' models: they come in the order of their scores (the largest first; of equal ones the lower rank), and
/// each stays in the mean if the mean's score is not lower with it. On every rank @p parameters become that mean.
///
/// @p own_score is this rank's score of its own model; `score()` is that of what @p parameters hold: it is called on all ranks at once,
/// size - 1 times, each time with the same candidate in them. Its ranks may share the work, by collectives of its own, inside of which
/// it throws on all or on none; where they say different numbers, rank 0's counts. A score that is NaN is lower than any. Each candidate costs a soup() of messages; memory: a copy
/// of this rank's model.
///
/// Wortsman et al., Model soups, 2022, arXiv:2203.05482, recipe 1.
/// @throws (on all ranks) as soup(), and what `score` does, after which parameters are this rank's own again.
template <communicator C, parameter_range Parameters, class Score>
greedy_choice greedy_soup(const C& comm, Parameters&& parameters, double own_score, Score score) {
  using T = detail::parameter_t<Parameters>;
  static_assert(std::is_same_v<detail::parameter_memory_t<Parameters>, host_rows>, "limbeck: soups are made on the host");
  constexpr bool scored = std::is_invocable_r_v<double, Score&>;
  static_assert(scored, "limbeck: the score of a greedy soup is called without arguments and returns a number");
  const auto to = agree(comm, [&] { return detail::views_of<T>(parameters, "parameter tensor"); });
  detail::require_same_tensors(comm, to);
  const auto own = snapshot(to);
  const std::vector<std::span<const T>> from(own.begin(), own.end());
  const std::vector<double> scores = all_gather(comm, own_score);
  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto of = [&](int k) { return scores[static_cast<std::size_t>(k)]; };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return of(a) > of(b) || (of(a) == of(a) && of(b) != of(b)); });
  const auto mean_of_ranks = [&](const std::vector<int>& who) {
    std::vector<double> shares(scores.size(), 0.0);
    for (const int k : who) shares[static_cast<std::size_t>(k)] = 1 / static_cast<double>(who.size());
    detail::add_soup<C, T>(comm, from, shares, to);
  };
  greedy_choice best{{order[0]}, of(order[0])};
  detail::or_undo(
      [&] {
        for (std::size_t i = 1; i < order.size(); ++i) {
          std::vector<int> with = best.ranks;
          with.push_back(order[i]);
          mean_of_ranks(with);
          double found = agree(comm, [&] {
            if constexpr (scored) return static_cast<double>(score());
            else return 0.0;
          });
          broadcast(comm, std::span<double>(&found, 1), 0);
          if (found >= best.score || (found == found && best.score != best.score)) best = {std::move(with), found};
        }
      },
      [&] {
        for (std::size_t t = 0; t < to.size(); ++t) std::copy(own[t].begin(), own[t].end(), to[t].begin());
      });
  mean_of_ranks(best.ranks);
  return best;
}

LIMBECK_END_NAMESPACE

#endif
