// A file that is replaced at once: whole or not there, whatever fails and whoever else writes it.

#include "faults.hpp"
#include "files.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace {

using namespace limbeck;
using Catch::Matchers::Contains;
using detail::write_atomically;

/// A folder of its own, removed before and after.
struct folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / "limbeck_io_replaced";
  std::filesystem::path file = path / "x.bin";
  folder() {
    std::filesystem::remove_all(path);
    std::filesystem::create_directory(path);
  }
  ~folder() { std::filesystem::remove_all(path); }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path), {}));
  }
};

TEST_CASE("a replaced file reaches the disk, and so does its name", "[io][file]") {
  const folder in;
  faults::failing disk({});
  write_atomically(in.file, {"one", "", "two"});
  CHECK(files::content(in.file) == "onetwo");
  CHECK(disk.files_synced == 1);
  CHECK(disk.folders_synced == 1);
  CHECK(in.entries() == 1);
}

TEST_CASE("whatever fails is told, and leaves the old file and nothing beside it", "[io][file][errors]") {
  const folder in;
  write_atomically(in.file, {"old"});
  const auto fails = [&](const faults::disk& how, const std::string& why) {
    faults::failing disk(how);
    CHECK_THROWS_WITH(write_atomically(in.file, {"a new content"}),
                      "limbeck: cannot write '" + in.file.string() + "': " + why);
    CHECK(files::content(in.file) == "old");
    CHECK(in.entries() == 1);
  };
  fails({.write = ENOSPC}, "No space left on device");
  fails({.sync_file = EIO}, "Input/output error");
  fails({.close = EDQUOT}, "Disk quota exceeded");

  std::filesystem::create_directory(in.path / "taken");  // no file takes this name
  CHECK_THROWS_WITH(write_atomically(in.path / "taken", {"x"}), Contains("cannot write"));
  CHECK(in.entries() == 2);
}

TEST_CASE("a name that may not survive a power cut is told", "[io][file][errors]") {
  const folder in;
  {
    faults::failing disk({.sync_folder = EIO});
    CHECK_THROWS_WITH(write_atomically(in.file, {"new"}), "limbeck: cannot bring to the disk the new name of '" +
                                                              in.file.string() + "': Input/output error");
    CHECK(files::content(in.file) == "new");
  }
  for (const int reason : {EINVAL, ENOTSUP}) {  // a file system that has no such thing
    faults::failing disk({.sync_folder = reason});
    write_atomically(in.file, {"newer"});
  }
}

TEST_CASE("signals and short writes are no errors", "[io][file]") {
  const folder in;
  const std::string content(1000, 'x');
  faults::failing disk({.interrupted = true});
  write_atomically(in.file, {content, "y"});
  CHECK(files::content(in.file) == content + "y");
  CHECK(disk.writes == 144);  // 1000 bytes by seven, and one
}

TEST_CASE("names that are taken are left alone", "[io][file]") {
  const folder in;
  std::filesystem::create_directory(in.path / "x.bin.0.part");
  std::ofstream(in.path / "x.bin.1.part") << "somebody else's";
  write_atomically(in.file, {"mine"});
  CHECK(files::content(in.file) == "mine");
  CHECK(files::content(in.path / "x.bin.1.part") == "somebody else's");
  CHECK(in.entries() == 3);
}

TEST_CASE("several processes that write one file never tear it", "[io][file]") {
  const folder in;
  const auto content = [](int who) {
    return std::string(100000 + static_cast<std::size_t>(who), static_cast<char>('a' + who));
  };
  write_atomically(in.file, {content(0)});
  std::vector<pid_t> children;
  for (int who = 0; who < 3; ++who) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const std::string mine = content(who);
      int failures = 0;
      for (int i = 0; i < 60; ++i) {
        try {
          write_atomically(in.file, {mine});
        } catch (const file_error&) {
          ++failures;
        }
      }
      ::_exit(failures);
    }
    children.push_back(child);
  }
  std::size_t torn = 0;
  for (int i = 0; i < 300; ++i) {
    const std::string found = detail::read_file(in.file);
    torn += found != content(found.empty() ? 0 : found[0] - 'a') ? 1 : 0;
  }
  int failures = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    failures += WEXITSTATUS(status);
  }
  CHECK(torn == 0);
  CHECK(failures == 0);
  CHECK(in.entries() == 1);
}

}  // namespace
