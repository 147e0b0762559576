#ifndef LIMBECK_TRAINER_CHECKPOINT_FORMAT_HPP
#define LIMBECK_TRAINER_CHECKPOINT_FORMAT_HPP

/// @file
/// What a checkpoint looks like on the disk, and who writes it: see checkpoint.hpp.

#include <limbeck/core/file.hpp>
#include <limbeck/core/safetensors_header.hpp>
#include <limbeck/trainer/archive.hpp>

#include <nlohmann/json.hpp>

#include <bit>
#include <string>
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

/// Gathers names and bytes.
class checkpoint_writer : public walk<checkpoint_writer> {
 public:
  template <class T>
  void number(const std::string& name, const T& value) {
    add(name, dtype_of<T>(), nlohmann::json::array(), &value, sizeof(T));
  }
  template <class L>
  void list(const std::string& name, const L& values) {
    fixed(name, std::span(values.data(), values.size()));
  }
  template <class T, std::size_t N>
  void fixed(const std::string& name, std::span<T, N> values) {
    add(name, dtype_of<std::remove_const_t<T>>(), {values.size()}, values.data(), values.size_bytes());
  }
  const std::string& payload() const { return payload_; }
  /// Length and header of the file that ends with the payload.
  std::string header(const std::string& composition) {
    json_["__metadata__"] = {{"format", checkpoint_format},
                             {"version", checkpoint_version},
                             {"byte_order", "little"},
                             {"composition", composition},
                             {"checksum", no_checksum}};
    std::string text = detail::attempt<nlohmann::json::exception>(
        [&] { return json_.dump(); },
        [](const auto&) -> std::string {
          raise<checkpoint_error>("limbeck: a name or the composition of this checkpoint is not UTF-8");
        });
    text.append((8 - text.size() % 8) % 8, ' ');
    if (text.size() > safetensors_header_limit)
      raise<checkpoint_error>("limbeck: the names of this checkpoint's members, " + std::to_string(json_.size() - 1) +
                              " of them, are beyond a header's 100 MB");
    std::string head(8, '\0');
    for (std::size_t i = 0; i < 8; ++i) head[i] = static_cast<char>(text.size() >> (8 * i) & 255);
    head += text;
    const std::string mark = std::string("\"checksum\":\"") + no_checksum;
    head.replace(head.rfind(mark) + mark.size() - 16, 16, hexadecimal(fnv1a(payload_, fnv1a(head))));
    return head;
  }

 private:
  void add(const std::string& name, std::string_view dtype, nlohmann::json shape, const void* data, std::size_t bytes) {
    static_assert(std::endian::native == std::endian::little, "limbeck: checkpoints need a little-endian machine");
    if (json_.contains(name)) raise<checkpoint_error>("limbeck: two members of this state are named '" + name + "'");
    const std::size_t first = payload_.size();
    if (bytes) payload_.append(static_cast<const char*>(data), bytes);
    json_[name] = {{"dtype", dtype}, {"shape", std::move(shape)}, {"data_offsets", {first, payload_.size()}}};
  }
  nlohmann::json json_ = nlohmann::json::object();
  std::string payload_;
};

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
