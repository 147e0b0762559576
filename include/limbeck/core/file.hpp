#ifndef LIMBECK_CORE_FILE_HPP
#define LIMBECK_CORE_FILE_HPP

/// @file
/// Files that are whole or not there: read at once, replaced at once.

#include <limbeck/core/config.hpp>
#include <limbeck/core/errors.hpp>
#include <limbeck/core/output_file.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>

LIMBECK_BEGIN_COMMON_NAMESPACE

/// A file that cannot be read or written, or does not hold what its format demands. The message names the file and the
/// reason; files and state are as they were.
struct file_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

LIMBECK_END_NAMESPACE

LIMBECK_BEGIN_NAMESPACE

namespace detail {

[[noreturn]] inline void throw_file(const char* what, const std::filesystem::path& path, int reason) {
  raise<file_error>(std::string("limbeck: cannot ") + what + " '" + path.string() + "': " + std::strerror(reason));
}
/// @throws file_error "limbeck: 'teacher.npy' <what>".
[[noreturn]] inline void throw_file_error(const std::filesystem::path& path, const std::string& what) {
  raise<file_error>("limbeck: '" + path.string() + "' " + what);
}

/// Replaces @p path by the @p parts, one after the other: at every moment, also through a crash, the file is the old
/// one or the new one. They are written next to it under a name that no other program has, reach the disk, and take its
/// name; of several programs that write one file, the last to finish is seen, whole. @throws file_error
inline void write_atomically(const std::filesystem::path& path, std::initializer_list<std::string_view> parts) {
  output_file file;
  std::filesystem::path beside;
  int reason = EEXIST;
  for (std::size_t n = 0; reason == EEXIST; ++n) {
    beside = path;
    beside += '.';  // one by one: g++ 12 warns of an overlap in a sum of strings (GCC bug 105651)
    beside += std::to_string(n);
    beside += ".part";
    reason = file.create(beside);
  }
  if (reason != 0) throw_file("write", path, reason);
  for (const std::string_view part : parts)
    if (reason == 0) reason = file.write(part);
  if (reason == 0) reason = file.sync();
  const int closed = file.close();
  if (reason == 0) reason = closed;
  std::error_code error;
  if (reason == 0) {
    std::filesystem::rename(beside, path, error);
    reason = error.value();
  }
  if (reason != 0) {
    std::filesystem::remove(beside, error);
    throw_file("write", path, reason);
  }
  if ((reason = sync_folder_of(path)) != 0) throw_file("bring to the disk the new name of", path, reason);
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
