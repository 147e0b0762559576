// The teacher cache under crashes, damage and hostile hands.

#include "catch.hpp"
#include "files.hpp"

#include <limbeck/io/teacher_cache.hpp>
#include <limbeck/io/teacher_cache_writer.hpp>
#include <limbeck/target/fill.hpp>

#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <numeric>

namespace lk = limbeck;
using Catch::Matchers::Contains;

namespace {

constexpr std::size_t classes = 3;
const lk::cache_metadata dense{.classes = classes, .teacher = "t"};
const lk::cache_metadata top{
    .classes = classes, .kind = lk::cache_kind::top_k, .values = lk::element_type::uint8, .k = 2};

void add(const std::filesystem::path& path, const lk::cache_metadata& m, int first, int count) {
  std::vector<int> ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), first);
  std::vector<float> z;
  for (const int id : ids) z.insert(z.end(), {static_cast<float>(id), 0.5F, -1});
  lk::teacher_cache_writer writer(path, m);
  writer.append(ids, lk::rows<const float>(z.data(), ids.size(), classes));
  writer.close();
}
/// Three blocks of four rows each.
std::string three_blocks(const std::filesystem::path& path, const lk::cache_metadata& m) {
  for (const int first : {0, 4, 8}) add(path, m, first, 4);
  return files::content(path);
}
void write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}
/// First logits of all rows, which are their ids.
std::vector<float> read_all(const lk::teacher_cache& cache) {
  const auto ids = cache.ids();
  std::vector<float> out(ids.size() * classes), firsts;
  lk::fill(cache.target<float>(ids), lk::rows<float>(out.data(), ids.size(), classes));
  for (std::size_t r = 0; r < ids.size(); ++r) firsts.push_back(out[r * classes]);
  return firsts;
}
std::vector<float> counted(std::size_t n) {
  std::vector<float> x(n);
  std::iota(x.begin(), x.end(), 0.0F);
  return x;
}
template <class N>
void put(std::string& bytes, std::size_t at, N n) {
  std::memcpy(bytes.data() + at, &n, sizeof n);
}
/// Makes a header's checksum right again.
void seal(std::string& bytes, std::size_t header) {
  put(bytes, header + 60, lk::detail::crc_of(bytes.data() + header, 60));
}

}  // namespace

TEST_CASE("teacher cache: cut off at any byte, the whole blocks stay and a writer goes on", "[teacher_cache]") {
  const files::temporary file("torn.cache");
  const std::string whole = three_blocks(file.path, dense);
  const auto contents = lk::detail::scan_cache(lk::mapped_file(file.path));
  REQUIRE(contents.blocks.size() == 3);
  const std::size_t third = contents.blocks[2].payload - 64;
  for (std::size_t size = third; size < whole.size(); ++size) {
    write(file.path, whole.substr(0, size));
    {
      const lk::teacher_cache cache(file.path);
      REQUIRE(cache.size() == 8);
      CHECK(cache.torn_bytes() == size - third);
      if (size % 37 == 0) CHECK(read_all(cache) == counted(8));
    }
    if (size % 17 != 0) continue;
    add(file.path, dense, 8, 4);
    CHECK(files::content(file.path) == whole);
  }
  // the last block's pages were lost, though not its header
  std::string lost = whole;
  lost[contents.blocks[2].payload + 70] = static_cast<char>(~lost[contents.blocks[2].payload + 70]);
  write(file.path, lost);
  CHECK(lk::teacher_cache(file.path).size() == 8);
  const std::vector<int> in_it{9};
  const lk::teacher_cache opened(file.path);
  CHECK_THROWS_WITH(opened.target<float>(in_it),
                    Contains("has no row of sample 9, row 0 of this call; its last " +
                             std::to_string(whole.size() - third) + " bytes are no whole block"));
  add(file.path, dense, 8, 4);
  CHECK(files::content(file.path) == whole);
}

TEST_CASE("teacher cache: a crash before the first block", "[teacher_cache]") {
  const files::temporary file("first.cache");
  { lk::teacher_cache_writer writer(file.path, dense); }
  const std::string head = files::content(file.path);
  CHECK(head.size() % 64 == 0);
  CHECK(lk::teacher_cache(file.path).size() == 0);
  for (std::size_t size = 0; size < head.size(); size += 5) {
    write(file.path, head.substr(0, size));
    if (size > 0) CHECK_THROWS_AS(lk::teacher_cache(file.path), lk::file_error);
    add(file.path, dense, 0, 2);
    CHECK(read_all(lk::teacher_cache(file.path)) == counted(2));
  }
  write(file.path, "a letter to my mother");  // not ours to write over
  CHECK_THROWS_WITH(lk::teacher_cache_writer(file.path, dense), Contains("is no teacher cache"));
  CHECK(files::content(file.path) == "a letter to my mother");
}

TEST_CASE("teacher cache: a flipped bit anywhere is a torn tail, a refusal, or no number that was read",
          "[teacher_cache]") {
  for (const auto& metadata : {dense, top}) {
    const files::temporary file("flipped.cache");
    const std::string whole = three_blocks(file.path, metadata);
    const auto expected = read_all(lk::teacher_cache(file.path));
    std::size_t refused = 0;
    for (std::size_t at = 0; at < whole.size(); ++at) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << at % 8));
      write(file.path, bytes);
      try {
        const lk::teacher_cache cache(file.path);
        const auto found = read_all(cache);
        const auto ids = cache.ids();
        for (std::size_t i = 0; i < ids.size(); ++i) REQUIRE(found[i] == expected.at(static_cast<std::size_t>(ids[i])));
      } catch (const lk::file_error&) {
        ++refused;
      }
    }
    CHECK(refused > whole.size() / 3);
  }
}

TEST_CASE("teacher cache: damage is named, and the other blocks can be read", "[teacher_cache]") {
  const files::temporary file("damaged.cache");
  const std::string whole = three_blocks(file.path, dense);
  const auto contents = lk::detail::scan_cache(lk::mapped_file(file.path));
  const std::size_t second = contents.blocks[1].payload;
  const std::vector<int> first_rows{0, 3}, second_rows{4}, third_rows{11};

  std::string values = whole;
  values[second + 40] ^= 1;
  write(file.path, values);
  {
    const lk::teacher_cache cache(file.path);
    CHECK(cache.size() == 12);
    CHECK(cache.target<float>(first_rows).samples() == 2);
    CHECK(cache.target<float>(third_rows).samples() == 1);
    CHECK_THROWS_WITH(cache.target<float>(second_rows),
                      Contains("is damaged: the block at byte " + std::to_string(second - 64) +
                               ", rows 4 to 7, has a wrong checksum"));
  }
  std::string ids = whole;
  ids[second + 9] ^= 1;
  write(file.path, ids);
  {
    const lk::teacher_cache cache(file.path);
    CHECK(cache.size() == 8);
    CHECK(cache.target<float>(third_rows).samples() == 1);
    CHECK_THROWS_WITH(cache.target<float>(second_rows),
                      Contains("has no row of sample 4, row 0 of this call; the ids of 1 of "
                               "its blocks are damaged"));
  }
  std::string header = whole;
  header[second - 64 + 5] ^= 1;
  write(file.path, header);
  CHECK_THROWS_WITH(lk::teacher_cache(file.path), Contains("is damaged: there is no whole block at byte"));
  CHECK_THROWS_WITH(lk::teacher_cache_writer(file.path, dense),
                    Contains("is damaged: there is no whole block at byte"));
  CHECK(files::content(file.path) == header);
}

TEST_CASE("teacher cache: headers and metadata that lie, with right checksums", "[teacher_cache]") {
  const files::temporary file("lies.cache");
  const std::string whole = three_blocks(file.path, top);
  const auto contents = lk::detail::scan_cache(lk::mapped_file(file.path));
  const auto& block = contents.blocks[0];
  const auto with = [&](auto change) {
    std::string bytes = whole;
    change(bytes);
    write(file.path, bytes);
    return [&file] { read_all(lk::teacher_cache(file.path)); };
  };
  const std::size_t header = block.payload - 64;
  for (const std::uint64_t huge : {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{1} << 40U, ~std::uint64_t{0}}) {
    for (const std::size_t field : {std::size_t{4}, std::size_t{16}, std::size_t{24}}) {
      const auto read = with([&](std::string& b) {
        if (field == 4) {
          put(b, header + 4, static_cast<std::uint32_t>(huge));
        } else {
          put(b, header + field, huge);
        }
        seal(b, header);
      });
      CHECK_THROWS_WITH(read(), Contains("is damaged"));
    }
    const auto read = with([&](std::string& b) { put(b, 16, huge), seal(b, 0); });
    CHECK_THROWS_AS(read(), lk::file_error);
  }
  const auto payload = [&](auto change) {
    return with([&](std::string& b) {
      change(b);
      put(b, header + 36, lk::detail::crc_of(b.data() + block.payload, block.arrays.bytes));
      seal(b, header);
    });
  };
  CHECK_THROWS_WITH(payload([&](std::string& b) { put(b, block.payload + block.arrays.offsets, 1U); })(),
                    Contains("offsets that do not run from 0"));
  CHECK_THROWS_WITH(payload([&](std::string& b) { put(b, block.payload + block.arrays.offsets + 4, 0xffffffffU); })(),
                    Contains("offsets that do not rise"));
  CHECK_THROWS_WITH(payload([&](std::string& b) { put(b, block.payload + block.arrays.ids, std::uint16_t{3}); })(),
                    Contains("class ids that do not rise"));
  CHECK_THROWS_WITH(payload([&](std::string& b) {  // both classes of the first row are the same
                      std::memcpy(b.data() + block.payload + block.arrays.ids,
                                  b.data() + block.payload + block.arrays.ids + 2, 2);
                    })(),
                    Contains("class ids that do not rise"));
  CHECK_THROWS_WITH(with([&](std::string& b) { put(b, header + 8, std::uint64_t{1}), seal(b, header); })(),
                    Contains("is damaged: there is no whole block at byte " + std::to_string(header)));
  for (const std::uint64_t first : {std::uint64_t{64}, std::uint64_t{header + 64}, ~std::uint64_t{0}})
    CHECK_THROWS_WITH(with([&](std::string& b) { put(b, 24, first), seal(b, 0); })(),
                      Contains("is truncated within its metadata"));

  const auto metadata = [&](const std::string& text) {
    std::string head(lk::detail::rounded_up(64 + text.size(), 64), '\0');
    std::memcpy(head.data(), "LIMBECKT", 8);
    put(head, 8, 1U);
    put(head, 12, lk::detail::crc_of(text.data(), text.size()));
    put(head, 16, std::uint64_t{text.size()});
    put(head, 24, std::uint64_t{head.size()});
    seal(head, 0);
    std::memcpy(head.data() + 64, text.data(), text.size());
    write(file.path, head);
    return [&file] { lk::teacher_cache cache(file.path); };
  };
  CHECK_NOTHROW(metadata(R"({"classes": 3, "kind": "logits", "values": "float32", "temperature": 1, "later": [1]})")());
  for (const char* bad :
       {"", "7", "[]", "{}", R"({"classes": -3, "kind": "logits", "values": "float32", "temperature": 1})",
        R"({"classes": 3, "kind": "logits", "values": "float64", "temperature": 1})",
        R"({"classes": 3, "kind": "argmax", "values": "float32", "temperature": 1})",
        R"({"classes": 3, "kind": "logits", "values": "float32", "temperature": 2})",
        R"({"classes": 3, "kind": "top_k", "values": "float32", "temperature": 1})",
        R"({"classes": 3, "kind": "logits", "values": "float32", "temperature": "warm"})",
        R"({"classes": 99999999999, "kind": "logits", "values": "float32", "temperature": 1})"})
    CHECK_THROWS_AS(metadata(bad)(), lk::file_error);
  const std::string start = R"({"classes": 3, "kind": "logits", "values": "float32", "temperature": 1, "user": )";
  const auto nested = [](std::size_t levels) {
    return R"({"a\\\"": "[[\\\"[", "b": )" + std::string(levels - 1, '[') + std::string(levels - 1, ']') + "}";
  };
  CHECK_NOTHROW(metadata(start + nested(63) + "}")());
  for (const std::size_t deep : {std::size_t{64}, std::size_t{100000}}) {
    CHECK_THROWS_WITH(metadata(start + nested(deep) + "}")(), Contains("no JSON object of at most 64 levels"));
    CHECK_THROWS_WITH(metadata(start + std::string(deep, '{'))(), Contains("no JSON object of at most 64 levels"));
  }
  CHECK_THROWS_WITH(metadata(start + "{}" + std::string(1U << 20U, ' ') + "}")(), Contains("bytes of metadata"));
  for (const char* wrong : {"3.0", "3e0", "1e300", "3.5", "18446744073709551616", "\"3\"", "[3]"})
    CHECK_THROWS_AS(metadata(files::replaced(start + "{}}", "3,", wrong + std::string(",")))(), lk::file_error);

  const auto make = [&](const lk::cache_metadata& m) {
    file.clear();
    lk::teacher_cache_writer writer(file.path, m);
  };
  CHECK_NOTHROW(make({.classes = 3, .user = nested(63)}));
  CHECK_THROWS_WITH(make({.classes = 3, .user = nested(64)}), Contains("no JSON object of at most 63 levels"));
  CHECK_THROWS_WITH(make({.classes = 3, .teacher = std::string(1U << 20U, 'x')}), Contains("expected at most 1048576"));
  CHECK_NOTHROW(make({.classes = 3, .kind = lk::cache_kind::sampled, .values = lk::element_type::uint8, .draws = 255}));
  CHECK_THROWS_WITH(
      make({.classes = 3, .kind = lk::cache_kind::sampled, .values = lk::element_type::uint8, .draws = 256}),
      Contains("256 draws"));
}

TEST_CASE("teacher cache: logits have no entries, and what is there twice is a torn tail", "[teacher_cache]") {
  const files::temporary file("entries.cache");
  const std::string whole = three_blocks(file.path, dense);
  const auto contents = lk::detail::scan_cache(lk::mapped_file(file.path));
  const std::size_t third = contents.blocks[2].payload - 64;
  std::string entries = whole;
  put(entries, third + 24, std::uint64_t{1});
  seal(entries, third);
  write(file.path, entries);
  CHECK(lk::teacher_cache(file.path).size() == 8);
  // behind a gap, a header with as many rows before as there are: nothing is missing between
  std::string again = whole + std::string(64, '\0') + whole.substr(third);
  put(again, whole.size() + 64 + 8, std::uint64_t{12});
  seal(again, whole.size() + 64);
  write(file.path, again);
  CHECK(lk::teacher_cache(file.path).size() == 12);
  put(again, whole.size() + 64 + 8, std::uint64_t{13});
  seal(again, whole.size() + 64);
  write(file.path, again);
  CHECK_THROWS_WITH(lk::teacher_cache(file.path), Contains("is damaged"));
}

TEST_CASE("teacher cache: one writer at a time, and readers beside it", "[teacher_cache]") {
  const files::temporary file("locked.cache");
  lk::teacher_cache_writer writer(file.path, dense, {.block_bytes = 1});
  CHECK_THROWS_WITH(lk::teacher_cache_writer(file.path, dense), Contains("is being written by another program"));
  const std::vector<int> id{0};
  const std::vector<float> z{0, 1, 2};
  writer.append(id, lk::rows<const float>(z.data(), 1, 3));
  CHECK(lk::teacher_cache(file.path).size() == 1);
  writer.close();
  add(file.path, dense, 1, 1);
  CHECK(lk::teacher_cache(file.path).size() == 2);
}

TEST_CASE("teacher cache: a writer that is killed loses its last block at most", "[teacher_cache]") {
  const files::temporary file("killed.cache");
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // writes until it is killed
    lk::teacher_cache_writer writer(file.path, dense, {.block_bytes = 400});
    for (int id = 0;; ++id) {
      const std::vector<int> ids{id};
      const std::vector<float> z{static_cast<float>(id), 0, 0};
      writer.append(ids, lk::rows<const float>(z.data(), 1, 3));
    }
  }
  std::error_code error;
  while (std::filesystem::file_size(file.path, error) < 200000 || error) ::usleep(100);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  std::size_t kept = 0;
  {
    const lk::teacher_cache cache(file.path);
    kept = cache.size();
    CHECK(kept > 1000);
    CHECK(read_all(cache) == counted(kept));
  }
  add(file.path, dense, static_cast<int>(kept), 10);
  CHECK(read_all(lk::teacher_cache(file.path)) == counted(kept + 10));
}

TEST_CASE("teacher cache: a disk that is full leaves the file as it was", "[teacher_cache]") {
  const files::temporary file("full.cache");
  add(file.path, dense, 0, 4);
  const std::string before = files::content(file.path);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files stands for the disk
  ::rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  {
    lk::teacher_cache_writer writer(file.path, dense);
    std::vector<int> ids(100);
    std::iota(ids.begin(), ids.end(), 4);
    const std::vector<float> z(300, 1.0F);
    writer.append(ids, lk::rows<const float>(z.data(), 100, 3));
    const ::rlimit small_files{before.size() + 500, old.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small_files);
    CHECK_THROWS_WITH(writer.flush(), Contains("cannot write '" + file.path.string() + "'"));
    ::setrlimit(RLIMIT_FSIZE, &old);
    CHECK(files::content(file.path) == before);
    CHECK(writer.rows_written() == 104);
    writer.close();  // there is room again
  }
  CHECK(lk::teacher_cache(file.path).size() == 104);
}
