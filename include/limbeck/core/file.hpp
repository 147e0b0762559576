#ifndef LIMBECK_CORE_FILE_HPP
#define LIMBECK_CORE_FILE_HPP

/// @file
/// Files that are whole or not there: read at once, replaced at once.

#include <limbeck/core/config.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <unistd.h>
#endif

LIMBECK_BEGIN_NAMESPACE

/// A file that cannot be read or written, or does not hold what its format demands. The message names the file and the
/// reason; files and state are as they were.
struct file_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {

[[noreturn]] inline void throw_file(const char* what, const std::filesystem::path& path, int reason) {
  throw file_error(std::string("limbeck: cannot ") + what + " '" + path.string() + "': " + std::strerror(reason));
}
/// @throws file_error "limbeck: 'teacher.npy' <what>".
[[noreturn]] inline void throw_file_error(const std::filesystem::path& path, const std::string& what) {
  throw file_error("limbeck: '" + path.string() + "' " + what);
}

/// Replaces @p path by the @p parts, one after the other: at every moment, also through a crash, the file is the old
/// one or the new one. They are written next to it, reach the disk, and take its name. @throws file_error
inline void write_atomically(const std::filesystem::path& path, std::initializer_list<std::string_view> parts) {
  std::filesystem::path beside = path;
  beside += ".part";
  std::FILE* file = std::fopen(beside.string().c_str(), "wb");
  if (!file) throw_file("write", path, errno);
  bool good = true;
  for (const std::string_view part : parts)
    good = good && std::fwrite(part.data(), 1, part.size(), file) == part.size();
  good = good && std::fflush(file) == 0;
#if defined(__unix__) || defined(__APPLE__)
  good = good && ::fsync(::fileno(file)) == 0;
#endif
  int reason = errno;
  if (std::fclose(file) != 0 && good) {
    good = false;
    reason = errno;
  }
  std::error_code error;
  if (good) {
    std::filesystem::rename(beside, path, error);
    if (error) {
      good = false;
      reason = error.value();
    }
  }
  if (!good) {
    std::filesystem::remove(beside, error);
    throw_file("write", path, reason);
  }
#if defined(__unix__) || defined(__APPLE__)
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const int handle = ::open(folder.c_str(), O_RDONLY);  // the new name, too, is to survive a power cut
  if (handle >= 0) {
    (void)::fsync(handle);
    ::close(handle);
  }
#endif
}

/// All of a file. @throws file_error
inline std::string read_file(const std::filesystem::path& path) {
  std::FILE* file = std::fopen(path.string().c_str(), "rb");
  if (!file) throw_file("read", path, errno);
  std::string content;
  char block[1 << 16];
  while (const std::size_t n = std::fread(block, 1, sizeof block, file)) content.append(block, n);
  const bool good = std::ferror(file) == 0;
  const int reason = errno;
  std::fclose(file);
  if (!good) throw_file("read", path, reason);
  return content;
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
