#ifndef LIMBECK_TESTS_UNIT_IO_FAULTS_HPP
#define LIMBECK_TESTS_UNIT_IO_FAULTS_HPP

// A disk that fails when a test says so: the calls of the system that write, in the place of the C library's own
// (faults.cpp), and what was called.

#include <cstddef>

namespace faults {

/// What is to go wrong, as errno has it; 0 for nothing.
struct disk {
  int write = 0;             ///< the second write of a file, after half of the first
  int sync_file = 0;         ///< each fsync of a file
  int sync_folder = 0;       ///< each fsync of a folder
  int close = 0;             ///< each close of a file that was written
  bool interrupted = false;  ///< each call is interrupted by a signal once, and a write writes 7 bytes at most
  std::size_t files_synced = 0, folders_synced = 0, writes = 0, cuts = 0;  ///< calls that came so far
};
/// In force while a `failing` lives; null: all is well.
extern disk* current;

struct failing : disk {
  explicit failing(const disk& what) : disk(what) { current = this; }
  ~failing() { current = nullptr; }
  failing(const failing&) = delete;
  failing& operator=(const failing&) = delete;
};

}  // namespace faults

#endif
