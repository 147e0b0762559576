#ifndef LIMBECK_DIGIT_CANVAS_CANVAS_HPP
#define LIMBECK_DIGIT_CANVAS_CANVAS_HPP

// Canvases: one to four handwritten digits on 24 x 24 noisy pixels. What is where is known: a label a pixel, a box and
// a key point a digit.

#include "../common/data.hpp"
#include "../common/draw.hpp"

#include <limbeck/dense.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace digit_canvas {

using namespace examples;
namespace lk = limbeck;

constexpr lk::grid shape{24, 24};
constexpr std::size_t pixels = shape.positions();
constexpr std::size_t classes = 11;  // 0 is the background, d + 1 the digit d

/// A digit on a canvas.
struct object {
  int digit;
  lk::box where;  // the 8 x 8 pixels that it was drawn in
  double y, x;    // its key point: the centre of its ink
};

struct canvases {
  matrix grey;                               // a row a canvas
  std::vector<int> labels;                   // a number a pixel
  std::vector<std::vector<object>> objects;  // of each canvas

  std::size_t size() const { return objects.size(); }
};

/// How a set of canvases is drawn; the seed decides everything.
struct drawing {
  row_numbers digits;  // of digit_images: which may be used
  std::size_t count, fewest = 1, most = 4;
  std::uint64_t seed = 0;
  double noise = 0.1;
};

inline canvases draw_canvases(const digit_images& from, const drawing& d) {
  constexpr std::size_t side = digit_images::side;
  canvases all{matrix::Zero(static_cast<Eigen::Index>(d.count), pixels), std::vector<int>(d.count * pixels, 0),
               std::vector<std::vector<object>>(d.count)};
  const lk::random_stream seed(d.seed);
  for (std::size_t n = 0; n < d.count; ++n) {
    lk::random_stream random = seed.split(n);
    auto grey = all.grey.row(static_cast<Eigen::Index>(n));
    const std::size_t wanted = d.fewest + random.below(d.most - d.fewest + 1);
    for (int trial = 0; trial < 40 && all.objects[n].size() < wanted; ++trial) {  // boxes do not overlap
      const std::size_t row = d.digits[random.below(d.digits.size())];
      const std::size_t top = random.below(shape.height - side + 1), left = random.below(shape.width - side + 1);
      const auto y = static_cast<double>(top), x = static_cast<double>(left);
      object one{from.digits[row], {x, y, x + side, y + side}, 0, 0};
      if (std::any_of(all.objects[n].begin(), all.objects[n].end(),
                      [&](const object& o) { return lk::intersection_over_union(o.where, one.where) > 0; }))
        continue;
      double ink = 0;
      for (std::size_t j = 0; j < side; ++j)
        for (std::size_t i = 0; i < side; ++i) {
          const float value = from.grey(static_cast<Eigen::Index>(row), static_cast<Eigen::Index>(j * side + i));
          const std::size_t p = (top + j) * shape.width + left + i;
          grey(static_cast<Eigen::Index>(p)) = value;
          if (value >= 0.3F) all.labels[n * pixels + p] = one.digit + 1;
          ink += static_cast<double>(value);
          one.y += static_cast<double>(value) * (y + static_cast<double>(j));
          one.x += static_cast<double>(value) * (x + static_cast<double>(i));
        }
      one.y /= ink;
      one.x /= ink;
      all.objects[n].push_back(one);
    }
    for (float& g : grey) g += static_cast<float>(d.noise * random.normal());
  }
  return all;
}

/// The pixels around some pixels, a row each: (2 radius + 1)^2 numbers, 0 beyond the border. @p which counts through
/// all canvases.
inline matrix windows(const canvases& of, const row_numbers& which, std::size_t radius) {
  const std::size_t side = 2 * radius + 1;
  matrix rows = matrix::Zero(static_cast<Eigen::Index>(which.size()), static_cast<Eigen::Index>(side * side));
  for (std::size_t r = 0; r < which.size(); ++r) {
    const float* const grey = of.grey.data() + which[r] / pixels * pixels;
    const std::size_t y = which[r] % pixels / shape.width, x = which[r] % shape.width;
    float* to = rows.data() + r * side * side;
    for (std::size_t j = 0; j < side; ++j)
      for (std::size_t i = 0; i < side; ++i, ++to)
        if (y + j >= radius && y + j < shape.height + radius && x + i >= radius && x + i < shape.width + radius)
          *to = grey[(y + j - radius) * shape.width + x + i - radius];
  }
  return rows;
}
/// Those of all pixels of some canvases.
inline matrix windows(const canvases& of, std::size_t first, std::size_t count, std::size_t radius) {
  row_numbers all(count * pixels);
  std::iota(all.begin(), all.end(), first * pixels);
  return windows(of, all, radius);
}

}  // namespace digit_canvas

#endif
