#ifndef LIMBECK_EXAMPLES_PICTURE_HPP
#define LIMBECK_EXAMPLES_PICTURE_HPP

// Pictures of small pictures: tiles of square pixels, written as PNG.

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace examples {

using colour = std::array<std::uint8_t, 3>;  // red, green, blue

inline colour grey(double x) {
  const auto level = static_cast<std::uint8_t>(255 * (x < 0 ? 0 : x > 1 ? 1 : x));
  return {level, level, level};
}

/// Rows of tiles of one size, with a white line between them; a pixel of a tile is `scale` pixels wide.
class tiles {
 public:
  tiles(std::size_t rows, std::size_t columns, std::size_t height, std::size_t width, std::size_t scale);

  /// Colours pixel (y, x) of the tile at (row, column).
  void set(std::size_t row, std::size_t column, std::size_t y, std::size_t x, colour c);

  void write_png(const std::filesystem::path& path) const;

 private:
  std::size_t tile_height_, tile_width_, scale_, height_, width_;
  std::vector<colour> pixels_;
};

}  // namespace examples

#endif
