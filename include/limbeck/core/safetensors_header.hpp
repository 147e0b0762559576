#ifndef LIMBECK_CORE_SAFETENSORS_HEADER_HPP
#define LIMBECK_CORE_SAFETENSORS_HEADER_HPP

/// @file
/// The header of a safetensors file, and so of a checkpoint: read event by event, so that what it takes of memory is in
/// proportion to what it says, however it is written.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/size.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

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

/// A tensor of the file: [begin, end) of the data, as many bytes as type and shape say where the type is known.
struct safetensors_entry {
  std::string type;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

struct safetensors_header {
  std::map<std::string, safetensors_entry, std::less<>> tensors;
  std::map<std::string, std::string> metadata;
};

inline constexpr std::uint64_t safetensors_header_limit = 100'000'000;  // the reference implementation's
inline constexpr std::size_t safetensors_note_limit = 65536;            // ours: a note takes ten times its text

/// Takes the events of `nlohmann::json::sax_parse`, which this header need not know: `if (!json::sax_parse(text,
/// reader)) refuse(reader.fault())`. The format is two levels of objects and lists of whole numbers; whatever else
/// comes ends the reading, so that no depth of a file's is ours.
class safetensors_header_reader {
 public:
  /// What was read; to be moved away when all is.
  safetensors_header header;
  /// What is wrong with it: "has the key 'a' twice".
  const std::string& fault() const { return fault_; }

  bool null() { return unexpected(); }
  bool boolean(bool) { return unexpected(); }
  bool number_integer(std::int64_t) { return unexpected(); }  // a negative one
  bool number_float(double, const std::string&) { return unexpected(); }
  template <class Binary>
  bool binary(Binary&) {
    return unexpected();
  }
  bool number_unsigned(std::uint64_t n) {
    if (list_ == nullptr || list_->size() == largest_rank) return unexpected();
    list_->push_back(n);
    return true;
  }
  bool string(std::string& text) {
    if (at_ == level::metadata) {
      if (header.metadata.size() == safetensors_note_limit)
        return fail("has more than " + std::to_string(safetensors_note_limit) + " texts in its __metadata__");
      return header.metadata.emplace(key_, std::move(text)).second || twice(key_);
    }
    if (at_ != level::tensor || list_ || key_ != "dtype") return unexpected();
    entry_.type = std::move(text);
    return true;
  }
  bool start_object(std::size_t) {
    if (at_ == level::file) {
      at_ = level::tensors;
    } else if (at_ == level::tensors) {
      at_ = key_ == "__metadata__" ? level::metadata : level::tensor;
      name_ = std::move(key_);
      entry_ = {};
      offsets_.clear();
      has_type_ = has_shape_ = has_offsets_ = false;
    } else {
      return unexpected();
    }
    return true;
  }
  bool key(std::string& key) {
    key_ = std::move(key);
    if (at_ == level::tensors) {
      if (key_ == "__metadata__") return !std::exchange(has_metadata_, true) || twice(key_);
      return !header.tensors.contains(key_) || twice(key_);
    }
    if (at_ == level::metadata) return true;
    bool* const seen = key_ == "dtype"          ? &has_type_
                       : key_ == "shape"        ? &has_shape_
                       : key_ == "data_offsets" ? &has_offsets_
                                                : nullptr;
    if (!seen) return unexpected();
    return !std::exchange(*seen, true) || twice(key_);
  }
  bool end_object() {
    if (at_ == level::tensor && !end_tensor()) return false;
    at_ = at_ == level::tensors ? level::file : level::tensors;
    return true;
  }
  bool start_array(std::size_t) {
    if (at_ != level::tensor || list_ || key_ == "dtype") return unexpected();
    list_ = key_ == "shape" ? &entry_.shape : &offsets_;
    return true;
  }
  bool end_array() {
    list_ = nullptr;
    return true;
  }
  template <class Error>
  bool parse_error(std::size_t, const std::string&, const Error& error) {
    return fail(std::string("has a header that is no JSON: ") + error.what());
  }

 private:
  enum class level { file, tensors, tensor, metadata };

  bool fail(std::string what) {
    fault_ = std::move(what);
    return false;
  }
  bool twice(const std::string& key) { return fail("has the key '" + key + "' twice"); }
  bool unexpected() {
    if (at_ == level::file) return fail("has a header that is no JSON object");
    if (at_ == level::metadata) return fail("has a __metadata__ whose '" + key_ + "' is no text");
    if (at_ == level::tensors && key_ == "__metadata__") return fail("has a __metadata__ that is no JSON object");
    return fail("describes '" + (at_ == level::tensor ? name_ : key_) +
                R"(' in another way than {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]})");
  }
  bool end_tensor() {
    if (!has_type_ || !has_shape_ || !has_offsets_ || offsets_.size() != 2 || offsets_[0] > offsets_[1])
      return unexpected();
    entry_.begin = offsets_[0];
    entry_.end = offsets_[1];
    if (const safetensors_type* known = find_safetensors_type(entry_.type)) {
      const auto bytes = bytes_of(entry_.shape, size_of(known->type));
      if (!bytes || *bytes != entry_.end - entry_.begin)
        return fail("gives '" + name_ + "' " + std::to_string(entry_.end - entry_.begin) + " bytes, which is not " +
                    entry_.type + " " + show_shape(entry_.shape));
    }
    header.tensors.emplace(std::move(name_), std::move(entry_));
    return true;
  }

  level at_ = level::file;
  std::string key_, name_, fault_;
  safetensors_entry entry_;
  std::vector<std::uint64_t> offsets_;
  std::vector<std::uint64_t>* list_ = nullptr;  // that is open
  bool has_metadata_ = false, has_type_ = false, has_shape_ = false, has_offsets_ = false;
};

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
