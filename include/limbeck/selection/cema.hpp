#ifndef LIMBECK_SELECTION_CEMA_HPP
#define LIMBECK_SELECTION_CEMA_HPP

/// @file
/// What an edge device need not send to the cloud: rows that it is too unsure of, or has sent the like of.

#include <limbeck/selection/pool_rows.hpp>
#include <limbeck/selection/quantile.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Settings of cema_filter; entropies are fractions of log C.
struct cema {
  double highest_entropy = 0.4;  ///< E_max: rows at or above are dropped; over 1 drops none
  double lowest_entropy = -1;    ///< E_min: rows at or below are dropped; negative drops none
  std::uint64_t warm_up = 0;     ///< rows after which E_max follows the mean entropy; 0: never, as shipped
  double shrink = 0.6;           ///< factor of E_max once it follows
  double similarity = 0.05;      ///< rows are kept where |cos| with the running mean is less; over 1 drops none
  double momentum = 0.9;         ///< of the running mean of probabilities, in [0, 1]
};

/// CEMA's two exclusions, batch by batch. First by entropy H: a row is kept where E_min < H < E_max(t), with E_max(t) =
/// E_max, and after warm_up rows E_max * (mean H so far / mean H at the end of the warm-up) * shrink, the batch itself
/// included. Then by redundancy: a row is kept where |cos(m, p)| < similarity, and m becomes momentum m + (1 -
/// momentum) mean p of the kept rows; the first rows that come so far are all kept, and start m.
///
/// Chen, Niu, Wang, Xu, Song and Tan, Towards Robust and Efficient Cloud-Edge Elastic Model Adaptation via Selective Entropy
/// Distillation, 2024, arXiv:2402.17316, after its authors' code.
class cema_filter {
 public:
  /// For @p classes classes. @throws shape_error where there are none, value_error where a setting is NaN or the
  /// momentum no fraction.
  explicit cema_filter(std::size_t classes, cema settings = {}) : settings_(settings), classes_(classes) {
    if (classes == 0) raise<shape_error>("limbeck: no classes");
    detail::check_fraction("momentum", settings.momentum);
    for (const double x : {settings.highest_entropy, settings.lowest_entropy, settings.shrink, settings.similarity})
      if (x != x) raise<value_error>("limbeck: a setting of cema is nan");
  }
  /// E_max(t), in nats.
  double highest_entropy() const {
    const double bound = settings_.highest_entropy * std::log(static_cast<double>(classes_));
    if (!warm_) return bound;
    return bound * (sum_ / static_cast<double>(seen_) / warm_mean_) * settings_.shrink;
  }
  /// The rows of a batch of logits that are kept, ascending. O(batch).
  /// @throws value_error where a logit is NaN, shape_error where the number of classes differs; then nothing has
  /// changed.
  template <class Tensor>
  std::vector<std::size_t> operator()(const Tensor& logits) {
    const auto& reader = as_reader(logits);
    const auto size = static_cast<std::size_t>(reader.size()), columns = static_cast<std::size_t>(reader.columns());
    if (columns != classes_) detail::throw_shape("logits", size, columns, size, classes_);
    std::vector<std::size_t> kept;
    if (size == 0) return kept;
    std::vector<double> p(size * columns), entropies(size);
    for_each_row(reader, [&](std::size_t r, auto x) {
      const std::span<double> row(p.data() + r * columns, columns);
      detail::softmax_into(x, row, r);
      entropies[r] = detail::entropy_of(row);
    });
    for (const double h : entropies) sum_ += h;
    seen_ += size;
    if (!warm_ && settings_.warm_up > 0 && seen_ >= settings_.warm_up) {
      warm_ = true;
      warm_mean_ = sum_ / static_cast<double>(seen_);
    }
    const double high = highest_entropy(), low = settings_.lowest_entropy * std::log(static_cast<double>(classes_));
    for (std::size_t r = 0; r < size; ++r)
      if (entropies[r] < high && entropies[r] > low &&
          (mean_.empty() || similar(p.data() + r * columns) < settings_.similarity))
        kept.push_back(r);
    if (kept.empty()) return kept;
    const double fresh = mean_.empty() ? 1 : 1 - settings_.momentum;
    mean_.resize(classes_, 0);
    for (std::size_t c = 0; c < classes_; ++c) {
      double total = 0;
      for (const std::size_t r : kept) total += p[r * columns + c];
      mean_[c] = (1 - fresh) * mean_[c] + fresh * total / static_cast<double>(kept.size());
    }
    return kept;
  }
  /// Saves or restores the running means. @throws value_error where they are of another number of classes.
  template <class Archive>
  void serialize(Archive& archive) {
    bool warm = warm_;
    std::uint64_t seen = seen_;
    double total = sum_, warm_mean = warm_mean_;
    std::vector<double> averages = mean_;
    archive("warm", warm);
    archive("seen", seen);
    archive("sum", total);
    archive("warm_mean", warm_mean);
    archive("mean", averages);
    if (!averages.empty() && averages.size() != classes_)
      raise<value_error>("limbeck: the restored mean has " + std::to_string(averages.size()) + " elements, expected " +
                         std::to_string(classes_));
    warm_ = warm;
    seen_ = seen;
    sum_ = total;
    warm_mean_ = warm_mean;
    mean_ = std::move(averages);
  }

 private:
  double similar(const double* p) const {
    double dot = 0, pp = 0, mm = 0;
    for (std::size_t c = 0; c < classes_; ++c) {
      dot += p[c] * mean_[c];
      pp += p[c] * p[c];
      mm += mean_[c] * mean_[c];
    }
    return std::abs(dot) / std::sqrt(pp * mm);
  }
  cema settings_;
  std::size_t classes_;
  bool warm_ = false;
  std::uint64_t seen_ = 0;
  double sum_ = 0, warm_mean_ = 0;
  std::vector<double> mean_;
};

LIMBECK_END_NAMESPACE

#endif
