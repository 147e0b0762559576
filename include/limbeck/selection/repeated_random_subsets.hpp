#ifndef LIMBECK_SELECTION_REPEATED_RANDOM_SUBSETS_HPP
#define LIMBECK_SELECTION_REPEATED_RANDOM_SUBSETS_HPP

/// @file
/// RS2: every epoch trains on a fresh random part of the data.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/random.hpp>
#include <limbeck/selection/random_rows.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Settings of repeated_random_subsets.
struct rs2 {
  double fraction = 0.1;     ///< of the rows in an epoch, in (0, 1]: k = round(fraction rows), at least 1
  bool replacement = false;  ///< across epochs: true draws every epoch from all rows
  std::uint64_t seed = 0;    ///< of every shuffle
};

/// Repeated random subsets. Without replacement across epochs, a permutation is walked k rows at a time and shuffled
/// anew when fewer than k are left: floor(rows/k) epochs share no row. With it, each epoch draws k distinct rows from
/// all. No subset weighs its rows; learning-rate schedules count epochs of k rows.
///
/// Okanovic, Waleffe, Mageirakos, Nikolakakis, Karbasi, Kalogerias, Gürel and Rekatsinas, Repeated Random Sampling for
/// Minimizing the Time-to-Accuracy of Learning, 2024, arXiv:2305.18424. Where k does not divide the rows, the authors'
/// code fills the last epoch of a permutation from its own beginning, and comes out one row short; here the tail is
/// dropped, and every epoch has k rows. Their class-balanced variant is `class_balanced(random_rows{})` with a seed an
/// epoch.
class repeated_random_subsets {
 public:
  /// For a data set of @p rows. @throws shape_error where it is empty, value_error where the fraction is not in (0, 1].
  explicit repeated_random_subsets(std::size_t rows, rs2 settings = {})
      : replacement_(settings.replacement), random_(settings.seed) {
    if (rows == 0) raise<shape_error>("limbeck: the pool is empty");
    if (!(settings.fraction > 0 && settings.fraction <= 1))
      raise<value_error>("limbeck: fraction is " + detail::show(settings.fraction) + ", expected a number in (0, 1]");
    const double k = std::round(settings.fraction * static_cast<double>(rows));
    size_ = k < 1 ? 1 : static_cast<std::size_t>(k);
    order_.resize(rows);
    for (std::size_t i = 0; i < rows; ++i) order_[i] = i;
    next_ = rows;  // the first epoch begins with a shuffle
  }
  /// k: rows of an epoch.
  std::size_t size() const { return size_; }

  /// The rows of the next epoch, valid until the call after. O(rows) where it shuffles, else O(1).
  std::span<const std::size_t> next() {
    if (replacement_) {
      detail::draw_to_front(order_, size_, random_);
      next_ = 0;
    } else if (order_.size() - next_ < size_) {
      random_.shuffle(order_);
      next_ = 0;
    }
    next_ += size_;
    return std::span<const std::size_t>(order_).subspan(next_ - size_, size_);
  }

  /// Saves or restores the permutation, the place in it and the random state.
  /// @throws value_error where what is restored is no state of this data set; then nothing has changed.
  template <class Archive>
  void serialize(Archive& archive) {
    std::vector<std::size_t> order = order_;
    std::size_t next = next_;
    random_stream random = random_;
    archive("order", order);
    archive("next", next);
    archive("random", random);
    std::vector<unsigned char> seen(order_.size(), 0);
    bool good = order.size() == order_.size() && next <= order.size();
    for (std::size_t i = 0; good && i < order.size(); ++i) good = order[i] < seen.size() && !seen[order[i]]++;
    if (!good)
      raise<value_error>("limbeck: the restored subsets are of other data: expected a permutation of " +
                         std::to_string(order_.size()) + " rows");
    order_ = std::move(order);
    next_ = next;
    random_ = random;
  }

 private:
  bool replacement_;
  std::size_t size_ = 0, next_ = 0;
  std::vector<std::size_t> order_;
  random_stream random_;
};

LIMBECK_END_NAMESPACE

#endif
