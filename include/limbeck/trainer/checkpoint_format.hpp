#ifndef LIMBECK_TRAINER_CHECKPOINT_FORMAT_HPP
#define LIMBECK_TRAINER_CHECKPOINT_FORMAT_HPP

/// @file
/// What a checkpoint looks like on the disk, and who writes it: see checkpoint.hpp.

#include <limbeck/core/file.hpp>
#include <limbeck/core/safetensors_header.hpp>
#include <limbeck/trainer/archive.hpp>

#include <bit>
#include <set>
#include <string>
#include <string_view>
#include <utility>

LIMBECK_BEGIN_COMMON_NAMESPACE

/// A checkpoint that is truncated, corrupted, of another version or of another composition. Files and state are as they
/// were.
struct checkpoint_error : file_error {
  using file_error::file_error;
};

LIMBECK_END_NAMESPACE

LIMBECK_BEGIN_NAMESPACE

namespace detail {

inline constexpr const char* checkpoint_format = "limbeck checkpoint";
inline constexpr const char* checkpoint_version = "1";
inline constexpr const char* no_checksum = "0000000000000000";

/// Fowler, Noll and Vo's hash FNV-1a of 64 bits, going on from @p hash.
constexpr std::uint64_t fnv1a(std::string_view bytes, std::uint64_t hash = 0xcbf29ce484222325U) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}
inline std::string hexadecimal(std::uint64_t x) {
  std::string s(16, '0');
  for (std::size_t i = 16; i-- > 0; x >>= 4) s[i] = "0123456789abcdef"[x & 15];
  return s;
}

/// The length of the UTF-8 character that @p text begins with, 0 where it begins with none.
inline std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = byte(0), second = byte(1);
  const auto goes_on = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4 || !goes_on(1)) return 0;
  if (first < 0xE0) return 2;
  if (!goes_on(2) || (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
  if (first < 0xF0) return 3;
  return goes_on(3) && !(first == 0xF0 && second < 0x90) && !(first == 0xF4 && second > 0x8F) ? 4 : 0;
}
/// As JSON writes it. By hand: the DOM of a library for a header of names costs each program a second of its compiler.
inline std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (std::size_t i = 0, n; i < text.size(); i += n) {
    n = utf8_length(text.substr(i));
    if (n == 0) raise<checkpoint_error>("limbeck: a name or the composition of this checkpoint is not UTF-8");
    const char c = text[i];
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c >= 0 && c < ' ') {
      out += std::string("\\u00") + "0123456789abcdef"[c >> 4] + "0123456789abcdef"[c & 15];
    } else {
      out += text.substr(i, n);
    }
  }
  return out + '"';
}

/// Gathers names and bytes.
class checkpoint_writer final : public any_archive {
 public:
  const std::string& payload() const { return payload_; }
  /// Length and header of the file that ends with the payload.
  std::string header(const std::string& composition) {
    std::string text = std::string("{\"__metadata__\":{\"byte_order\":\"little\",\"checksum\":\"") + no_checksum +
                       "\",\"composition\":" + json_string(composition) + ",\"format\":\"" + checkpoint_format +
                       "\",\"version\":\"" + checkpoint_version + "\"}" + entries_ + '}';
    text.append((8 - text.size() % 8) % 8, ' ');
    if (text.size() > safetensors_header_limit)
      raise<checkpoint_error>("limbeck: the names of this checkpoint's members, " + std::to_string(names_.size()) +
                              " of them, are beyond a header's 100 MB");
    std::string head(8, '\0');
    for (std::size_t i = 0; i < 8; ++i) head[i] = static_cast<char>(text.size() >> (8 * i) & 255);
    head += text;
    const std::string mark = std::string("\"checksum\":\"") + no_checksum;
    head.replace(head.rfind(mark) + mark.size() - 16, 16, hexadecimal(fnv1a(payload_, fnv1a(head))));
    return head;
  }

 private:
  void item(const std::string& name, const archived_item& x) override {
    static_assert(std::endian::native == std::endian::little, "limbeck: checkpoints need a little-endian machine");
    if (!names_.insert(name).second)
      raise<checkpoint_error>("limbeck: two members of this state are named '" + name + "'");
    const std::size_t first = payload_.size(), bytes = x.count * x.width;
    if (bytes) payload_.append(static_cast<const char*>(x.data), bytes);
    entries_ += ',' + json_string(name) + ":{\"dtype\":\"" + std::string(x.dtype) + "\",\"shape\":[" +
                (x.kind == archived_item::number ? "" : std::to_string(x.count)) + "],\"data_offsets\":[" +
                std::to_string(first) + ',' + std::to_string(payload_.size()) + "]}";
  }
  std::set<std::string> names_;
  std::string entries_;
  std::string payload_;
};

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
