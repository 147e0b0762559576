#ifndef LIMBECK_IO_SAFETENSORS_HPP
#define LIMBECK_IO_SAFETENSORS_HPP

/// @file
/// Hugging Face's safetensors.

#include <limbeck/core/safetensors_header.hpp>
#include <limbeck/io/layout.hpp>
#include <limbeck/io/write.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

LIMBECK_BEGIN_NAMESPACE

/// The tensors of a .safetensors file, by memory map: `safetensors_file file("model.safetensors"); file["weight"]`.
///
/// BOOL, I8 to I64, U8 to U64, F16 and BF16 (`copy_as`), F32, F64. Nothing is copied, but for a tensor at an offset
/// that is no multiple of its element's size: that one when first asked for (Hugging Face's writer and
/// `write_safetensors` make none). The header is checked as the reference implementation does: at most 100 MB, no key
/// twice, offsets that cover the data without gap or overlap, sizes that fit; and at most 64 dimensions and 65,536
/// notes, so that reading it takes a few times its size. Format: Hugging Face, safetensors, 2022,
/// github.com/huggingface/safetensors.
class safetensors_file {
 public:
  /// Opens and checks the header. @throws file_error
  explicit safetensors_file(std::filesystem::path path, file_access access = file_access::normal)
      : file_(std::move(path), access) {
    const auto bytes = file_.bytes();
    const std::uint64_t length = bytes.size() < 8 ? bytes.size() : detail::number_at<std::uint64_t>(bytes, 0);
    if (length > detail::safetensors_header_limit)
      detail::throw_file_error(file_.path(), "is no safetensors file: its header has " + std::to_string(length) +
                                                 " bytes, expected at most " +
                                                 std::to_string(detail::safetensors_header_limit));
    if (!detail::within(8, length, bytes.size()))
      detail::throw_file_error(file_.path(), "is no whole safetensors file: its header has " + std::to_string(length) +
                                                 " bytes, the file " + std::to_string(bytes.size()));
    const std::string_view text = detail::text_at(bytes, 8, length);
    if (!text.starts_with('{')) detail::throw_file_error(file_.path(), "has a header that is no JSON object");
    data_ = 8 + length;
    detail::safetensors_header_reader reader;
    if (!nlohmann::json::sax_parse(text.begin(), text.end(), &reader))
      detail::throw_file_error(file_.path(), reader.fault());
    header_ = std::move(reader.header);
    check_cover();
  }

  /// Of the tensors, sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& [name, entry] : header_.tensors) out.push_back(name);
    return out;
  }
  /// What its writer noted, text by text.
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  /// A tensor, read-only; valid while this object, or what it was moved to, lives. Not to be called by two threads at
  /// once: the first call for a name may copy.
  /// @throws file_error where there is none of that name, or it is of a type that is not among the above, such as
  /// F8_E4M3.
  any_tensor operator[](std::string_view name) {
    const auto found = header_.tensors.find(name);
    if (found == header_.tensors.end())
      detail::throw_file_error(file_.path(),
                               "has no tensor '" + std::string(name) + "'; " + detail::names_of(header_.tensors));
    const detail::safetensors_entry& e = found->second;
    const auto* known = detail::find_safetensors_type(e.type);
    if (!known)
      detail::throw_file_error(file_.path(), "holds '" + found->first + "' as " + e.type +
                                                 ", which Limbeck does not read; convert it to F32, F16 or BF16");
    any_tensor x = detail::view_of(file_.path(), file_.bytes().data() + data_ + e.begin, known->type, e.shape);
    if (const auto copied = copies_.find(name); copied != copies_.end()) {
      x.data = copied->second.get();
      return x;
    }
    detail::owned_bytes memory;
    x = detail::aligned(x, memory);
    if (memory) copies_.emplace(name, std::move(memory));
    return x;
  }
  /// Where it came from.
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  void check_cover() const {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    for (const auto& [name, e] : header_.tensors) ranges.emplace_back(e.begin, e.end);
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
  detail::safetensors_header header_;
  std::map<std::string, detail::owned_bytes, std::less<>> copies_;  // of tensors at odd offsets, by name
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
///         "__metadata__", text that is no UTF-8, more than 65,536 notes or 100 MB of header, `element_type::none` and
///         memory on a device.
inline void write_safetensors(const std::filesystem::path& path, std::vector<named_tensor> tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  for (const named_tensor& t : tensors)
    if (!detail::find_safetensors_type(t.tensor.type))
      raise<value_error>("limbeck: safetensors has no type for '" + t.name + "', which is " + t.tensor.str());
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
      raise<value_error>("limbeck: write_safetensors was given the name '" + t.name +
                         "', which is taken; give each tensor its own");
    const std::size_t begin = data.size();
    std::string memory;
    data += detail::side_by_side(t.tensor, memory);
    const auto first = t.tensor.shape.begin();
    header[t.name] = {{"dtype", detail::find_safetensors_type(t.tensor.type)->name},
                      {"shape", std::vector(first, first + static_cast<std::ptrdiff_t>(t.tensor.rank))},
                      {"data_offsets", {begin, data.size()}}};
  }
  std::string text = detail::attempt<nlohmann::json::exception>(
      [&] { return header.dump(); },
      [](const auto& e) -> std::string {
        raise<value_error>(std::string("limbeck: write_safetensors was given text that is no UTF-8: ") + e.what());
      });
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > detail::safetensors_header_limit || metadata.size() > detail::safetensors_note_limit)
    raise<value_error>("limbeck: write_safetensors was given " + std::to_string(tensors.size()) + " tensors and " +
                       std::to_string(metadata.size()) +
                       " notes, and a header holds 65,536 notes and 100 MB of names and notes");
  const std::uint64_t length = text.size();
  detail::write_atomically(path, {{reinterpret_cast<const char*>(&length), sizeof length}, text, data});
}

LIMBECK_END_NAMESPACE

#endif
