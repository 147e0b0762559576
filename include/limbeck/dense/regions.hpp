#ifndef LIMBECK_DENSE_REGIONS_HPP
#define LIMBECK_DENSE_REGIONS_HPP

/// @file
/// Features averaged over the regions of a picture, and the way back.

#include <limbeck/core/scratch.hpp>
#include <limbeck/dense/grid.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The region of each position, of @p count; -1 for none. How many positions each has, or an exception.
inline std::span<double> count_regions(const any_vector& regions, std::size_t positions, std::size_t count,
                                       scratch& memory) {
  if (regions.size() != positions) throw_length("regions", regions.size(), positions, "one a position");
  const std::span<double> sizes = memory.take<double>(count);
  std::fill(sizes.begin(), sizes.end(), 0.0);
  for (std::size_t p = 0; p < positions; ++p) {
    const std::int64_t r = regions.integer(p);
    if (r < 0) continue;
    if (static_cast<std::uint64_t>(r) >= count)
      raise<value_error>("limbeck: regions is " + std::to_string(r) + " at position " + std::to_string(p) +
                         ", expected " + below(count) + ", or a negative one for none");
    sizes[static_cast<std::size_t>(r)] += 1;
  }
  return sizes;
}

/// region_means() and add_region_gradient() of views, in memory that is lent.
template <class T, class U>
void region_means_in(const rows<T>& x, const any_vector& regions, const rows<U>& means, scratch& memory) {
  check_shape("means", means, means.samples, x.classes);
  const std::span<double> sizes = count_regions(regions, x.samples, means.samples, memory);
  const std::span<double> sums = memory.take<double>(means.samples * x.classes);
  std::fill(sums.begin(), sums.end(), 0.0);
  for (std::size_t p = 0; p < x.samples; ++p) {
    if (regions.integer(p) < 0) continue;
    double* const total = sums.data() + static_cast<std::size_t>(regions.integer(p)) * x.classes;
    for (std::size_t c = 0; c < x.classes; ++c) total[c] += static_cast<double>(x(p, c));
  }
  for (std::size_t r = 0; r < means.samples; ++r)
    for (std::size_t c = 0; c < x.classes; ++c)
      means(r, c) = static_cast<U>(sums[r * x.classes + c] / (std::max)(sizes[r], 1.0));
}
template <class T, class U>
void add_region_gradient_in(const rows<T>& slopes, const any_vector& regions, const rows<U>& gradient,
                            scratch& memory) {
  check_shape("gradient", gradient, gradient.samples, slopes.classes);
  const std::span<double> sizes = count_regions(regions, gradient.samples, slopes.samples, memory);
  for (std::size_t p = 0; p < gradient.samples; ++p) {
    if (regions.integer(p) < 0) continue;
    const auto r = static_cast<std::size_t>(regions.integer(p));
    for (std::size_t c = 0; c < slopes.classes; ++c)
      gradient(p, c) += static_cast<U>(static_cast<double>(slopes(r, c)) / sizes[r]);
  }
}

}  // namespace detail

/// Means over regions: row r of @p means (regions x channels) is the mean of the rows of @p x (positions x channels)
/// whose region is r, and 0 for a region without positions. @p regions is any vector of whole numbers, one a position:
/// the labels of a segmentation, numbers of superpixels or of tiles; a negative one is in no region. Positions of
/// several pictures have regions of their own: n times the regions of a picture, plus r. Sums are in double, in order.
/// O(positions channels); allocates nothing once @p ws has grown.
/// @throws shape_error where lengths do not fit, value_error where a region is not below the number of rows of @p
/// means.
template <tensor X, detail::sized_memory Regions, class T>
void region_means(const X& x, const Regions& regions, const rows<T>& means, workspace& ws) {
  scratch memory(ws);
  detail::region_means_in(detail::host_view(x), detail::view_vector(regions), means, memory);
}

/// The way back of region_means(): *adds* to row p of @p gradient (positions x channels) the row of @p slopes (regions
/// x channels) of its region, over the region's number of positions: what a loss of means says of the features.
/// @throws as region_means().
template <tensor Slopes, detail::sized_memory Regions, class T>
void add_region_gradient(const Slopes& slopes, const Regions& regions, const rows<T>& gradient, workspace& ws) {
  scratch memory(ws);
  detail::add_region_gradient_in(detail::host_view(slopes), detail::view_vector(regions), gradient, memory);
}

LIMBECK_END_NAMESPACE

#endif
