#ifndef LIMBECK_DENSE_NORMALISERS_HPP
#define LIMBECK_DENSE_NORMALISERS_HPP

/// @file
/// EfficientAD's two normalisations: of the teacher's channels over a training set, and of maps of anomalies over a
/// validation set.

#include <limbeck/core/quantile.hpp>
#include <limbeck/core/scratch.hpp>
#include <limbeck/dense/grid.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Mean and standard deviation of each channel over a set that comes in batches, and features less the one over the
/// other: (x_c - mu_c)/sigma_c, sigma biased (divided by the number of rows). Rows are positions of all pictures (or
/// samples), columns channels. Running sums are in double (Welford, 1962), so the order of the rows is the only thing
/// that the last digits depend on. A channel that is constant over the set is only centred.
///
/// Batzner, Heckler and Koenig, EfficientAD, 2024, arXiv:2303.14535: the teacher's features over the training set.
class channel_normaliser {
 public:
  /// For features of @p channels channels.
  explicit channel_normaliser(std::size_t channels) : mean_(channels, 0.0), square_(channels, 0.0) {}

  /// Takes rows of the set into account. O(rows channels).
  /// @throws shape_error where there are other channels, value_error where a feature is not finite.
  template <tensor X>
  void update(const X& x) {
    const auto in = detail::host_view(x);
    detail::check_shape("x", in, in.samples, mean_.size());
    for (std::size_t r = 0; r < in.samples; ++r)
      for (std::size_t c = 0; c < in.classes; ++c)
        if (in(r, c) - in(r, c) != 0)
          raise<value_error>("limbeck: x is " + detail::show(static_cast<double>(in(r, c))) + " at row " +
                             std::to_string(r) + ", column " + std::to_string(c) + ", expected a finite number");
    for (std::size_t r = 0; r < in.samples; ++r) {
      const double share = 1 / static_cast<double>(++rows_);
      for (std::size_t c = 0; c < in.classes; ++c) {
        const double d = static_cast<double>(in(r, c)) - mean_[c];
        mean_[c] += d * share;
        square_[c] += d * (static_cast<double>(in(r, c)) - mean_[c]);
      }
    }
  }
  /// Writes the normalised features to @p out, which may be @p x itself.
  /// @throws shape_error where shapes differ, value_error where no row was seen.
  template <tensor X, class T>
  void operator()(const X& x, const rows<T>& out) const {
    const auto in = detail::host_view(x);
    detail::check_shape("x", in, in.samples, mean_.size());
    detail::check_shape("out", out, in.samples, in.classes);
    if (rows_ == 0) raise<value_error>("limbeck: a channel_normaliser has seen 0 rows, expected an update before");
    for (std::size_t c = 0; c < in.classes; ++c) {
      const double s = deviation(c), over = s > 0 ? 1 / s : 1;
      for (std::size_t r = 0; r < in.samples; ++r)
        out(r, c) = static_cast<T>((static_cast<double>(in(r, c)) - mean_[c]) * over);
    }
  }
  /// How many channels it is for.
  std::size_t channels() const { return mean_.size(); }
  /// mu of channel @p c.
  double mean(std::size_t c) const { return mean_[c]; }
  /// sigma of channel @p c.
  double deviation(std::size_t c) const { return rows_ == 0 ? 0 : std::sqrt(square_[c] / static_cast<double>(rows_)); }
  /// How many rows it has seen.
  std::size_t size() const { return rows_; }
  /// Saves or restores it. @throws shape_error where the archive has other channels.
  template <class Archive>
  void serialize(Archive& archive) {
    auto rows = static_cast<std::uint64_t>(rows_);
    std::vector<double> mean = mean_, square = square_;
    archive("rows", rows);
    archive("mean", mean);
    archive("square", square);
    if (mean.size() != mean_.size())
      detail::throw_length("the restored mean", mean.size(), mean_.size(), "one a channel");
    if (square.size() != mean_.size())
      detail::throw_length("the restored square", square.size(), mean_.size(), "one a channel");
    rows_ = static_cast<std::size_t>(rows);
    mean_ = mean;
    square_ = square;
  }

 private:
  std::size_t rows_ = 0;
  std::vector<double> mean_, square_;  // square_: the sum of squared differences from the mean
};

/// Makes maps of anomalies from different distances comparable: the quantile @p from of normal maps becomes 0, the
/// quantile @p to 0.1: m -> 0.1 (m - qa)/(qb - qa). The maps of student and teacher and those of student and
/// autoencoder are normalised so, each by its own, and then averaged; the largest number of the mean is the picture's
/// score.
///
/// Batzner, Heckler and Koenig, EfficientAD, 2024, arXiv:2303.14535: 0.9 and 0.995, over the maps of a validation set.
class quantile_normaliser {
 public:
  /// Takes both quantiles of all numbers of @p maps, interpolated linearly as `torch.quantile`. O(n).
  /// @throws value_error where not 0 <= from < to <= 1, a number is not finite, or the two quantiles are equal; shape_error
  /// where there is no number.
  template <detail::sized_memory Maps>
  explicit quantile_normaliser(const Maps& maps, double from = 0.9, double to = 0.995) {
    workspace ws;
    fit(maps, ws, from, to);
  }
  /// The same of other maps; allocates nothing once @p ws has grown.
  template <detail::sized_memory Maps>
  void fit(const Maps& maps, workspace& ws, double from = 0.9, double to = 0.995) {
    if (!(from >= 0 && from < to && to <= 1))
      raise<value_error>("limbeck: the quantiles are " + detail::show(from) + " and " + detail::show(to) +
                         ", expected 0 <= from < to <= 1");
    const any_vector m = detail::view_vector(maps);
    if (m.size() == 0) raise<shape_error>("limbeck: a quantile of no values");
    scratch memory(ws);
    const std::span<double> x = memory.take<double>(m.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = m.number(i);
      if (x[i] - x[i] != 0)
        raise<value_error>("limbeck: maps is " + detail::show(x[i]) + " at position " + std::to_string(i) +
                           ", expected a finite number");
    }
    const double low = detail::quantile_in_place(x, from), high = detail::quantile_in_place(x, to);
    if (!(high - low > 0))
      raise<value_error>("limbeck: both quantiles of the maps are " + detail::show(low) + ", expected different ones");
    low_ = low;
    high_ = high;
  }
  /// Normalises a map, any vector of numbers, in place.
  template <detail::sized_memory Map>
  void operator()(Map&& map) const {
    const auto m = detail::vector_memory(map);
    for (std::size_t i = 0; i < m.size; ++i)
      detail::put(m, i, (*this)(static_cast<double>(m.data[static_cast<std::ptrdiff_t>(i) * m.stride])));
  }
  /// One number of a map.
  double operator()(double x) const { return 0.1 * (x - low_) / (high_ - low_); }
  /// The lower quantile, which becomes 0.
  double low() const { return low_; }
  /// The higher quantile, which becomes 0.1.
  double high() const { return high_; }
  /// Saves or restores both.
  template <class Archive>
  void serialize(Archive& archive) {
    archive("low", low_);
    archive("high", high_);
  }

 private:
  double low_ = 0, high_ = 1;
};

LIMBECK_END_NAMESPACE

#endif
