#ifndef LIMBECK_DIFFUSION_RATIO_BINS_HPP
#define LIMBECK_DIFFUSION_RATIO_BINS_HPP

/// @file
/// How large ratios of densities are at each level of noise.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/rows.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// What `ratio_bins` takes beside its times.
struct ratio_bins_options {
  std::size_t bins = 10;  ///< how many, at least 1
  double decay = 0;       ///< what is kept of an average in an update, in [0, 1); the authors take 0, and 0.5 on ImageNet
};

/// The average ratio in bins of time, of equal width: m_b <- decay m_b + (1 - decay) (mean ratio of a batch in bin b), where the
/// batch has a row there; 1 at first. A critic's ratios are far from 1 at little noise and near it at much; divided by m they can
/// be compared. Host only.
///
/// Xu, Nie and Vahdat, One-step Diffusion Models with f-Divergence Distribution Matching, 2025, arXiv:2502.15681, after the
/// authors' code.
class ratio_bins {
 public:
  /// @param options as above
  /// @param first,last the times between which the bins are; times beyond count to the bins at the ends
  /// @throws value_error where first is not below last, there is no bin, or the decay is not in [0, 1)
  ratio_bins(double first, double last, const ratio_bins_options& options = {})
      : first_(first), last_(last), decay_(options.decay) {
    if (!(first < last && last - first < 1e300))
      raise<value_error>("limbeck: ratio_bins goes from " + detail::show(first) + " to " + detail::show(last) +
                         ", expected two finite numbers, the first below the last");
    if (options.bins == 0) raise<value_error>("limbeck: ratio_bins has 0 bins, expected at least 1");
    if (!(decay_ >= 0 && decay_ < 1))
      raise<value_error>("limbeck: decay of ratio_bins is " + detail::show(decay_) + ", expected a number in [0, 1)");
    means_.assign(options.bins, 1), sums_.resize(options.bins), counts_.resize(options.bins);
  }

  /// The averages.
  const std::vector<double>& means() const { return means_; }
  /// The average of the bin that a time is in.
  double mean_at(double time) const { return means_[bin_of(time)]; }

  /// Moves the averages by a batch, O(rows + bins), without allocation.
  /// @param times,ratios vectors of numbers, one a row
  /// @throws shape_error where there are not as many of both, value_error naming the row where a time is NaN, or a ratio negative or
  ///   not finite; the averages stay.
  template <class Times, class Ratios>
  void update(const Times& times, const Ratios& ratios) {
    const any_vector t = detail::view_vector(times), r = detail::view_vector(ratios);
    check(t, r.size());
    for (std::size_t i = 0; i < r.size(); ++i)
      if (const double x = r.number(i); !(x >= 0 && x < 1e300))
        raise<value_error>("limbeck: ratio " + std::to_string(i) + " is " + detail::show(x) + ", expected a finite number of at least 0");
    move(t, [&](std::size_t i) { return r.number(i); });
  }

  /// @cond
  void check(const any_vector& times, std::size_t rows) const {
    if (times.size() != rows) detail::throw_length("times", times.size(), rows);
    for (std::size_t i = 0; i < rows; ++i)
      if (const double t = times.number(i); t != t)
        raise<value_error>("limbeck: time " + std::to_string(i) + " is nan, expected a number");
  }
  template <class F>
  void move(const any_vector& times, const F& ratio) {
    for (std::size_t b = 0; b < means_.size(); ++b) sums_[b] = 0, counts_[b] = 0;
    for (std::size_t i = 0; i < times.size(); ++i) {
      const std::size_t b = bin_of(times.number(i));
      sums_[b] += ratio(i), counts_[b] += 1;
    }
    for (std::size_t b = 0; b < means_.size(); ++b)
      if (counts_[b] > 0) means_[b] = decay_ * means_[b] + (1 - decay_) * sums_[b] / counts_[b];
  }
  /// @endcond

  /// Saves or restores the averages. @throws value_error where they are of another number of bins, or one is negative or not
  /// finite; the averages stay.
  template <class Archive>
  void serialize(Archive& archive) {
    std::vector<double> means = means_;
    archive("means", means);
    if (means.size() != means_.size())
      raise<value_error>("limbeck: the restored ratio_bins has " + std::to_string(means.size()) + " bins, expected " +
                         std::to_string(means_.size()));
    for (std::size_t b = 0; b < means.size(); ++b)
      if (!(means[b] >= 0 && means[b] < 1e300))
        raise<value_error>("limbeck: the restored average of bin " + std::to_string(b) + " is " + detail::show(means[b]) +
                           ", expected a finite number of at least 0");
    means_ = std::move(means);
  }

 private:
  std::size_t bin_of(double t) const {
    const double bins = static_cast<double>(means_.size()), at = std::floor((t - first_) / (last_ - first_) * bins);
    return at >= bins ? means_.size() - 1 : at > 0 ? static_cast<std::size_t>(at) : 0;
  }
  double first_, last_, decay_;
  std::vector<double> means_, sums_, counts_;
};

LIMBECK_END_NAMESPACE

#endif
