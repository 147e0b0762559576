#ifndef LIMBECK_DENSE_ANOMALY_MAP_HPP
#define LIMBECK_DENSE_ANOMALY_MAP_HPP

/// @file
/// How far a student is from its teacher at each position of a picture, of one feature map or of several: where it has
/// not seen the like.

#include <limbeck/core/scratch.hpp>
#include <limbeck/dense/grid.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// out(p) = distance(s, t, p); @throws value_error where it is not finite.
template <class S, class Q, class Map, class Distance>
void map_distances(const S& student, const Q& teacher, Map& map, const Distance& distance) {
  const auto s = host_view(student);
  const auto t = host_view(teacher);
  if (s.samples != t.samples || s.classes != t.classes)
    throw_shape("teacher", t.samples, t.classes, s.samples, s.classes);
  const auto out = output_vector("map", map, s.samples, "one a position");
  for (std::size_t p = 0; p < s.samples; ++p) {
    const double d = distance(s, t, p);
    if (d - d != 0)
      raise<value_error>("limbeck: the features of student and teacher are " + show(d) + " apart at position " +
                         std::to_string(p));
    put(out, p, d);
  }
}
/// Where the centre of each cell of @p to lies among those of @p from, the nearer corner and the share of the next one:
/// PyTorch's `align_corners=False`.
struct between_cells {
  std::size_t first, second;
  double share;
  between_cells(std::size_t i, std::size_t from, std::size_t to) {
    const double at =
        (std::max)(0.0, (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5);
    first = (std::min)(static_cast<std::size_t>(at), from - 1);
    second = (std::min)(first + 1, from - 1);
    share = at - static_cast<double>(first);
  }
};
/// combine(element of out, resized number of map) for every position of @p to.
template <class Map, class Out, class Combine>
void for_resized(const Map& map, const grid& from, const grid& to, Out& out, const Combine& combine) {
  const any_vector m = view_vector(map);
  if (from.positions() == 0 || m.size() != from.positions())
    throw_length("map", m.size(), from.positions(), "one a position");
  const auto target = output_vector("out", out, to.positions(), "one a position");
  for (std::size_t y = 0; y < to.height; ++y) {
    const between_cells v(y, from.height, to.height);
    for (std::size_t x = 0; x < to.width; ++x) {
      const between_cells h(x, from.width, to.width);
      const auto line = [&](std::size_t row) {
        return (1 - h.share) * m.number(row * from.width + h.first) + h.share * m.number(row * from.width + h.second);
      };
      auto& element = target.data[static_cast<std::ptrdiff_t>(y * to.width + x) * target.stride];
      const double value = (1 - v.share) * line(v.first) + v.share * line(v.second);
      element = static_cast<std::remove_cvref_t<decltype(element)>>(combine(static_cast<double>(element), value));
    }
  }
}

}  // namespace detail

/// The mean over channels of the squared difference: map(p) = (1/C) sum_c (t_pc - s_pc)^2, rows being positions x
/// channels, of one picture or of several; @p map any vector of numbers, one a position. O(positions C), and allocates
/// nothing.
/// @throws shape_error where shapes differ, value_error where a distance is not finite.
///
/// Batzner, Heckler and Koenig, EfficientAD, 2024, arXiv:2303.14535, as its two reimplementations have it, for the
/// teacher's normalised features (channel_normaliser).
template <tensor Student, tensor Teacher, detail::sized_memory Map>
void anomaly_map(const Student& student, const Teacher& teacher, Map&& map) {
  detail::map_distances(student, teacher, map, [](const auto& s, const auto& t, std::size_t p) {
    double total = 0;
    for (std::size_t c = 0; c < s.classes; ++c) {
      const double d = static_cast<double>(t(p, c)) - static_cast<double>(s(p, c));
      total += d * d;
    }
    return total / static_cast<double>(s.classes);
  });
}

/// One minus the cosine, as half the squared distance of the rows over their lengths: map(p) = |t/|t| - s/|s||^2/2. A
/// row of zeros stays one (PyTorch's `normalize`). The rest as anomaly_map().
///
/// Deng and Li, Anomaly Detection via Reverse Distillation from One-Class Embedding, 2022, arXiv:2201.10703; Thomine
/// and Snoussi, Distillation-based fabric anomaly detection, 2024, arXiv:2401.02287, whose authors divide each layer's
/// map by its number of positions.
template <tensor Student, tensor Teacher, detail::sized_memory Map>
void cosine_anomaly_map(const Student& student, const Teacher& teacher, Map&& map) {
  detail::map_distances(student, teacher, map, [](const auto& s, const auto& t, std::size_t p) {
    double ss = 0, tt = 0, total = 0;
    for (std::size_t c = 0; c < s.classes; ++c) {
      const double a = static_cast<double>(s(p, c)), b = static_cast<double>(t(p, c));
      ss += a * a;
      tt += b * b;
    }
    const double a = 1 / (std::max)(std::sqrt(ss), 1e-12), b = 1 / (std::max)(std::sqrt(tt), 1e-12);
    for (std::size_t c = 0; c < s.classes; ++c) {
      const double d = b * static_cast<double>(t(p, c)) - a * static_cast<double>(s(p, c));
      total += d * d;
    }
    return total / 2;
  });
}

/// Adds @p weight times @p map, resized bilinearly (corners not aligned, as PyTorch's `interpolate` by default), to @p
/// out: how the maps of several layers become one of the picture's size. Both are any vector of numbers, one a position
/// of one picture. O(positions of @p to), and allocates nothing. @throws shape_error where lengths do not fit.
template <detail::sized_memory Map, detail::sized_memory Out>
void add_resized(const Map& map, const grid& from, const grid& to, Out&& out, double weight = 1) {
  detail::for_resized(map, from, to, out, [&](double old, double value) { return old + weight * value; });
}
/// The same, @p out times the resized map: the other of reverse distillation's two ways (its `mul`).
template <detail::sized_memory Map, detail::sized_memory Out>
void multiply_resized(const Map& map, const grid& from, const grid& to, Out&& out) {
  detail::for_resized(map, from, to, out, [](double old, double value) { return old * value; });
}

/// Convolves a map of one picture with a Gaussian of deviation @p sigma, in place: SciPy's `gaussian_filter`, cut off
/// at 4 sigma, the picture mirrored at its borders. Reverse distillation smooths its maps so, with sigma 4. O(positions
/// sigma); allocates nothing once @p ws has grown.
/// @throws value_error where sigma is not positive, shape_error where the map has not one number a position.
template <detail::sized_memory Map>
void gaussian_blur(Map&& map, const grid& shape, double sigma, workspace& ws) {
  const auto out = detail::output_vector("map", map, shape.positions(), "one a position");
  if (!(sigma > 0 && sigma < 1e6))
    raise<value_error>("limbeck: sigma is " + detail::show(sigma) + ", expected a positive number");
  if (shape.positions() == 0) return;
  const auto radius = static_cast<std::size_t>(4 * sigma + 0.5);
  scratch memory(ws);
  const std::span<double> weights = memory.take<double>(radius + 1);
  const std::span<double> line = memory.take<double>((std::max)(shape.height, shape.width));
  double total = 0;
  for (std::size_t i = 0; i <= radius; ++i) {
    const double x = static_cast<double>(i) / sigma;
    weights[i] = std::exp(-x * x / 2);
    total += (i == 0 ? 1 : 2) * weights[i];
  }
  // one direction after the other; place(k, i) is the i-th position of line k
  const auto pass = [&](std::size_t lines, std::size_t length, const auto& place) {
    const auto mirrored = [&](std::ptrdiff_t i) {  // ... 1 0 | 0 1 2 ... | 2 1 ...
      const auto n = static_cast<std::ptrdiff_t>(length), folded = ((i % (2 * n)) + 2 * n) % (2 * n);
      return static_cast<std::size_t>(folded < n ? folded : 2 * n - 1 - folded);
    };
    for (std::size_t k = 0; k < lines; ++k) {
      for (std::size_t i = 0; i < length; ++i)
        line[i] = static_cast<double>(out.data[static_cast<std::ptrdiff_t>(place(k, i)) * out.stride]);
      for (std::size_t i = 0; i < length; ++i) {
        const auto at = static_cast<std::ptrdiff_t>(i);
        double blurred = weights[0] * line[i];
        for (std::size_t d = 1; d <= radius; ++d) {
          const auto by = static_cast<std::ptrdiff_t>(d);
          blurred += weights[d] * (line[mirrored(at - by)] + line[mirrored(at + by)]);
        }
        detail::put(out, place(k, i), blurred / total);
      }
    }
  };
  pass(shape.width, shape.height, [&](std::size_t x, std::size_t y) { return y * shape.width + x; });
  pass(shape.height, shape.width, [&](std::size_t y, std::size_t x) { return y * shape.width + x; });
}

LIMBECK_END_NAMESPACE

#endif
