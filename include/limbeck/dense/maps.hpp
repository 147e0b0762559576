#ifndef LIMBECK_DENSE_MAPS_HPP
#define LIMBECK_DENSE_MAPS_HPP

/// @file
/// Maps with a way back whose rows are the positions of pictures: logits or features times a mask, and means of
/// regions.

#include <limbeck/dense/regions.hpp>
#include <limbeck/map/map.hpp>

#include <cstddef>
#include <string>

LIMBECK_BEGIN_NAMESPACE

/// Each element times that of a mask: y(r, c) = x(r, c) m(r, c), or x(r, c) (1 - m(r, c)) of the `rest`.
/// `through(element_mask{mask}, loss)` is a loss on masked logits, as BPKD's on edges, which are then equal where the
/// mask is 0; within pictures or channels the views stand inside: `through(element_mask{mask, true}, grouped(pixels,
/// transposed(loss)))`. Row r of the mask is row r of the call. It holds a view, which must outlive the call, and reads
/// it on the host, where masks are made. O(elements).
template <class M>
struct element_mask {
  using limbeck_map = map_of_batch;  ///< it knows which row it is at
  /// @cond
  using memory = host_rows;
  static constexpr bool keeps_rows = true;
  /// @endcond
  rows<M> mask;       ///< of the shape of the call
  bool rest = false;  ///< 1 - m in the place of m

  /// The same shape. @throws shape_error where the mask has other columns.
  map_shape shape(map_shape in) const {
    if (in.columns != mask.classes)
      detail::throw_shape("element_mask", mask.samples, mask.classes, in.samples, in.columns);
    return in;
  }
  /// y = x m. @throws shape_error where the mask has not the rows of the call.
  template <class T>
  void apply(const rows<const T>& x, const rows<T>& y, const batch<T>& in) const {
    if (mask.samples != in.samples_of_call())
      detail::throw_shape("element_mask", mask.samples, mask.classes, in.samples_of_call(), x.classes);
    in.each_row(x.samples, x.classes, [&](const auto&, std::size_t r) {
      for (std::size_t c = 0; c < x.classes; ++c) y(r, c) = x(r, c) * share<T>(in.row_of_call(r), c);
    });
  }
  /// x_gradient += slope m.
  template <class T>
  void pull_back(const rows<const T>&, const rows<const T>&, const rows<T>& slope, const rows<T>& x_gradient,
                 const batch<T>& in, double) const {
    if (!x_gradient.data) return;
    in.each_row(slope.samples, slope.classes, [&](const auto&, std::size_t r) {
      for (std::size_t c = 0; c < slope.classes; ++c) x_gradient(r, c) += slope(r, c) * share<T>(in.row_of_call(r), c);
    });
  }

 private:
  template <class T>
  T share(std::size_t r, std::size_t c) const {
    const T m = static_cast<T>(mask(r, c));
    return rest ? 1 - m : m;
  }
};

/// @cond
template <class M>
element_mask(rows<M>) -> element_mask<M>;
template <class M>
element_mask(rows<M>, bool) -> element_mask<M>;
/// @endcond

/// All numbers of a batch brought to [0, 1]: y = (x - min)/(max - min) over all rows and columns; zeros where all are
/// equal. The gradient goes through minimum and maximum, too (to the first of several). It reads all elements in order,
/// on the host. As MonoTAKD normalises features, 2025, arXiv:2404.04910; its released code cuts the student's gradient
/// there. Rows have their weights; micro-batches, whose minimum and maximum are others, are refused.
struct unit_range {
  using limbeck_map = map_of_batch;  ///< minimum and maximum are those of all rows
  /// @cond
  using memory = host_rows;
  static constexpr bool keeps_rows = true, relates_rows = true;
  /// @endcond

  /// The same shape.
  map_shape shape(map_shape in) const { return in; }
  /// y = (x - min)/(max - min).
  template <class T>
  void apply(const rows<const T>& x, const rows<T>& y, const batch<T>&) const {
    const ends<T> e(x);
    for (std::size_t r = 0; r < x.samples; ++r)
      for (std::size_t c = 0; c < x.classes; ++c) y(r, c) = e.width > 0 ? (x(r, c) - e.low) / e.width : T(0);
  }
  /// x_gradient += J^T slope.
  template <class T>
  void pull_back(const rows<const T>& x, const rows<const T>& y, const rows<T>& slope, const rows<T>& x_gradient,
                 const batch<T>&, double) const {
    const ends<T> e(x);
    if (!x_gradient.data || !(e.width > 0)) return;
    double by_low = 0, by_high = 0;
    for (std::size_t r = 0; r < x.samples; ++r)
      for (std::size_t c = 0; c < x.classes; ++c) {
        x_gradient(r, c) += slope(r, c) / e.width;
        by_low += static_cast<double>(slope(r, c)) * (static_cast<double>(y(r, c)) - 1);
        by_high -= static_cast<double>(slope(r, c)) * static_cast<double>(y(r, c));
      }
    x_gradient(e.lowest / x.classes, e.lowest % x.classes) += static_cast<T>(by_low) / e.width;
    x_gradient(e.highest / x.classes, e.highest % x.classes) += static_cast<T>(by_high) / e.width;
  }

 private:
  template <class T>
  struct ends {
    std::size_t lowest = 0, highest = 0;
    T low = 0, width = 0;
    explicit ends(const rows<const T>& x) {
      if (x.samples * x.classes == 0) return;
      T high = low = x(0, 0);
      for (std::size_t r = 0; r < x.samples; ++r)
        for (std::size_t c = 0; c < x.classes; ++c) {
          if (x(r, c) < low) low = x(r, c), lowest = r * x.classes + c;
          if (x(r, c) > high) high = x(r, c), highest = r * x.classes + c;
        }
      width = high - low;
    }
  };
};

/// Positions averaged over regions, region_means() as a map: `through(region_mean(regions, count), loss)` compares a
/// row a region in the place of a row a position. @p regions, any vector of whole numbers below @p count (negative: in
/// none), one a row of the call, must outlive the map, which reads it on the host. Regions have no labels, no weights and
/// no masks: labels do not compile, and row weights that differ, a mask and `mean_over` of a part are refused.
class region_mean {
 public:
  using limbeck_map = map_of_batch;  ///< a region is several rows
  /// @cond
  using memory = host_rows;
  /// @endcond
  /// Of @p count regions.
  template <detail::sized_memory Regions>
  region_mean(Regions&& regions, std::size_t count) : regions_(detail::view_vector(regions)), count_(count) {
    detail::require_kept<Regions>();
  }

  /// A row a region.
  map_shape shape(map_shape in) const { return {count_, in.columns}; }
  /// y = means of x. @throws value_error where rows of the call do not count, and what region_means() throws.
  template <class T>
  void apply(const rows<const T>& x, const rows<T>& y, const batch<T>& in) const {
    if (!in.call_rows.empty())
      raise<value_error>("limbeck: region_mean has regions of the call's " + std::to_string(in.samples_of_call()) +
                         " rows, of which some do not count; give these a negative region");
    detail::region_means_in(x, regions_, y, in.memory);
  }
  /// Adds to each row the slope of its region, over its size.
  template <class T>
  void pull_back(const rows<const T>&, const rows<const T>&, const rows<T>& slope, const rows<T>& x_gradient,
                 const batch<T>& in, double) const {
    if (x_gradient.data) detail::add_region_gradient_in(rows<const T>(slope), regions_, x_gradient, in.memory);
  }

 private:
  any_vector regions_;
  std::size_t count_;
};

LIMBECK_END_NAMESPACE

#endif
