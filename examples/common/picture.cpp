#include "picture.hpp"

#include <zlib.h>

#include <fstream>
#include <stdexcept>
#include <string>

namespace examples {

namespace {

constexpr std::size_t gap = 4;

std::string big_endian(std::uint32_t x) {
  return {static_cast<char>(x >> 24), static_cast<char>(x >> 16), static_cast<char>(x >> 8), static_cast<char>(x)};
}

/// Length, name, content and checksum.
std::string chunk(const std::string& name, const std::string& content) {
  const std::string both = name + content;
  const auto sum = crc32(0, reinterpret_cast<const Bytef*>(both.data()), static_cast<uInt>(both.size()));
  return big_endian(static_cast<std::uint32_t>(content.size())) + both + big_endian(static_cast<std::uint32_t>(sum));
}

}  // namespace

tiles::tiles(std::size_t rows, std::size_t columns, std::size_t height, std::size_t width, std::size_t scale)
    : tile_height_(height * scale + gap),
      tile_width_(width * scale + gap),
      scale_(scale),
      height_(rows * tile_height_ - gap),
      width_(columns * tile_width_ - gap),
      pixels_(height_ * width_, colour{255, 255, 255}) {}

void tiles::set(std::size_t row, std::size_t column, std::size_t y, std::size_t x, colour c) {
  const std::size_t top = row * tile_height_ + y * scale_, left = column * tile_width_ + x * scale_;
  for (std::size_t j = 0; j < scale_; ++j)
    for (std::size_t i = 0; i < scale_; ++i) pixels_[(top + j) * width_ + left + i] = c;
}

void tiles::write_png(const std::filesystem::path& path) const {
  std::string lines;
  for (std::size_t y = 0; y < height_; ++y) {
    lines += '\0';  // no filter
    for (std::size_t x = 0; x < width_; ++x)
      for (const std::uint8_t c : pixels_[y * width_ + x]) lines += static_cast<char>(c);
  }
  uLongf size = compressBound(static_cast<uLong>(lines.size()));
  std::string packed(size, '\0');
  if (compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(lines.data()),
                static_cast<uLong>(lines.size()), 9) != Z_OK)
    throw std::runtime_error("cannot compress " + path.string());
  packed.resize(size);
  const std::string header = big_endian(static_cast<std::uint32_t>(width_)) +
                             big_endian(static_cast<std::uint32_t>(height_)) +
                             std::string{8, 2, 0, 0, 0};  // 8 bits a colour, three colours
  std::ofstream out(path, std::ios::binary);
  out << "\x89PNG\r\n\x1a\n" << chunk("IHDR", header) << chunk("IDAT", packed) << chunk("IEND", "");
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace examples
