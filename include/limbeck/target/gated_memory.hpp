#ifndef LIMBECK_TARGET_GATED_MEMORY_HPP
#define LIMBECK_TARGET_GATED_MEMORY_HPP

/// @file
/// A memory that takes what it is sure of and has not seen the like of.

#include <limbeck/target/prototypes.hpp>

#include <limits>

LIMBECK_BEGIN_NAMESPACE

/// Settings of `gated_memory`.
struct gate_settings {
  double confidence = 0.5;  ///< rows below it are not taken
  double similarity = 0.9;  ///< nor those whose cosine with a row that is kept is as large; over 1 lets all in
};

/// The last rows of features, at most so many, that came with enough confidence and were unlike all that were kept: key
/// frames of a video, examples for a teacher. Row by row in order, so that two of one batch are compared too; the
/// oldest makes room.
///
/// `rows_kept()` is a tensor of kept x width: a pool for a selector, or prototypes, one a row, for `like_prototypes`.
/// How HQ-SMem (2025, arXiv:2507.18921) keeps its memory small was not read beyond the abstract; the gate is ours. On
/// the host, where it grows and is read. O(kept x width) a row; allocates at most once.
template <class T>
class gated_memory {
 public:
  /// Keeps at most @p capacity rows of @p width numbers. @throws shape_error where a size is 0, value_error where a
  /// setting is NaN.
  gated_memory(std::size_t capacity, std::size_t width, gate_settings settings = {})
      : settings_(settings), capacity_(capacity), width_(width), memory_(capacity * width) {
    if (capacity == 0 || width == 0)
      raise<shape_error>("limbeck: gated_memory keeps " + std::to_string(capacity) + " rows of " +
                         std::to_string(width) + " numbers, expected at least 1 of both");
    for (const double x : {settings.confidence, settings.similarity})
      if (x != x) raise<value_error>("limbeck: a setting of gated_memory is nan");
  }
  std::size_t capacity() const { return capacity_; }  ///< as given
  /// How many rows are kept now.
  std::size_t size() const {
    return static_cast<std::size_t>((std::min)(taken_, static_cast<std::uint64_t>(capacity_)));
  }
  /// How many were taken in all.
  std::uint64_t taken() const { return taken_; }
  /// What is kept, kept x width, in no order once it is full.
  rows<const T> rows_kept() const { return {memory_.data(), size(), width_}; }

  /// Offers the rows of @p features, samples x width, with one confidence each; returns how many were taken.
  /// @throws shape_error where sizes differ, value_error where a number is not finite; nothing is taken then.
  template <tensor X, detail::sized_memory C>
  std::size_t offer(const X& features, const C& confidences) {
    static_assert(
        std::is_same_v<typename tensor_traits<X>::scalar, T>,
        "limbeck: memory and features hold different scalar types; float goes with float, double with double");
    detail::require_host<X>();
    const rows<const T> x = tensor_traits<X>::view(features);
    const any_vector sure = detail::view_vector(confidences);
    detail::check_features(x, width_);
    if (sure.size() != x.samples) detail::throw_length("confidences", sure.size(), x.samples);
    for (std::size_t r = 0; r < x.samples; ++r) {
      if (!std::isfinite(sure.number(r))) detail::throw_not_finite("confidences", sure.number(r), r, 0);
      for (std::size_t j = 0; j < width_; ++j)
        if (!std::isfinite(x(r, j))) detail::throw_not_finite("features", static_cast<double>(x(r, j)), r, j);
    }
    const std::uint64_t before = taken_;
    for (std::size_t r = 0; r < x.samples; ++r)
      if (sure.number(r) >= settings_.confidence && likest(x, r) < settings_.similarity) {
        T* const to = memory_.data() + static_cast<std::size_t>(taken_++ % capacity_) * width_;
        for (std::size_t j = 0; j < width_; ++j) to[j] = x(r, j);
      }
    return static_cast<std::size_t>(taken_ - before);
  }
  /// Saves or restores the state, whose size is fixed.
  template <class Archive>
  void serialize(Archive& archive) {
    std::span<T> all(memory_);
    archive("memory", all);
    archive("taken", taken_);
  }

 private:
  /// The largest cosine of row @p r with what is kept; -inf where nothing is, 0 of a row of 0.
  double likest(const rows<const T>& x, std::size_t r) const {
    double most = -std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < size(); ++k) {
      double both = 0, one = 0, other = 0;
      for (std::size_t j = 0; j < width_; ++j) {
        const auto a = static_cast<double>(x(r, j)), b = static_cast<double>(memory_[k * width_ + j]);
        both += a * b, one += a * a, other += b * b;
      }
      most = (std::max)(most, both == 0 ? 0 : both / std::sqrt(one) / std::sqrt(other));
    }
    return most;
  }
  gate_settings settings_;
  std::size_t capacity_, width_;
  std::vector<T> memory_;
  std::uint64_t taken_ = 0;
};

LIMBECK_END_NAMESPACE

#endif
