#include "files.hpp"

#include <limbeck/loss/logits/cross_entropy.hpp>
#include <limbeck/loss/logits/kl.hpp>
#include <limbeck/objective/objective.hpp>

#include <array>

namespace {

using namespace limbeck;
using Catch::Matchers::Contains;
using files::golden;
using enum element_type;

any_tensor parse(const files::exact& file) { return detail::parse_npy("x.npy", file.bytes); }
any_tensor parse_text(const std::string& text) { return parse(files::exact(text)); }

/// A version 1.0 file of this header and so many bytes of data.
std::string file_of(const std::string& header, std::size_t data) {
  std::string s("\x93NUMPY\x01\x00", 8);
  s += static_cast<char>(header.size() & 255U);
  s += static_cast<char>(header.size() >> 8U);
  return s + header + std::string(data, '\0');
}

TEST_CASE("each type that NumPy writes", "[io][npy]") {
  for (const element_type type : files::types()) {
    CAPTURE(name_of(type));
    const npy_file file(golden(std::string(name_of(type)) + ".npy"));
    files::check_values(file.tensor(), type, {2, 3});
    CHECK(reinterpret_cast<std::uintptr_t>(file.tensor().data) % 4096 == 128);  // in place
  }
}

TEST_CASE("shapes, orders and versions that NumPy writes", "[io][npy]") {
  files::check_values(npy_file(golden("scalar.npy")).tensor(), float64, {});
  files::check_values(npy_file(golden("vector.npy")).tensor(), int64, {5});
  files::check_values(npy_file(golden("empty.npy")).tensor(), float32, {0, 4});
  files::check_values(npy_file(golden("four_dimensions.npy")).tensor(), float32, {2, 3, 1, 4});
  files::check_values(npy_file(golden("version_2.npy")).tensor(), float32, {2, 3});
  files::check_values(npy_file(golden("version_3.npy")).tensor(), float32, {2, 3});
  const npy_file fortran(golden("fortran.npy"));
  files::check_values(fortran.tensor(), float32, {3, 4});
  const auto x = fortran.tensor().rows<const float>();
  CHECK(x.sample_stride == 1);
  CHECK(x.class_stride == 3);
  CHECK(x(1, 2) == 0.5F);
}

TEST_CASE("a file is a teacher and labels of a call", "[io][npy]") {
  const std::vector<float> s = {0.5F, -1, 2, 0, 1, 0, 0, 3, -2, 1, 1, 0.25F};
  const rows<const float> student(s.data(), 3, 4);
  const std::vector<std::int64_t> y = {-2 + 2, 1, 3};
  const files::temporary labels("labels.npy");
  write_npy(labels.path, y);
  std::vector<float> t(12), expected(12), found(12);
  for (std::size_t i = 0; i < 12; ++i) t[i] = static_cast<float>(files::value(float32, i));
  const rows<const float> teacher(t.data(), 3, 4);
  const auto loss = 0.3 * cross_entropy{} + 0.7 * forward_kl{};
  const double value = loss(student, teacher, y, into(rows<float>(expected.data(), 3, 4))).loss;
  npy_file file(golden("fortran.npy"));
  const npy_file moved = std::move(file);
  CHECK(loss(student, moved, npy_file(labels.path), into(rows<float>(found.data(), 3, 4))).loss == value);
  CHECK(found == expected);
}

TEST_CASE("what Limbeck does not compute in is refused by name", "[io][npy][errors]") {
  CHECK_THROWS_WITH(npy_file(golden("refused_big_endian.npy")), Contains("'>f4', which are big-endian"));
  CHECK_THROWS_WITH(npy_file(golden("refused_complex.npy")), Contains("elements of type '<c8', expected"));
  CHECK_THROWS_WITH(npy_file(golden("refused_structured.npy")), Contains("structured"));
  CHECK_THROWS_WITH(npy_file(golden("refused_object.npy")), Contains("elements of type '|O', expected"));
  CHECK_THROWS_WITH(npy_file(golden("refused_text.npy")), Contains("elements of type '<U2', expected"));
  CHECK_THROWS_WITH(npy_file(golden("stored.npz")), Contains("is no .npy file"));
}

TEST_CASE("headers that NumPy could write another day", "[io][npy]") {
  for (const char* header : {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
                             "{'shape':(2,3,),'descr':\"<f4\",'fortran_order':False}",
                             "  {  'fortran_order' : False , 'shape' : ( 2 , 3 ) , 'descr' : '<f4' , }  \n"}) {
    CAPTURE(header);
    const any_tensor x = parse_text(file_of(header, 24));
    CHECK(x.str() == "float32 [2, 3]");
  }
}

TEST_CASE("hostile headers are refused with a sentence", "[io][npy][errors]") {
  const auto with_shape = [](const std::string& shape) {
    return "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }\n";
  };
  for (const std::string shape :
       {"(-2, 3)", "(3)", "3", "[2, 3]", "(2 3)", "(,)", "(2,,3)", "(2.0, 3)", "(0x2, 3)", "(2+0, 3)", "(2, 3",
        "('2', 3)", "(99999999999999999999999, 1)", "None", "(2L, 3L)", "((2, 3))"}) {
    CAPTURE(shape);
    CHECK_THROWS_WITH(parse_text(file_of(with_shape(shape), 24)),
                      Contains("'x.npy' has a header that NumPy would not write"));
  }
  for (const std::string header :
       {"", "{", "{}", "}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
        "{'descr': '\\x3cf4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} + {}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (2, 3)}", "{'descr: (2, 3)}",
        "dict(descr='<f4', fortran_order=False, shape=(2, 3))"}) {
    CAPTURE(header);
    CHECK_THROWS_WITH(parse_text(file_of(header, 24)), Contains("'x.npy' has a header that NumPy would not write"));
  }
  for (const char* shape : {"(9223372036854775807, 9223372036854775807)", "(4294967296, 4294967296)",
                            "(0, 4294967296, 4294967296)", "(3037000500, 3037000500)"}) {
    CAPTURE(shape);
    CHECK_THROWS_AS(parse_text(file_of(with_shape(shape), 0)), file_error);
  }
  CHECK_THROWS_WITH(parse_text(file_of(with_shape("(0, 4294967296, 4294967296)"), 0)),
                    Contains("which no memory can hold"));
  CHECK_THROWS_WITH(parse_text(file_of(with_shape("(2, 3)"), 23)),
                    "limbeck: 'x.npy' holds 23 bytes of data, expected 24 for float32 [2, 3]");
  CHECK_THROWS_WITH(parse_text(file_of(with_shape("(2, 3)"), 25)), Contains("holds 25 bytes of data, expected 24"));
  CHECK_THROWS_WITH(parse_text(file_of(with_shape("(1, 1, 1, 1, 1, 1, 1, 1, 1)"), 4)), Contains("9 dimensions"));
  std::string ones = "1";
  for (int i = 1; i < 65; ++i) ones += ", 1";
  CHECK_THROWS_WITH(parse_text(file_of(with_shape("(" + ones + ")"), 4)), Contains("that NumPy would not write"));
  CHECK_THROWS_WITH(parse_text(std::string("\x93NUMPY\x04\x00\x00\x00", 10)), Contains("version 4.0"));
  CHECK_THROWS_WITH(parse_text(std::string("\x93NUMPY\x01\x00\x76\x00", 10)), Contains("is truncated"));
  CHECK_THROWS_WITH(parse_text(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12)), Contains("is truncated"));
}

TEST_CASE("a damaged header is read as before, as another type of that size, or refused", "[io][npy][errors]") {
  const std::string whole = files::content(golden("float32.npy"));
  for (std::size_t n = 0; n < whole.size(); ++n) CHECK_THROWS_AS(parse_text(whole.substr(0, n)), file_error);
  std::size_t read = 0;
  for (std::size_t at = 0; at < 128; ++at)
    for (int c = 0; c < 256; ++c) {
      files::exact damaged(whole);
      damaged.bytes[at] = static_cast<std::byte>(c);
      try {
        const any_tensor x = parse(damaged);
        ++read;
        REQUIRE(x.str().find(" [2, 3]") != std::string::npos);
        REQUIRE(size_of(x.type) == 4);
        REQUIRE(copy_as<double>(x).size() == 6);
      } catch (const file_error&) {}
    }
  CHECK(read >= 128);  // at least each byte as it was
}

TEST_CASE("data at an odd address is copied", "[io][npy]") {
  const std::string header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n";
  std::string text = file_of(header, 24);
  const float x[] = {1, 2, 3, 4, 5, 6};
  std::memcpy(text.data() + text.size() - 24, x, 24);
  REQUIRE((text.size() - 24) % 4 != 0);
  const files::temporary name("odd.npy", text);
  const npy_file file(name.path);
  CHECK(file.tensor().rows<const float>()(1, 2) == 6);
  CHECK(file.tensor().rows<const float>()(0, 1) == 3);
}

TEST_CASE("what is written is what NumPy writes, byte by byte", "[io][npy]") {
  const files::temporary name("written.npy");
  for (const element_type type : files::types()) {
    const npy_file file(golden(std::string(name_of(type)) + ".npy"));
    write_npy(name.path, file);
    CHECK(files::content(name.path) == files::content(file.path()));
  }
  for (const char* shape : {"scalar.npy", "vector.npy", "empty.npy", "four_dimensions.npy"}) {
    write_npy(name.path, npy_file(golden(shape)));
    CHECK(files::content(name.path) == files::content(golden(shape)));
  }
  std::vector<float> x(6);
  for (std::size_t i = 0; i < 6; ++i) x[i] = static_cast<float>(files::value(float32, i));
  write_npy(name.path, rows<const float>(x.data(), 2, 3));
  CHECK(files::content(name.path) == files::content(golden("float32.npy")));
  CHECK_FALSE(std::filesystem::exists(name.path.string() + ".0.part"));
}

TEST_CASE("views with strides are written side by side", "[io][npy]") {
  const files::temporary name("strided.npy");
  write_npy(name.path, npy_file(golden("fortran.npy")));
  const npy_file file(name.path);
  files::check_values(file.tensor(), float32, {3, 4});
  CHECK(file.tensor().strides[0] == 4);
  const std::vector<double> x = {0, 1, 2, 3, 4, 5, 6, 7};
  write_npy(name.path, rows<const double>(x.data() + 7, 2, 2, -4, -2));
  CHECK(copy_as<float>(npy_file(name.path).tensor()) == std::vector<float>{7, 5, 3, 1});
  any_tensor every_other(x.data(), float64, std::array<std::ptrdiff_t, 3>{2, 1, 2});
  every_other.strides = {4, 99, 2};
  write_npy(name.path, every_other);
  CHECK(npy_file(name.path).tensor().str() == "float64 [2, 1, 2]");
  CHECK(copy_as<float>(npy_file(name.path).tensor()) == std::vector<float>{0, 2, 4, 6});
}

TEST_CASE("a slice is a batch of the file", "[io][npy]") {
  for (const char* name : {"fortran.npy", "vector.npy", "four_dimensions.npy"}) {
    CAPTURE(name);
    const npy_file file(golden(name));
    const any_tensor& x = file.tensor();
    const auto all = copy_as<double>(x);
    const auto n = static_cast<std::size_t>(x.shape[0]), each = all.size() / n;
    for (std::size_t first = 0; first <= n; ++first)
      for (std::size_t count = 0; first + count <= n; ++count) {
        const auto from = all.begin() + static_cast<std::ptrdiff_t>(first * each);
        CHECK(copy_as<double>(slice(x, first, count)) ==
              std::vector<double>(from, from + static_cast<std::ptrdiff_t>(count * each)));
      }
    CHECK_THROWS_AS(slice(x, 1, n), shape_error);
    CHECK_THROWS_AS(slice(x, n + 1, 0), shape_error);
  }
  CHECK_THROWS_WITH(slice(npy_file(golden("vector.npy")).tensor(), 3, 3),
                    "limbeck: slice asks for 3 elements from 3 of int64 [5], whose first dimension has 5");
  CHECK_THROWS_AS(slice(npy_file(golden("scalar.npy")).tensor(), 0, 1), shape_error);
}

TEST_CASE("what cannot be written or copied is refused", "[io][npy][errors]") {
  const files::temporary name("refused.npy", "before");
  const std::uint16_t b = 0x3f80;
  const any_tensor bfloat(&b, bfloat16, std::array<std::ptrdiff_t, 1>{1});
  CHECK_THROWS_WITH(write_npy(name.path, bfloat), Contains("NumPy has no type for bfloat16 [1]"));
  CHECK(copy_as<float>(bfloat) == std::vector<float>{1});
  any_tensor device = bfloat;
  device.type = float16;
  device.memory = memory_kind::cuda;
  CHECK_THROWS_WITH(write_npy(name.path, device), Contains("is on a device; copy it to the host"));
  CHECK_THROWS_AS(copy_as<float>(device), value_error);
  CHECK(files::content(name.path) == "before");
  CHECK_THROWS_WITH(write_npy("/no/such/folder/x.npy", bfloat), Contains("NumPy has no type"));
  CHECK_THROWS_AS(write_npy("/no/such/folder/x.npy", std::vector<float>(2)), file_error);
  std::vector<float> room(2);
  CHECK_THROWS_WITH(copy_as<float>(bfloat, std::span<float>(room)),
                    "limbeck: copy_as was given room for 2 elements, expected 1, those of bfloat16 [1]");
  CHECK_THROWS_WITH(copy_as<double>(any_tensor()), Contains("cannot read an unknown type"));
}

}  // namespace
