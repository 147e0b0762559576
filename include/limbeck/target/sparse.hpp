#ifndef LIMBECK_TARGET_SPARSE_HPP
#define LIMBECK_TARGET_SPARSE_HPP

/// @file
/// Teachers of which few classes a row are kept: the k best with the exact mass of the rest, or a sample.

#include <limbeck/core/random.hpp>
#include <limbeck/selection/top_k.hpp>
#include <limbeck/target/row_functions.hpp>

#include <algorithm>
#include <numeric>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// A view of sparse rows: those of row r stand at [offsets[r], offsets[r + 1]).
///
/// The weights of a row and its tail sum to 1, without a tail to 1 at most (a tenth is left to rounding: caches store a
/// byte a weight); those of draws only do so in expectation. @p Memory is whose memory it is.
template <class T, class Memory = host_rows>
struct sparse_rows {
  std::size_t classes = 0;                 ///< of the whole vocabulary
  std::span<const std::uint64_t> offsets;  ///< one more than rows, rising from 0
  std::span<const std::int32_t> ids;       ///< classes, rising within a row
  std::span<const T> log_weights;          ///< log of what the teacher gives to each of them
  std::span<const T> log_tails;  ///< log of what it gives to all others together, one a row (-inf: nothing); or empty
  double temperature = 1;        ///< of the softmax that they are taken from
  bool sampled = false;          ///< weights of draws, of which only the expectation is a probability
  /// How many rows there are.
  std::size_t samples() const { return offsets.empty() ? 0 : offsets.size() - 1; }
};

/// Sparse rows and their memory; saved and loaded as a whole. 8 bytes a kept class in float.
template <class T>
struct sparse_store {
  std::uint64_t classes = 0;           ///< of the whole vocabulary
  std::vector<std::uint64_t> offsets;  ///< see `sparse_rows`
  std::vector<std::int32_t> ids;       ///< see `sparse_rows`
  std::vector<T> log_weights;          ///< see `sparse_rows`
  std::vector<T> log_tails;            ///< see `sparse_rows`
  double temperature = 1;              ///< see `sparse_rows`
  bool sampled = false;                ///< see `sparse_rows`
  /// Valid while the store is and does not change.
  sparse_rows<T> view() const {
    return {static_cast<std::size_t>(classes), offsets, ids, log_weights, log_tails, temperature, sampled};
  }
  /// Saves or restores.
  template <class Archive>
  void serialize(Archive& archive) {
    archive("classes", classes);
    archive("offsets", offsets);
    archive("ids", ids);
    archive("log_weights", log_weights);
    archive("log_tails", log_tails);
    archive("temperature", temperature);
    archive("sampled", sampled);
  }
};

/// @cond
template <class X>
inline constexpr bool is_sparse_store = false;
template <class X>
  requires(!std::is_same_v<X, std::remove_cvref_t<X>>)
inline constexpr bool is_sparse_store<X> = is_sparse_store<std::remove_cvref_t<X>>;
template <class T>
inline constexpr bool is_sparse_store<sparse_store<T>> = true;
/// @endcond

namespace detail {

/// @throws value_error where the weights of row @p r are no probabilities: raw logits, say.
template <class T>
void check_mass(const sparse_rows<T>& s, std::size_t r) {
  const std::string of_row = " of sparse row " + std::to_string(r);
  double mass = 0;
  for (std::size_t i = s.offsets[r]; i < s.offsets[r + 1]; ++i) {
    const auto w = static_cast<double>(s.log_weights[i]);
    if (!(w < 700))
      raise<value_error>("limbeck: log_weights is " + show(w) + " at class " + std::to_string(s.ids[i]) + of_row +
                         ", expected the logarithm of a weight");
    mass += std::exp(w);
  }
  if (s.sampled) return;
  const bool tail = !s.log_tails.empty();
  if (tail) mass += std::exp(static_cast<double>(s.log_tails[r]));
  if (!(mass <= 1.1 && (!tail || mass >= 0.9)))
    raise<value_error>("limbeck: the weights" + of_row + (tail ? " and its tail sum to " : " sum to ") + show(mass) +
                       (tail ? ", expected 1" : ", expected 1 at most") + "; log_weights are log-probabilities");
}

/// @throws shape_error, value_error where the parts do not fit together or are no probabilities.
template <class T>
void check_sparse(const sparse_rows<T>& s) {
  if (s.offsets.empty() || s.offsets.front() != 0 || s.offsets.back() != s.ids.size())
    raise<shape_error>("limbeck: the offsets of the sparse rows do not run from 0 to the number of ids, " +
                       std::to_string(s.ids.size()));
  if (s.log_weights.size() != s.ids.size())
    throw_length("log_weights", s.log_weights.size(), s.ids.size(), "one an id");
  if (!s.log_tails.empty() && s.log_tails.size() != s.samples())
    throw_length("log_tails", s.log_tails.size(), s.samples());
  if (!(s.temperature > 0 && 1e300 > s.temperature))
    raise<value_error>("limbeck: the temperature of the sparse rows is " + show(s.temperature) +
                       ", expected a positive number");
  for (std::size_t r = 0; r < s.samples(); ++r) {
    if (s.offsets[r] > s.offsets[r + 1])
      raise<shape_error>("limbeck: the offsets of the sparse rows fall after row " + std::to_string(r));
    if (s.offsets[r + 1] > s.ids.size())
      raise<shape_error>("limbeck: the offset after sparse row " + std::to_string(r) + " is beyond the ids");
    std::int64_t last = -1;
    for (std::size_t i = s.offsets[r]; i < s.offsets[r + 1]; ++i) {
      if (s.ids[i] <= last || static_cast<std::size_t>(s.ids[i]) >= s.classes)
        raise<value_error>("limbeck: id " + std::to_string(s.ids[i]) + " at position " + std::to_string(i) +
                           " of sparse row " + std::to_string(r) + ", expected rising ids below " +
                           std::to_string(s.classes));
      last = s.ids[i];
    }
    check_mass(s, r);
  }
}

/// Row @p r of a tensor, contiguous and mutable.
template <class T>
void copy_row(const rows<const T>& x, std::size_t r, T* out) {
  for (std::size_t c = 0; c < x.classes; ++c) out[c] = x(r, c);
}

}  // namespace detail

/// The @p k most probable classes of each row, with log softmax(t/T), and the log of the mass of all others, summed as
/// such, not as 1 minus the rest. Masked classes are not kept. Ties: the lower class. Linear in the classes.
///
/// @param teacher tensor of logits, samples x classes
/// @param k how many, at least 1; where there are fewer classes, all
/// @param temperature T, positive: that of the terms which will read them
/// @throws value_error where k is 0, T is not positive or a row has no softmax.
template <tensor X>
auto keep_top(const X& teacher, std::size_t k, double temperature = 1) {
  detail::require_host<X>();
  using T = typename tensor_traits<X>::scalar;
  const rows<const T> x = tensor_traits<X>::view(teacher);
  if (k == 0) raise<value_error>("limbeck: k is 0, expected at least 1");
  detail::check_positive("temperature", constant(temperature));
  const T inverse_t = static_cast<T>(1 / temperature);
  sparse_store<T> out;
  out.classes = x.classes;
  out.temperature = temperature;
  out.offsets.push_back(0);
  std::vector<T> row(x.classes);
  k = (std::min)(k, x.classes);
  std::vector<T> values(k);
  std::vector<std::int32_t> order(k);
  workspace ws;
  scratch memory(ws);
  detail::dispatch([&]<class Isa>(Isa) {
    detail::row_top_k<T, Isa> top(x.classes, k, memory);
    for (std::size_t r = 0; r < x.samples; ++r) {
      detail::copy_row(x, r, row.data());
      const auto all = detail::exponentials_of<T>(row.data(), row.size(), inverse_t, nullptr);
      if (!all.proper()) detail::throw_no_softmax("teacher", r);
      top(x, r, values.data(), order.data());
      std::sort(order.begin(), order.end());
      const T log_z = std::log(all.sum);
      for (const std::int32_t id : order) {
        T& z = row[static_cast<std::size_t>(id)];
        if (z == -detail::infinite<T>) continue;
        out.ids.push_back(id);
        out.log_weights.push_back((z - all.maximum) * inverse_t - log_z);
        z = -detail::infinite<T>;
      }
      const auto rest = detail::exponentials_of<T>(row.data(), row.size(), inverse_t, nullptr);
      out.log_tails.push_back(rest.proper() ? (rest.maximum - all.maximum) * inverse_t + (std::log(rest.sum) - log_z)
                                            : -detail::infinite<T>);
      out.offsets.push_back(out.ids.size());
    }
  });
  return out;
}

/// Random sampling KD: @p draws classes a row, with replacement, from q proportional to p^@p power, p = softmax(t/T);
/// class i gets the weight (times drawn / draws) p_i/q_i, whose expectation is p_i. With power 1 the weights are counts
/// over draws and sum to 1.
///
/// There is no tail: what was not drawn has weight 0 in this sample. Give the result to `sparse_kl`; with another
/// power, a target would normalise the weights and so lose the expectation. Row r draws from `stream.split(r)`.
/// Anshumann et al., Sparse Logit Sampling, 2025, arXiv:2503.16870 (formula from public notes on the paper; the
/// estimator's expectation is tested).
/// @param teacher tensor of logits, samples x classes
/// @param draws how many a row, at least 1
/// @param stream of the random numbers
/// @param power of p, positive
/// @param temperature T, positive: that of the terms which will read them
/// @throws value_error where draws is 0, power or T is not positive or a row has no softmax.
template <tensor X>
auto draw_sparse(const X& teacher, std::size_t draws, const random_stream& stream, double power = 1,
                 double temperature = 1) {
  detail::require_host<X>();
  using T = typename tensor_traits<X>::scalar;
  const rows<const T> x = tensor_traits<X>::view(teacher);
  if (draws == 0) raise<value_error>("limbeck: draws is 0, expected at least 1");
  detail::check_positive("power", constant(power));
  detail::check_positive("temperature", constant(temperature));
  sparse_store<T> out;
  out.classes = x.classes;
  out.temperature = temperature;
  out.sampled = true;
  out.offsets.push_back(0);
  std::vector<double> row(x.classes), cumulative(x.classes);
  std::vector<std::int32_t> drawn(draws);
  for (std::size_t r = 0; r < x.samples; ++r) {
    for (std::size_t c = 0; c < x.classes; ++c) row[c] = static_cast<double>(x(r, c)) / temperature;
    const auto p = detail::exponentials_of<double>(row.data(), row.size(), 1, nullptr);
    if (!p.proper()) detail::throw_no_softmax("teacher", r);
    const auto q = detail::exponentials_of<double>(row.data(), row.size(), power, cumulative.data());
    std::partial_sum(cumulative.begin(), cumulative.end(), cumulative.begin());
    random_stream random = stream.split(r);
    const double total = cumulative.back(), below = std::nextafter(total, 0.0);
    for (std::int32_t& id : drawn) {  // the first class whose sum exceeds the draw has a probability that is not 0
      const auto found =
          std::upper_bound(cumulative.begin(), cumulative.end(), (std::min)(random.uniform() * total, below));
      id = static_cast<std::int32_t>(found - cumulative.begin());
    }
    std::sort(drawn.begin(), drawn.end());
    for (std::size_t i = 0; i < draws;) {
      std::size_t j = i;
      while (j < draws && drawn[j] == drawn[i]) ++j;
      const double z = row[static_cast<std::size_t>(drawn[i])] - p.maximum;
      const double ratio = power == 1 ? 0 : (z - std::log(p.sum)) - (power * z - std::log(q.sum));
      out.ids.push_back(drawn[i]);
      out.log_weights.push_back(
          static_cast<T>(std::log(static_cast<double>(j - i) / static_cast<double>(draws)) + ratio));
      i = j;
    }
    out.offsets.push_back(out.ids.size());
  }
  return out;
}

/// What a sparse target says of classes that were not kept.
enum class tail {
  spread,  ///< the mass of the rest in equal shares; nothing where no tail is stored
  drop     ///< masked: the kept classes are normalised among themselves
};

/// Sparse rows as a target; made by `sparse_target`.
template <class T, class Memory = host_rows>
struct sparse_teacher {
  using limbeck_target = void;
  using scalar = T;
  using memory = Memory;
  static constexpr std::size_t scratch_rows = 0;
  sparse_rows<T, Memory> view;  ///< of the rows
  tail rest;            ///< what the others get
  std::size_t samples() const { return view.samples(); }
  std::size_t classes() const { return view.classes; }
  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    const auto first = static_cast<std::size_t>(view.offsets[r.index]),
               last = static_cast<std::size_t>(view.offsets[r.index + 1]);
    const std::size_t others = view.classes - (last - first);
    T log_share = -detail::infinite<T>;
    if (rest == tail::spread && !view.log_tails.empty() && others > 0)
      log_share = view.log_tails[r.index] - static_cast<T>(std::log(static_cast<double>(others)));
    const T t = static_cast<T>(view.temperature);  // so that a term at T sees the weights
    const std::size_t n = r.out.size();
    detail::for_own<T>(r.team, n, [out = r.out.data(), share = t * log_share](std::size_t c) { out[c] = share; });
    for (std::size_t i = first; i < last; ++i) {
      const auto c = static_cast<std::size_t>(view.ids[i]);
      if (detail::owns<T>(r.team, n, c)) r.out[c] = t * view.log_weights[i];
    }
  }
};

/// Sparse rows as dense logits T_c log w, T_c the temperature with which they were made, for any loss. Neither choice of @p rest is the teacher:
/// `spread` invents the tail's shape, `drop` is biased (the student's optimum is p_i over the kept mass). `sparse_kl`
/// needs neither.
/// @throws shape_error, value_error where the rows are inconsistent: ids that do not rise, offsets that fall. Rows in device
///   memory are taken as they are; those of `device_sparse_rows` have been checked.
template <class T, class Memory>
sparse_teacher<T, Memory> sparse_target(const sparse_rows<T, Memory>& view, tail rest = tail::spread) {
  if constexpr (std::is_same_v<Memory, host_rows>) detail::check_sparse(view);
  return {view, rest};
}
/// @cond
template <class Store>
  requires is_sparse_store<Store>
auto sparse_target(Store&& store, tail rest = tail::spread) {
  detail::require_kept<Store>();
  return sparse_target(store.view(), rest);
}
/// @endcond

LIMBECK_END_NAMESPACE

#endif
