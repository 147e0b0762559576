#ifndef LIMBECK_CORE_OUTPUT_FILE_HPP
#define LIMBECK_CORE_OUTPUT_FILE_HPP

/// @file
/// Writing to a file so that nothing is lost in silence: the calls of the system, each with its reason.

#include <limbeck/core/config.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <utility>
#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <unistd.h>
#endif

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

#if defined(__unix__) || defined(__APPLE__)

/// What @p call returns where no signal interrupts it.
template <class F>
auto uninterrupted(F call) {
  for (;;)
    if (const auto result = call(); result >= 0 || errno != EINTR) return result;
}

// Each of these returns 0, or the reason as errno has it.

/// All of @p bytes, from @p at on.
inline int write_at(int handle, std::string_view bytes, std::size_t at) {
  while (!bytes.empty()) {
    const auto n =
        uninterrupted([&] { return ::pwrite(handle, bytes.data(), bytes.size(), static_cast<::off_t>(at)); });
    if (n <= 0) return n < 0 ? errno : ENOSPC;
    bytes.remove_prefix(static_cast<std::size_t>(n));
    at += static_cast<std::size_t>(n);
  }
  return 0;
}
inline int sync_handle(int handle) {
  return uninterrupted([&] { return ::fsync(handle); }) == 0 ? 0 : errno;
}
/// The handle is gone, whatever is returned; an interrupted call, too, has closed it.
inline int close_handle(int handle) { return ::close(handle) == 0 || errno == EINTR ? 0 : errno; }
/// The name of a file reaches the disk with its folder. A folder that may not be opened, and a file system that knows
/// no such request, are no failure.
inline int sync_folder_of(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const int handle = uninterrupted([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (handle < 0) return errno == EACCES ? 0 : errno;
  const int reason = sync_handle(handle);
  (void)::close(handle);
  return reason == EINVAL || reason == ENOTSUP ? 0 : reason;
}

/// A file that is written at its end. Each member returns 0, or the reason as errno has it.
class output_file {
 public:
  output_file() = default;
  output_file(output_file&& other) noexcept
      : handle_(std::exchange(other.handle_, -1)), end_(std::exchange(other.end_, 0)) {}
  output_file& operator=(output_file&& other) noexcept {
    (void)close();
    handle_ = std::exchange(other.handle_, -1);
    end_ = std::exchange(other.end_, 0);
    return *this;
  }
  ~output_file() { (void)close(); }
  /// A new file; EEXIST where the name is taken.
  int create(const std::filesystem::path& path) { return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC); }
  /// The end of one that is there.
  int append(const std::filesystem::path& path) {
    if (const int reason = open(path, O_WRONLY | O_CLOEXEC)) return reason;
    const ::off_t end = ::lseek(handle_, 0, SEEK_END);
    if (end < 0) return errno;
    end_ = static_cast<std::size_t>(end);
    return 0;
  }
  /// All of @p bytes.
  int write(std::string_view bytes) {
    const int reason = write_at(handle_, bytes, end_);
    if (reason == 0) end_ += bytes.size();
    return reason;
  }
  /// What is written reaches the disk.
  int sync() { return sync_handle(handle_); }
  int close() { return handle_ < 0 ? 0 : close_handle(std::exchange(handle_, -1)); }

 private:
  int open(const std::filesystem::path& path, int how) {
    (void)close();
    end_ = 0;
    handle_ = uninterrupted([&] { return ::open(path.c_str(), how, 0666); });
    return handle_ < 0 ? errno : 0;
  }
  int handle_ = -1;
  std::size_t end_ = 0;
};

#else

inline int sync_folder_of(const std::filesystem::path&) { return 0; }

/// The same by the C library, which cannot tell the disk to write.
class output_file {
 public:
  output_file() = default;
  output_file(output_file&& other) noexcept : file_(std::exchange(other.file_, nullptr)) {}
  output_file& operator=(output_file&& other) noexcept {
    (void)close();
    file_ = std::exchange(other.file_, nullptr);
    return *this;
  }
  ~output_file() { (void)close(); }
  int create(const std::filesystem::path& path) { return open(path, "wbx"); }
  int append(const std::filesystem::path& path) { return open(path, "ab"); }
  int write(std::string_view bytes) {
    return std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size() && std::fflush(file_) == 0 ? 0 : errno;
  }
  int sync() { return 0; }
  int close() { return !file_ || std::fclose(std::exchange(file_, nullptr)) == 0 ? 0 : errno; }

 private:
  int open(const std::filesystem::path& path, const char* how) {
    (void)close();
    file_ = std::fopen(path.string().c_str(), how);
    return file_ ? 0 : errno;
  }
  std::FILE* file_ = nullptr;
};

#endif

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
