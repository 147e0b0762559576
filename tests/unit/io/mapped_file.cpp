#include "files.hpp"

#include <limbeck/core/half.hpp>

#include <cmath>
#include <limits>

#include <sys/mman.h>
#include <unistd.h>

namespace {

using namespace limbeck;

TEST_CASE("each half has the value that its bits say, and comes back", "[io][half]") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto h = static_cast<std::uint16_t>(bits);
    const float x = from_half(h);
    const int exponent = static_cast<int>((bits >> 10U) & 31U), mantissa = static_cast<int>(bits & 1023U);
    if (exponent == 31 && mantissa != 0) {
      REQUIRE(std::isnan(x));
      REQUIRE(to_half(x) == (h | 0x200U));
      continue;
    }
    const double magnitude = exponent == 31  ? std::numeric_limits<double>::infinity()
                             : exponent == 0 ? std::ldexp(mantissa, -24)
                                             : std::ldexp(1024 + mantissa, exponent - 25);
    REQUIRE(static_cast<double>(std::abs(x)) == magnitude);
    REQUIRE(std::signbit(x) == (bits >= 0x8000));
    REQUIRE(to_half(x) == h);
  }
}

TEST_CASE("a float becomes the nearest half, the even one of two", "[io][half]") {
  const float infinity = std::numeric_limits<float>::infinity();
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const float low = from_half(static_cast<std::uint16_t>(bits));
    const float high = bits == 0x7bff ? 65536 : from_half(static_cast<std::uint16_t>(bits + 1));
    const float middle = (low + high) / 2;  // exact
    REQUIRE(to_half(middle) == bits + (bits & 1U));
    REQUIRE(to_half(std::nextafter(middle, 0.0F)) == bits);
    REQUIRE(to_half(std::nextafter(middle, infinity)) == bits + 1);
    REQUIRE(to_half(-middle) == (0x8000U | (bits + (bits & 1U))));
  }
  CHECK(to_half(65520) == 0x7c00);
  CHECK(to_half(std::numeric_limits<float>::max()) == 0x7c00);
  CHECK(to_half(std::numeric_limits<float>::denorm_min()) == 0);
  CHECK(to_half(-0.0F) == 0x8000);
  static_assert(to_half(1) == 0x3c00 && from_half(0xc000) == -2 && from_bfloat16(0x3f80) == 1);
}

TEST_CASE("a float becomes the nearest bfloat16, the even one of two", "[io][half]") {
  const auto of_bits = [](std::uint32_t bits) { return to_bfloat16(std::bit_cast<float>(bits)); };
  for (std::uint32_t bits = 0; bits < 0x7f80; ++bits)
    for (const std::uint32_t sign : {0U, 0x8000U}) {
      const std::uint32_t b = bits | sign, upper = b << 16U;
      REQUIRE(of_bits(upper) == b);
      REQUIRE(of_bits(upper | 0x7fffU) == b);
      REQUIRE(of_bits(upper | 0x8000U) == b + (b & 1U));
      REQUIRE(of_bits(upper | 0x8001U) == b + 1);  // infinity behind the largest
    }
  CHECK(of_bits(0x7f800000U) == 0x7f80U);
  CHECK(of_bits(0x7f800001U) == 0x7fc0U);  // a NaN stays one
}

std::string text_of(const mapped_file& f) {
  return {reinterpret_cast<const char*>(f.bytes().data()), f.bytes().size()};
}

TEST_CASE("a mapped file is its content", "[io][mapped_file]") {
  const files::temporary name("mapped", "teacher");
  mapped_file f(name.path, file_access::random);
  CHECK(text_of(f) == "teacher");
  CHECK(f.path() == name.path);
  const void* const where = f.bytes().data();
  mapped_file g = std::move(f);
  CHECK(g.bytes().data() == where);
  CHECK(f.bytes().empty());
  f = std::move(g);
  f.advise(file_access::sequential);
  CHECK(text_of(f) == "teacher");
  detail::write_atomically(name.path, {"another"});
  CHECK(text_of(f) == "teacher");
  f = mapped_file(name.path);
  CHECK(text_of(f) == "another");
  CHECK(mapped_file().bytes().empty());
}

TEST_CASE("an empty file maps to no bytes", "[io][mapped_file]") {
  const files::temporary name("empty", "");
  CHECK(mapped_file(name.path).bytes().empty());
}

TEST_CASE("a file that cannot be mapped is named", "[io][mapped_file][errors]") {
  CHECK_THROWS_WITH(mapped_file("/no/such/file"), "limbeck: cannot read '/no/such/file': No such file or directory");
  CHECK_THROWS_WITH(mapped_file("/"), "limbeck: cannot read '/': Is a directory");
  CHECK_THROWS_AS(mapped_file("/dev/null"), file_error);
}

TEST_CASE("opening reads the header alone, whatever the size", "[io][mapped_file][npy]") {
  const files::temporary name("sparse.npy");
  constexpr std::size_t rows_of = 24576, columns = 32768;
  write_npy(name.path, std::vector<float>(1));
  std::string header = files::content(name.path).substr(0, 128);
  header = files::replaced(header, "(1,), }                 ", "(24576, 32768), }       ");
  std::ofstream(name.path, std::ios::binary) << header;
  std::filesystem::resize_file(name.path, 128 + rows_of * columns * 4);  // 3 GiB, of which nothing is written

  const npy_file file(name.path, file_access::random);
  const auto x = file.tensor().rows<const float>();
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t length = 128 + rows_of * columns * 4;
  auto* const start = const_cast<char*>(reinterpret_cast<const char*>(x.data) - 128);
  const auto resident = [&] {
    std::vector<unsigned char> in((length + page - 1) / page);
    REQUIRE(::mincore(start, length, in.data()) == 0);
    std::size_t n = 0;
    for (const unsigned char c : in) n += c & 1U;
    return n;
  };
  CHECK(resident() <= 64);
  CHECK(x(rows_of / 2, 7) == 0);
  CHECK(x(rows_of - 1, columns - 1) == 0);
  CHECK(resident() <= 192);
}

}  // namespace
