#ifndef LIMBECK_IO_TEACHER_CACHE_HPP
#define LIMBECK_IO_TEACHER_CACHE_HPP

/// @file
/// Reads a teacher cache: `objective(student, cache.target<float>(ids), labels, into(gradient))`.

#include <limbeck/engine/target.hpp>
#include <limbeck/io/teacher_cache_format.hpp>
#include <limbeck/io/teacher_cache_index.hpp>
#include <limbeck/target/sparse.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

template <class T>
class cached_rows;
class teacher_cache;

/// @cond
namespace detail {
/// What a manifest says of the files of @p cache. @throws file_error where one has a torn tail.
cache_manifest manifest_of(const teacher_cache& cache);
}  // namespace detail
/// @endcond

/// A teacher's rows on disk, by sample id; made by `teacher_cache_writer` or by python/limbeck_teacher_cache.py. One
/// file, or several that were written at once, the shards, one a writer (`sharded_teacher_cache_writer`): sample ids are
/// those of the whole cache in each of them, and no sample has a row in two.
///
/// The files are mapped, not read: they may be larger than memory. Opening reads the blocks' headers and the ids; a
/// block's checksum is compared when its first row is wanted. In memory stand 16 bytes a row, or none where the ids run
/// from the first to the last without a gap. Calls that do not change it (all but moving) may run at once.
class teacher_cache {
 public:
  /// The cache in the file @p path; where that is a folder, in its files `*.cache`; where it is the manifest of a folder
  /// (`folder / cache_manifest_name`), in the files that it names. A folder is read by its manifest too, if it has one.
  /// @throws file_error where a file cannot be read, is no teacher cache, is damaged in its headers, or is not what is
  ///         expected: the message names both values; where two files hold other caches or a row of the same sample; where
  ///         the files are not those of the manifest, with the rows and checksums that stand there.
  explicit teacher_cache(const std::filesystem::path& path, const cache_expectation& expected = {},
                         file_access access = file_access::random)
      : teacher_cache(detail::files_of(path), expected, access) {}
  /// The cache in these files. @throws value_error where there is none, file_error as above.
  explicit teacher_cache(const std::vector<std::filesystem::path>& shards, const cache_expectation& expected = {},
                         file_access access = file_access::random)
      : teacher_cache(detail::cache_files{.paths = shards, .folder = {}, .manifest = {}}, expected, access) {}

  /// What the cache says of itself.
  const cache_metadata& metadata() const { return shards_[0].contents.metadata; }
  /// Samples that it has a row of.
  std::size_t size() const { return index_.size(); }
  /// Whether it has a row of sample @p id. O(log size).
  bool contains(std::uint64_t id) const { return index_.find(id) != nowhere; }
  /// All sample ids, rising.
  std::vector<std::uint64_t> ids() const {
    std::vector<std::uint64_t> all(size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = index_.id(i);
    return all;
  }
  /// Bytes behind the last whole block of each file, which a crash of a writer has left. They are not read.
  std::size_t torn_bytes() const {
    std::size_t n = 0;
    for (const auto& shard : shards_) n += shard.torn_bytes();
    return n;
  }
  /// Bytes of the files.
  std::size_t bytes() const {
    std::size_t n = 0;
    for (const auto& shard : shards_) n += shard.file.bytes().size();
    return n;
  }

  /// The rows of the samples @p ids, a vector of whole numbers, as a target: row r of a call is sample ids[r]. Values
  /// are unpacked where the sweep asks for a row; nothing is allocated. @p ids and the cache outlive it.
  ///
  /// A row of a sparse kind is made dense: T_c log w_c with the stored temperature T_c, so that a term at T = T_c sees
  /// the stored weights, and what @p rest says of the classes that were not kept (see `sparse_target`).
  /// @throws value_error that names a sample which the cache does not have; file_error for a block that is damaged.
  template <class T, class Ids>
  cached_rows<T> target(Ids&& ids, tail rest = tail::spread) const&;
  /// @cond
  template <class T, class Ids>
  cached_rows<T> target(Ids&& ids,
                        tail rest = tail::spread) const&& = delete;  // the cache would be gone before its rows are read
  /// @endcond

  /// The rows of the samples @p ids into @p out, which keeps its memory: for
  /// `at_temperature(T, sparse_kl(out))`, T the stored temperature.
  /// @throws value_error for a cache of logits, and as `target`.
  template <class T, class Ids>
  void gather(const Ids& ids, sparse_store<T>& out) const {
    if (metadata().kind == cache_kind::logits)
      raise<value_error>("limbeck: this teacher cache holds logits, not sparse rows; target(ids) reads them");
    const any_vector wanted = require(ids);
    out.classes = metadata().classes;
    out.temperature = metadata().temperature;
    out.sampled = metadata().kind == cache_kind::sampled;
    out.offsets.assign(1, 0);
    out.ids.clear();
    out.log_weights.clear();
    out.log_tails.clear();
    for (std::size_t r = 0; r < wanted.size(); ++r) {
      const place p = place_of(index_.find(static_cast<std::uint64_t>(wanted.integer(r))));
      each_entry<T>(p, [&](std::size_t c, T value) {
        out.ids.push_back(static_cast<std::int32_t>(c));
        out.log_weights.push_back(value);
      });
      if (metadata().kind == cache_kind::top_k) out.log_tails.push_back(static_cast<T>(log_tail(p)));
      out.offsets.push_back(out.ids.size());
    }
  }

 private:
  template <class T>
  friend class cached_rows;
  friend detail::cache_manifest detail::manifest_of(const teacher_cache& cache);
  static constexpr std::uint64_t nowhere = detail::cache_index::nowhere;
  /// A row: its file, its block, and its number there.
  struct place {
    const detail::cache_shard* shard;
    const detail::cache_block* block;
    std::size_t row;
    template <class Number>
    Number at(std::size_t array, std::size_t i) const {
      return detail::number_at<Number>(shard->file.bytes(), block->payload + array + i * sizeof(Number));
    }
  };

  teacher_cache(const detail::cache_files& files, const cache_expectation& expected, file_access access)
      : shards_(detail::open_shards(files, access)),
        it_has_(files.paths.size() == 1
                    ? "'" + files.paths[0].string() + "' has"
                    : "the " + std::to_string(files.paths.size()) + " shards " +
                          (files.folder.empty() ? "'" + files.paths[0].string() + "', ..." : "of '" + files.folder.string() + "'") +
                          " have"),
        index_(shards_) {
    const cache_metadata& m = metadata();
    const auto& paths = files.paths;
    const auto compare = [&](const char* what, const auto& wanted, const auto& found, auto show) {
      if (wanted && *wanted != found)
        detail::throw_file_error(paths[0], std::string("is a teacher cache whose ") + what + " is " + show(found) +
                                               ", expected " + show(*wanted));
    };
    const auto quoted = [](const std::string& s) { return "'" + s + "'"; };
    compare("number of classes", expected.classes, m.classes, [](std::size_t n) { return std::to_string(n); });
    compare("temperature", expected.temperature, m.temperature, [](double x) { return detail::show(x); });
    compare("teacher", expected.teacher, m.teacher, quoted);
    compare("augmentation", expected.augmentation, m.augmentation, quoted);
    if (expected.samples) require_samples(*expected.samples, "expected ");
    if (!files.manifest.empty()) require_samples(files.says.samples, "its manifest says ");
  }
  void require_samples(std::size_t samples, const char* who) const {
    if (samples != size())
      raise<file_error>("limbeck: " + it_has_ + " rows of " + std::to_string(size()) + " samples, " + who +
                        std::to_string(samples) + first_gap(samples) + fewest() + losses());
  }

  /// The first samples that are missing, where they count from 0.
  std::string first_gap(std::size_t samples) const {
    if (size() > samples || (size() > 0 && index_.id(size() - 1) >= samples)) return {};
    std::size_t i = 0;
    while (i < size() && index_.id(i) == i) ++i;
    const std::uint64_t end = i < size() ? index_.id(i) : samples;
    return ", samples " + std::to_string(i) + " to " + std::to_string(end - 1) +
           (end - i < samples - size() ? " and others" : "") + " are missing";
  }
  /// The shard that has stopped first, by its rows.
  std::string fewest() const {
    if (shards_.size() == 1) return {};
    const auto fewer = [](const auto& a, const auto& b) { return a.contents.rows() < b.contents.rows(); };
    const auto& least = *std::min_element(shards_.begin(), shards_.end(), fewer);
    const auto& most = *std::max_element(shards_.begin(), shards_.end(), fewer);
    return "; '" + least.file.path().string() + "' has the fewest rows, " + std::to_string(least.contents.rows()) +
           ", '" + most.file.path().string() + "' the most, " + std::to_string(most.contents.rows());
  }

  place place_of(std::uint64_t row) const {
    const detail::cache_shard& shard = detail::shard_of(shards_, row);
    const auto& blocks = shard.contents.blocks;
    row -= shard.first;
    const auto after = std::upper_bound(blocks.begin(), blocks.end(), row,
                                        [](std::uint64_t r, const detail::cache_block& b) { return r < b.before; });
    return {&shard, &*(after - 1), static_cast<std::size_t>(row - (after - 1)->before)};
  }

  /// All rows are there, and their blocks are sound.
  template <class Ids>
  any_vector require(const Ids& ids) const {
    const any_vector wanted = detail::sample_ids(ids);
    for (std::size_t r = 0; r < wanted.size(); ++r) {
      const std::int64_t id = wanted.integer(r);
      const std::uint64_t row = id < 0 ? nowhere : index_.find(static_cast<std::uint64_t>(id));
      if (row == nowhere)
        raise<value_error>("limbeck: " + it_has_ + " no row of sample " + std::to_string(id) + ", row " +
                           std::to_string(r) + " of this call" + losses());
      verify(place_of(row));
    }
    return wanted;
  }

  /// What the file may have had once.
  std::string losses() const {
    std::string s;
    if (const std::size_t n = index_.damaged_blocks())
      s += "; the ids of " + std::to_string(n) + " of its blocks are damaged";
    for (const auto& shard : shards_)
      if (const std::size_t n = shard.torn_bytes())
        s += (shards_.size() == 1 ? "; its" : "; of '" + shard.file.path().string() + "' the") + " last " +
             std::to_string(n) + " bytes are no whole block";
    return s;
  }

  void verify(const place& p) const {
    const detail::cache_block& b = *p.block;
    const mapped_file& file = p.shard->file;
    std::atomic<bool>& seen = p.shard->sound[static_cast<std::size_t>(&b - p.shard->contents.blocks.data())];
    if (seen.load(std::memory_order_acquire)) return;
    const auto refuse = [&](const std::string& what) {
      detail::throw_file_error(file.path(), "is damaged: the block at byte " +
                                                std::to_string(b.payload - detail::cache_header_bytes) + ", rows " +
                                                std::to_string(b.before) + " to " +
                                                std::to_string(b.before + b.rows - 1) + ", has " + what);
    };
    if (detail::crc_of(file.bytes().data() + b.payload, b.arrays.bytes) != b.crc) refuse("a wrong checksum");
    const detail::cache_traits is(metadata());
    if (is.sparse) {
      if (p.at<std::uint32_t>(b.arrays.offsets, 0) != 0 || p.at<std::uint32_t>(b.arrays.offsets, b.rows) != b.entries)
        refuse("offsets that do not run from 0 to its number of entries");
      for (std::size_t r = 0; r < b.rows; ++r) {
        const auto first = p.at<std::uint32_t>(b.arrays.offsets, r),
                   last = p.at<std::uint32_t>(b.arrays.offsets, r + 1);
        if (first >= last || last > b.entries) refuse("offsets that do not rise");
        std::int64_t before = -1;
        for (std::size_t i = first; i < last; ++i) {
          const auto c = static_cast<std::int64_t>(class_at(p, i));
          if (c <= before || c >= static_cast<std::int64_t>(metadata().classes)) refuse("class ids that do not rise");
          before = c;
        }
      }
    }
    seen.store(true, std::memory_order_release);
  }

  std::size_t class_at(const place& p, std::size_t i) const {
    return metadata().classes <= 65536 ? p.at<std::uint16_t>(p.block->arrays.ids, i)
                                       : p.at<std::uint32_t>(p.block->arrays.ids, i);
  }
  double log_tail(const place& p) const {
    return metadata().kind == cache_kind::top_k ? static_cast<double>(p.at<float>(p.block->arrays.tails, p.row))
                                                : -detail::infinite<double>;
  }

  /// f(i, value) for values [first, last) of a block, those of its row @p p.
  template <class T, class F>
  void each_value(const place& p, std::size_t first, std::size_t last, F&& f) const {
    const detail::cache_block& b = *p.block;
    const std::byte* const from = p.shard->file.bytes().data() + b.payload + b.arrays.values;
    const cache_metadata& m = metadata();
    const auto run = [&]<class Stored>(Stored, auto value_of) {
      const auto* const stored = reinterpret_cast<const Stored*>(from) + first;
      for (std::size_t i = 0; i < last - first; ++i) f(i, static_cast<T>(value_of(stored[i])));
    };
    if (m.values == element_type::float32) {
      run(float{}, [](float x) { return x; });
    } else if (m.values == element_type::float16) {
      run(std::uint16_t{}, [](std::uint16_t x) { return from_half(x); });
    } else if (m.values == element_type::bfloat16) {
      run(std::uint16_t{}, [](std::uint16_t x) { return from_bfloat16(x); });
    } else if (m.kind == cache_kind::sampled) {
      const double draws = static_cast<double>(m.draws);
      run(std::uint8_t{}, [&](std::uint8_t x) { return std::log(static_cast<double>(x) / draws); });
    } else {
      const float scale = p.at<float>(b.arrays.scales, p.row), minimum = p.at<float>(b.arrays.minima, p.row);
      run(std::uint8_t{}, [=](std::uint8_t x) {  // without a branch, so that it is done in packs
        const auto masked = std::bit_cast<std::uint32_t>(-detail::infinite<float>);
        const std::uint32_t is_masked = 0U - ((std::uint32_t{x} - 1U) >> 31U);
        const float value = minimum + scale * static_cast<float>(static_cast<int>(x) - 1);
        return std::bit_cast<float>((std::bit_cast<std::uint32_t>(value) & ~is_masked) | (masked & is_masked));
      });
    }
  }
  /// f(class, value) for the entries of a sparse row.
  template <class T, class F>
  void each_entry(const place& p, F&& f) const {
    const auto first = p.at<std::uint32_t>(p.block->arrays.offsets, p.row),
               last = p.at<std::uint32_t>(p.block->arrays.offsets, p.row + 1);
    each_value<T>(p, first, last, [&](std::size_t i, T value) { f(class_at(p, first + i), value); });
  }

  std::vector<detail::cache_shard> shards_;
  std::string it_has_;  // how a message begins
  detail::cache_index index_;
};

/// Rows of a cache as a target; made by `teacher_cache::target`.
template <class T>
class cached_rows {
 public:
  using limbeck_target = void;
  using scalar = T;                               ///< float or double
  static constexpr std::size_t scratch_rows = 0;  ///< none

  /// @cond
  cached_rows(const teacher_cache& cache, any_vector ids, tail rest) : cache_(&cache), ids_(ids), rest_(rest) {}
  /// @endcond
  /// Ids that it was made of.
  std::size_t samples() const { return ids_.size(); }
  /// Of the whole row.
  std::size_t classes() const { return cache_->metadata().classes; }
  /// Writes the row of sample ids[r.index].
  void fill(const target_row<T>& r) const {
    const auto p = cache_->place_of(cache_->index_.find(static_cast<std::uint64_t>(ids_.integer(r.index))));
    const cache_metadata& m = cache_->metadata();
    if (m.kind == cache_kind::logits) {
      T* const out = r.out.data();
      cache_->template each_value<T>(p, p.row * m.classes, (p.row + 1) * m.classes,
                                     [out](std::size_t c, T value) { out[c] = value; });
      return;
    }
    const T scale = static_cast<T>(m.temperature);
    std::size_t kept = 0;
    cache_->template each_entry<T>(p, [&](std::size_t, T) { ++kept; });
    T share = -detail::infinite<T>;
    if (rest_ == tail::spread && kept < m.classes)
      share = scale * static_cast<T>(cache_->log_tail(p) - std::log(static_cast<double>(m.classes - kept)));
    std::fill(r.out.begin(), r.out.end(), share);
    cache_->template each_entry<T>(p, [&](std::size_t c, T value) { r.out[c] = scale * value; });
  }

 private:
  const teacher_cache* cache_;
  any_vector ids_;
  tail rest_;
};

/// @cond
inline detail::cache_manifest detail::manifest_of(const teacher_cache& cache) {
  cache_manifest m;
  m.samples = cache.size();
  for (const cache_shard& s : cache.shards_) {
    if (s.torn_bytes() > 0)
      throw_file_error(s.file.path(), "ends with " + std::to_string(s.torn_bytes()) +
                                          " bytes of no whole block: open its writer again, which cuts them, and write the "
                                          "rows that were lost");
    m.shards.push_back(manifest_of(s));
  }
  return m;
}

template <class T, class Ids>
cached_rows<T> teacher_cache::target(Ids&& ids, tail rest) const& {
  detail::require_kept<Ids>();
  return {*this, require(ids), rest};
}
/// @endcond

LIMBECK_END_NAMESPACE

#endif
