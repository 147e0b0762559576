#ifndef LIMBECK_IO_TEACHER_CACHE_FORMAT_HPP
#define LIMBECK_IO_TEACHER_CACHE_FORMAT_HPP

/// @file
/// The file of a teacher cache, version 1: what its writer and its reader share. docs/teacher_cache_format.md describes
/// it for other programs.

#include <limbeck/core/half.hpp>
#include <limbeck/io/layout.hpp>
#include <limbeck/io/teacher_cache_metadata.hpp>

#include <zlib.h>

#include <algorithm>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

inline constexpr std::size_t cache_header_bytes = 64;
inline constexpr char cache_magic[] = "LIMBECKT", cache_block_magic[] = "TBLK";

/// Of bytes that follow those whose checksum is @p before.
inline std::uint32_t crc_of(const void* data, std::size_t bytes, std::uint32_t before = 0) {
  return static_cast<std::uint32_t>(::crc32_z(before, static_cast<const Bytef*>(data), bytes));
}
constexpr std::uint64_t rounded_up(std::uint64_t n, std::uint64_t to) { return (n + to - 1) / to * to; }
template <class T>
void put_number(std::string& bytes, std::size_t at, T n) {
  std::memcpy(bytes.data() + at, &n, sizeof n);
}

/// Sample ids of a call: a vector of whole numbers, or a tensor of them whose type is known at run time.
template <class Ids>
any_vector sample_ids(const Ids& ids) {
  if constexpr (run_time_tensor<Ids>) {
    const any_tensor x = any_tensor_traits<Ids>::view(ids);
    if (!is_integer(x.type)) raise<value_error>("limbeck: ids is " + x.str() + ", expected whole numbers");
    return x.vector("ids");
  } else {
    static_assert(std::is_integral_v<vector_element_t<Ids>>, "limbeck: sample ids are a vector of whole numbers");
    return view_vector(ids);
  }
}

/// File header and metadata, padded: where the first block begins.
inline std::string cache_head(const cache_metadata& m) {
  const std::string text = json_of(m).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (text.size() > cache_metadata_limit)
    raise<value_error>("limbeck: the metadata of a teacher cache have " + std::to_string(text.size()) +
                       " bytes, expected at most " + std::to_string(cache_metadata_limit));
  std::string head(rounded_up(cache_header_bytes + text.size(), 64), '\0');
  std::memcpy(head.data(), cache_magic, 8);
  put_number(head, 8, std::uint32_t{1});
  put_number(head, 12, crc_of(text.data(), text.size()));
  put_number(head, 16, std::uint64_t{text.size()});
  put_number(head, 24, std::uint64_t{head.size()});
  put_number(head, 60, crc_of(head.data(), 60));
  std::memcpy(head.data() + cache_header_bytes, text.data(), text.size());
  return head;
}

// --- Blocks --------------------------------------------------------------------------------------------------------

/// How values of a cache are stored, in words that the arrays below need.
struct cache_traits {
  bool sparse, tails, counts, scaled;
  std::size_t id_bytes, value_bytes;
  explicit cache_traits(const cache_metadata& m)
      : sparse(m.kind != cache_kind::logits),
        tails(m.kind == cache_kind::top_k),
        counts(m.kind == cache_kind::sampled && m.values == element_type::uint8),
        scaled(m.values == element_type::uint8 && !counts),
        id_bytes(m.classes <= 65536 ? 2 : 4),
        value_bytes(size_of(m.values)) {}
};

/// Where the arrays of a payload begin, and where it ends.
struct cache_arrays {
  std::size_t scales = 0, minima = 0, tails = 0, offsets = 0, ids = 0, values = 0, bytes = 0;
};
/// Nothing where the arrays would be longer than @p limit.
inline std::optional<cache_arrays> arrays_of(const cache_metadata& m, std::uint64_t rows, std::uint64_t entries,
                                             std::uint64_t limit) {
  const cache_traits is(m);
  cache_arrays a;
  std::uint64_t end = 0;
  bool fits = true;
  const auto array = [&](std::size_t& begin, std::uint64_t count, std::uint64_t size) {
    const std::uint64_t at = rounded_up(end, 8);
    const auto bytes = at <= limit ? product_of({count, size}, limit - at) : std::nullopt;
    fits = fits && bytes;
    begin = static_cast<std::size_t>(at);
    end = fits ? at + *bytes : end;
  };
  std::size_t sample_ids = 0;
  array(sample_ids, rows, 8);
  if (is.scaled) array(a.scales, rows, 4), array(a.minima, rows, 4);
  if (is.tails) array(a.tails, rows, 4);
  if (is.sparse) {
    array(a.offsets, rows + 1, 4);
    array(a.ids, entries, is.id_bytes);
    array(a.values, entries, is.value_bytes);
  } else {
    const auto count = product_of({rows, m.classes}, limit);
    fits = fits && count;
    array(a.values, count.value_or(0), is.value_bytes);
  }
  a.bytes = static_cast<std::size_t>(end);
  return fits ? std::optional(a) : std::nullopt;
}

/// A block of a file: its header, and where its payload lies.
struct cache_block {
  std::uint64_t rows = 0, before = 0, entries = 0;
  std::size_t payload = 0;  // offset in the file
  std::uint32_t id_crc = 0, crc = 0;
  cache_arrays arrays;
  std::size_t end() const { return static_cast<std::size_t>(rounded_up(payload + arrays.bytes, 64)); }
};

inline std::string block_header(const cache_block& b) {
  std::string h(cache_header_bytes, '\0');
  std::memcpy(h.data(), cache_block_magic, 4);
  put_number(h, 4, static_cast<std::uint32_t>(b.rows));
  put_number(h, 8, b.before);
  put_number(h, 16, std::uint64_t{b.arrays.bytes});
  put_number(h, 24, b.entries);
  put_number(h, 32, b.id_crc);
  put_number(h, 36, b.crc);
  put_number(h, 60, crc_of(h.data(), 60));
  return h;
}

/// All that the headers of a file say.
struct cache_contents {
  cache_metadata metadata;
  std::vector<cache_block> blocks;
  std::size_t end = 0;  // of the last whole block: what lies behind is a torn tail
  std::uint64_t rows() const { return blocks.empty() ? 0 : blocks.back().before + blocks.back().rows; }
};

/// Whether 64 bytes at @p at are the header of a block, whatever its payload.
inline bool is_block_header(std::span<const std::byte> file, std::size_t at) {
  return within(at, cache_header_bytes, file.size()) && text_at(file, at, 4) == cache_block_magic &&
         number_at<std::uint32_t>(file, at + 60) == crc_of(file.data() + at, 60);
}

/// The block at @p at, nothing where there is no whole one.
inline std::optional<cache_block> block_at(std::span<const std::byte> file, std::size_t at, const cache_metadata& m,
                                           std::uint64_t before) {
  if (!is_block_header(file, at)) return std::nullopt;
  cache_block b;
  b.rows = number_at<std::uint32_t>(file, at + 4);
  b.before = number_at<std::uint64_t>(file, at + 8);
  b.entries = number_at<std::uint64_t>(file, at + 24);
  b.id_crc = number_at<std::uint32_t>(file, at + 32);
  b.crc = number_at<std::uint32_t>(file, at + 36);
  b.payload = at + cache_header_bytes;
  const auto arrays = arrays_of(m, b.rows, b.entries, file.size() - b.payload);
  if (b.rows == 0 || b.before != before || !arrays || arrays->bytes != number_at<std::uint64_t>(file, at + 16) ||
      (m.kind == cache_kind::logits && b.entries != 0))
    return std::nullopt;
  b.arrays = *arrays;
  return b.end() <= file.size() ? std::optional(b) : std::nullopt;
}

/// Reads the headers of a cache, and the payload of its last block. @throws file_error
inline cache_contents scan_cache(const mapped_file& file) {
  const auto bytes = file.bytes();
  const auto refuse = [&](const std::string& what) { throw_file_error(file.path(), what); };
  if (bytes.size() < cache_header_bytes || text_at(bytes, 0, 8) != cache_magic)
    refuse("is no teacher cache: it does not begin with LIMBECKT");
  if (const auto version = number_at<std::uint32_t>(bytes, 8); version != 1)
    refuse("is a teacher cache of version " + std::to_string(version) + ", this library reads version 1");
  if (number_at<std::uint32_t>(bytes, 60) != crc_of(bytes.data(), 60))
    refuse("has a file header with a wrong checksum");
  const auto length = number_at<std::uint64_t>(bytes, 16), first = number_at<std::uint64_t>(bytes, 24);
  if (length > cache_metadata_limit)
    refuse("claims " + std::to_string(length) + " bytes of metadata, expected at most " +
           std::to_string(cache_metadata_limit));
  if (!within(cache_header_bytes, length, bytes.size()) || first != rounded_up(cache_header_bytes + length, 64) ||
      first > bytes.size())
    refuse("is truncated within its metadata");
  const auto text = text_at(bytes, cache_header_bytes, static_cast<std::size_t>(length));
  if (number_at<std::uint32_t>(bytes, 12) != crc_of(text.data(), text.size()))
    refuse("has metadata with a wrong checksum");

  cache_contents c;
  c.metadata = metadata_of(text, file.path());
  c.end = static_cast<std::size_t>(first);
  while (const auto block = block_at(bytes, c.end, c.metadata, c.rows())) {
    c.blocks.push_back(*block);
    c.end = block->end();
  }
  for (std::size_t at = c.end + 64; at < bytes.size(); at += 64)
    if (is_block_header(bytes, at) && number_at<std::uint64_t>(bytes, at + 8) > c.rows())
      refuse("is damaged: there is no whole block at byte " + std::to_string(c.end) + ", but one at byte " +
             std::to_string(at));
  if (!c.blocks.empty()) {
    const cache_block& last = c.blocks.back();
    if (crc_of(bytes.data() + last.payload, last.arrays.bytes) != last.crc) {
      c.end = last.payload - cache_header_bytes;
      c.blocks.pop_back();
    }
  }
  return c;
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
