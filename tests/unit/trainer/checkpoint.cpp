// What a checkpoint stores comes back bit for bit; what is wrong with one is named, and changes nothing.
#include "toy.hpp"

#include "catch.hpp"

#include <limbeck/trainer/checkpoint.hpp>

#include <cstring>
#include <limits>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Contains;
using Catch::Matchers::Message;
using Catch::Matchers::StartsWith;

struct part {
  float gain = 0.1f;
  std::vector<int> counts{1, -2, 3};
  template <class Archive>
  void serialize(Archive& archive) {
    archive("gain", gain);
    archive("counts", counts);
  }
};
struct state {
  double a = 1.0 / 3;
  std::uint64_t big = (std::numeric_limits<std::uint64_t>::max)();
  std::int8_t tiny = -128;
  bool yes = true;
  std::string text = "caf\xc3\xa9 \"quoted\" \n";
  std::vector<float> grows{1, 2, std::numeric_limits<float>::quiet_NaN()};
  std::vector<double> empty;
  std::vector<double> fixed{-0.0, std::numeric_limits<double>::infinity(), 5e-324};
  lk::random_stream random{5};
  part inner;
  template <class Archive>
  void serialize(Archive& archive) {
    archive("a", a);
    archive("big", big);
    archive("tiny", tiny);
    archive("yes", yes);
    archive("text", text);
    archive("grows", grows);
    archive("empty", empty);
    archive("fixed", std::span(fixed));
    archive("random", random);
    archive("inner", inner);
  }
};
struct narrow {
  std::vector<float> x{1, 2};
  template <class Archive>
  void serialize(Archive& archive) {
    archive("x", x);
  }
};
state other() {
  state s;
  s.a = 2;
  s.big = 0;
  s.tiny = 1;
  s.yes = false;
  s.text = "";
  s.grows.clear();
  s.empty = {1, 2};
  s.fixed = {1, 2, 3};
  s.random = lk::random_stream(6);
  s.inner = {9, {}};
  return s;
}
std::string bytes_of(state s) {
  lk::detail::checkpoint_writer w;
  s.serialize(w);
  return w.header("") + w.payload();
}
void rewrite(const toy::temporary& file, const std::string& bytes) { lk::detail::write_atomically(file.path, {bytes}); }
template <class State>
std::string why(const toy::temporary& file, State& s, const std::string& composition = "it") {
  try {
    lk::load_checkpoint(file.path, s, composition);
  } catch (const lk::file_error& e) {
    return e.what();
  }
  return "";
}

TEST_CASE("what is stored comes back bit for bit", "[checkpoint]") {
  toy::temporary file("round.ckpt");
  state s;
  lk::save_checkpoint(file.path, s, "it");
  CHECK_FALSE(std::filesystem::exists(file.path.string() + ".0.part"));
  state t = other();
  lk::load_checkpoint(file.path, t, "it");
  CHECK(bytes_of(t) == bytes_of(s));
  CHECK(t.random == s.random);
  CHECK(t.text == s.text);

  const lk::checkpoint_file read(file.path);
  CHECK(read.composition() == "it");
  CHECK(read.entries().size() == 11);
  CHECK(read.entries().at("inner/counts").type == "I32");
  CHECK(read.entries().at("inner/counts").shape == std::vector<std::uint64_t>{3});
  CHECK(read.entries().at("random/state").type == "U64");
  CHECK(read.entries().at("random/state").shape.empty());
}

TEST_CASE("the layout is that of safetensors", "[checkpoint]") {
  toy::temporary file("layout.ckpt");
  part p;
  lk::save_checkpoint(file.path, p, "c");
  const std::string b = lk::detail::read_file(file.path);
  const auto length = static_cast<std::size_t>(static_cast<unsigned char>(b[0])) +
                      256 * static_cast<std::size_t>(static_cast<unsigned char>(b[1]));
  CHECK(length % 8 == 0);
  const auto json = nlohmann::json::parse(b.substr(8, length));
  CHECK(json["gain"] == nlohmann::json::parse(R"({"dtype":"F32","shape":[],"data_offsets":[0,4]})"));
  CHECK(json["counts"] == nlohmann::json::parse(R"({"dtype":"I32","shape":[3],"data_offsets":[4,16]})"));
  CHECK(json["__metadata__"]["format"] == "limbeck checkpoint");
  CHECK(b.size() == 8 + length + 16);
}

TEST_CASE("FNV-1a has its published values", "[checkpoint]") {  // Landon Noll's test vectors
  CHECK(lk::detail::fnv1a("") == 0xcbf29ce484222325U);
  CHECK(lk::detail::fnv1a("a") == 0xaf63dc4c8601ec8cU);
  CHECK(lk::detail::fnv1a("foobar") == 0x85944171f73967e8U);
}

TEST_CASE("every truncation and every flipped bit is found, and changes nothing", "[checkpoint]") {
  toy::temporary file("bad.ckpt");
  state s, t = other();
  const std::string untouched = bytes_of(t);
  lk::save_checkpoint(file.path, s, "it");
  const std::string good = lk::detail::read_file(file.path);
  for (std::size_t n = 0; n < good.size(); n += 1 + n / 64) {
    rewrite(file, good.substr(0, n));
    CAPTURE(n);
    CHECK_THAT(why(file, t), Contains("' is truncated"));
  }
  for (std::size_t at = 0; at < good.size(); at += 3) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    rewrite(file, bad);
    CAPTURE(at);
    CHECK_THAT(why(file, t), StartsWith("limbeck: checkpoint '"));
  }
  CHECK(bytes_of(t) == untouched);
  rewrite(file, good.substr(0, good.size() - 1));
  CHECK(why(file, t) == "limbeck: checkpoint '" + file.path.string() + "' is truncated: it has " +
                            std::to_string(good.size() - 1) + " bytes of " + std::to_string(good.size()));
  std::string last = good;
  last.back() = static_cast<char>(last.back() ^ 1);
  rewrite(file, last);
  CHECK_THAT(why(file, t), Contains("' is corrupted: its checksum is "));
  rewrite(file, good + "x");
  CHECK_THAT(why(file, t), Contains("' is corrupted: its checksum is "));
  CHECK(lk::detail::read_file(file.path) == good + "x");  // what is wrong is left as it was
  rewrite(file, "hello, this is no checkpoint");
  CHECK_THAT(why(file, t), Contains("or no checkpoint"));
  file.clear();
  CHECK_THAT(why(file, t), StartsWith("limbeck: cannot read '") && Contains("No such file"));
  CHECK(bytes_of(t) == untouched);
}

TEST_CASE("headers that lie, with a right checksum", "[checkpoint]") {
  toy::temporary file("lies.ckpt");
  narrow n;
  lk::save_checkpoint(file.path, n, "it");
  const std::string good = lk::detail::read_file(file.path), payload = good.substr(good.size() - 8);
  const auto with = [&](const std::string& old, const std::string& other) {
    std::string header = good.substr(8, good.size() - 16);
    header.replace(header.find(old), old.size(), other);
    const std::size_t sum = header.find("\"checksum\":\"") + 12;
    header.replace(sum, 16, lk::detail::no_checksum);
    std::string head(8, '\0');
    const std::uint64_t length = header.size();
    std::memcpy(head.data(), &length, 8);
    header.replace(sum, 16, lk::detail::hexadecimal(lk::detail::fnv1a(payload, lk::detail::fnv1a(head + header))));
    rewrite(file, head + header + payload);
    return why(file, n);
  };
  CHECK(with("\"F32\"", "\"F32\"") == "");
  const std::string shape = "\"shape\":[2]", offsets = "\"data_offsets\":[0,8]";
  for (const char* wrong : {"[1e300]", "[1.9]", "[2.0]", "[-2]", "[18446744073709551616]", "[[2]]", "2", "{}", "null"})
    CHECK_THAT(with(shape, std::string("\"shape\":") + wrong), Contains("describes 'x' in another way than"));
  for (const char* wrong : {"[0,8.0]", "[0,8e0]", "[-8,0]", "[8,0]", "[0]", "[0,8,8]", "8"})
    CHECK_THAT(with(offsets, std::string("\"data_offsets\":") + wrong), Contains("describes 'x' in another way than"));
  for (const char* wrong : {"[2305843009213693953]", "[4611686018427387906]", "[3]", "[2,2]", "[]"})
    CHECK_THAT(with(shape, std::string("\"shape\":") + wrong), Contains("gives 'x' 8 bytes, which is not F32 "));
  CHECK_THAT(with(shape, "\"shape\":[2,1]"), Contains("has a tensor of 2 dimensions of F32 in 'x', expected a list"));
  CHECK_THAT(with(offsets, "\"data_offsets\":[8,16]"), Contains("is truncated"));
  CHECK_THAT(with(offsets, "\"data_offsets\":[18446744073709551608,18446744073709551615]"), Contains("gives 'x' 7"));
  CHECK_THAT(with("\"F32\"", "\"F8\""), Contains("has a list of F8 in 'x', expected a list of F32"));
  CHECK_THAT(with(shape, shape + ",\"shape\":[2]"), Contains("has the key 'shape' twice"));
  CHECK_THAT(with("\"it\"", std::string(100000, '[')), Contains("has a __metadata__ whose 'composition' is no text"));
  CHECK(n.x == std::vector<float>{1, 2});
}

TEST_CASE("another version, another composition", "[checkpoint]") {
  toy::temporary file("version.ckpt");
  state s, t = other();
  const std::string untouched = bytes_of(t), name = "limbeck: checkpoint '" + file.path.string() + "' ";
  lk::save_checkpoint(file.path, s, "it");
  CHECK(why(file, t, "them") == name + "is of another composition: it is of\nit\nand not of\nthem");
  std::string next = lk::detail::read_file(file.path);
  next.replace(next.find("\"version\":\"1\""), 13, "\"version\":\"2\"");
  rewrite(file, next);
  CHECK(why(file, t) == name + "has version 2, this library reads version 1");
  CHECK(bytes_of(t) == untouched);
}

struct shape {
  std::vector<double> x, y;
  bool second = true;
  template <class Archive>
  void serialize(Archive& archive) {
    archive("x", std::span(x));
    if (second) archive("y", y);
  }
};
struct single {
  std::vector<double> x{1, 2};
  double y = 4;
  template <class Archive>
  void serialize(Archive& archive) {
    archive("x", std::span(x));
    archive("y", y);
  }
};
TEST_CASE("another state", "[checkpoint]") {
  toy::temporary file("state.ckpt");
  const std::string name = "limbeck: checkpoint '" + file.path.string() + "' ";
  shape s{{1, 2}, {3, 4, 5}}, longer{{7, 7, 7}, {8}}, one{{7, 7}, {}, false};
  lk::save_checkpoint(file.path, s, "it");
  CHECK(why(file, longer) == name + "has 2 numbers in 'x', expected 3");
  CHECK(longer.y == std::vector<double>{8});
  CHECK(why(file, one) == name + "has 'y', which this state does not have");
  CHECK(one.x == std::vector<double>{7, 7});
  single number;
  CHECK(why(file, number) == name + "has a list of F64 in 'y', expected one F64");
  narrow f;
  CHECK(why(file, f) == name + "has a list of F64 in 'x', expected a list of F32");
  lk::save_checkpoint(file.path, one, "it");
  CHECK(why(file, s) == name + "has no 'y'");
  CHECK(s.x == std::vector<double>{1, 2});
}

struct refusing {
  std::vector<double> first{1};
  double decay = 0.5;
  double last = 3;
  template <class Archive>
  void serialize(Archive& archive) {
    archive("first", first);
    archive("decay", decay);
    if (decay > 1) throw lk::value_error("limbeck: decay is 2");
    archive("last", last);
  }
};
struct permissive {
  std::vector<double> first{9, 9};
  double decay = 2, last = 9;
  template <class Archive>
  void serialize(Archive& archive) {
    archive("first", first);
    archive("decay", decay);
    archive("last", last);
  }
};
TEST_CASE("a serialize that refuses what it is given leaves all members as they were", "[checkpoint]") {
  toy::temporary file("refusing.ckpt");
  permissive p;
  lk::save_checkpoint(file.path, p);
  refusing r;
  CHECK_THROWS_MATCHES(lk::load_checkpoint(file.path, r), lk::value_error, Message("limbeck: decay is 2"));
  CHECK(r.first == std::vector<double>{1});
  CHECK(r.decay == 0.5);
  CHECK(r.last == 3);
}

struct twice {
  double x = 1;
  template <class Archive>
  void serialize(Archive& archive) {
    archive("x", x);
    archive("x", x);
  }
};
TEST_CASE("what cannot be written is named, and the old file stays", "[checkpoint]") {
  toy::temporary file("write.ckpt");
  part p;
  lk::save_checkpoint(file.path, p);
  const std::string before = lk::detail::read_file(file.path);
  twice t;
  CHECK_THROWS_MATCHES(lk::save_checkpoint(file.path, t), lk::checkpoint_error,
                       Message("limbeck: two members of this state are named 'x'"));
  CHECK_THROWS_MATCHES(lk::save_checkpoint(file.path, p, "\xff"), lk::checkpoint_error,
                       Message("limbeck: a name or the composition of this checkpoint is not UTF-8"));
  const std::filesystem::path folder = file.path.string() + "_folder";  // has the name already
  std::filesystem::create_directory(folder);
  CHECK_THROWS_MATCHES(lk::save_checkpoint(folder, p), lk::file_error,
                       Message("limbeck: cannot write '" + folder.string() + "': Is a directory"));
  CHECK_FALSE(std::filesystem::exists(folder.string() + ".0.part"));
  std::filesystem::remove(folder);
  CHECK(lk::detail::read_file(file.path) == before);
  CHECK_THROWS_AS(lk::save_checkpoint(file.path.string() + "_no_folder/x", p), lk::file_error);
}

}  // namespace
