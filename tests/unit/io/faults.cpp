// The system's calls as faults.hpp describes them: a program's own definition goes before the C library's.

#include "faults.hpp"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace faults {
disk* current = nullptr;

namespace {
bool is_folder(int handle) {
  struct ::stat s {};
  return ::fstat(handle, &s) == 0 && S_ISDIR(s.st_mode);
}
int failed(int reason) {
  errno = reason;
  return -1;
}
/// True every second time.
bool interrupts() {
  static bool now = false;
  return current && current->interrupted && (now = !now);
}
}  // namespace
}  // namespace faults

extern "C" {

ssize_t pwrite(int handle, const void* bytes, size_t size, off_t at) {
  using faults::current;
  if (faults::interrupts()) return faults::failed(EINTR);
  if (current) {
    ++current->writes;
    if (current->interrupted) size = size < 7 ? size : 7;
    if (current->write != 0 && current->writes > 1) return faults::failed(current->write);
    if (current->write != 0) size = (size + 1) / 2;
  }
  return static_cast<ssize_t>(::syscall(SYS_pwrite64, handle, bytes, size, at));
}

int fsync(int handle) {
  using faults::current;
  if (faults::interrupts()) return faults::failed(EINTR);
  if (current) {
    const bool folder = faults::is_folder(handle);
    ++(folder ? current->folders_synced : current->files_synced);
    if (const int reason = folder ? current->sync_folder : current->sync_file) return faults::failed(reason);
  }
  return static_cast<int>(::syscall(SYS_fsync, handle));
}

int ftruncate(int handle, off_t size) noexcept {
  if (faults::current) ++faults::current->cuts;
  return static_cast<int>(::syscall(SYS_ftruncate, handle, size));
}

int close(int handle) {
  const int reason = faults::current && !faults::is_folder(handle) ? faults::current->close : 0;
  const auto result = static_cast<int>(::syscall(SYS_close, handle));
  return reason != 0 ? faults::failed(reason) : result;
}

}  // extern "C"
