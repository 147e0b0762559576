#include "files.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace limbeck;
using Catch::Matchers::Contains;
using files::golden;
using enum element_type;

using names = std::vector<std::string>;
using metadata = std::map<std::string, std::string>;

/// A file of this header and so many bytes of data.
std::string file_of(const std::string& header, std::size_t data) {
  const std::uint64_t length = header.size();
  std::string s(8, '\0');
  std::memcpy(s.data(), &length, 8);
  return s + header + std::string(data, '\0');
}
safetensors_file open(const std::string& content) {
  const files::temporary name("x.safetensors", content);
  return safetensors_file(name.path);  // the map outlives the name
}

TEST_CASE("each type that the reference implementation writes", "[io][safetensors]") {
  safetensors_file file(golden("types.safetensors"));
  CHECK(file.names() == names{"bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "uint16",
                              "uint32", "uint64", "uint8"});
  CHECK(file.metadata() == metadata{{"format", "np"}});
  for (const element_type type : files::types()) files::check_values(file[name_of(type)], type, {2, 3});
  const std::size_t data = files::content(file.path()).size() - 270;
  CHECK(reinterpret_cast<std::uintptr_t>(file["float32"].data) % 4096 == data + 144);  // in place
  safetensors_file moved = std::move(file);
  CHECK(moved["float32"].rows<const float>()(1, 2) == 0.25F);
}

TEST_CASE("scalars, empty tensors and 8-bit floats", "[io][safetensors]") {
  safetensors_file shapes(golden("shapes.safetensors"));
  files::check_values(shapes["scalar"], float32, {});
  files::check_values(shapes["empty"], float32, {0, 4});
  files::check_values(shapes["one"], uint8, {1});
  CHECK(shapes.metadata().empty());
  safetensors_file file(golden("short_floats.safetensors"));
  files::check_values(file["bfloat16"], bfloat16, {2, 3});
  CHECK(file.names() == names{"bfloat16", "float8"});
  CHECK_THROWS_WITH(file["float8"], Contains("holds 'float8' as F8_E4M3, which Limbeck does not read; convert it"));
  CHECK_THROWS_WITH(file["weight"], Contains("has no tensor 'weight'; it has 'bfloat16', 'float8'"));
}

TEST_CASE("what is written is what the reference implementation writes, byte by byte", "[io][safetensors]") {
  const files::temporary name("written.safetensors");
  for (const char* original : {"types.safetensors", "shapes.safetensors"}) {
    safetensors_file file(golden(original));
    std::vector<named_tensor> tensors;
    for (const std::string& n : file.names()) tensors.emplace_back(n, file[n]);
    write_safetensors(name.path, tensors, file.metadata());
    CHECK(files::content(name.path) == files::content(file.path()));
  }
}

TEST_CASE("tensors of any holder come back", "[io][safetensors]") {
  const files::temporary name("round.safetensors");
  const std::vector<float> w = {1, 2, 3, 4, 5, 6};
  const std::vector<std::int64_t> labels = {7, -8};
  const rows<const float> weight(w.data(), 2, 3);
  safetensors_file short_floats(golden("short_floats.safetensors"));
  write_safetensors(
      name.path,
      {{"weight", weight.transposed()}, {"labels", labels}, {"bf16", short_floats["bfloat16"]}, {"\"ü\n", w}},
      {{"epoch", "3"}, {"teacher", "wide"}});
  safetensors_file file(name.path);
  CHECK(file.names() == names{"\"ü\n", "bf16", "labels", "weight"});
  CHECK(file.metadata() == metadata{{"epoch", "3"}, {"teacher", "wide"}});
  CHECK(file["weight"].str() == "float32 [3, 2]");
  CHECK(copy_as<float>(file["weight"]) == std::vector<float>{1, 4, 2, 5, 3, 6});
  CHECK(file["labels"].vector().integer(1) == -8);
  CHECK(copy_as<float>(file["\"ü\n"]) == w);
  files::check_values(file["bf16"], bfloat16, {2, 3});
  write_safetensors(name.path, {});
  CHECK(safetensors_file(name.path).names().empty());
}

TEST_CASE("what cannot be written is refused, and the file stays", "[io][safetensors][errors]") {
  const files::temporary name("kept.safetensors", "before");
  const std::vector<float> x(2);
  CHECK_THROWS_WITH(write_safetensors(name.path, {{"a", x}, {"a", x}}),
                    Contains("was given the name 'a', which is taken"));
  CHECK_THROWS_AS(write_safetensors(name.path, {{"__metadata__", x}}), value_error);
  CHECK_THROWS_WITH(write_safetensors(name.path, {{"a\xff", x}}), Contains("no UTF-8"));
  CHECK_THROWS_WITH(write_safetensors(name.path, {{"a", any_tensor()}}),
                    Contains("has no type for 'a', which is an unknown"));
  metadata notes;
  for (int i = 0; i < 65537; ++i) notes[std::to_string(i)];
  CHECK_THROWS_WITH(write_safetensors(name.path, {{"a", x}}, notes), Contains("was given 1 tensors and 65537 notes"));
  CHECK_THROWS_AS(write_safetensors("/no/such/folder/x", {{"a", x}}), file_error);
  CHECK(files::content(name.path) == "before");
}

TEST_CASE("a tensor at an odd offset is copied", "[io][safetensors]") {
  std::string s = file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                          R"("b":{"dtype":"F32","shape":[1,2],"data_offsets":[1,9]}})",
                          9);
  const float x[] = {3, 4};
  std::memcpy(s.data() + s.size() - 8, x, 8);
  safetensors_file file = open(s);
  const auto b = file["b"].rows<const float>();
  CHECK(b(0, 1) == 4);
  CHECK(file["b"].data == b.data);
}

TEST_CASE("hostile files are refused with a sentence", "[io][safetensors][errors]") {
  const auto refuses = [](const std::string& header, std::size_t data, const std::string& sentence) {
    CAPTURE(header);
    CHECK_THROWS_WITH(open(file_of(header, data)), Contains("x.safetensors' " + sentence));
  };
  const std::string a = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  CHECK(open(file_of(a, 8))["a"].str() == "float32 [2]");
  CHECK(open(file_of("{}", 0)).names().empty());
  refuses(a, 7, "holds 7 bytes of data, expected 8 by its header");
  refuses(a, 9, "holds 9 bytes of data, expected 8 by its header");
  refuses("", 0, "has a header that is no JSON object");
  refuses("[]", 0, "has a header that is no JSON object");
  refuses(" " + a, 8, "has a header that is no JSON object");
  refuses("{", 0, "has a header that is no JSON: ");
  refuses(a + "x", 8, "has a header that is no JSON: ");
  refuses("{\"a\xff\":1}", 0, "has a header that is no JSON: ");
  refuses("{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}", 0, "describes 'a' in");
  refuses(std::string(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],)") +
              R"("data_offsets":[0,8]}})",
          8, "has the key 'a' twice");
  refuses(files::replaced(a, "\"shape\":[2]", "\"dtype\":\"F32\""), 8, "has the key 'dtype' twice");
  for (const char* shape : {"[-2]", "2", "[2.0]", "[\"2\"]", "[[2]]", "null", "[2e0]", "[99999999999999999999]"})
    refuses(files::replaced(a, "[2]", shape), 8, "describes 'a' in");
  for (const char* offsets : {"[8,0]", "[0]", "[0,8,8]", "[0,-8]", "8", "{}"})
    refuses(files::replaced(a, "[0,8]", offsets), 8, "describes 'a' in");
  refuses(R"({"a":1})", 0, "describes 'a' in");
  refuses(R"({"a":{"dtype":"F32","shape":[2]}})", 8, "describes 'a' in");
  refuses(files::replaced(a, "\"F32\"", "32"), 8, "describes 'a' in");
  refuses(files::replaced(a, "]}}", "],\"more\":1}}"), 8, "describes 'a' in");
  refuses(files::replaced(a, "[2]", "[3]"), 8, "gives 'a' 8 bytes, which is not F32 [3]");
  refuses(files::replaced(a, "[2]", "[4611686018427387906]"), 8, "gives 'a' 8 bytes, which is not F32");
  refuses(files::replaced(a, "[0,8]", "[1,9]"), 9, "has a tensor that begins at byte 1 of the data, expected 0");
  const std::string two =
      R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})";
  CHECK(open(file_of(two, 4)).names() == names{"a", "b"});
  refuses(files::replaced(two, "[2,4]", "[1,3]"), 4, "has a tensor that begins at byte 1 of the data, expected 2");
  refuses(files::replaced(two, "[2,4]", "[3,5]"), 5, "has a tensor that begins at byte 3 of the data, expected 2");
  refuses(R"({"__metadata__":{"a":1}})", 0, "has a __metadata__ whose 'a' is no text");
  refuses(R"({"__metadata__":[]})", 0, "has a __metadata__ that is no JSON object");
  CHECK_THROWS_WITH(open(""), Contains("is no whole safetensors file"));
  CHECK_THROWS_WITH(open("1234567"), Contains("is no whole safetensors file"));
  CHECK_THROWS_WITH(open(std::string(8, '\xff')),
                    Contains("its header has 18446744073709551615 bytes, expected at most 100000000"));
  safetensors_file deep = open(file_of(R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1));
  CHECK_THROWS_WITH(deep["a"], Contains("9 dimensions, expected at most 8"));
}

TEST_CASE("a header of any size takes memory in proportion, or is refused", "[io][safetensors][errors]") {
  const auto many = [](std::size_t bytes, auto text) {
    std::string header = "{";
    for (std::size_t i = 0; header.size() < bytes; ++i) header += (i ? "," : "") + text(std::to_string(i));
    return header + "}";
  };
  // What opening takes of memory, in bytes for each of the header; 1000 more where it is refused.
  const auto taken = [](const std::string& header) {
    const files::temporary name("large.safetensors", file_of(header, 0));
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const auto peak = [] {
        ::rusage use{};
        ::getrusage(RUSAGE_SELF, &use);
        return static_cast<std::size_t>(use.ru_maxrss) * 1024;
      };
      const std::size_t before = peak();
      int refused = 0;
      try {
        safetensors_file file(name.path);
      } catch (const file_error&) {
        refused = 100;
      }
      ::_exit(refused + static_cast<int>((std::min)((peak() - before) / header.size(), std::size_t{99})));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  constexpr int most = 20;  // 4 by itself, and what a sanitizer adds
  constexpr std::size_t size = 4'000'000;
  const int tensors = taken(many(
      size, [](const std::string& i) { return "\"" + i + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})"; }));
  CHECK(tensors <= most);
  const int notes =
      taken(R"({"__metadata__":)" + many(size, [](const std::string& i) { return "\"" + i + R"(":"")"; }) + "}");
  CHECK(notes >= 100);
  CHECK(notes - 100 <= most);
  std::string numbers = "1";
  while (numbers.size() < size) numbers += ",1";
  const int shape = taken(R"({"a":{"dtype":"U8","shape":[)" + numbers + R"(],"data_offsets":[0,1]}})");
  CHECK(shape >= 100);
  CHECK(shape - 100 <= most);

  const files::temporary name("limit.safetensors", file_of("{}", 0));
  const std::uint64_t length = 100'000'001;  // right, but for the format's limit
  std::filesystem::resize_file(name.path, 8 + length);
  std::fstream(name.path, std::ios::in | std::ios::out | std::ios::binary)
      .write(reinterpret_cast<const char*>(&length), 8);
  CHECK_THROWS_WITH(safetensors_file(name.path),
                    Contains("its header has 100000001 bytes, expected at most 100000000"));
}

TEST_CASE("a damaged header is read within the file or refused", "[io][safetensors][errors]") {
  const std::string whole = files::content(golden("shapes.safetensors"));
  const files::temporary name("damaged.safetensors");
  std::size_t refused = 0;
  for (std::size_t n = 0; n < whole.size(); ++n) {
    std::ofstream(name.path, std::ios::binary) << whole.substr(0, n);
    CHECK_THROWS_AS(safetensors_file(name.path), file_error);
  }
  for (std::size_t at = 0; at + 5 < whole.size(); ++at)
    for (const int mask : {1, 4, 0xff}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ mask);
      std::ofstream(name.path, std::ios::binary) << damaged;
      try {
        safetensors_file file(name.path);
        std::size_t elements = 0;
        for (const std::string& n : file.names()) elements += copy_as<double>(file[n]).size();
        CHECK(elements <= 5);
      } catch (const file_error&) {
        ++refused;
      }
    }
  CHECK(refused > 300);
}

}  // namespace
