#ifndef LIMBECK_IO_SAFETENSORS_HPP
#define LIMBECK_IO_SAFETENSORS_HPP

/// @file
/// Hugging Face's safetensors.

#include <limbeck/io/layout.hpp>
#include <limbeck/io/write.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

struct safetensors_type {
  const char* name;
  element_type type;
};
/// In the order by which the reference implementation sorts tensors, the last first: sizes never rise, so that each
/// tensor begins at a multiple of its element's size.
inline constexpr safetensors_type safetensors_types[] = {
    {"BOOL", element_type::boolean},  {"U8", element_type::uint8},    {"I8", element_type::int8},
    {"I16", element_type::int16},     {"U16", element_type::uint16},  {"F16", element_type::float16},
    {"BF16", element_type::bfloat16}, {"I32", element_type::int32},   {"U32", element_type::uint32},
    {"F32", element_type::float32},   {"F64", element_type::float64}, {"I64", element_type::int64},
    {"U64", element_type::uint64}};
/// The type of that name or that element type, null where there is none.
template <class Key>
const safetensors_type* find_safetensors_type(const Key& key) {
  for (const safetensors_type& t : safetensors_types) {
    if constexpr (std::is_same_v<Key, element_type>) {
      if (t.type == key) return &t;
    } else {
      if (key == t.name) return &t;
    }
  }
  return nullptr;
}

/// A tensor of the file: [begin, end) of the data.
struct safetensors_entry {
  std::string type;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0, end = 0;
  owned_bytes copy;
  any_tensor view;
};

inline constexpr std::uint64_t safetensors_header_limit = 100'000'000;  // the reference implementation's

/// The header as JSON, refused where it is nested deeper than the format or has a key twice. @throws file_error
inline nlohmann::json parse_safetensors_header(const std::filesystem::path& path, std::string_view text) {
  using json = nlohmann::json;
  std::set<std::string> seen[4];
  const auto watch = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > 3) throw_file_error(path, "has a header nested deeper than the format allows");
    const auto level = static_cast<std::size_t>(depth);
    if (event == json::parse_event_t::object_start && level < 3) seen[level + 1].clear();
    if (event == json::parse_event_t::key && !seen[level].insert(value.get<std::string>()).second)
      throw_file_error(path, "has the key '" + value.get<std::string>() + "' twice");
    return true;
  };
  try {
    json header = json::parse(text.begin(), text.end(), watch);
    if (header.is_object()) return header;
  } catch (const json::exception& error) {
    throw_file_error(path, std::string("has a header that is no JSON: ") + error.what());
  }
  throw_file_error(path, "has a header that is no JSON object");
}

inline safetensors_entry parse_safetensors_entry(const std::filesystem::path& path, const std::string& name,
                                                 const nlohmann::json& value) {
  const auto refuse = [&] {
    throw_file_error(path, "describes '" + name +
                               R"(' in another way than {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]})");
  };
  const auto numbers = [&](const nlohmann::json& list) {
    std::vector<std::uint64_t> out;
    if (!list.is_array()) refuse();
    for (const nlohmann::json& n : list) {
      if (!n.is_number_unsigned()) refuse();
      out.push_back(n.get<std::uint64_t>());
    }
    return out;
  };
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value["dtype"].is_string() ||
      !value.contains("shape") || !value.contains("data_offsets"))
    refuse();
  safetensors_entry e;
  e.type = value["dtype"].get<std::string>();
  e.shape = numbers(value["shape"]);
  const auto offsets = numbers(value["data_offsets"]);
  if (offsets.size() != 2 || offsets[0] > offsets[1]) refuse();
  e.begin = offsets[0];
  e.end = offsets[1];
  if (const safetensors_type* known = find_safetensors_type(e.type)) {
    const auto bytes = bytes_of(e.shape, size_of(known->type));
    if (!bytes || *bytes != e.end - e.begin)
      throw_file_error(path, "gives '" + name + "' " + std::to_string(e.end - e.begin) + " bytes, which is not " +
                                 e.type + " " + show_shape(e.shape));
  }
  return e;
}

}  // namespace detail
/// @endcond

/// The tensors of a .safetensors file, by memory map: `safetensors_file file("model.safetensors"); file["weight"]`.
///
/// BOOL, I8 to I64, U8 to U64, F16 and BF16 (`copy_as`), F32, F64. Nothing is copied, but for a tensor at an offset
/// that is no multiple of its element's size: that one when first asked for (Hugging Face's writer and
/// `write_safetensors` make none). The header is checked as the reference implementation does: at most 100 MB, no key
/// twice, offsets that cover the data without gap or overlap, sizes that fit. Format: Hugging Face, safetensors, 2022,
/// github.com/huggingface/safetensors.
class safetensors_file {
 public:
  /// Opens and checks the header. @throws file_error
  explicit safetensors_file(std::filesystem::path path, file_access access = file_access::normal)
      : file_(std::move(path), access) {
    const auto bytes = file_.bytes();
    const std::uint64_t length = bytes.size() < 8 ? bytes.size() : detail::number_at<std::uint64_t>(bytes, 0);
    if (!detail::within(8, length, bytes.size()) || length > detail::safetensors_header_limit)
      detail::throw_file_error(file_.path(), "is no whole safetensors file: its header has " + std::to_string(length) +
                                                 " bytes, the file " + std::to_string(bytes.size()));
    const std::string_view text = detail::text_at(bytes, 8, length);
    if (!text.starts_with('{')) detail::throw_file_error(file_.path(), "has a header that is no JSON object");
    data_ = 8 + length;
    const nlohmann::json header = detail::parse_safetensors_header(file_.path(), text);
    for (const auto& [name, value] : header.items()) {
      if (name == "__metadata__") {
        read_metadata(value);
      } else {
        tensors_.emplace(name, detail::parse_safetensors_entry(file_.path(), name, value));
      }
    }
    check_cover();
  }

  /// Of the tensors, sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& [name, entry] : tensors_) out.push_back(name);
    return out;
  }
  /// What its writer noted, text by text.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// A tensor, read-only; valid while this object, or what it was moved to, lives. Not to be called by two threads at
  /// once: the first call for a name may copy.
  /// @throws file_error where there is none of that name, or it is of a type that is not among the above, such as
  /// F8_E4M3.
  any_tensor operator[](std::string_view name) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end())
      detail::throw_file_error(file_.path(),
                               "has no tensor '" + std::string(name) + "'; " + detail::names_of(tensors_));
    detail::safetensors_entry& e = found->second;
    if (e.view.type == element_type::none) {
      const auto* known = detail::find_safetensors_type(e.type);
      if (!known)
        detail::throw_file_error(file_.path(), "holds '" + found->first + "' as " + e.type +
                                                   ", which Limbeck does not read; convert it to F32, F16 or BF16");
      e.view = detail::aligned(
          detail::view_of(file_.path(), file_.bytes().data() + data_ + e.begin, known->type, e.shape), e.copy);
    }
    return e.view;
  }
  /// Where it came from.
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  void read_metadata(const nlohmann::json& value) {
    if (!value.is_object()) detail::throw_file_error(file_.path(), "has a __metadata__ that is no JSON object");
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string())
        detail::throw_file_error(file_.path(), "has a __metadata__ whose '" + key + "' is no text");
      metadata_.emplace(key, text.get<std::string>());
    }
  }
  void check_cover() const {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    for (const auto& [name, e] : tensors_) ranges.emplace_back(e.begin, e.end);
    std::sort(ranges.begin(), ranges.end());
    std::uint64_t covered = 0;
    for (const auto& [begin, end] : ranges) {
      if (begin != covered)
        detail::throw_file_error(file_.path(), "has a tensor that begins at byte " + std::to_string(begin) +
                                                   " of the data, expected " + std::to_string(covered) +
                                                   ": tensors follow each other without gap or overlap");
      covered = end;
    }
    if (covered != file_.bytes().size() - data_)
      detail::throw_file_error(file_.path(), "holds " + std::to_string(file_.bytes().size() - data_) +
                                                 " bytes of data, expected " + std::to_string(covered) +
                                                 " by its header");
  }

  mapped_file file_;
  std::uint64_t data_ = 0;
  std::map<std::string, detail::safetensors_entry, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// A name and a view, for `write_safetensors`.
struct named_tensor {
  std::string name;   ///< as `safetensors_file` will find it
  any_tensor tensor;  ///< whose memory is somebody else's
  /// Of whatever holds numbers.
  template <storable X>
  named_tensor(std::string n, const X& x) : name(std::move(n)), tensor(detail::any_view(x)) {}
};

/// Writes a .safetensors file: `write_safetensors("student.safetensors", {{"weight", w}, {"bias", b}})`. At every
/// moment
/// @p path is the old file or the new one, which is put together in memory first. Tensors stand in the reference
/// implementation's order, by falling size of their elements and then by name, so that each can be viewed in place.
/// @param path of the file
/// @param tensors names and views; of a name, one
/// @param metadata what to note, text by text
/// @throws file_error where it cannot be written. @throws value_error for two tensors of a name, one named
///         "__metadata__", text that is no UTF-8, `element_type::none` and memory on a device.
inline void write_safetensors(const std::filesystem::path& path, std::vector<named_tensor> tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  for (const named_tensor& t : tensors)
    if (!detail::find_safetensors_type(t.tensor.type))
      throw value_error("limbeck: safetensors has no type for '" + t.name + "', which is " + t.tensor.str());
  std::sort(tensors.begin(), tensors.end(), [](const named_tensor& a, const named_tensor& b) {
    const auto *of_a = detail::find_safetensors_type(a.tensor.type),
               *of_b = detail::find_safetensors_type(b.tensor.type);
    return of_a != of_b ? of_a > of_b : a.name < b.name;
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();  // as the reference implementation writes it
  std::set<std::string> taken{"__metadata__"};
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::string data;
  for (const named_tensor& t : tensors) {
    if (!taken.insert(t.name).second)
      throw value_error("limbeck: write_safetensors was given the name '" + t.name +
                        "', which is taken; give each tensor its own");
    const std::size_t begin = data.size();
    std::string memory;
    data += detail::side_by_side(t.tensor, memory);
    const auto first = t.tensor.shape.begin();
    header[t.name] = {{"dtype", detail::find_safetensors_type(t.tensor.type)->name},
                      {"shape", std::vector(first, first + static_cast<std::ptrdiff_t>(t.tensor.rank))},
                      {"data_offsets", {begin, data.size()}}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& error) {
    throw value_error(std::string("limbeck: write_safetensors was given text that is no UTF-8: ") + error.what());
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  detail::write_atomically(path, {{reinterpret_cast<const char*>(&length), sizeof length}, text, data});
}

LIMBECK_END_NAMESPACE

#endif
