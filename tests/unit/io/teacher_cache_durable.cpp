// The teacher cache on a disk that fails, over power cuts, and over fork.

#include "catch.hpp"
#include "faults.hpp"
#include "files.hpp"

#include <limbeck/io/teacher_cache.hpp>
#include <limbeck/io/teacher_cache_writer.hpp>
#include <limbeck/target/fill.hpp>

#include <sys/wait.h>

#include <cerrno>
#include <cmath>
#include <optional>

namespace lk = limbeck;
using Catch::Matchers::Contains;

namespace {

const lk::cache_metadata dense{.classes = 3, .teacher = "t"};

void append(lk::teacher_cache_writer& writer, int first, int count) {
  std::vector<int> ids;
  std::vector<float> z;
  for (int id = first; id < first + count; ++id) {
    ids.push_back(id);
    z.insert(z.end(), {static_cast<float>(id), 0.5F, -1});
  }
  writer.append(ids, lk::rows<const float>(z.data(), ids.size(), 3));
}
void add(const std::filesystem::path& path, int first, int count, const lk::cache_writing& how = {}) {
  lk::teacher_cache_writer writer(path, dense, how);
  append(writer, first, count);
  writer.close();
}
/// Whether the samples from 0 to n are there, and no others.
bool holds(const lk::teacher_cache& cache, std::size_t n) {
  const auto ids = cache.ids();
  std::vector<float> out(3 * ids.size());
  lk::fill(cache.target<float>(ids), lk::rows<float>(out.data(), ids.size(), 3));
  bool good = ids.size() == n;
  for (std::size_t i = 0; good && i < n; ++i) good = ids[i] == i && out[3 * i] == static_cast<float>(i);
  return good;
}
bool holds(const std::filesystem::path& path, std::size_t n) { return holds(lk::teacher_cache(path), n); }

}  // namespace

TEST_CASE("teacher cache: with sync each block reaches the disk before the next, and a new file's name too",
          "[teacher_cache]") {
  const files::temporary file("synced.cache");
  faults::failing disk({});
  {
    lk::teacher_cache_writer writer(file.path, dense, {.sync = true});
    CHECK(disk.files_synced == 1);
    CHECK(disk.folders_synced == 1);
    append(writer, 0, 2);
    writer.flush();
    CHECK(disk.files_synced == 2);
    append(writer, 2, 2);
    writer.close();
    CHECK(disk.files_synced == 3);
    CHECK(disk.folders_synced == 1);
  }
  const std::string before = files::content(file.path);
  disk.writes = disk.files_synced = disk.folders_synced = 0;
  { lk::teacher_cache_writer writer(file.path, dense, {.sync = true}); }
  CHECK(disk.writes == 1);  // its last block again: an fsync of it may have failed
  CHECK(disk.files_synced == 1);
  CHECK(disk.folders_synced == 1);
  CHECK(files::content(file.path) == before);
  disk.files_synced = disk.folders_synced = 0;
  add(file.path, 4, 2);
  CHECK(disk.files_synced == 0);
  CHECK(disk.folders_synced == 0);
  CHECK(holds(file.path, 6));
}

TEST_CASE("teacher cache: a disk that refuses is told from each call", "[teacher_cache][errors]") {
  const files::temporary file("refused.cache");
  {
    faults::failing disk({.sync_folder = EIO});
    CHECK_THROWS_WITH(lk::teacher_cache_writer(file.path, dense, {.sync = true}),
                      "limbeck: cannot bring to the disk the name of '" + file.path.string() + "': Input/output error");
  }
  add(file.path, 0, 2);
  {
    faults::failing disk({.sync_file = EIO});
    CHECK_THROWS_WITH(lk::teacher_cache_writer(file.path, dense, {.sync = true}), Contains("Input/output error"));
    CHECK(disk.cuts == 0);
  }
  {
    lk::teacher_cache_writer writer(file.path, dense);
    append(writer, 2, 2);
    faults::failing disk({.close = EDQUOT});
    CHECK_THROWS_WITH(writer.close(), "limbeck: cannot write '" + file.path.string() + "': Disk quota exceeded");
    writer.close();  // it is
  }
  {
    lk::teacher_cache_writer writer(file.path, dense);
    append(writer, 4, 2);
    faults::failing disk({.write = ENOSPC});
    CHECK_THROWS_WITH(writer.close(), Contains("No space left on device"));
    CHECK(disk.cuts == 1);
    CHECK(holds(file.path, 4));
    CHECK(lk::teacher_cache(file.path).torn_bytes() == 0);
    CHECK(writer.rows_written() == 6);
  }  // there is room again
  CHECK(holds(file.path, 6));
  {
    std::optional<lk::teacher_cache_writer> writer(std::in_place, file.path, dense);
    append(*writer, 6, 2);
    faults::failing disk({.write = ENOSPC});
    writer.reset();
  }
  add(file.path, 6, 2);  // the lock was given back
  CHECK(holds(file.path, 8));
}

TEST_CASE("teacher cache: a block that the disk did not confirm stays for its readers, and the writer ends",
          "[teacher_cache][errors]") {
  const files::temporary file("unconfirmed.cache");
  add(file.path, 0, 2);
  std::string whole;
  {
    lk::teacher_cache_writer writer(file.path, dense, {.sync = true});
    append(writer, 2, 2);
    faults::failing disk({.sync_file = EIO});
    CHECK_THROWS_WITH(writer.flush(), Contains("the disk did not confirm the last block of '" + file.path.string() +
                                               "': Input/output error; this writer is closed"));
    const lk::teacher_cache reader(file.path);
    CHECK_THROWS_WITH(writer.flush(), Contains("is closed"));
    CHECK_THROWS_WITH(append(writer, 4, 1), Contains("is closed"));
    writer.close();
    CHECK(disk.cuts == 0);
    CHECK(holds(reader, 4));
    whole = files::content(file.path);
  }
  add(file.path, 4, 2, {.sync = true});
  CHECK(holds(file.path, 6));
  CHECK(files::content(file.path).starts_with(whole));
}

TEST_CASE("teacher cache: signals and short writes are no errors", "[teacher_cache]") {
  const files::temporary file("interrupted.cache");
  faults::failing disk({.interrupted = true});
  for (const int first : {0, 7}) add(file.path, first, 7, {.sync = true});
  CHECK(disk.cuts == 0);
  CHECK(holds(file.path, 14));
}

TEST_CASE("teacher cache: a torn tail goes, also where the next block is shorter", "[teacher_cache]") {
  const files::temporary file("tail.cache"), other("whole.cache");
  add(file.path, 0, 2);
  add(file.path, 2, 50);
  std::string torn = files::content(file.path);
  torn.pop_back();
  std::ofstream(file.path, std::ios::binary | std::ios::trunc) << torn;
  add(file.path, 2, 1);
  add(other.path, 0, 2);
  add(other.path, 2, 1);
  CHECK(files::content(file.path) == files::content(other.path));
}

TEST_CASE("teacher cache: a child of fork has no part in its parent's writer", "[teacher_cache][errors]") {
  const files::temporary file("forked.cache");
  std::optional<lk::teacher_cache_writer> writer(std::in_place, file.path, dense);
  append(*writer, 0, 2);
  writer->flush();
  append(*writer, 2, 2);  // pending
  const std::string before = files::content(file.path);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int refused = 0;
    const auto refuses = [&](const std::string& why, auto call) {
      try {
        call();
      } catch (const std::exception& e) {
        refused += std::string(e.what()).find(why) != std::string::npos ? 1 : 0;
      }
    };
    const std::string why = "belongs to process " + std::to_string(::getppid());
    refuses(why, [&] { append(*writer, 4, 2); });
    refuses(why, [&] { writer->flush(); });
    refuses(why, [&] { writer->close(); });
    writer.reset();
    refuses("is being written by another", [&] { lk::teacher_cache_writer(file.path, dense); });
    ::_exit(refused);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 4);
  CHECK(files::content(file.path) == before);
  append(*writer, 4, 2);
  writer->close();
  CHECK(holds(file.path, 6));
}

TEST_CASE("teacher cache: sparse rows that are refused leave nothing in the next block", "[teacher_cache][errors]") {
  const files::temporary file("sparse_refused.cache");
  const lk::cache_metadata counts{
      .classes = 3, .kind = lk::cache_kind::sampled, .values = lk::element_type::uint8, .draws = 4};
  const auto store = [](double p) {
    return lk::sparse_store<double>{
        3, {0, 2, 4}, {0, 2, 0, 1}, {std::log(0.25), std::log(0.75), std::log(p), std::log(1 - p)}, {}, 1, true};
  };
  const std::vector<int> ids{0, 1};
  lk::teacher_cache_writer writer(file.path, counts);
  CHECK_THROWS_WITH(writer.append(ids, store(0.3)), Contains("a weight in sparse row 1 is"));
  CHECK(writer.rows_written() == 0);
  writer.append(ids, store(0.5));
  writer.close();
  lk::sparse_store<double> back;
  lk::teacher_cache(file.path).gather(ids, back);
  CHECK(back.ids == store(0.5).ids);
  CHECK(back.offsets == store(0.5).offsets);
  for (std::size_t i = 0; i < 4; ++i) CHECK(back.log_weights[i] == Approx(store(0.5).log_weights[i]).margin(1e-12));
}

TEST_CASE("teacher cache: sparse rows at another temperature, or of raw logits, are refused", "[teacher_cache][errors]") {
  const files::temporary file("sparse_wrong.cache");
  const std::vector<double> z{3, 1, 0, 2, 12, 9};
  const lk::rows<const double> logits(z.data(), 2, 3);
  const std::vector<int> ids{0, 1};
  lk::teacher_cache_writer writer(file.path, {.classes = 3, .kind = lk::cache_kind::top_k, .temperature = 2, .k = 2});
  CHECK_THROWS_WITH(writer.append(ids, lk::keep_top(logits, 2)),
                    Contains("the sparse rows were made at T = 1, and this teacher cache holds rows at T = 2"));
  auto raw = lk::keep_top(logits, 2, 2.0);
  raw.log_weights[2] = 12, raw.log_weights[3] = 9;
  CHECK_THROWS_WITH(writer.append(ids, raw), Contains("of sparse row 1 and its tail sum to"));
  CHECK_THROWS_WITH(writer.append(ids, lk::draw_sparse(logits, 4, lk::random_stream(1), 1.0, 2.0)),
                    Contains("of the top k takes rows of keep_top"));
  CHECK(writer.rows_written() == 0);
  writer.append(ids, lk::keep_top(logits, 2, 2.0));
}
