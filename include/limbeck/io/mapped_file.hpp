#ifndef LIMBECK_IO_MAPPED_FILE_HPP
#define LIMBECK_IO_MAPPED_FILE_HPP

/// @file
/// Files as memory.

#include <limbeck/core/file.hpp>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#if !defined(__unix__) && !defined(__APPLE__)
#error "limbeck: limbeck/io.hpp maps files by POSIX mmap, which this system lacks; include <limbeck/limbeck.hpp> alone"
#endif
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

LIMBECK_BEGIN_NAMESPACE

/// In which order a mapped file will be read: a hint to the operating system.
enum class file_access {
  normal,      ///< unknown
  sequential,  ///< from front to back: pages are read ahead
  random       ///< anywhere: only the touched pages are read
};

/// A whole file as read-only memory. Opening reads nothing: pages come from the disk when they are touched and may
/// leave memory again, so the file can be larger than memory. Movable; its bytes stay where they are.
///
/// Another program may replace the file (rename over it, as Limbeck's own writers do) while it is mapped, and the map
/// goes on with the old content; but to shorten it in place, or a failing disk, ends a program that touches the lost
/// pages (SIGBUS), as with every map.
class mapped_file {
 public:
  /// No file: no bytes.
  mapped_file() = default;

  /// Maps the file at @p path. @throws file_error where it is missing, unreadable or no regular file.
  explicit mapped_file(std::filesystem::path path, file_access access = file_access::normal) : path_(std::move(path)) {
    const int handle = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (handle < 0) refuse(errno);
    struct ::stat status {};
    int reason = ::fstat(handle, &status) == 0 ? 0 : errno;
    if (reason == 0 && !S_ISREG(status.st_mode)) reason = S_ISDIR(status.st_mode) ? EISDIR : ENODEV;
    if (reason == 0 && status.st_size > 0) {
      void* const found = ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_PRIVATE, handle, 0);
      if (found == MAP_FAILED) {
        reason = errno;
      } else {
        data_ = found;
        size_ = static_cast<std::size_t>(status.st_size);
      }
    }
    ::close(handle);
    if (reason != 0) refuse(reason);
    advise(access);
  }
  /// @cond
  mapped_file(mapped_file&& other) noexcept { swap(other); }
  mapped_file& operator=(mapped_file&& other) noexcept {
    mapped_file(std::move(other)).swap(*this);
    return *this;
  }
  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;
  ~mapped_file() {
    if (data_) ::munmap(data_, size_);
  }
  /// @endcond

  /// All of the file, at an address that is a multiple of a page; empty for an empty file.
  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  /// Where it came from.
  const std::filesystem::path& path() const { return path_; }
  /// Changes the hint.
  void advise(file_access access) const {
    if (data_)
      (void)::posix_madvise(data_, size_,
                            access == file_access::random       ? POSIX_MADV_RANDOM
                            : access == file_access::sequential ? POSIX_MADV_SEQUENTIAL
                                                                : POSIX_MADV_NORMAL);
  }

 private:
  void swap(mapped_file& other) noexcept {
    path_.swap(other.path_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  [[noreturn]] void refuse(int reason) const {
    raise<file_error>("limbeck: cannot read '" + path_.string() + "': " + std::strerror(reason));
  }

  std::filesystem::path path_;
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

LIMBECK_END_NAMESPACE

#endif
