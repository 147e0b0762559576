#ifndef LIMBECK_IO_NPZ_HPP
#define LIMBECK_IO_NPZ_HPP

/// @file
/// NumPy's .npz files.

#include <limbeck/io/npy.hpp>

#include <zlib.h>

#include <algorithm>
#include <functional>
#include <map>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// A file in a ZIP archive, as the central directory has it.
struct zip_entry {
  std::uint16_t flags, method;
  std::uint32_t crc;
  std::uint64_t compressed, size, offset;
};

/// Calls f(name, entry) for each file of the archive. @throws file_error
template <class F>
void each_zip_entry(const std::filesystem::path& path, std::span<const std::byte> bytes, F&& f) {
  const auto refuse = [&](const char* what) {
    throw_file_error(path, std::string("is no whole ZIP archive: ") + what);
  };
  constexpr std::size_t end_size = 22, entry_size = 46, locator_size = 20, end64_size = 56;
  std::size_t end = bytes.size();  // of the directory: the last record, but for a comment
  const std::size_t first = bytes.size() > end_size + 0xffff ? bytes.size() - end_size - 0xffff : 0;
  for (std::size_t at = bytes.size() < end_size ? 0 : bytes.size() - end_size + 1; at-- > first;)
    if (number_at<std::uint32_t>(bytes, at) == 0x06054b50 &&
        number_at<std::uint16_t>(bytes, at + 20) == bytes.size() - at - end_size) {
      end = at;
      break;
    }
  if (end == bytes.size()) refuse("its end record is missing; the file is truncated or something else");
  std::uint64_t count = number_at<std::uint16_t>(bytes, end + 10), size = number_at<std::uint32_t>(bytes, end + 12),
                at = number_at<std::uint32_t>(bytes, end + 16);
  if (count == 0xffff || size == 0xffffffff || at == 0xffffffff) {
    const bool located = end >= locator_size && number_at<std::uint32_t>(bytes, end - locator_size) == 0x07064b50;
    const std::uint64_t end64 = located ? number_at<std::uint64_t>(bytes, end - locator_size + 8) : bytes.size();
    if (!within(end64, end64_size, bytes.size()) || number_at<std::uint32_t>(bytes, end64) != 0x06064b50)
      refuse("its ZIP64 end record is missing");
    count = number_at<std::uint64_t>(bytes, end64 + 32);
    size = number_at<std::uint64_t>(bytes, end64 + 40);
    at = number_at<std::uint64_t>(bytes, end64 + 48);
  }
  if (!within(at, size, end)) refuse("its directory lies outside");
  const std::uint64_t last = at + size;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!within(at, entry_size, last) || number_at<std::uint32_t>(bytes, at) != 0x02014b50)
      refuse("an entry of its directory is damaged");
    zip_entry e{number_at<std::uint16_t>(bytes, at + 8),  number_at<std::uint16_t>(bytes, at + 10),
                number_at<std::uint32_t>(bytes, at + 16), number_at<std::uint32_t>(bytes, at + 20),
                number_at<std::uint32_t>(bytes, at + 24), number_at<std::uint32_t>(bytes, at + 42)};
    const std::size_t name = number_at<std::uint16_t>(bytes, at + 28), extra = number_at<std::uint16_t>(bytes, at + 30),
                      comment = number_at<std::uint16_t>(bytes, at + 32);
    if (!within(at, entry_size + name + extra + comment, last)) refuse("an entry of its directory is damaged");
    const std::string_view text = text_at(bytes, at + entry_size, name);
    at += entry_size + name;
    for (std::uint64_t field = at; within(field, 4, at + extra);) {
      const std::size_t length = number_at<std::uint16_t>(bytes, field + 2);
      if (!within(field + 4, length, at + extra)) refuse("an entry of its directory is damaged");
      if (number_at<std::uint16_t>(bytes, field) == 1) {  // ZIP64: those of the three that do not fit into 32 bits
        std::uint64_t value = field + 4;
        for (std::uint64_t* n : {&e.size, &e.compressed, &e.offset}) {
          if (*n != 0xffffffff) continue;
          if (!within(value, 8, field + 4 + length)) refuse("an entry of its directory is damaged");
          *n = number_at<std::uint64_t>(bytes, value);
          value += 8;
        }
      }
      field += 4 + length;
    }
    at += extra + comment;
    f(text, e);
  }
}

/// The bytes of a file in the archive: in place, or inflated into @p memory. @throws file_error
inline std::span<const std::byte> unzip(const std::filesystem::path& path, std::span<const std::byte> bytes,
                                        const zip_entry& e, owned_bytes& memory) {
  constexpr std::size_t header = 30;
  if ((e.flags & 1U) != 0) throw_file_error(path, "is encrypted, which is not supported");
  std::uint64_t begin = e.offset;
  if (!within(begin, header, bytes.size()) || number_at<std::uint32_t>(bytes, begin) != 0x04034b50)
    throw_file_error(path, "is not where the directory of the archive says");
  begin += header + number_at<std::uint16_t>(bytes, begin + 26) + number_at<std::uint16_t>(bytes, begin + 28);
  if (!within(begin, e.compressed, bytes.size())) throw_file_error(path, "reaches beyond the end of the archive");
  const auto stored = bytes.subspan(begin, e.compressed);
  if (e.method == 0) {
    if (e.size != e.compressed) throw_file_error(path, "is stored in two sizes");
    return stored;
  }
  if (e.method != 8)
    throw_file_error(path,
                     "is compressed by method " + std::to_string(e.method) + ", expected 0 (none) or 8 (deflate)");
  if (e.size / 1032 > e.compressed)  // more than deflate can do: do not even ask for the memory
    throw_file_error(path, "claims to inflate to " + std::to_string(e.size) + " bytes, which it cannot");
  memory.reset(new std::byte[e.size]);
  z_stream z{};
  if (::inflateInit2(&z, -15) != Z_OK) throw_file_error(path, "cannot be inflated: there is no memory for it");
  std::uint64_t in = 0, out = 0;
  int state = Z_OK;
  constexpr std::uint64_t step = 1U << 30U;  // zlib counts in 32 bits
  while (state == Z_OK) {
    z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(stored.data() + in));
    z.avail_in = static_cast<uInt>((std::min)(step, stored.size() - in));
    z.next_out = reinterpret_cast<Bytef*>(memory.get() + out);
    z.avail_out = static_cast<uInt>((std::min)(step, e.size - out));
    const uInt given_in = z.avail_in, given_out = z.avail_out;
    state = ::inflate(&z, Z_NO_FLUSH);
    in += given_in - z.avail_in;
    out += given_out - z.avail_out;
  }
  ::inflateEnd(&z);
  if (state != Z_STREAM_END || out != e.size) throw_file_error(path, "does not inflate to its size; it is damaged");
  uLong crc = 0;
  for (std::uint64_t i = 0; i < e.size; i += step)
    crc =
        ::crc32(crc, reinterpret_cast<const Bytef*>(memory.get() + i), static_cast<uInt>((std::min)(step, e.size - i)));
  if (crc != e.crc) throw_file_error(path, "has another checksum than the archive says; it is damaged");
  return {memory.get(), static_cast<std::size_t>(e.size)};
}

}  // namespace detail
/// @endcond

/// The arrays of a .npz file, as `numpy.savez` and `savez_compressed` write it, by memory map.
///
/// What savez stored is viewed in place where its elements happen to lie at multiples of their size, and else copied
/// when first asked for; NumPy pads the header of an array but not its place in the archive, so that the length of its
/// name decides. What savez_compressed deflated is inflated when first asked for, and its CRC-32 checked (that of
/// stored arrays is not: it would read all of them). For a teacher larger than memory use .npy. Arrays as in
/// `npy_file`; ZIP64 too. Format: PKWARE, APPNOTE 6.3; deflate: RFC 1951.
class npz_file {
 public:
  /// Opens and reads the directory. @throws file_error where the file cannot be read, is no ZIP archive, or has two
  /// arrays of a name.
  explicit npz_file(std::filesystem::path path, file_access access = file_access::normal)
      : file_(std::move(path), access) {
    detail::each_zip_entry(file_.path(), file_.bytes(), [&](std::string_view name, const detail::zip_entry& e) {
      if (!name.ends_with(".npy")) return;
      name.remove_suffix(4);
      if (!arrays_.try_emplace(std::string(name), member{e, {}, {}, {}}).second)
        detail::throw_file_error(file_.path(), "has two arrays named '" + std::string(name) + "'");
    });
  }

  /// Of the arrays, sorted: what NumPy lists in `files`. Other files in the archive are passed over.
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& [name, array] : arrays_) out.push_back(name);
    return out;
  }
  /// An array, read-only; valid while this object, or what it was moved to, lives. Not to be called by two threads at
  /// once: the first call for a name may inflate or copy.
  /// @throws file_error where there is none of that name, or it is damaged or of a type that `npy_file` refuses.
  any_tensor operator[](std::string_view name) {
    const auto found = arrays_.find(name);
    if (found == arrays_.end())
      detail::throw_file_error(file_.path(), "has no array '" + std::string(name) + "'; " + detail::names_of(arrays_));
    member& a = found->second;
    if (a.view.type == element_type::none) {
      const auto path = file_.path() / (found->first + ".npy");
      a.view = detail::parse_npy(path, detail::unzip(path, file_.bytes(), a.entry, a.inflated));
      a.view = detail::aligned(a.view, a.copy);
    }
    return a.view;
  }
  /// Where it came from.
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  struct member {
    detail::zip_entry entry;
    detail::owned_bytes inflated, copy;
    any_tensor view;
  };
  mapped_file file_;
  std::map<std::string, member, std::less<>> arrays_;
};

LIMBECK_END_NAMESPACE

#endif
