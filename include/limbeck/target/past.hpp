#ifndef LIMBECK_TARGET_PAST_HPP
#define LIMBECK_TARGET_PAST_HPP

/// @file
/// The student's own past as a teacher: predictions averaged over epochs, and snapshots.

#include <limbeck/core/size.hpp>
#include <limbeck/target/row_functions.hpp>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// How many numbers a state of these @p sizes has. @throws value_error where the product overflows.
inline std::size_t numbers_of(const char* what, std::initializer_list<std::uint64_t> sizes) {
  const auto product = product_of(sizes);
  if (product) return static_cast<std::size_t>(*product);
  raise<value_error>(std::string("limbeck: ") + what + " of shape " + show_shape({sizes.begin(), sizes.size()}) +
                     ", which no memory can hold");
}

}  // namespace detail

/// Averages of the probabilities of some samples, as a target; made by `temporal_ensemble::target`.
template <class T, schedule S, class Memory = host_rows>
struct temporal_target {
  using limbeck_target = void;
  using scalar = T;
  using memory = Memory;  ///< of sums and ids
  static constexpr std::size_t scratch_rows = 0;
  rows<const T> sums;                ///< all samples x classes
  std::span<const std::size_t> ids;  ///< of the rows
  S temperature;                     ///< of the term
  std::size_t samples() const { return ids.size(); }
  std::size_t classes() const { return sums.classes; }
  /// @cond
  auto settled(double at) const {
    return temporal_target<T, constant, Memory>{sums, ids, constant(temperature(at))};
  }
  /// @endcond

  template <class Row>
  LIMBECK_HOST_DEVICE void fill(const Row& r) const {
    if (ids[r.index] >= sums.samples) return detail::spoil(r);  // on the host there is none
    const T* const z = sums.row(ids[r.index]);
    const T t = detail::target_temperature(temperature, r);
    const std::size_t n = r.out.size();
    if (detail::row_maximum(r.team, z, n) <= 0)
      return detail::for_own<T>(r.team, n, [&](std::size_t c) { r.out[c] = T(0); });
    detail::scaled_logarithm(r.team, z, n, t, r.out.data());
  }
};

/// Temporal ensembling: of each sample a moving average of the probabilities that the student has given it,
/// Z <- decay Z + (1 - decay) softmax(s), with Z/(1 - decay^n) after n updates as the target.
///
/// Updates are counted sample by sample, so that a sample may be left out of an epoch. Holds samples x classes numbers.
/// Laine and Aila, Temporal Ensembling for Semi-Supervised Learning, 2017, arXiv:1610.02242 (checked against the
/// authors' code), who compare probabilities by their squared difference; a target serves any loss.
template <class T>
class temporal_ensemble {
 public:
  /// @param samples of the training set
  /// @param classes of the logits
  /// @param decay in [0, 1); 0.6 as published
  /// @throws value_error where it is not, and where samples x classes is beyond any memory.
  temporal_ensemble(std::size_t samples, std::size_t classes, double decay = 0.6)
      : classes_(classes),
        decay_(decay),
        sums_(detail::numbers_of("a temporal ensemble", {samples, classes}), T(0)),
        updates_(samples, 0) {
    if (!(decay >= 0 && decay < 1))
      raise<value_error>("limbeck: decay is " + detail::show(decay) + ", expected a number in [0, 1)");
  }
  std::size_t samples() const { return updates_.size(); }
  std::size_t classes() const { return classes_; }
  /// How often sample @p id was updated.
  std::size_t updates(std::size_t id) const { return updates_.at(id); }
  /// The average of sample @p id at class @p c, corrected for its start at 0; 0 where it has none yet.
  double probability(std::size_t id, std::size_t c) const {
    const auto n = static_cast<double>(updates_.at(id));
    return n > 0 ? static_cast<double>(sums_.at(id * classes_ + c)) / (1 - std::pow(decay_, n)) : 0;
  }
  /// Adds the student's @p logits of the samples @p ids, one a row. An id may stand there once a call.
  /// @throws shape_error, value_error where an id is no sample or a row has no softmax; the state stays as it was.
  template <tensor X>
  void update(std::span<const std::size_t> ids, const X& logits) {
    static_assert(
        std::is_same_v<typename tensor_traits<X>::scalar, T>,
        "limbeck: the ensemble and the logits hold different scalar types; float goes with float, double with double");
    detail::require_host<X>();
    const rows<const T> x = tensor_traits<X>::view(logits);
    check_ids(ids);
    if (x.samples != ids.size() || x.classes != classes_)
      detail::throw_shape("logits", x.samples, x.classes, ids.size(), classes_);
    row_.resize(classes_);
    const auto exponentials = [&](std::size_t r) {
      for (std::size_t c = 0; c < classes_; ++c) row_[c] = x(r, c);
      return detail::exponentials_of(row_.data(), classes_, T(1), row_.data());
    };
    for (std::size_t r = 0; r < x.samples; ++r)
      if (!exponentials(r).proper())
        raise<value_error>("limbeck: logits row " + std::to_string(r) +
                           " has no softmax: it holds a NaN or +inf, or is all -inf");
    for (std::size_t r = 0; r < x.samples; ++r) {
      const T scale = static_cast<T>(1 - decay_) / exponentials(r).sum, keep = static_cast<T>(decay_);
      T* const sums = sums_.data() + ids[r] * classes_;
      for (std::size_t c = 0; c < classes_; ++c) sums[c] = keep * sums[c] + scale * row_[c];
      ++updates_[ids[r]];
    }
  }
  /// The averages of the samples @p ids as a target, for a term at @p temperature: softmax(z/T) is the average.
  ///
  /// A sample that has no update yet has the uniform row; `row_weights` leaves it out. Probabilities below 1e-30
  /// (1e-280 in double) count as that. Ids and ensemble outlive the target. @throws value_error where an id is no
  /// sample.
  template <number N = double>
  auto target(std::span<const std::size_t> ids, const N& temperature = 1) const {
    check_ids(ids);
    auto t = as_schedule(temperature);
    detail::check_positive("the temperature of the temporal ensemble", t);
    return temporal_target<T, decltype(t)>{rows<const T>(sums_.data(), samples(), classes_), ids, std::move(t)};
  }
  /// 1 for each of the samples @p ids that has an average, 0 for the others, to be given to the call as `row_weights`.
  template <class Out>
  void row_weights(std::span<const std::size_t> ids, Out& out) const {
    check_ids(ids);
    if (out.size() != ids.size()) detail::throw_length("out", out.size(), ids.size());
    for (std::size_t r = 0; r < ids.size(); ++r) out[r] = updates_[ids[r]] > 0 ? 1 : 0;
  }
  /// Saves or restores the state, whose size is fixed.
  template <class Archive>
  void serialize(Archive& archive) {
    std::span<T> sums(sums_);
    std::span<std::uint64_t> updates(updates_);
    archive("sums", sums);
    archive("updates", updates);
  }

 private:
  void check_ids(std::span<const std::size_t> ids) const {
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (ids[i] >= samples())
        raise<value_error>("limbeck: sample id " + std::to_string(ids[i]) + " at position " + std::to_string(i) +
                           ", expected 0 to " + std::to_string(samples() - 1));
  }
  std::size_t classes_;
  double decay_;
  std::vector<T> sums_, row_;
  std::vector<std::uint64_t> updates_;
};

/// The last few states of a student, oldest out first: logits of a fixed set of samples, or parameters as one row.
///
/// `mean_of_probabilities(ring.all())` is the ensemble of snapshots (Huang et al., Snapshot Ensembles, 2017,
/// arXiv:1704.00109); `ring[0]` alone, the student of last time (self-distillation).
template <class T>
class snapshots {
 public:
  /// Keeps the last @p capacity, at least 1.  @throws value_error where it is 0.
  explicit snapshots(std::size_t capacity) : capacity_(capacity) {
    if (capacity == 0) raise<value_error>("limbeck: the capacity of snapshots is 0, expected at least 1");
  }
  /// How many are kept now.
  std::size_t size() const {
    return static_cast<std::size_t>((std::min)(pushed_, static_cast<std::uint64_t>(capacity_)));
  }
  /// How many were taken in all.
  std::size_t taken() const { return static_cast<std::size_t>(pushed_); }
  /// Copies @p state. @throws shape_error where its shape is not that of those before. @throws value_error where
  /// capacity x samples x classes is beyond any memory.
  template <tensor X>
  void take(const X& state) {
    static_assert(std::is_same_v<typename tensor_traits<X>::scalar, T>,
                  "limbeck: the snapshots and this tensor hold different scalar types; float goes with float, double "
                  "with double");
    detail::require_host<X>();
    const rows<const T> x = tensor_traits<X>::view(state);
    if (pushed_ > 0 && (x.samples != samples_ || x.classes != classes_))
      detail::throw_shape("the state", x.samples, x.classes, static_cast<std::size_t>(samples_),
                          static_cast<std::size_t>(classes_));
    const std::size_t one = x.samples * x.classes;
    if (pushed_ == 0) {
      const std::initializer_list<std::uint64_t> shape{capacity_, x.samples, x.classes};  // nvcc takes no list in the call
      memory_.resize(detail::numbers_of("snapshots", shape));
      samples_ = x.samples, classes_ = x.classes;
    }
    T* out = memory_.data() + static_cast<std::size_t>(pushed_ % capacity_) * one;
    for (std::size_t r = 0; r < x.samples; ++r)
      for (std::size_t c = 0; c < x.classes; ++c) *out++ = x(r, c);
    ++pushed_;
  }
  /// The snapshot taken @p age takes before the last, 0 being the last. Valid until the ring comes round to it.
  /// @throws value_error where there is none so old.
  rows<const T> operator[](std::size_t age) const {
    if (age >= size())
      raise<value_error>("limbeck: snapshot " + std::to_string(age) + " is asked for, " + std::to_string(size()) +
                         " are kept");
    const auto at = static_cast<std::size_t>((pushed_ - 1 - age) % capacity_);
    return {memory_.data() + at * static_cast<std::size_t>(samples_ * classes_), static_cast<std::size_t>(samples_),
            static_cast<std::size_t>(classes_)};
  }
  /// All of them, the last first: teachers for an ensemble.
  std::vector<rows<const T>> all() const {
    std::vector<rows<const T>> result;
    for (std::size_t age = 0; age < size(); ++age) result.push_back((*this)[age]);
    return result;
  }
  /// Saves or restores the state. @throws value_error where what is restored does not fit the capacity; the
  /// state stays as it was.
  template <class Archive>
  void serialize(Archive& archive) {
    std::uint64_t pushed = pushed_, samples = samples_, classes = classes_;
    std::vector<T> memory = memory_;
    archive("taken", pushed);
    archive("samples", samples);
    archive("classes", classes);
    archive("memory", memory);
    const auto expected = detail::product_of({pushed == 0 ? 0 : capacity_, samples, classes});
    if (expected != memory.size())
      raise<value_error>("limbeck: the restored snapshots hold " + std::to_string(memory.size()) +
                         " numbers, expected " + std::to_string(capacity_) + " x " + std::to_string(samples) + " x " +
                         std::to_string(classes));
    pushed_ = pushed, samples_ = samples, classes_ = classes;
    memory_ = std::move(memory);
  }

 private:
  std::size_t capacity_;
  std::uint64_t pushed_ = 0, samples_ = 0, classes_ = 0;
  std::vector<T> memory_;
};

LIMBECK_END_NAMESPACE

#endif
