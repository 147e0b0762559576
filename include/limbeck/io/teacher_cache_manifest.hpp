#ifndef LIMBECK_IO_TEACHER_CACHE_MANIFEST_HPP
#define LIMBECK_IO_TEACHER_CACHE_MANIFEST_HPP

/// @file
/// The manifest of a teacher cache in shards: which files it is, and what each of them holds.
/// docs/teacher_cache_format.md describes it for other programs.

#include <limbeck/io/teacher_cache_format.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// The name of the manifest in the folder of its shards: `teacher_cache(folder / cache_manifest_name)` reads a cache that
/// is whole or none.
inline constexpr const char* cache_manifest_name = "manifest.json";

/// @cond
namespace detail {

/// What a manifest says of a shard.
struct manifest_shard {
  std::string file;  // a name in its folder
  std::uint64_t rows = 0, bytes = 0;
  std::uint32_t crc = 0;  // of the headers
};
struct cache_manifest {
  std::uint64_t samples = 0;
  std::vector<manifest_shard> shards;
};

/// What tells a file from others: a checksum of its headers, in which those of all its bytes stand. Without a header's own
/// at its end, whose bytes would take away whatever the others have told: a checksum that has read its own is a constant.
inline std::uint32_t crc_of_headers(std::span<const std::byte> file, const cache_contents& c) {
  constexpr std::size_t told = cache_header_bytes - 4;
  std::uint32_t crc = crc_of(file.data(), told);
  for (const cache_block& b : c.blocks) crc = crc_of(file.data() + b.payload - cache_header_bytes, told, crc);
  return crc;
}

inline std::string text_of(const cache_manifest& m) {
  nlohmann::json shards = nlohmann::json::array();
  for (const manifest_shard& s : m.shards) shards.push_back({{"file", s.file}, {"rows", s.rows}, {"bytes", s.bytes}, {"crc", s.crc}});
  const nlohmann::json j{{"format", "limbeck teacher cache"}, {"version", 1}, {"samples", m.samples}, {"shards", std::move(shards)}};
  return j.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

/// @throws file_error where it is not there or no manifest.
inline cache_manifest read_manifest(const std::filesystem::path& path) {
  std::error_code e;
  if (!std::filesystem::exists(path, e))
    throw_file_error(path, "is not there: nobody has finished this cache, or somebody writes to it again");
  const auto j = parse_metadata(read_file(path), 4);
  const auto refuse = [&](const std::string& what) { throw_file_error(path, "is no manifest of a teacher cache" + what); };
  return attempt<nlohmann::json::exception>(
      [&] {
        if (!j.is_object() || j.value("format", "") != "limbeck teacher cache") refuse("");
        if (j.at("version") != 1) refuse(" that this version knows: its version is " + j["version"].dump());
        const auto whole = [&](const nlohmann::json& from, const char* key, std::uint64_t most = ~std::uint64_t{0}) {
          const auto& x = from.at(key);
          if (!x.is_number_unsigned() || x.get<std::uint64_t>() > most) refuse(std::string(": ") + key + " is no whole number");
          return x.get<std::uint64_t>();
        };
        cache_manifest m;
        m.samples = whole(j, "samples");
        for (const auto& s : j.at("shards")) {
          manifest_shard found{s.at("file").get<std::string>(), whole(s, "rows"), whole(s, "bytes"),
                               static_cast<std::uint32_t>(whole(s, "crc", 0xffffffff))};
          if (found.file.find('/') != std::string::npos || !found.file.ends_with(".cache"))
            refuse(": it names '" + found.file + "', which is no name of a shard");
          m.shards.push_back(std::move(found));
        }
        if (m.shards.empty()) refuse(": it names no shard");
        return m;
      },
      [&](const nlohmann::json::exception& x) -> cache_manifest {
        refuse(std::string(": ") + x.what());
        return {};
      });
}

/// The files `*.cache` of a folder, in the order of their names. @throws file_error where it cannot be read.
inline std::vector<std::filesystem::path> shards_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  std::error_code e;
  std::filesystem::directory_iterator at(folder, e), end;
  for (; !e && at != end; at.increment(e))
    if (at->path().extension() == ".cache") found.push_back(at->path());
  if (e) throw_file_error(folder, "cannot be read: " + e.message());
  std::sort(found.begin(), found.end());
  return found;
}

/// The files of a cache.
struct cache_files {
  std::vector<std::filesystem::path> paths;
  std::filesystem::path folder;    // where they are all of it, else empty
  std::filesystem::path manifest;  // where there is one, which says of each path:
  cache_manifest says = {};
};

/// The file at @p path; where that is a folder, its files `*.cache`, those that its manifest names if it has one; where it
/// is a manifest, the files that it names. @throws file_error where the folder cannot be read or has none, and where its
/// manifest names others than it has.
inline cache_files files_of(const std::filesystem::path& path) {
  std::error_code e;
  const bool folder = std::filesystem::is_directory(path, e);
  if (!folder && path.filename() != cache_manifest_name) return {.paths = {path}, .folder = {}, .manifest = {}};
  cache_files found{.paths = {}, .folder = folder ? path : path.parent_path(), .manifest = folder ? path / cache_manifest_name : path};
  const auto there = shards_in(found.folder.empty() ? "." : found.folder);
  if (folder && !std::filesystem::exists(found.manifest, e)) {
    if (there.empty()) throw_file_error(path, "is a folder without a file *.cache");
    found.manifest.clear();
    found.paths = there;
    return found;
  }
  found.says = read_manifest(found.manifest);
  const auto has = [](const auto& list, const auto& name, auto name_of_one) {
    return std::any_of(list.begin(), list.end(), [&](const auto& x) { return name_of_one(x) == name; });
  };
  for (const manifest_shard& s : found.says.shards) {
    if (!has(there, s.file, [](const auto& p) { return p.filename().string(); }))
      throw_file_error(found.manifest, "names the shard '" + s.file + "', which is not there");
    found.paths.push_back(found.folder / s.file);
  }
  for (const auto& p : there)
    if (!has(found.says.shards, p.filename().string(), [](const auto& s) { return s.file; }))
      throw_file_error(found.manifest, "does not name '" + p.filename().string() +
                                           "', which lies beside it: a shard of another cache, or a new one");
  return found;
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
