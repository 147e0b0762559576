#ifndef LIMBECK_IO_TEACHER_CACHE_SHARDS_HPP
#define LIMBECK_IO_TEACHER_CACHE_SHARDS_HPP

/// @file
/// The files of a teacher cache: one, or one a writer.

#include <limbeck/io/teacher_cache_manifest.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// A file of a cache, whose rows have numbers behind those of the files before it.
struct cache_shard {
  mapped_file file;
  cache_contents contents;
  std::uint64_t first;                         // number of its first row
  std::unique_ptr<std::atomic<bool>[]> sound;  // of each block: whether its checksum was found right

  cache_shard(const std::filesystem::path& path, file_access access, std::uint64_t before)
      : file(path, access),
        contents(scan_cache(file)),
        first(before),
        sound(std::make_unique<std::atomic<bool>[]>(contents.blocks.size())) {}
  /// Bytes behind the last whole block.
  std::size_t torn_bytes() const { return file.bytes().size() - contents.end; }
};

/// What the manifest has to say of a shard.
inline manifest_shard manifest_of(const cache_shard& s) {
  return {s.file.path().filename().string(), s.contents.rows(), s.file.bytes().size(), crc_of_headers(s.file.bytes(), s.contents)};
}
/// @throws file_error where a shard is not what its manifest says.
inline void require_as_said(const cache_shard& shard, const manifest_shard& said, const std::filesystem::path& manifest) {
  const manifest_shard is = manifest_of(shard);
  const auto in = [](const manifest_shard& s) { return std::to_string(s.rows) + " rows in " + std::to_string(s.bytes) + " bytes"; };
  const std::string where = "its manifest '" + manifest.string() + "'";
  if (is.rows != said.rows || is.bytes != said.bytes)
    throw_file_error(shard.file.path(), "has " + in(is) + ", " + where + " says " + in(said) +
                                            ": it was copied in part, or somebody has written to it since");
  if (is.crc != said.crc) throw_file_error(shard.file.path(), "has other rows than " + where + " says, by their checksums");
}

/// Opens the files. @throws file_error as each of them, where two of them cannot be one cache, and where one is not what
/// their manifest says; value_error where there is none.
inline std::vector<cache_shard> open_shards(const cache_files& files, file_access access) {
  const auto& paths = files.paths;
  if (paths.empty()) raise<value_error>("limbeck: a teacher cache of no files");
  std::vector<cache_shard> shards;
  shards.reserve(paths.size());
  std::uint64_t rows = 0;
  for (const auto& path : paths) {
    shards.emplace_back(path, access, rows);
    rows += shards.back().contents.rows();
    if (const auto what = difference(shards.back().contents.metadata, shards[0].contents.metadata); !what.empty())
      throw_file_error(path, "holds a teacher cache " + what + " as that of '" + paths[0].string() + "'");
    if (!files.manifest.empty()) require_as_said(shards.back(), files.says.shards[shards.size() - 1], files.manifest);
  }
  return shards;
}

/// f(id, row) for each row of a shard, in their order. Returns how many blocks were left out, because their ids are
/// damaged.
template <class F>
std::size_t for_each_id(const cache_shard& shard, F f) {
  std::size_t damaged = 0;
  const auto file = shard.file.bytes();
  for (const cache_block& b : shard.contents.blocks) {
    if (crc_of(file.data() + b.payload, static_cast<std::size_t>(8 * b.rows)) != b.id_crc) {
      ++damaged;
      continue;
    }
    for (std::size_t r = 0; r < b.rows; ++r) f(number_at<std::uint64_t>(file, b.payload + 8 * r), shard.first + b.before + r);
  }
  return damaged;
}

/// The shard of a row.
inline const cache_shard& shard_of(const std::vector<cache_shard>& shards, std::uint64_t row) {
  return *(std::upper_bound(shards.begin(), shards.end(), row,
                            [](std::uint64_t r, const cache_shard& s) { return r < s.first; }) -
           1);
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
