#ifndef LIMBECK_TOKENS_SEGMENTS_HPP
#define LIMBECK_TOKENS_SEGMENTS_HPP

/// @file
/// Where sequences begin and end among rows of tokens.

#include <limbeck/core/errors.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// A token: its number in the vocabulary. Negative: none, as a label that is ignored.
using token_id = std::int32_t;

/// Sequences of tokens one behind another: sequence s has the rows from `begin(s)` to before `end(s)`. Packed batches give their
/// offsets, padded ones their number and time, in which every sequence is as long.
class segments {
 public:
  segments() = default;
  /// @p offsets: where each sequence begins, and last the number of rows.
  /// @throws value_error where the first is not 0 or one is below that before it.
  explicit segments(std::vector<std::size_t> offsets) : offsets_(std::move(offsets)) {
    if (offsets_.empty() || offsets_[0] != 0) raise<value_error>("limbeck: the first offset of segments is not 0");
    for (std::size_t s = 1; s < offsets_.size(); ++s)
      if (offsets_[s] < offsets_[s - 1])
        raise<value_error>("limbeck: offset " + std::to_string(s) + " of segments is " + std::to_string(offsets_[s]) +
                           ", that before it " + std::to_string(offsets_[s - 1]));
  }
  /// Sequences of these lengths, packed. @throws value_error where one is negative.
  template <class Lengths>
  static segments of_lengths(const Lengths& lengths) {
    segments s;
    for (const auto length : lengths) {
      if (std::cmp_less(length, 0))
        raise<value_error>("limbeck: the length of sequence " + std::to_string(s.size()) + " is " +
                           std::to_string(length));
      s.offsets_.push_back(s.rows() + static_cast<std::size_t>(length));
    }
    return s;
  }
  /// @p sequences of @p time rows each, padding included.
  static segments padded(std::size_t sequences, std::size_t time) {
    segments s;
    for (std::size_t i = 1; i <= sequences; ++i) s.offsets_.push_back(i * time);
    return s;
  }

  /// How many sequences.
  std::size_t size() const { return offsets_.size() - 1; }
  /// How many rows.
  std::size_t rows() const { return offsets_.back(); }
  /// First row of a sequence.
  std::size_t begin(std::size_t s) const { return offsets_[s]; }
  /// The row behind its last.
  std::size_t end(std::size_t s) const { return offsets_[s + 1]; }
  /// Its rows.
  std::size_t length(std::size_t s) const { return end(s) - begin(s); }
  /// The sequence of a row. O(log sequences).
  std::size_t of_row(std::size_t row) const {
    return static_cast<std::size_t>(std::upper_bound(offsets_.begin(), offsets_.end(), row) - offsets_.begin()) - 1;
  }
  /// The offsets, one more than sequences.
  std::span<const std::size_t> offsets() const { return offsets_; }
  /// Whether they begin and end at the same rows.
  friend bool operator==(const segments&, const segments&) = default;

 private:
  std::vector<std::size_t> offsets_{0};
};

LIMBECK_END_NAMESPACE

#endif
