#ifndef LIMBECK_IO_NPY_HPP
#define LIMBECK_IO_NPY_HPP

/// @file
/// NumPy's .npy files.

#include <limbeck/io/layout.hpp>
#include <limbeck/io/write.hpp>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

/// The three keys of a .npy header, from the Python literal that NumPy writes there. What NumPy would not write is
/// refused: other keys, nested values, escapes in strings, expressions.
class npy_header {
 public:
  npy_header(const std::filesystem::path& path, std::string_view text) : path_(path), text_(text) {
    expect('{');
    while (!next('}')) {
      const std::string_view key = string();
      expect(':');
      if (key == "descr" && !seen_[0]) {
        seen_[0] = true;
        if (peek() == '[') throw_file_error(path_, "holds structured elements, expected one number each");
        type_ = type_named(string());
      } else if (key == "fortran_order" && !seen_[1]) {
        seen_[1] = true;
        first_fastest = boolean();
      } else if (key == "shape" && !seen_[2]) {
        seen_[2] = true;
        tuple();
      } else {
        refuse();
      }
      if (!next(',') && peek() != '}') refuse();
    }
    space();
    if (at_ != text_.size() || !seen_[0] || !seen_[1] || !seen_[2]) refuse();
  }

  element_type type() const { return type_; }
  bool first_fastest = false;
  std::vector<std::uint64_t> shape;

 private:
  [[noreturn]] void refuse() const {
    throw_file_error(path_, "has a header that NumPy would not write, at its byte " + std::to_string(at_) +
                                "; expected {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
  }
  void space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  char peek() {
    space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool next(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!next(c)) refuse();
  }
  std::string_view string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') refuse();
    const std::size_t first = ++at_;
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\\') ++at_;
    if (at_ == text_.size() || text_[at_] == '\\') refuse();
    return text_.substr(first, at_++ - first);
  }
  bool boolean() {
    space();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return word == "True";
    }
    refuse();
  }
  void tuple() {
    expect('(');
    while (!next(')')) {
      std::uint64_t n = 0;
      const char first = peek();
      if (first < '0' || first > '9') refuse();
      for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
        if (n > (std::numeric_limits<std::int64_t>::max)() / 10 - 1) refuse();
        n = 10 * n + static_cast<std::uint64_t>(text_[at_] - '0');
      }
      if (shape.size() == largest_rank) refuse();
      shape.push_back(n);
      if (!next(',') && (peek() != ')' || shape.size() == 1)) refuse();  // (3) is a number, (3,) a tuple
    }
  }
  element_type type_named(std::string_view descr) const {
    using enum element_type;
    constexpr std::pair<std::string_view, element_type> known[] = {
        {"b1", boolean}, {"i1", int8},  {"u1", uint8},  {"i2", int16},   {"u2", uint16},  {"i4", int32},
        {"u4", uint32},  {"i8", int64}, {"u8", uint64}, {"f2", float16}, {"f4", float32}, {"f8", float64}};
    if (descr.size() == 3)
      for (const auto& [name, type] : known)
        if (name == descr.substr(1) && (descr[0] == '<' || (descr[0] == '|' && size_of(type) == 1))) return type;
    const std::string what = "holds elements of type '" + std::string(descr) + "'";
    if (!descr.empty() && descr[0] == '>')
      throw_file_error(path_, what + ", which are big-endian; in Python, save x.astype(x.dtype.newbyteorder('<'))");
    throw_file_error(path_, what + ", expected bool, a whole number of 8 to 64 bits, or a float of 16, 32 or 64 bits");
  }

  const std::filesystem::path& path_;
  std::string_view text_;
  std::size_t at_ = 0;
  bool seen_[3] = {};
  element_type type_ = element_type::none;
};

/// The array in @p bytes, which are all of a .npy file; its elements may lie at any address.
inline any_tensor parse_npy(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  if (bytes.size() < 10 || text_at(bytes, 0, 6) != "\x93NUMPY")
    throw_file_error(path, "is no .npy file: it does not begin with \\x93NUMPY");
  const auto major = std::to_integer<int>(bytes[6]), minor = std::to_integer<int>(bytes[7]);
  if (major < 1 || major > 3 || minor != 0)
    throw_file_error(path, "is of .npy version " + std::to_string(major) + "." + std::to_string(minor) +
                               ", expected 1.0, 2.0 or 3.0");
  const std::size_t start = major == 1 ? 10 : 12;
  std::size_t length = number_at<std::uint16_t>(bytes, 8);
  if (major > 1) length = bytes.size() < start ? bytes.size() : number_at<std::uint32_t>(bytes, 8);
  if (!within(start, length, bytes.size()))
    throw_file_error(path, "is truncated: its header alone has " + std::to_string(length) + " bytes, the file " +
                               std::to_string(bytes.size()));
  const npy_header header(path, text_at(bytes, start, length));
  const auto expected = bytes_of(header.shape, size_of(header.type()));
  const std::size_t found = bytes.size() - start - length;
  if (!expected) throw_file_error(path, "claims the shape " + show_shape(header.shape) + ", which no memory can hold");
  if (*expected != found)
    throw_file_error(path, "holds " + std::to_string(found) + " bytes of data, expected " + std::to_string(*expected) +
                               " for " + name_of(header.type()) + " " + show_shape(header.shape));
  return view_of(path, bytes.data() + start + length, header.type(), header.shape, header.first_fastest);
}

}  // namespace detail
/// @endcond

/// A NumPy array in a .npy file, by memory map. It stands in a call where a tensor or labels can:
/// `objective(student, npy_file("teacher.npy"), labels)`.
///
/// Versions 1.0, 2.0 and 3.0; C and Fortran order, as strides; bool, whole numbers of 8 to 64 bits, floats of 16
/// (`copy_as`), 32 and 64 bits, little-endian. Nothing is copied: NumPy lets data begin at a multiple of 64 bytes. A
/// writer that does not costs one copy, when the file is opened. Big-endian, structured, complex, text and object
/// arrays are refused, and never is anything executed. Format: numpy.lib.format; NEP 1, Kern 2007.
class npy_file {
 public:
  /// Opens and checks the header. @throws file_error where the file cannot be read, its header is none, its type is not
  /// among the above, or it has less or more data than its shape says.
  explicit npy_file(std::filesystem::path path, file_access access = file_access::normal)
      : file_(std::move(path), access), view_(detail::aligned(detail::parse_npy(file_.path(), file_.bytes()), copy_)) {}

  /// The array, read-only; valid while this object, or what it was moved to, lives.
  const any_tensor& tensor() const { return view_; }
  /// Where it came from.
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  mapped_file file_;
  detail::owned_bytes copy_;
  any_tensor view_;
};

template <>
struct any_tensor_traits<npy_file> {
  static any_tensor view(const npy_file& x) { return x.tensor(); }
};

/// Writes a .npy file of version 1.0 in C order: at every moment @p path is the old file or the new one. A view whose
/// elements do not lie side by side is gathered in memory first.
/// @param path of the file
/// @param x any_tensor, tensor (two dimensions) or vector (one)
/// @throws file_error where it cannot be written. @throws value_error for bfloat16, which NumPy lacks, and for memory
/// on
///         a device.
template <storable X>
void write_npy(const std::filesystem::path& path, const X& x) {
  const any_tensor t = detail::any_view(x);
  if (t.type == element_type::none || t.type == element_type::bfloat16)
    raise<value_error>("limbeck: NumPy has no type for " + t.str() +
                       "; write_safetensors does, or copy_as<float> first");
  const char kind = t.type == element_type::boolean               ? 'b'
                    : t.type >= element_type::float16             ? 'f'
                    : std::string_view(name_of(t.type))[0] == 'u' ? 'u'
                                                                  : 'i';
  std::string shape;
  for (std::size_t i = 0; i < t.rank; ++i)
    shape += std::to_string(t.shape[i]) + (t.rank == 1 ? "," : i + 1 < t.rank ? ", " : "");
  std::string header = std::string("{'descr': '") + (size_of(t.type) == 1 ? '|' : '<') + kind +
                       std::to_string(size_of(t.type)) + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  const char length[] = {static_cast<char>(header.size() & 255U), static_cast<char>(header.size() >> 8U)};
  std::string memory;
  detail::write_atomically(path, {std::string_view("\x93NUMPY\x01\x00", 8), std::string_view(length, 2), header,
                            detail::side_by_side(t, memory)});
}

LIMBECK_END_NAMESPACE

#endif
