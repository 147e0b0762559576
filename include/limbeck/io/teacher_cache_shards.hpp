#ifndef LIMBECK_IO_TEACHER_CACHE_SHARDS_HPP
#define LIMBECK_IO_TEACHER_CACHE_SHARDS_HPP

/// @file
/// The files of a teacher cache: one, or one a writer.

#include <limbeck/io/teacher_cache_format.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
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

/// The file at @p path, or where that is a folder its files `*.cache` in the order of their names. @throws file_error
/// where the folder cannot be read or has none.
inline std::vector<std::filesystem::path> shard_paths(const std::filesystem::path& path) {
  std::error_code e;
  if (!std::filesystem::is_directory(path, e)) return {path};
  std::vector<std::filesystem::path> found;
  std::filesystem::directory_iterator at(path, e), end;
  for (; !e && at != end; at.increment(e))
    if (at->path().extension() == ".cache") found.push_back(at->path());
  if (e) throw_file_error(path, "cannot be read: " + e.message());
  if (found.empty()) throw_file_error(path, "is a folder without a file *.cache");
  std::sort(found.begin(), found.end());
  return found;
}

/// Opens the files. @throws file_error as each of them, and where two of them cannot be one cache; value_error where
/// there is none.
inline std::vector<cache_shard> open_shards(const std::vector<std::filesystem::path>& paths, file_access access) {
  if (paths.empty()) raise<value_error>("limbeck: a teacher cache of no files");
  std::vector<cache_shard> shards;
  shards.reserve(paths.size());
  std::uint64_t rows = 0;
  for (const auto& path : paths) {
    shards.emplace_back(path, access, rows);
    rows += shards.back().contents.rows();
    if (const auto what = difference(shards.back().contents.metadata, shards[0].contents.metadata); !what.empty())
      throw_file_error(path, "holds a teacher cache " + what + " as that of '" + paths[0].string() + "'");
  }
  return shards;
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
