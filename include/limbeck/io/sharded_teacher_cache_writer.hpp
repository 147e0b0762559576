#ifndef LIMBECK_IO_SHARDED_TEACHER_CACHE_WRITER_HPP
#define LIMBECK_IO_SHARDED_TEACHER_CACHE_WRITER_HPP

/// @file
/// Fills a teacher cache by many ranks, each its own file, and says when it is whole.

#include <limbeck/io/teacher_cache.hpp>
#include <limbeck/io/teacher_cache_writer.hpp>
#include <limbeck/ranks/shards.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// `agree` of what touches files: their faults stay file_error.
template <class C, class F>
auto agree_on_files(const C& comm, F f) {
  using R = decltype(f());
  return attempt<std::runtime_error>([&] { return agree(comm, f); },
                                     [](const std::runtime_error& e) -> R { raise<file_error>(e.what()); });
}

/// The shards in a folder as rank 0 sees it: one list for all.
template <class C>
std::vector<std::filesystem::path> shards_in(const C& comm, const std::filesystem::path& folder) {
  std::string names = agree_on_files(comm, [&] {
    std::string all;
    if (comm.rank() == 0)
      for (const auto& p : shards_in(folder)) all += p.filename().string() + "/";  // of no name a part
    return all;
  });
  broadcast(comm, names, 0);
  std::vector<std::filesystem::path> paths;
  for (std::size_t at = 0, end; at < names.size(); at = end + 1) {
    end = names.find('/', at);
    paths.push_back(folder / names.substr(at, end - at));
  }
  return paths;
}
/// f(path) for those of @p paths that are this rank's to look after.
template <class C, class F>
void for_each_own(const C& comm, const std::vector<std::filesystem::path>& paths, F f) {
  for (std::size_t i = static_cast<std::size_t>(comm.rank()); i < paths.size(); i += static_cast<std::size_t>(comm.size())) f(paths[i]);
}

}  // namespace detail
/// @endcond

/// Writes the manifest of the files `*.cache` in @p folder, when they are one whole cache: all ranks call it, when all have
/// closed their files. The files reach the disk, then the manifest, at once: it is whole or not there. Rank 0 reads all
/// headers and ids, 16 bytes of memory a row; other ranks wait. Returns how many samples the cache has, on every rank.
///
/// `sharded_teacher_cache_writer::close` calls it; alone it is for shards of writers that knew nothing of one another:
/// `write_cache_manifest(one_rank{}, folder, {.samples = n})`.
/// @throws file_error as `teacher_cache`, and where a file has a torn tail or cannot be brought to the disk: no manifest is
///         written then, and one of before stays. On every rank.
template <communicator C>
std::uint64_t write_cache_manifest(const C& comm, const std::filesystem::path& folder, const cache_expectation& expected = {}) {
  const auto paths = detail::shards_in(comm, folder);
  detail::agree_on_files(comm, [&] {
    detail::for_each_own(comm, paths, [](const std::filesystem::path& path) {
      detail::output_file file;
      int reason = file.append(path);
      if (reason == 0) reason = file.sync();
      if (reason == 0) reason = file.close();
      if (reason != 0) detail::throw_file("bring to the disk", path, reason);
    });
  });
  std::uint64_t samples = detail::agree_on_files(comm, [&]() -> std::uint64_t {
    if (comm.rank() != 0) return 0;
    if (paths.empty()) detail::throw_file_error(folder, "is a folder without a file *.cache");
    const auto m = detail::manifest_of(teacher_cache(paths, expected));
    detail::write_atomically(folder / cache_manifest_name, {detail::text_of(m)});
    return m.samples;
  });
  broadcast(comm, std::span<std::uint64_t>(&samples, 1), 0);
  return samples;
}

/// The writer of a teacher cache that many ranks fill at once: each has a file of its own in @p folder, `rank0of4.cache`,
/// and any rank may write any samples in any order, each sample once. `close` writes the manifest, by which the cache is
/// read: as long as there is none, it is not whole.
///
///     lk::sharded_teacher_cache_writer cache(world, "teacher", {.classes = 26, .teacher = "sha256:..."});
///     for (const auto& ids : batches(cache.missing(samples))) cache.append(ids, teacher(ids));
///     cache.close({.samples = samples});
///
/// A run that was killed is run again, on as many ranks or others: what is whole on the disk is kept, torn tails are cut,
/// and `missing` names the samples that no file has, this rank's part. The folder is one that all ranks see, and one
/// program at a time writes there. Constructor, `missing` and `close` are called by all ranks; faults of files are thrown on
/// all, with the words of the lowest rank that has one.
class sharded_teacher_cache_writer {
 public:
  /// @p comm outlives it. Makes the folder where there is none, and takes away its manifest, if it is there: from now on,
  /// the cache grows. Files of another cache are refused before that, and all stays as it was.
  /// @throws value_error where the metadata do not go together, or ranks have others (`user` may differ) or other seeds;
  ///         file_error as `teacher_cache_writer`, for each file of the folder, and where ranks do not see the same folder.
  template <communicator C>
  sharded_teacher_cache_writer(const C& comm, std::filesystem::path folder, const cache_metadata& metadata, const cache_writing& how = {})
      : comm_(comm), folder_(std::move(folder)) {
    require_same(metadata, how.seed);
    on_rank_0([&](std::error_code& e) { std::filesystem::create_directories(folder_, e); });
    // of earlier runs: are they of this cache? Otherwise nothing of it is touched. Their torn tails go
    const auto paths = detail::shards_in(comm_, folder_);
    detail::agree_on_files(comm_, [&] {
      detail::for_each_own(comm_, paths, [&](const std::filesystem::path& path) {
        require_shared(path, 0);
        teacher_cache_writer(path, metadata).close();
      });
    });
    on_rank_0([&](std::error_code& e) { std::filesystem::remove(folder_ / cache_manifest_name, e); });
    detail::agree_on_files(comm_, [&] { shard_.emplace(path_of(comm_.rank()), metadata, how); });
    detail::agree_on_files(comm_, [&] {
      for (int k = 0; k < comm_.size(); ++k) require_shared(path_of(k), k);
    });
  }

  /// As `teacher_cache_writer::append`, to this rank's file: of samples that no other rank writes. For one rank alone.
  template <class Ids, class Rows>
  void append(const Ids& ids, const Rows& rows) {
    shard_->append(ids, rows);
  }
  /// As `teacher_cache_writer::flush`: for one rank alone.
  void flush() { shard_->flush(); }
  /// Rows of this rank's file, and rows pending.
  std::uint64_t rows_written() const { return shard_->rows_written(); }
  /// This rank's file.
  std::filesystem::path path() const { return path_of(comm_.rank()); }

  /// The samples of 0 to @p samples - 1 that no file has a row of, by all ranks: this rank's part of them, as many as
  /// another's or one more, rising. Rows that are pending are written first. Each rank reads the ids of its part of the
  /// files; 3 samples/8 bytes of memory, and samples/8 travel to each rank, twice. A block whose ids are damaged has none.
  /// @throws value_error where ranks ask of different numbers; file_error as `flush` and as `teacher_cache`.
  std::vector<std::uint64_t> missing(std::uint64_t samples) {
    std::uint64_t asked = samples;
    broadcast(comm_, std::span<std::uint64_t>(&asked, 1), 0);
    std::vector<std::uint64_t> there;
    detail::agree_on_files(comm_, [&] {
      if (asked != samples)
        raise<value_error>("limbeck: missing(" + std::to_string(samples) + ") is missing(" + std::to_string(asked) + ") of rank 0");
      there.resize(static_cast<std::size_t>(samples / 64 + (samples % 64 != 0)));
      flush();
    });
    const auto paths = detail::shards_in(comm_, folder_);
    detail::agree_on_files(comm_, [&] {
      detail::for_each_own(comm_, paths, [&](const std::filesystem::path& path) {
        detail::for_each_id(detail::cache_shard(path, file_access::sequential, 0), [&](std::uint64_t id, std::uint64_t) {
          if (id < samples) there[static_cast<std::size_t>(id / 64)] |= std::uint64_t{1} << id % 64;
        });
      });
    });
    workspace ws;
    detail::all_reduce(comm_, std::span<std::uint64_t>(there), ws, [](std::uint64_t a, std::uint64_t b) { return a | b; });
    std::size_t count = static_cast<std::size_t>(samples);
    for (const std::uint64_t x : there) count -= static_cast<std::size_t>(std::popcount(x));
    const shards part = shards::even(comm_, count);
    std::vector<std::uint64_t> ids;
    ids.reserve(part.count());
    std::size_t number = 0;
    for (std::uint64_t id = 0; id < samples; ++id)
      if (!(there[static_cast<std::size_t>(id / 64)] >> id % 64 & 1) && part.owns(number++)) ids.push_back(id);
    return ids;
  }

  /// Writes what is pending, gives the files back and writes the manifest (see `write_cache_manifest`). Without it, a
  /// destructor leaves files that are whole and no manifest. Returns how many samples the cache has.
  /// @throws file_error where a rank's file cannot be written, and as `write_cache_manifest`: there is no manifest then.
  std::uint64_t close(const cache_expectation& expected = {}) {
    detail::agree_on_files(comm_, [&] { shard_->close(); });
    return write_cache_manifest(comm_, folder_, expected);
  }

 private:
  std::filesystem::path path_of(int rank) const {
    return folder_ / ("rank" + std::to_string(rank) + "of" + std::to_string(comm_.size()) + ".cache");
  }
  template <class F>
  void on_rank_0(F f) const {
    detail::agree_on_files(comm_, [&] {
      std::error_code e;
      if (comm_.rank() == 0) f(e);
      if (e) detail::throw_file_error(folder_, "cannot be written: " + e.message());
    });
  }
  /// @throws file_error unless @p path, which rank @p k sees, is there.
  void require_shared(const std::filesystem::path& path, int k) const {
    std::error_code e;
    if (!std::filesystem::exists(path, e))
      detail::throw_file_error(folder_, "is not the folder of rank " + std::to_string(k) + ", whose shard is not there: ranks share one");
  }
  void require_same(const cache_metadata& metadata, std::uint64_t seed) const {
    cache_metadata compared = metadata;
    compared.user = "{}";
    std::string first = agree(comm_, [&] {
      metadata.check();
      return detail::json_of(compared).dump();
    });
    broadcast(comm_, first, 0);
    std::uint64_t first_seed = seed;
    broadcast(comm_, std::span<std::uint64_t>(&first_seed, 1), 0);
    agree(comm_, [&] {
      const auto what = detail::difference(compared, detail::metadata_of(std::string_view(first), folder_));
      if (!what.empty()) raise<value_error>("limbeck: this rank writes a teacher cache " + what + " as rank 0");
      if (seed != first_seed)
        raise<value_error>("limbeck: this rank draws by the seed " + std::to_string(seed) + ", rank 0 by " + std::to_string(first_seed));
    });
  }

  communicator_ref comm_;
  std::filesystem::path folder_;
  std::optional<teacher_cache_writer> shard_;
};

LIMBECK_END_NAMESPACE

#endif
