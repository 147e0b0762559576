// Caches that python/limbeck_teacher_cache.py wrote (tests/golden/teacher_cache), read here, value by value.

#include "catch.hpp"
#include "files.hpp"

#include <limbeck/io/teacher_cache.hpp>
#include <limbeck/io/teacher_cache_writer.hpp>
#include <limbeck/target/fill.hpp>

#include <map>
#include <memory>

namespace lk = limbeck;

TEST_CASE("teacher cache: what Python wrote is read as Python reads it", "[teacher_cache]") {
  const auto folder = std::filesystem::path(LIMBECK_GOLDEN_DIR) / "teacher_cache";
  std::ifstream list(folder / "expected.txt");
  REQUIRE(list);
  std::unique_ptr<lk::teacher_cache> cache;
  lk::sparse_store<float> store;
  std::vector<float> dense;
  std::size_t files = 0, values = 0, row = 0;
  std::string word, name;
  while (list >> word) {
    if (word == "file") {
      list >> name;
      cache = std::make_unique<lk::teacher_cache>(folder / name);
      CHECK(cache->size() == 12);
      CHECK(cache->torn_bytes() == 0);
      const auto ids = cache->ids();
      if (cache->metadata().kind == lk::cache_kind::logits) {
        dense.resize(12 * cache->metadata().classes);
        lk::fill(cache->target<float>(ids), lk::rows<float>(dense.data(), 12, cache->metadata().classes));
      } else {
        cache->gather(ids, store);
      }
      ++files;
      continue;
    }
    std::uint64_t id = 0;
    std::string number;
    REQUIRE(list >> id);
    const auto ids = cache->ids();
    row = static_cast<std::size_t>(std::lower_bound(ids.begin(), ids.end(), id) - ids.begin());
    REQUIRE(ids.at(row) == id);
    std::size_t c = 0;
    if (word == "row") REQUIRE(list >> c);
    REQUIRE(list >> number);
    const double expected = std::strtod(number.c_str(), nullptr);
    INFO(name << ", sample " << id << ", class " << c);
    double found = 0;
    if (word == "tail") {
      found = static_cast<double>(store.log_tails.at(row));
    } else if (cache->metadata().kind == lk::cache_kind::logits) {
      found = static_cast<double>(dense.at(row * cache->metadata().classes + c));
    } else {
      const auto first = store.ids.begin() + static_cast<std::ptrdiff_t>(store.offsets[row]),
                 last = store.ids.begin() + static_cast<std::ptrdiff_t>(store.offsets[row + 1]);
      const auto at = std::find(first, last, static_cast<std::int32_t>(c));
      REQUIRE(at != last);
      found = static_cast<double>(store.log_weights.at(static_cast<std::size_t>(at - store.ids.begin())));
    }
    if (std::isinf(expected)) {
      CHECK(found == expected);
    } else {
      CHECK(found == Approx(expected).epsilon(1e-6).margin(2e-6));  // minimum + scale * u may be fused
    }
    ++values;
  }
  CHECK(files == 12);
  CHECK(values > 1500);
}

TEST_CASE("teacher cache: a file that Python began is continued", "[teacher_cache]") {
  const files::temporary file("continued.cache");
  const auto golden = std::filesystem::path(LIMBECK_GOLDEN_DIR) / "teacher_cache" / "logits_float16.cache";
  std::filesystem::copy_file(golden, file.path);
  const auto metadata = lk::teacher_cache(golden).metadata();
  const std::vector<float> z(metadata.classes, 0.5F);
  const std::vector<int> ids{123456};
  lk::teacher_cache_writer(file.path, metadata).append(ids, lk::rows<const float>(z.data(), 1, z.size()));
  const lk::teacher_cache cache(file.path);
  CHECK(cache.size() == 13);
  CHECK(cache.contains(123456));
}
