#ifndef LIMBECK_TRAINER_DRAWN_HPP
#define LIMBECK_TRAINER_DRAWN_HPP

/// @file
/// Data in another order than a permutation an epoch: `fit(drawn_by(sampler, data), ...)`, and samplers.

#include <limbeck/core/describe.hpp>
#include <limbeck/core/errors.hpp>
#include <limbeck/core/number.hpp>
#include <limbeck/core/progress.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/trainer/archive.hpp>
#include <limbeck/trainer/checkpoint_format.hpp>
#include <limbeck/trainer/data.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {
/// How many numbers there are, and a checksum of them: a run is resumed with the same.
template <class T>
std::string digest_of(const std::vector<T>& x) {
  return std::to_string(x.size()) + " (" +
         hexadecimal(fnv1a({reinterpret_cast<const char*>(x.data()), x.size() * sizeof(T)})) + ')';
}
}  // namespace detail

/// What a sampler is asked before a step.
struct draw_request {
  std::size_t rows = 0;         ///< of the data
  std::size_t batch = 0;        ///< rows wanted; a sampler may give others, at least one
  std::uint64_t step = 0;       ///< steps done
  progress now{};               ///< of the run
  random_stream random{0};      ///< of this step alone: a sampler that draws from it has no state to lose
  random_stream of_the_run{0};  ///< the same at every step, for what stays: `of_the_run.split(cycle)`
  std::size_t first = 0;        ///< in a `prepare` over ranks: the place of its first row among the rows of all
};

/// What chooses the rows of each step: `s(request)` gives their numbers, a `std::vector<std::size_t>`; one may come
/// twice. What it remembers is in its `serialize`, if any.
template <class S>
concept sampler = requires(std::remove_reference_t<S>& s, const draw_request& r) {
  { s(r) } -> std::convertible_to<std::vector<std::size_t>>;
};

/// What `drawn_by` returns: a data source whose rows a sampler chooses.
template <class Sampler, class Data>
class drawn {
 public:
  /// @cond
  drawn(Sampler&& s, Data&& data, std::size_t steps)
      : sampler_(std::forward<Sampler>(s)), data_(std::forward<Data>(data)), steps_(steps) {}
  std::size_t size() const { return static_cast<std::size_t>(data_.size()); }
  decltype(auto) batch(std::span<const std::size_t> rows) { return data_.batch(rows); }
  std::vector<std::size_t> source_rows(std::span<const std::size_t> rows) const {
    return detail::source_rows(data_, rows);
  }
  std::size_t steps_an_epoch(std::size_t batch) const { return steps_ > 0 ? steps_ : (size() - 1) / batch + 1; }
  bool owns(std::size_t row) const
    requires requires(const std::remove_reference_t<Data>& d) { d.owns(row); }
  {
    return data_.owns(row);
  }
  std::vector<std::size_t> draw(const draw_request& r) {
    std::vector<std::size_t> rows = sampler_(r);
    if (rows.empty()) raise<value_error>("limbeck: the sampler drew no row for step " + std::to_string(r.step));
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (rows[i] >= r.rows)
        raise<value_error>("limbeck: the sampler drew row " + std::to_string(rows[i]) + " at position " +
                           std::to_string(i) + ", the data has " + std::to_string(r.rows) + " rows");
    return rows;
  }
  void prepare(std::span<const std::size_t> rows, const draw_request& r)
    requires requires(std::remove_reference_t<Data>& d) { d.prepare(rows, r); }
  {
    data_.prepare(rows, r);
  }
  template <class Archive>
  void serialize(Archive& archive) {
    if constexpr (serializable<std::remove_reference_t<Sampler>>) archive("sampler", sampler_);
    if constexpr (serializable<std::remove_reference_t<Data>>) archive("data", data_);
  }
  std::string describe() const {
    return detail::described(sampler_) + (steps_ > 0 ? ", " + std::to_string(steps_) + " steps an epoch" : "") + ", of " +
           detail::described_or_type(data_);
  }
  /// @endcond

 private:
  Sampler sampler_;
  Data data_;
  std::size_t steps_;
};

/// @p data in the order of a sampler: a data source for `fit`, which asks @p s for the rows of each step in the place
/// of a permutation an epoch. What both remember is saved with the run. What is passed as an lvalue is referred to.
/// @param s a sampler
/// @param data a data source
/// @param steps_an_epoch after which `after_epoch` is called; 0: as many as a pass over the data would take with
///   `fit_settings::batch` rows a step, whatever the sampler gives
/// @throws (in `fit`) value_error where the sampler draws no row, or one that the data does not have.
template <class Sampler, class Data>
drawn<Sampler, Data> drawn_by(Sampler&& s, Data&& data, std::size_t steps_an_epoch = 0) {
  static_assert(
      sampler<Sampler>,
      "limbeck: this sampler has no call with a const draw_request& that returns a std::vector<std::size_t> of rows");
  static_assert(
      data_source<Data>,
      "limbeck: this data source lacks size(), or batch(rows) for a std::span<const std::size_t> whose result "
      "has a member inputs");
  return {std::forward<Sampler>(s), std::forward<Data>(data), steps_an_epoch};
}

/// Row i with probability w_i / sum w, again and again: importance sampling, domains by their weights. O(log n) a row;
/// after a change of the weights O(n) once.
class weighted_draw {
 public:
  /// One weight a row of the data. @throws value_error where one is negative or not finite, or all are 0.
  explicit weighted_draw(std::vector<double> weights) { set(std::move(weights)); }
  /// Other weights from the next step on: the data's size, once a run has begun.
  void set(std::vector<double> weights) {
    double total = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (!(weights[i] >= 0 && weights[i] < 1e300))
        raise<value_error>("limbeck: weighted_draw is given weight " + detail::show(weights[i]) + " at row " +
                           std::to_string(i) + ", expected a finite number that is not negative");
      weights[i] = total += weights[i];
    }
    if (!(total > 0)) raise<value_error>("limbeck: the weights of weighted_draw sum to 0");
    sums_ = std::move(weights);
  }
  /// @throws shape_error where the data has not as many rows as there are weights.
  std::vector<std::size_t> operator()(const draw_request& r) const {
    if (sums_.size() != r.rows) detail::throw_length("weighted_draw", sums_.size(), r.rows, "one weight a row");
    random_stream random = r.random;
    std::vector<std::size_t> rows(r.batch);
    for (std::size_t& row : rows)
      row = static_cast<std::size_t>(std::upper_bound(sums_.begin(), sums_.end() - 1, random.uniform() * sums_.back()) -
                                     sums_.begin());
    return rows;
  }
  /// Saves or restores the weights.
  template <class Archive>
  void serialize(Archive& archive) {
    archive("sums", sums_);
  }
  std::string describe() const { return "weighted_draw of " + detail::digest_of(sums_); }

 private:
  std::vector<double> sums_;
};

/// Batches of fixed shares: of each list of rows as many as it says, each list a permutation that begins anew when it
/// is through. Few labelled rows beside a large pool: `mixed_draw{{labelled, 64}, {pool, 128}}`. It has no state.
class mixed_draw {
 public:
  /// Rows of the data, and how many of them a step.
  struct share {
    std::vector<std::size_t> rows;  ///< at least one
    std::size_t count = 1;          ///< a step, at least 1
  };
  /// @throws value_error where a share has no rows or a count of 0.
  mixed_draw(std::initializer_list<share> shares) : mixed_draw(std::vector<share>(shares)) {}
  /// The same.
  explicit mixed_draw(std::vector<share> shares) : shares_(std::move(shares)) {
    for (std::size_t i = 0; i < shares_.size(); ++i)
      if (shares_[i].rows.empty() || shares_[i].count == 0)
        raise<value_error>("limbeck: share " + std::to_string(i) + " of mixed_draw has " +
                           std::to_string(shares_[i].rows.size()) + " rows and the count " +
                           std::to_string(shares_[i].count) + ", expected at least 1 of both");
  }
  /// In the order of the shares.
  std::vector<std::size_t> operator()(const draw_request& r) {
    orders_.resize(shares_.size());
    std::vector<std::size_t> rows;
    for (std::size_t s = 0; s < shares_.size(); ++s) {
      const std::size_t n = shares_[s].rows.size(), count = shares_[s].count;
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t at = r.step * count + i, cycle = at / n;
        order& o = orders_[s];
        const random_stream seed = r.of_the_run.split(s).split(cycle);
        if (o.rows.size() != n || o.seed != seed) {
          o = {seed, shares_[s].rows};
          random_stream(seed).shuffle(o.rows);
        }
        rows.push_back(o.rows[static_cast<std::size_t>(at % n)]);
      }
    }
    return rows;
  }
  std::string describe() const {
    std::string text = "mixed_draw";
    for (const share& s : shares_) text += ' ' + std::to_string(s.count) + " of " + detail::digest_of(s.rows);
    return text;
  }

 private:
  struct order {
    random_stream seed{0};
    std::vector<std::size_t> rows{};
  };
  std::vector<share> shares_;
  std::vector<order> orders_;  // what the last step used
};

/// A curriculum: uniformly among the easiest rows, whose share of the data is @p Share of the progress, in (0, 1].
///
/// Platanios et al., *Competence-based Curriculum Learning for Neural Machine Translation*, 2019, arXiv:1903.09848,
/// whose competence is `[](double t) { return std::min(1.0, std::sqrt(t * (1 - c0 * c0) + c0 * c0)); }` with c0 = 0.01.
template <class Share>
class easiest_first {
 public:
  /// @p difficulty: a number a row, the smaller the easier (ties: the lower row first); @p share: a schedule.
  /// @throws value_error where a difficulty is NaN.
  easiest_first(const std::vector<double>& difficulty, Share share)
      : share_(std::move(share)), order_(difficulty.size()) {
    for (std::size_t i = 0; i < difficulty.size(); ++i)
      if (difficulty[i] != difficulty[i])
        raise<value_error>("limbeck: the difficulty of row " + std::to_string(i) + " is nan");
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return difficulty[a] < difficulty[b]; });
  }
  /// @throws shape_error where the data has not as many rows as there are difficulties; value_error where the share is
  /// not in (0, 1].
  std::vector<std::size_t> operator()(const draw_request& r) const {
    if (order_.size() != r.rows) detail::throw_length("easiest_first", order_.size(), r.rows, "one difficulty a row");
    const double share = share_(r.now.fraction());
    if (!(share > 0 && share <= 1))
      raise<value_error>("limbeck: the share of easiest_first is " + detail::show(share) +
                         ", expected a number in (0, 1]");
    const std::size_t open =
        (std::max<std::size_t>)(1, static_cast<std::size_t>(std::ceil(share * static_cast<double>(r.rows))));
    random_stream random = r.random;
    std::vector<std::size_t> rows(r.batch);
    for (std::size_t& row : rows) row = order_[random.below((std::min)(open, r.rows))];
    return rows;
  }
  std::string describe() const { return "easiest_first " + detail::described(share_) + " of " + detail::digest_of(order_); }

 private:
  Share share_;
  std::vector<std::size_t> order_;
};

LIMBECK_END_NAMESPACE

#endif
