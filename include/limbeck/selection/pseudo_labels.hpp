#ifndef LIMBECK_SELECTION_PSEUDO_LABELS_HPP
#define LIMBECK_SELECTION_PSEUDO_LABELS_HPP

/// @file
/// Pseudo-labels of a batch of logits: the predicted class where it is trusted, else -100, which `cross_entropy`
/// ignores.

#include <limbeck/selection/pool_rows.hpp>
#include <limbeck/selection/quantile.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// `trust(row, p, predicted)` says whether the prediction of a row counts; writes the labels, returns how many do.
template <class Tensor, class Labels, class Trust>
std::size_t label_rows(const Tensor& logits, Labels& labels, std::size_t classes, Trust&& trust) {
  const auto& reader = as_reader(logits);
  const auto columns = static_cast<std::size_t>(reader.columns()), size = static_cast<std::size_t>(reader.size());
  if (classes != 0 && columns != classes) throw_shape("logits", size, columns, size, classes);
  const auto out = vector_memory(labels);
  if (out.size != size) throw_length("labels", out.size, size);
  using Label = std::remove_cvref_t<decltype(*out.data)>;
  static_assert(std::is_integral_v<Label> && std::is_signed_v<Label>,
                "limbeck: pseudo-labels are signed integers, -100 where there is none");
  std::vector<double> p(columns);
  std::size_t kept = 0;
  if (size == 0) return 0;
  for_each_row(reader, [&](std::size_t r, auto x) {
    const std::size_t predicted = softmax_into(x, p, r);
    const bool trusted = trust(r, std::span<const double>(p), predicted);
    put(out, r, trusted ? static_cast<Label>(predicted) : Label(-100));
    kept += trusted;
  });
  return kept;
}

/// An exponential moving average.
inline void move_average(double& average, double value, double momentum) {
  average = momentum * average + (1 - momentum) * value;
}

/// @throws value_error where a restored vector has another length.
template <class V>
void check_restored(const char* name, const V& restored, const V& current) {
  if (restored.size() != current.size())
    raise<value_error>(std::string("limbeck: the restored ") + name + " has " + std::to_string(restored.size()) +
                       " elements, expected " + std::to_string(current.size()));
}

}  // namespace detail

/// One threshold for all: keeps a prediction whose probability is at least @p threshold. Lee, Pseudo-Label, 2013; with
/// 0.95 as in Sohn et al., FixMatch, 2020, arXiv:2001.07685.
struct fixmatch_labels {
  double threshold = 0.95;  ///< in [0, 1]

  /// Writes the labels, any vector of signed integers, one a row; returns how many are kept.
  /// @throws value_error where the threshold is no fraction or a logit is NaN, shape_error where lengths differ.
  template <class Tensor, class Labels>
  std::size_t operator()(const Tensor& logits, Labels&& labels) const {
    detail::check_fraction("threshold", threshold);
    return detail::label_rows(logits, labels, 0,
                              [&](std::size_t, const auto& p, std::size_t best) { return p[best] >= threshold; });
  }
};

/// Curriculum thresholds: a class that the model is seldom sure of has a lower one. With sigma(c) the rows of the pool
/// whose latest sure prediction (probability >= threshold) was c, and u those that have had none, beta(c) =
/// sigma(c)/max(max sigma, u), and a prediction c is kept where its probability is at least threshold * beta/(2 -
/// beta).
///
/// Zhang et al., FlexMatch, 2021, arXiv:2110.08263, with its warm-up and convex mapping, as in its authors' library
/// (USB), whose order it follows: a batch is judged by the counts before it. (There, nothing moves while one class
/// holds all the rows.)
class flexmatch_labels {
 public:
  /// For a pool of @p rows rows and @p classes classes. @throws value_error where the threshold is no fraction.
  flexmatch_labels(std::size_t rows, std::size_t classes, double threshold = 0.95)
      : threshold_(threshold), latest_(rows, -1), counts_(classes, 0), unused_(rows) {
    detail::check_fraction("threshold", threshold);
  }
  /// Labels a batch: @p batch_rows names the row of the pool that each row of @p logits is. Returns how many are kept.
  /// @throws value_error where a row is not in the pool or a logit is NaN, shape_error where lengths differ.
  template <class Tensor, class Rows, class Labels>
  std::size_t operator()(const Tensor& logits, const Rows& batch_rows, Labels&& labels) {
    const any_vector ids = detail::view_vector(batch_rows);
    const auto size = static_cast<std::size_t>(labels.size());
    if (ids.size() != size) detail::throw_length("rows", ids.size(), size);
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (ids.integer(i) < 0 || static_cast<std::size_t>(ids.integer(i)) >= latest_.size())
        raise<value_error>("limbeck: rows is " + std::to_string(ids.integer(i)) + " at position " + std::to_string(i) +
                           ", expected a row of the pool, 0 to " + std::to_string(latest_.size() - 1));
    std::vector<std::int64_t> sure(ids.size(), -1);
    const std::size_t kept =
        detail::label_rows(logits, labels, counts_.size(), [&](std::size_t r, const auto& p, std::size_t best) {
          if (p[best] >= threshold_) sure[r] = static_cast<std::int64_t>(best);
          return p[best] >= threshold(best);
        });
    for (std::size_t i = 0; i < sure.size(); ++i) {
      if (sure[i] < 0) continue;
      std::int64_t& latest = latest_[static_cast<std::size_t>(ids.integer(i))];
      --(latest < 0 ? unused_ : counts_[static_cast<std::size_t>(latest)]);
      ++counts_[static_cast<std::size_t>(sure[i])];
      latest = sure[i];
    }
    return kept;
  }
  /// The threshold of class @p c now.
  double threshold(std::size_t c) const {
    const std::size_t most = (std::max)(*std::max_element(counts_.begin(), counts_.end()), unused_);
    const double beta = most == 0 ? 0 : static_cast<double>(counts_[c]) / static_cast<double>(most);
    return threshold_ * (beta / (2 - beta));
  }
  /// Saves or restores the latest sure prediction of every row. @throws value_error where it is of another pool.
  template <class Archive>
  void serialize(Archive& archive) {
    std::vector<std::int64_t> latest = latest_;
    archive("latest", latest);
    detail::check_restored("latest", latest, latest_);
    std::vector<std::size_t> counts(counts_.size(), 0);
    std::size_t unused = 0;
    for (const std::int64_t c : latest) {
      if (c >= static_cast<std::int64_t>(counts.size()) || c < -1)
        raise<value_error>("limbeck: the restored latest names class " + std::to_string(c) + ", expected at most " +
                           std::to_string(counts.size() - 1));
      ++(c < 0 ? unused : counts[static_cast<std::size_t>(c)]);
    }
    latest_ = std::move(latest);
    counts_ = std::move(counts);
    unused_ = unused;
  }

 private:
  double threshold_;
  std::vector<std::int64_t> latest_;
  std::vector<std::size_t> counts_;
  std::size_t unused_;
};

/// Self-adaptive thresholds: tau(c) = tau * m(c)/max m, where tau is a moving average of the batch's mean confidence
/// and m(c) of its mean probability of c, both from 1/C; a prediction c is kept where its probability is at least
/// tau(c). The batch itself has entered the averages.
///
/// Wang et al., FreeMatch, 2023, arXiv:2205.07246, equations of the self-adaptive thresholding, checked against its
/// authors' library (USB); the start at 1/C is recalled from the paper (a later version of that library starts from 1).
/// Its fairness loss is a loss, and not here.
class freematch_labels {
 public:
  /// @throws value_error where the momentum is no fraction, shape_error where there are no classes.
  explicit freematch_labels(std::size_t classes, double momentum = 0.999)
      : momentum_(momentum), mean_(1 / static_cast<double>(classes)), of_class_(classes, mean_) {
    if (classes == 0) raise<shape_error>("limbeck: no classes");
    detail::check_fraction("momentum", momentum);
  }
  /// Takes a batch into the averages and labels it; returns how many are kept. The logits are read twice.
  /// @throws value_error where a logit is NaN, shape_error where shapes do not fit.
  template <class Tensor, class Labels>
  std::size_t operator()(const Tensor& logits, Labels&& labels) {
    return label(one_rank{}, logits, labels);
  }
  /// The same by averages of all ranks: each has rows of its own, also none, and the averages move by those of all, whose sums are added
  /// in the order of the ranks. Returns how many rows are kept on all together. Sends classes + 2 doubles.
  template <communicator C, class Tensor, class Labels>
  std::size_t operator()(const C& comm, const Tensor& logits, Labels&& labels) {
    return all_reduce_sum(comm, label(comm, logits, labels));
  }
  /// The threshold of class @p c now.
  double threshold(std::size_t c) const {
    return mean_ * (of_class_[c] / *std::max_element(of_class_.begin(), of_class_.end()));
  }
  /// Saves or restores the averages. @throws value_error where they are of another number of classes.
  template <class Archive>
  void serialize(Archive& archive) {
    double average = mean_;
    std::vector<double> of_class = of_class_;
    archive("mean", average);
    archive("of_class", of_class);
    detail::check_restored("of_class", of_class, of_class_);
    mean_ = average;
    of_class_ = std::move(of_class);
  }

 private:
  template <class C, class Tensor, class Labels>
  std::size_t label(const C& comm, const Tensor& logits, Labels& labels) {
    const std::size_t classes = of_class_.size();
    std::vector<double> sums(classes + 2, 0);  // of probabilities, of confidences, of rows
    agree(comm, [&] {
      (void)detail::label_rows(logits, labels, classes, [&](std::size_t, const auto& p, std::size_t best) {
        sums[classes] += p[best];
        sums[classes + 1] += 1;
        for (std::size_t c = 0; c < classes; ++c) sums[c] += p[c];
        return false;
      });
    });
    detail::require_alike(comm, static_cast<double>(classes), "the number of classes");
    all_reduce_sum(comm, std::span<double>(sums));
    const double n = sums[classes + 1];
    if (n == 0) return 0;
    detail::move_average(mean_, sums[classes] / n, momentum_);
    for (std::size_t c = 0; c < classes; ++c) detail::move_average(of_class_[c], sums[c] / n, momentum_);
    return detail::label_rows(logits, labels, classes,
                              [&](std::size_t, const auto& p, std::size_t best) { return p[best] >= threshold(best); });
  }
  double momentum_;
  double mean_;
  std::vector<double> of_class_;
};

LIMBECK_END_NAMESPACE

#endif
