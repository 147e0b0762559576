#include "files.hpp"

#include <zlib.h>

namespace {

using namespace limbeck;
using Catch::Matchers::Contains;
using files::golden;
using enum element_type;

using names = std::vector<std::string>;

void check_arrays(npz_file& file) {
  CHECK(file.names() == names{"half", "labels", "logits", "teacher"});
  for (int twice = 0; twice < 2; ++twice) {
    files::check_values(file["logits"], float32, {3, 4});
    files::check_values(file["teacher"], float32, {3, 4});
    files::check_values(file["labels"], int64, {3});
    files::check_values(file["half"], float16, {3, 4});
  }
  CHECK(file["logits"].data == file["logits"].data);
  CHECK(file["teacher"].rows<const float>()(2, 3) == 1.75F);
  CHECK(file["labels"].vector().integer(2) == 0);
}

TEST_CASE("what savez, savez_compressed and a large archive hold", "[io][npz]") {
  for (const char* name : {"stored.npz", "deflated.npz", "zip64.npz"}) {
    CAPTURE(name);
    npz_file file(golden(name));
    check_arrays(file);
    npz_file moved = std::move(file);
    check_arrays(moved);
  }
}

TEST_CASE("stored arrays are viewed where their address allows it", "[io][npz]") {
  npz_file file(golden("stored.npz"));
  CHECK(reinterpret_cast<std::uintptr_t>(file["logits"].data) % 4096 == 30 + 10 + 20 + 128);
  CHECK(reinterpret_cast<std::uintptr_t>(file["teacher"].data) % 4 == 0);  // a copy: in the archive it is odd
  const void* const before = file["teacher"].data;
  CHECK(file["teacher"].data == before);
}

TEST_CASE("an array that is not there is named, with those that are", "[io][npz][errors]") {
  npz_file file(golden("stored.npz"));
  CHECK_THROWS_WITH(file["logit"], Contains("has no array 'logit'; it has 'half', 'labels', 'logits', 'teacher'"));
}

TEST_CASE("other files, other compression, encryption and copies of a name", "[io][npz][errors]") {
  const std::string stored = files::content(golden("stored.npz"));
  const std::size_t directory = stored.find("PK\x01\x02");
  const auto open = [](const std::string& content, const char* array) {
    const files::temporary name("patched.npz", content);
    npz_file file(name.path);
    return file[array].str();
  };
  CHECK(open(stored, "logits") == "float32 [3, 4]");
  std::string s = stored;
  s[directory + 10] = 12;
  CHECK_THROWS_WITH(open(s, "logits"), Contains("logits.npy' is compressed by method 12, expected 0"));
  CHECK(open(s, "labels") == "int64 [3]");
  s = stored;
  s[directory + 8] = 1;
  CHECK_THROWS_WITH(open(s, "logits"), Contains("logits.npy' is encrypted"));
  s = stored;
  s[directory + 24] = 1;
  CHECK_THROWS_WITH(open(s, "logits"), Contains("is stored in two sizes"));
  s = stored;
  s[directory + 42] = 1;
  CHECK_THROWS_WITH(open(s, "logits"), Contains("is not where the directory of the archive says"));
  CHECK_THROWS_WITH(open(files::replaced(stored, "labels", "logits", directory), "logits"),
                    Contains("has two arrays named 'logits'"));
  CHECK_THROWS_WITH(open(files::replaced(stored, "labels.npy", "labels.txt", directory), "labels"),
                    Contains("it has 'half', 'logits', 'teacher'"));
  CHECK_THROWS_WITH(open(files::content(golden("float32.npy")), "x"), Contains("is no whole ZIP archive"));
  CHECK_THROWS_WITH(open("", "x"), Contains("is no whole ZIP archive"));
  s = stored + "a comment";
  s[stored.size() - 2] = 9;
  CHECK(open(s, "logits") == "float32 [3, 4]");
  s = files::content(golden("deflated.npz"));
  s[s.find("PK\x01\x02") + 27] = 0x70;
  CHECK_THROWS_WITH(open(s, "logits"), Contains("bytes, which it cannot"));
  s = files::content(golden("deflated.npz"));
  s[s.find("PK\x01\x02") + 16] ^= 1;
  CHECK_THROWS_WITH(open(s, "logits"), Contains("has another checksum"));
}

/// All arrays of an archive in memory, by name, as text.
std::string all(const files::exact& file) {
  std::string found;
  detail::each_zip_entry("x.npz", file.bytes, [&](std::string_view name, const detail::zip_entry& e) {
    detail::owned_bytes inflated, copy;
    any_tensor x = detail::parse_npy("x.npz", detail::unzip("x.npz", file.bytes, e, inflated));
    x = detail::aligned(x, copy);
    found += std::string(name) + " " + x.str();
    for (const double v : copy_as<double>(x)) found += " " + std::to_string(v);
    found += "\n";
  });
  return found;
}

TEST_CASE("a damaged archive is refused, and a deflated array never read wrongly", "[io][npz][errors]") {
  for (const char* name : {"stored.npz", "deflated.npz", "zip64.npz"}) {
    CAPTURE(name);
    const std::string whole = files::content(golden(name));
    const std::string expected = all(files::exact(whole));
    REQUIRE(std::count(expected.begin(), expected.end(), '\n') == 4);
    for (std::size_t n = 0; n < whole.size(); ++n) CHECK_THROWS_AS(all(files::exact(whole.substr(0, n))), file_error);
    const bool checked = std::string(name) == "deflated.npz";
    const std::size_t directory = whole.find("PK\x01\x02");
    std::size_t refused = 0;
    for (std::size_t at = 0; at < whole.size(); ++at)
      for (const int mask : {1, 2, 0x10, 0x80, 0xff}) {
        files::exact damaged(whole);
        damaged.bytes[at] ^= static_cast<std::byte>(mask);
        try {
          const std::string found = all(damaged);
          if (checked && at < directory) REQUIRE(found == expected);  // beyond, a name or the count may be another
        } catch (const file_error&) {
          ++refused;
        }
      }
    CHECK(refused > whole.size());
  }
}

}  // namespace
