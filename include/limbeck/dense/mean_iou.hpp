#ifndef LIMBECK_DENSE_MEAN_IOU_HPP
#define LIMBECK_DENSE_MEAN_IOU_HPP

/// @file
/// How well a segmentation does: intersection over union of every class, from counts over all pictures.

#include <limbeck/dense/grid.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Counts of labels against predictions, over as many pictures as are shown to it: what segmentation is measured by. Of several ranks:
/// `all_reduce_sum(world, counts)` is the matrix of all.
class confusion_matrix {
 public:
  /// Of @p classes classes.
  explicit confusion_matrix(std::size_t classes) : classes_(classes), counts_(classes * classes, 0) {}

  /// Counts positions: @p labels and @p predictions are any vectors of whole numbers. Labels that are @p ignored do not
  /// count, and their predictions may be anything. Nothing is counted where it throws. O(positions).
  /// @throws value_error where a label or a prediction is no class, shape_error where lengths differ.
  template <detail::sized_memory Labels, detail::sized_memory Predictions>
  void update(const Labels& labels, const Predictions& predictions, std::int64_t ignored = -100) {
    const any_vector y = detail::view_vector(labels), p = detail::view_vector(predictions);
    if (p.size() != y.size()) detail::throw_length("predictions", p.size(), y.size(), "one a label");
    for (std::size_t i = 0; i < y.size(); ++i)
      if (detail::class_at(y, i, classes_, ignored) < classes_ &&
          (p.integer(i) < 0 || static_cast<std::uint64_t>(p.integer(i)) >= classes_))
        raise<value_error>("limbeck: predictions is " + std::to_string(p.integer(i)) + " at position " +
                           std::to_string(i) + ", expected 0 to " + std::to_string(classes_ - 1));
    for (std::size_t i = 0; i < y.size(); ++i)
      if (y.integer(i) != ignored)
        ++counts_[static_cast<std::size_t>(y.integer(i)) * classes_ + static_cast<std::size_t>(p.integer(i))];
  }
  /// How many positions of class @p label were taken for @p prediction.
  std::uint64_t count(std::size_t label, std::size_t prediction) const {
    return counts_[label * classes_ + prediction];
  }
  /// Positions that are of class @p c and were taken for it, over those that are or were; 0 where there are none.
  double intersection_over_union(std::size_t c) const {
    const std::uint64_t all = union_of(c);
    return all == 0 ? 0 : static_cast<double>(count(c, c)) / static_cast<double>(all);
  }
  /// The mean of that over the classes that occur, among the labels or among the predictions; 0 where none does.
  double mean_iou() const {
    double total = 0, present = 0;
    for (std::size_t c = 0; c < classes_; ++c) {
      total += intersection_over_union(c);
      present += union_of(c) > 0 ? 1 : 0;
    }
    return present > 0 ? total / present : 0;
  }
  /// The share of positions taken for what they are; 0 where there are none.
  double accuracy() const {
    std::uint64_t right = 0, all = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      all += counts_[i];
      right += i % (classes_ + 1) == 0 ? counts_[i] : 0;
    }
    return all == 0 ? 0 : static_cast<double>(right) / static_cast<double>(all);
  }
  /// The counts, for all_reduce_sum() over ranks.
  template <class F>
  void for_each_sum(F&& f) {
    f(std::span<std::uint64_t>(counts_));
  }

 private:
  std::uint64_t union_of(std::size_t c) const {
    std::uint64_t all = 0;
    for (std::size_t o = 0; o < classes_; ++o) all += count(c, o) + (o == c ? 0 : count(o, c));
    return all;
  }
  std::size_t classes_;
  std::vector<std::uint64_t> counts_;
};

/// The mean of intersection over union over those of @p classes classes that occur, of one set of labels and predictions.
/// See confusion_matrix.
template <detail::sized_memory Labels, detail::sized_memory Predictions>
double mean_iou(const Labels& labels, const Predictions& predictions, std::size_t classes,
                std::int64_t ignored = -100) {
  confusion_matrix counts(classes);
  counts.update(labels, predictions, ignored);
  return counts.mean_iou();
}

LIMBECK_END_NAMESPACE

#endif
