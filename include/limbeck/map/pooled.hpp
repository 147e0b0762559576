#ifndef LIMBECK_MAP_POOLED_HPP
#define LIMBECK_MAP_POOLED_HPP

/// @file
/// Average pooling of rows that are channels x height x width.

#include <limbeck/map/map.hpp>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Numbers [first, last).
struct pooled_range {
  std::size_t first, last;
};
/// An axis cut into windows that lie `stride` apart.
struct windows_of_axis {
  std::size_t length, window, stride;
  LIMBECK_HOST_DEVICE std::size_t outputs() const { return (length - window) / stride + 1; }
  LIMBECK_HOST_DEVICE pooled_range inputs_of(std::size_t o) const { return {o * stride, o * stride + window}; }
  LIMBECK_HOST_DEVICE pooled_range outputs_over(std::size_t i) const {
    const std::size_t last = i / stride + 1;
    return {i < window ? 0 : (i - window) / stride + 1, last < outputs() ? last : outputs()};
  }
};
/// An axis cut into as many bins as are wanted, which overlap where they do not fit: [floor(o n/m), ceil((o + 1) n/m)).
struct bins_of_axis {
  std::size_t length, bins;
  LIMBECK_HOST_DEVICE std::size_t outputs() const { return bins; }
  LIMBECK_HOST_DEVICE pooled_range inputs_of(std::size_t o) const { return part(o, length, bins); }
  LIMBECK_HOST_DEVICE pooled_range outputs_over(std::size_t i) const { return part(i, bins, length); }

 private:
  LIMBECK_HOST_DEVICE static pooled_range part(std::size_t i, std::size_t n, std::size_t m) {
    return {i * n / m, ((i + 1) * n + m - 1) / m};
  }
};

/// Means over rectangles of each channel: there, and back.
template <class Axis>
struct pooling {
  Axis height, width;

  template <class Team, class T>
  LIMBECK_HOST_DEVICE void apply(const Team& team, std::span<const T> x, std::span<T> y) const {
    each<T>(team, y.size(), height.outputs(), width.outputs(), [&](std::size_t e, std::size_t channel, std::size_t i, std::size_t j) {
      const T* const from = x.data() + channel * height.length * width.length;
      const pooled_range h = height.inputs_of(i), w = width.inputs_of(j);
      T total(0);
      for (std::size_t k = h.first; k < h.last; ++k)
        for (std::size_t l = w.first; l < w.last; ++l) total += from[k * width.length + l];
      y[e] = total / area(h, w, T());
    });
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void pull_back(const Team& team, std::span<const T> slope, std::span<T> x_gradient) const {
    const std::size_t across = width.outputs(), plane = height.outputs() * across;
    if constexpr (Team::alone) {  // each output adds to its inputs, in the order of outputs
      each<T>(team, slope.size(), height.outputs(), across, [&](std::size_t e, std::size_t channel, std::size_t i, std::size_t j) {
        T* const to = x_gradient.data() + channel * height.length * width.length;
        const pooled_range h = height.inputs_of(i), w = width.inputs_of(j);
        const T share = slope[e] / area(h, w, T());
        for (std::size_t k = h.first; k < h.last; ++k)
          for (std::size_t l = w.first; l < w.last; ++l) to[k * width.length + l] += share;
      });
    } else {  // each input adds up its outputs, in their order
      each<T>(team, x_gradient.size(), height.length, width.length, [&](std::size_t e, std::size_t channel, std::size_t i, std::size_t j) {
        const T* const from = slope.data() + channel * plane;
        const pooled_range h = height.outputs_over(i), w = width.outputs_over(j);
        T total(0);
        for (std::size_t k = h.first; k < h.last; ++k)
          for (std::size_t l = w.first; l < w.last; ++l)
            total += from[k * across + l] / area(height.inputs_of(k), width.inputs_of(l), T());
        x_gradient[e] += total;
      });
    }
  }

 private:
  template <class T>
  LIMBECK_HOST_DEVICE static T area(const pooled_range& h, const pooled_range& w, T) {
    return static_cast<T>((h.last - h.first) * (w.last - w.first));
  }
  /// f(element, channel, row, column) for those of @p n elements, in channels of @p rows x @p columns, that a thread takes.
  template <class T, class Team, class F>
  LIMBECK_HOST_DEVICE static void each(const Team& team, std::size_t n, std::size_t rows, std::size_t columns, const F& f) {
    if constexpr (Team::alone) {
      for (std::size_t e = 0, channel = 0; e < n; ++channel)
        for (std::size_t i = 0; i < rows; ++i)
          for (std::size_t j = 0; j < columns; ++j, ++e) f(e, channel, i, j);
    } else {
      for_own<T>(team, n, [&](std::size_t e) { f(e, e / columns / rows, e / columns % rows, e % columns); });
    }
  }
};

}  // namespace detail

/// Means over windows of `window_height` x `window_width`, `stride_height` and `stride_width` apart, of rows that are `channels` x
/// `height` x `width`: PyTorch's `avg_pool2d` without padding. A map of rows; `height` 1 for sequences. Windows that would not lie
/// within the picture are left out. O(windows x their area) there and back.
struct pooled {
  using limbeck_map = map_of_rows;
  std::size_t channels = 1;       ///< of a row
  std::size_t height = 1;         ///< of a channel
  std::size_t width = 1;          ///< of a channel
  std::size_t window_height = 2;  ///< 1 to height
  std::size_t window_width = 2;   ///< 1 to width
  std::size_t stride_height = 0;  ///< 0: window_height
  std::size_t stride_width = 0;   ///< 0: window_width

  /// channels x windows. @throws shape_error where the columns are not those told, or a window does not fit.
  std::size_t outputs(std::size_t inputs) const {
    detail::require_columns("pooled", inputs, channels * height * width);
    if (window_height == 0 || window_height > height || window_width == 0 || window_width > width)
      raise<shape_error>("limbeck: pooled has windows of " + std::to_string(window_height) + " x " + std::to_string(window_width) +
                         " in pictures of " + std::to_string(height) + " x " + std::to_string(width));
    return channels * pooling().height.outputs() * pooling().width.outputs();
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void apply(const Team& team, std::span<const T> x, std::span<T> y) const {
    pooling().apply(team, x, y);
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void pull_back(const Team& team, std::span<const T>, std::span<const T>, std::span<T> slope,
                                     std::span<T> x_gradient) const {
    pooling().pull_back(team, std::span<const T>(slope), x_gradient);
  }

 private:
  LIMBECK_HOST_DEVICE detail::pooling<detail::windows_of_axis> pooling() const {
    return {{height, window_height, stride_height ? stride_height : window_height},
            {width, window_width, stride_width ? stride_width : window_width}};
  }
};

/// Means over `out_height` x `out_width` bins that cover the picture, of rows that are `channels` x `height` x `width`: PyTorch's
/// `adaptive_avg_pool2d`. Bin o of n numbers in m bins is [floor(o n/m), ceil((o + 1) n/m)); they overlap where m does not
/// divide n, and there may be more of them than numbers. A map of rows.
///
/// Hierarchical context is `feature_mse` of pictures pooled to 4, 2 and 1, of weights 1/2, 1/4, 1/8 beside 1 for them as they are:
/// Chen, Liu, Zhao, Jia, *Distilling Knowledge via Knowledge Review*, CVPR 2021, arXiv:2104.09044.
struct adaptive_pooled {
  using limbeck_map = map_of_rows;
  std::size_t channels = 1;    ///< of a row
  std::size_t height = 1;      ///< of a channel
  std::size_t width = 1;       ///< of a channel
  std::size_t out_height = 1;  ///< of what comes out
  std::size_t out_width = 1;   ///< of what comes out

  /// channels x out_height x out_width. @throws shape_error where the columns are not those told, or a size is 0.
  std::size_t outputs(std::size_t inputs) const {
    detail::require_columns("adaptive_pooled", inputs, channels * height * width);
    if (inputs == 0 || out_height == 0 || out_width == 0)
      raise<shape_error>("limbeck: adaptive_pooled has " + std::to_string(out_height) + " x " + std::to_string(out_width) +
                         " bins in pictures of " + std::to_string(height) + " x " + std::to_string(width));
    return channels * out_height * out_width;
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void apply(const Team& team, std::span<const T> x, std::span<T> y) const {
    pooling().apply(team, x, y);
  }
  template <class Team, class T>
  LIMBECK_HOST_DEVICE void pull_back(const Team& team, std::span<const T>, std::span<const T>, std::span<T> slope,
                                     std::span<T> x_gradient) const {
    pooling().pull_back(team, std::span<const T>(slope), x_gradient);
  }

 private:
  LIMBECK_HOST_DEVICE detail::pooling<detail::bins_of_axis> pooling() const { return {{height, out_height}, {width, out_width}}; }
};

LIMBECK_END_NAMESPACE

#endif
