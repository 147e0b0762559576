// A teacher cache in shards: written by several, read as one, in a call and by the trainer; and what does not fit.

#include "../trainer/toy.hpp"

#include "batch.hpp"
#include "catch.hpp"
#include "files.hpp"

#include <limbeck/io/teacher_cache.hpp>
#include <limbeck/io/teacher_cache_writer.hpp>
#include <limbeck/limbeck.hpp>
#include <limbeck/trainer/trainer.hpp>

#include <unistd.h>

#include <numeric>
#include <string>
#include <thread>

namespace lk = limbeck;
using namespace limbeck_test;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using paths = std::vector<std::filesystem::path>;

namespace {

constexpr std::size_t classes = 5;

/// A folder of the test's own, beside which other cases run.
struct folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("limbeck_io_shards_" + std::to_string(::getpid()));
  folder() {
    std::filesystem::remove_all(path);
    std::filesystem::create_directory(path);
  }
  ~folder() {
    std::error_code e;
    std::filesystem::remove_all(path, e);
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  std::filesystem::path operator/(const char* name) const { return path / name; }
};

std::vector<float> logits_of(const std::vector<std::size_t>& ids, std::size_t wide = classes) {
  std::vector<float> z;
  for (const std::size_t id : ids)
    for (std::size_t c = 0; c < wide; ++c) z.push_back(static_cast<float>((id * 31 + c * 17) % 64) / 8 - 4);
  return z;
}
void write(const std::filesystem::path& path, const std::vector<std::size_t>& ids,
           lk::cache_metadata metadata = {.classes = classes}) {
  const std::vector<float> z = logits_of(ids, metadata.classes);
  lk::teacher_cache_writer writer(path, metadata, {.block_bytes = 100});
  for (std::size_t r = 0; r < ids.size(); r += 4) {
    const std::vector<std::size_t> some(ids.begin() + static_cast<std::ptrdiff_t>(r),
                                        ids.begin() + static_cast<std::ptrdiff_t>(std::min(ids.size(), r + 4)));
    writer.append(some, lk::rows<const float>(&z[r * metadata.classes], some.size(), metadata.classes));
  }
  writer.close();
}
std::vector<std::size_t> range(std::size_t first, std::size_t last, std::size_t step = 1) {
  std::vector<std::size_t> ids;
  for (std::size_t i = first; i < last; i += step) ids.push_back(i);
  return ids;
}
void check_rows(const lk::teacher_cache& cache, const std::vector<std::size_t>& ids) {
  std::vector<float> out(ids.size() * classes);
  lk::fill(cache.target<float>(ids), lk::rows<float>(out.data(), ids.size(), classes));
  CHECK(out == logits_of(ids));
}

}  // namespace

TEST_CASE("shards: ranks write at once, whatever rows they have, and are read as one", "[teacher_cache]") {
  const folder here;
  std::vector<std::thread> ranks;
  for (std::size_t rank = 0; rank < 3; ++rank)
    ranks.emplace_back(
        [&, rank] { write(here / ("rank" + std::to_string(rank) + ".cache").c_str(), range(rank, 50, 3)); });
  for (auto& rank : ranks) rank.join();
  write(here / "rank3.cache", {});            // had nothing to do
  write(here / "rank9.cache", {90, 70, 71});  // in any order, with gaps
  write(here / "notes.txt", {1000});          // another ending
  const lk::teacher_cache cache(here.path, {.classes = classes, .samples = 53});
  CHECK(cache.size() == 53);
  auto ids = range(0, 50);
  ids.insert(ids.end(), {70, 71, 90});
  CHECK(cache.ids() == std::vector<std::uint64_t>(ids.begin(), ids.end()));
  CHECK(cache.contains(49));
  CHECK_FALSE(cache.contains(50));
  check_rows(cache, ids);
  check_rows(cache, {90, 3, 4, 90, 49, 0});
  std::size_t bytes = 0;
  for (const char* name : {"rank0.cache", "rank1.cache", "rank2.cache", "rank3.cache", "rank9.cache"})
    bytes += std::filesystem::file_size(here / name);
  CHECK(cache.bytes() == bytes);
  CHECK(cache.torn_bytes() == 0);

  const lk::teacher_cache two(paths{here / "rank2.cache", here / "rank0.cache"});  // in any order
  CHECK(two.size() == 33);
  check_rows(two, {2, 0, 48, 47});
  const std::vector<int> missing{1};
  CHECK_THROWS_WITH(two.target<float>(missing), "limbeck: the 2 shards '" + (here / "rank2.cache").string() +
                                                    "', ... have no row of sample 1, row 0 of this call");
  lk::teacher_cache moved = lk::teacher_cache(paths{here / "rank1.cache"});
  check_rows(moved, {1, 4});
}

TEST_CASE("shards: ranges in order, and batches that are written again replace themselves", "[teacher_cache]") {
  const folder here;
  write(here / "a.cache", range(10, 30));
  write(here / "b.cache", range(30, 37));
  const lk::teacher_cache cache(here.path);
  CHECK(cache.size() == 27);
  check_rows(cache, {36, 29, 30, 10});
  write(here / "b.cache", range(33, 37));  // the same rows of the same writer
  const lk::teacher_cache again(here.path);
  CHECK(again.size() == 27);
  check_rows(again, range(10, 37));
}

TEST_CASE("shards: sparse rows", "[teacher_cache]") {
  const folder here;
  const lk::cache_metadata kept{.classes = classes, .kind = lk::cache_kind::top_k, .temperature = 2, .k = 2};
  write(here / "a.cache", range(0, 9, 2), kept);
  write(here / "b.cache", range(1, 9, 2), kept);
  write(here / "all.one", range(0, 9), kept);
  const lk::teacher_cache shards(here.path), whole(here / "all.one");
  lk::sparse_store<float> got, want;
  const std::vector<int> ids{8, 3, 4, 0};
  shards.gather(ids, got);
  whole.gather(ids, want);
  CHECK(got.ids == want.ids);
  CHECK(got.offsets == want.offsets);
  CHECK(got.log_weights == want.log_weights);
  CHECK(got.log_tails == want.log_tails);
}

TEST_CASE("shards: the trainer's teacher", "[teacher_cache][trainer]") {
  const folder here;
  toy::clouds data(40);
  toy::linear net(9);
  const auto rows = range(0, 40);
  const auto logits = net.forward(data.batch_of(rows).inputs);
  const std::vector<double> stored(logits.data, logits.data + 40 * toy::classes);
  const lk::rows<const double> all(stored.data(), 40, toy::classes);
  const auto add = [&](const std::filesystem::path& path, std::size_t first, std::size_t last) {
    lk::teacher_cache_writer(path, {.classes = toy::classes})
        .append(range(first, last), lk::rows<const double>(all.row(first), last - first, toy::classes));
  };
  add(here / "whole.one", 0, 40);
  add(here / "0.cache", 25, 40);
  add(here / "1.cache", 0, 25);
  const lk::teacher_cache whole(here / "whole.one"), shards(here.path, {.samples = 40});
  struct teacher {
    const lk::teacher_cache& cache;
    auto rows(std::span<const std::size_t> numbers) const { return cache.target<double>(numbers); }
  };
  const auto train = [&](const lk::teacher_cache& cache) {
    toy::linear student(3);
    lk::trainer{student, teacher{cache}, 0.3 * lk::cross_entropy{} + lk::at_temperature(2, lk::forward_kl{}),
                toy::sgd{}}
        .fit(data, {.epochs = 2, .batch = 7, .seed = 5});
    return student.weights();
  };
  CHECK(train(shards) == train(whole));
  lk::subset part(data, {31, 2, 17, 33});
  toy::linear student(3);
  lk::trainer{student, teacher{shards}, lk::objective{lk::forward_kl{}}, toy::sgd{}}.fit(part,
                                                                                         {.epochs = 1, .batch = 2});
}

TEST_CASE("shards: what is wrong is said of its file", "[teacher_cache]") {
  const folder here;
  const auto name = [&](const char* file) { return "'" + (here / file).string() + "'"; };
  CHECK_THROWS_WITH(lk::teacher_cache(here.path),
                    "limbeck: '" + here.path.string() + "' is a folder without a file *.cache");
  CHECK_THROWS_WITH(lk::teacher_cache(paths{}), "limbeck: a teacher cache of no files");
  write(here / "a.cache", range(0, 10));
  const auto other = [&](const lk::cache_metadata& m, const std::string& message) {
    write(here / "b.cache", range(10, 20), m);
    CHECK_THROWS_WITH(lk::teacher_cache(here.path),
                      "limbeck: " + name("b.cache") + message + " as that of " + name("a.cache"));
    std::filesystem::remove(here / "b.cache");
  };
  other({.classes = 4}, " holds a teacher cache whose classes is 4, not 5");
  other({.classes = classes, .values = lk::element_type::float16},
        " holds a teacher cache whose values is \"float16\", not \"float32\"");
  other({.classes = classes, .teacher = "two"}, " holds a teacher cache whose teacher is \"two\", not \"\"");
  other({.classes = classes, .kind = lk::cache_kind::top_k, .temperature = 3, .k = 2},
        " holds a teacher cache whose kind is \"top_k\", not \"logits\"");

  write(here / "b.cache", {15, 9, 12});
  CHECK_THROWS_WITH(lk::teacher_cache(here.path), "limbeck: " + name("b.cache") +
                                                      " has a row of sample 9, and so has " + name("a.cache") +
                                                      ": a sample has one shard");
  CHECK_THROWS_WITH(lk::teacher_cache(paths{here / "a.cache", here / "a.cache"}), Contains("has a row of sample 0"));
  std::filesystem::remove(here / "b.cache");

  write(here / "b.cache", range(13, 19));
  CHECK_THROWS_WITH(lk::teacher_cache(here.path, {.samples = 20}),
                    Contains("samples 10 to 12 and others are missing; "));
  write(here / "b.cache", {19});
  CHECK_THROWS_WITH(lk::teacher_cache(here.path, {.samples = 20}),
                    "limbeck: the 2 shards of '" + here.path.string() +
                        "' have rows of 17 samples, expected 20, samples 10 to 12 are missing; " + name("b.cache") +
                        " has the fewest rows, 7, " + name("a.cache") + " the most, 10");
  CHECK_THROWS_WITH(
      lk::teacher_cache(here / "a.cache", {.samples = 12}),
      "limbeck: " + name("a.cache") + " has rows of 10 samples, expected 12, samples 10 to 11 are missing");
  CHECK_THROWS_WITH(lk::teacher_cache(here / "b.cache", {.samples = 5}),
                    "limbeck: " + name("b.cache") + " has rows of 7 samples, expected 5");

  // A writer that crashed: its last block is torn, and the message says whose.
  std::filesystem::resize_file(here / "b.cache", std::filesystem::file_size(here / "b.cache") - 64);
  CHECK_THROWS_WITH(lk::teacher_cache(here.path, {.samples = 20}),
                    Contains("; of " + name("b.cache") + " the last ") && EndsWith(" bytes are no whole block"));
  const lk::teacher_cache torn(here.path);
  CHECK(torn.torn_bytes() > 0);
  const std::vector<int> lost{19}, first{13};
  CHECK_THROWS_WITH(torn.target<float>(lost), Contains("no row of sample 19") && Contains(name("b.cache")));
  check_rows(torn, {0, 13});

  write(here / "b.cache", {19});
  std::string content = files::content(here / "b.cache");  // a changed bit, in a row of sample 13
  content[content.find("TBLK") + 64 + 8 * 4 + 2] ^= 1;
  std::ofstream(here / "b.cache", std::ios::binary) << content;
  const lk::teacher_cache changed(here.path);
  CHECK_THROWS_WITH(changed.target<float>(first), Contains(name("b.cache") + " is damaged"));
  check_rows(changed, {0, 9});
  std::ofstream(here / "b.cache", std::ios::binary) << "LIMBECKT";
  CHECK_THROWS_WITH(lk::teacher_cache(here.path), Contains(name("b.cache")));
}
