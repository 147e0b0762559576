#ifndef LIMBECK_IO_TEACHER_CACHE_HPP
#define LIMBECK_IO_TEACHER_CACHE_HPP

/// @file
/// Reads a teacher cache: `objective(student, cache.target<float>(ids), labels, into(gradient))`.

#include <limbeck/engine/target.hpp>
#include <limbeck/io/teacher_cache_format.hpp>
#include <limbeck/io/teacher_cache_index.hpp>
#include <limbeck/target/sparse.hpp>

#include <atomic>

LIMBECK_BEGIN_NAMESPACE

template <class T>
class cached_rows;

/// A teacher's rows on disk, by sample id; made by `teacher_cache_writer` or by python/limbeck_teacher_cache.py.
///
/// The file is mapped, not read: it may be larger than memory. Opening reads the blocks' headers and the ids; a block's
/// checksum is compared when its first row is wanted. In memory stand 16 bytes a row, or none where the ids run from
/// the first to the last without a gap. Calls that do not change it (all but moving) may run at once.
class teacher_cache {
 public:
  /// @throws file_error where @p path cannot be read, is no teacher cache, is damaged in its headers, or is not what is
  ///         expected: the message names both values.
  explicit teacher_cache(const std::filesystem::path& path, const cache_expectation& expected = {},
                         file_access access = file_access::random)
      : file_(path, access), contents_(detail::scan_cache(file_)), index_(file_.bytes(), contents_) {
    const cache_metadata& m = contents_.metadata;
    const auto compare = [&](const char* what, const auto& wanted, const auto& found, auto show) {
      if (wanted && *wanted != found)
        detail::throw_file_error(path, std::string("is a teacher cache whose ") + what + " is " + show(found) +
                                           ", expected " + show(*wanted));
    };
    const auto quoted = [](const std::string& s) { return "'" + s + "'"; };
    compare("number of classes", expected.classes, m.classes, [](std::size_t n) { return std::to_string(n); });
    compare("temperature", expected.temperature, m.temperature, [](double t) { return detail::show(t); });
    compare("teacher", expected.teacher, m.teacher, quoted);
    compare("augmentation", expected.augmentation, m.augmentation, quoted);
    state_ = std::make_unique<std::atomic<bool>[]>(contents_.blocks.size());
  }

  /// What the cache says of itself.
  const cache_metadata& metadata() const { return contents_.metadata; }
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
  /// Bytes behind the last whole block, which a crash of a writer has left. They are not read.
  std::size_t torn_bytes() const { return file_.bytes().size() - contents_.end; }
  /// Bytes of the file.
  std::size_t bytes() const { return file_.bytes().size(); }

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
  cached_rows<T> target(Ids&& ids, tail rest = tail::spread) const&& = delete;  // the cache would be gone before its rows are read
  /// @endcond

  /// The rows of the samples @p ids into @p out, which keeps its memory: for
  /// `at_temperature(T, sparse_kl(out))`, T the stored temperature.
  /// @throws value_error for a cache of logits, and as `target`.
  template <class T, class Ids>
  void gather(const Ids& ids, sparse_store<T>& out) const {
    if (contents_.metadata.kind == cache_kind::logits)
      raise<value_error>("limbeck: this teacher cache holds logits, not sparse rows; target(ids) reads them");
    const any_vector wanted = require(ids);
    out.classes = contents_.metadata.classes;
    out.temperature = contents_.metadata.temperature;
    out.sampled = contents_.metadata.kind == cache_kind::sampled;
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
      if (contents_.metadata.kind == cache_kind::top_k) out.log_tails.push_back(static_cast<T>(log_tail(p)));
      out.offsets.push_back(out.ids.size());
    }
  }

 private:
  template <class T>
  friend class cached_rows;
  static constexpr std::uint64_t nowhere = detail::cache_index::nowhere;
  /// A row of the file: its block, and its number there.
  struct place {
    const detail::cache_block* block;
    std::size_t row;
  };

  template <class Number>
  Number at(const detail::cache_block& b, std::size_t array, std::size_t i) const {
    return detail::number_at<Number>(file_.bytes(), b.payload + array + i * sizeof(Number));
  }

  place place_of(std::uint64_t row) const {
    const auto after = std::upper_bound(contents_.blocks.begin(), contents_.blocks.end(), row,
                                        [](std::uint64_t r, const detail::cache_block& b) { return r < b.before; });
    return {&*(after - 1), static_cast<std::size_t>(row - (after - 1)->before)};
  }

  /// All rows are there, and their blocks are sound.
  template <class Ids>
  any_vector require(const Ids& ids) const {
    const any_vector wanted = detail::sample_ids(ids);
    for (std::size_t r = 0; r < wanted.size(); ++r) {
      const std::int64_t id = wanted.integer(r);
      const std::uint64_t row = id < 0 ? nowhere : index_.find(static_cast<std::uint64_t>(id));
      if (row == nowhere)
        raise<value_error>("limbeck: '" + file_.path().string() + "' has no row of sample " + std::to_string(id) +
                           ", row " + std::to_string(r) + " of this call" + losses());
      verify(*place_of(row).block);
    }
    return wanted;
  }

  /// What the file may have had once.
  std::string losses() const {
    std::string s;
    if (const std::size_t n = index_.damaged_blocks())
      s += "; the ids of " + std::to_string(n) + " of its blocks are damaged";
    if (const std::size_t n = torn_bytes()) s += "; its last " + std::to_string(n) + " bytes are no whole block";
    return s;
  }

  void verify(const detail::cache_block& b) const {
    std::atomic<bool>& seen = state_[static_cast<std::size_t>(&b - contents_.blocks.data())];
    if (seen.load(std::memory_order_acquire)) return;
    const auto refuse = [&](const std::string& what) {
      detail::throw_file_error(file_.path(), "is damaged: the block at byte " +
                                                 std::to_string(b.payload - detail::cache_header_bytes) + ", rows " +
                                                 std::to_string(b.before) + " to " +
                                                 std::to_string(b.before + b.rows - 1) + ", has " + what);
    };
    if (detail::crc_of(file_.bytes().data() + b.payload, b.arrays.bytes) != b.crc) refuse("a wrong checksum");
    const detail::cache_traits is(contents_.metadata);
    if (is.sparse) {
      if (at<std::uint32_t>(b, b.arrays.offsets, 0) != 0 || at<std::uint32_t>(b, b.arrays.offsets, b.rows) != b.entries)
        refuse("offsets that do not run from 0 to its number of entries");
      for (std::size_t r = 0; r < b.rows; ++r) {
        const auto first = at<std::uint32_t>(b, b.arrays.offsets, r),
                   last = at<std::uint32_t>(b, b.arrays.offsets, r + 1);
        if (first >= last || last > b.entries) refuse("offsets that do not rise");
        std::int64_t before = -1;
        for (std::size_t i = first; i < last; ++i) {
          const auto c = static_cast<std::int64_t>(class_at(b, i));
          if (c <= before || c >= static_cast<std::int64_t>(contents_.metadata.classes))
            refuse("class ids that do not rise");
          before = c;
        }
      }
    }
    seen.store(true, std::memory_order_release);
  }

  std::size_t class_at(const detail::cache_block& b, std::size_t i) const {
    return contents_.metadata.classes <= 65536 ? at<std::uint16_t>(b, b.arrays.ids, i)
                                               : at<std::uint32_t>(b, b.arrays.ids, i);
  }
  double log_tail(const place& p) const {
    return contents_.metadata.kind == cache_kind::top_k
               ? static_cast<double>(at<float>(*p.block, p.block->arrays.tails, p.row))
               : -detail::infinite<double>;
  }

  /// f(i, value) for values [first, last) of a block, those of its row @p p.
  template <class T, class F>
  void each_value(const place& p, std::size_t first, std::size_t last, F&& f) const {
    const detail::cache_block& b = *p.block;
    const std::byte* const from = file_.bytes().data() + b.payload + b.arrays.values;
    const cache_metadata& m = contents_.metadata;
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
      const float scale = at<float>(b, b.arrays.scales, p.row), minimum = at<float>(b, b.arrays.minima, p.row);
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
    const auto first = at<std::uint32_t>(*p.block, p.block->arrays.offsets, p.row),
               last = at<std::uint32_t>(*p.block, p.block->arrays.offsets, p.row + 1);
    each_value<T>(p, first, last, [&](std::size_t i, T value) { f(class_at(*p.block, first + i), value); });
  }

  mapped_file file_;
  detail::cache_contents contents_;
  detail::cache_index index_;
  std::unique_ptr<std::atomic<bool>[]> state_;  // of each block: whether its checksum was found right
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
template <class T, class Ids>
cached_rows<T> teacher_cache::target(Ids&& ids, tail rest) const& {
  detail::require_kept<Ids>();
  return {*this, require(ids), rest};
}
/// @endcond

LIMBECK_END_NAMESPACE

#endif
