#ifndef LIMBECK_TESTS_UNIT_IO_FILES_HPP
#define LIMBECK_TESTS_UNIT_IO_FILES_HPP

// Files of the tests of io: those in tests/golden/files and what a test writes.

#include <limbeck/io.hpp>

#include "catch.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace files {

inline std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(LIMBECK_GOLDEN_DIR) / "files" / name;
}

/// A name in the temporary folder, removed before and after.
struct temporary {
  std::filesystem::path path;
  explicit temporary(const std::string& name) : path(std::filesystem::temp_directory_path() / ("limbeck_io_" + name)) {
    clear();
  }
  temporary(const std::string& name, const std::string& content) : temporary(name) {
    std::ofstream(path, std::ios::binary) << content;
  }
  ~temporary() { clear(); }
  temporary(const temporary&) = delete;
  temporary& operator=(const temporary&) = delete;
  void clear() const {
    std::error_code e;
    std::filesystem::remove(path, e);
  }
};

inline std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Element i of the golden files: see make_files.py.
inline double value(limbeck::element_type type, std::size_t i) {
  using enum limbeck::element_type;
  const auto x = static_cast<double>(i);
  if (type >= float16) return x / 4 - 1;
  if (type == boolean) return static_cast<double>(i % 2);
  return type == int8 || type == int16 || type == int32 || type == int64 ? x - 2 : x;
}

inline void check_values(const limbeck::any_tensor& x, limbeck::element_type type,
                         const std::vector<std::ptrdiff_t>& shape) {
  CHECK(x.type == type);
  CHECK(x.read_only);
  REQUIRE(std::vector<std::ptrdiff_t>(x.shape.begin(), x.shape.begin() + static_cast<std::ptrdiff_t>(x.rank)) == shape);
  const auto found = limbeck::copy_as<double>(x);
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == value(type, i));
}

inline const std::vector<limbeck::element_type>& types() {
  using enum limbeck::element_type;
  static const std::vector<limbeck::element_type> all = {boolean, int8,  uint8,  int16,   uint16,  int32,
                                                         uint32,  int64, uint64, float16, float32, float64};
  return all;
}

/// Memory that is as long as @p text, so that an address sanitizer sees whoever reads beyond it.
struct exact {
  std::vector<std::byte> bytes;
  explicit exact(const std::string& text) : bytes(text.size()) {
    for (std::size_t i = 0; i < text.size(); ++i) bytes[i] = static_cast<std::byte>(text[i]);
    bytes.shrink_to_fit();
  }
};

inline std::string replaced(std::string text, const std::string& old, const std::string& with, std::size_t from = 0) {
  const std::size_t at = text.find(old, from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, old.size(), with);
}

}  // namespace files

#endif
