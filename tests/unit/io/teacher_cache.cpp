// The teacher cache: what goes in comes out within its error bound, by sample id, and a call sees it.

#include "batch.hpp"
#include "catch.hpp"
#include "files.hpp"

#include <limbeck/io/teacher_cache.hpp>
#include <limbeck/io/teacher_cache_writer.hpp>
#include <limbeck/limbeck.hpp>

#include <cmath>
#include <thread>

namespace lk = limbeck;
using namespace limbeck_test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using enum lk::element_type;

namespace {

constexpr std::size_t samples = 40, classes = 26;
const std::vector<std::uint32_t> shuffled_ids = [] {
  std::vector<std::uint32_t> ids(samples);
  for (std::size_t r = 0; r < samples; ++r) ids[r] = static_cast<std::uint32_t>(7 + 11 * (r * 17 % samples));
  return ids;
}();

/// Logits with a masked class in some rows.
template <class T>
std::vector<T> teacher_logits() {
  auto b = random_batch<T>(samples, classes);
  for (std::size_t r = 0; r < samples; r += 3)
    b.teacher[r * classes + r % classes] = -std::numeric_limits<T>::infinity();
  return b.teacher;
}
template <class T>
lk::rows<const T> rows_of(const std::vector<T>& x) {
  return {x.data(), x.size() / classes, classes};
}
/// log softmax(z / t) of a row.
template <class T>
std::vector<long double> log_softmax(const T* z, double t) {
  std::vector<long double> out(classes);
  long double top = -std::numeric_limits<long double>::infinity(), sum = 0;
  for (std::size_t c = 0; c < classes; ++c) top = std::max(top, out[c] = static_cast<long double>(z[c]) / t);
  for (const long double x : out) sum += std::exp(x - top);
  for (long double& x : out) x -= top + std::log(sum);
  return out;
}
double bound(lk::element_type values, double value, double range) {
  const double rounding = 4e-6;  // of the arithmetic in float before it is stored
  switch (values) {
    case float32: return rounding;
    case float16: return rounding + std::abs(value) * std::ldexp(1.0, -11) + 1e-7;
    case bfloat16: return rounding + std::abs(value) * std::ldexp(1.0, -8);
    default: return rounding + range / 254 * 0.5001;
  }
}

}  // namespace

TEST_CASE("teacher cache: all logits, every type of values", "[teacher_cache]") {
  const auto check = [](auto zero) {
    using T = decltype(zero);
    const std::vector<T> z = teacher_logits<T>();
    for (const auto values : {float32, float16, bfloat16, uint8}) {
      const files::temporary file("dense.cache");
      {
        lk::teacher_cache_writer writer(file.path, {.classes = classes, .values = values, .teacher = "a teacher"});
        const std::size_t half = samples / 2 * classes;
        const std::vector<std::uint32_t> first(shuffled_ids.begin(), shuffled_ids.begin() + samples / 2);
        const std::vector<std::uint32_t> second(shuffled_ids.begin() + samples / 2, shuffled_ids.end());
        writer.append(first, lk::rows<const T>(z.data(), samples / 2, classes));
        CHECK(writer.rows_written() == samples / 2);
        writer.flush();
        writer.append(second, lk::rows<const T>(z.data() + half, samples / 2, classes));
        writer.close();
        CHECK_THROWS_WITH(writer.append(first, lk::rows<const T>(z.data(), samples / 2, classes)),
                          Contains("is closed"));
      }
      const lk::teacher_cache cache(file.path, {.classes = classes, .temperature = 1, .teacher = "a teacher"});
      CHECK(cache.size() == samples);
      CHECK(cache.torn_bytes() == 0);
      CHECK(cache.metadata().values == values);
      const std::vector<std::int64_t> wanted{shuffled_ids[25], shuffled_ids[3], shuffled_ids[25]};
      const std::size_t rows[] = {25, 3, 25};
      std::vector<T> out(3 * classes);
      lk::fill(cache.target<T>(wanted), lk::rows<T>(out.data(), 3, classes));
      for (std::size_t r = 0; r < 3; ++r) {
        double low = 1e300, high = -1e300;
        for (std::size_t c = 0; c < classes; ++c) {
          const double x = z[rows[r] * classes + c];
          if (std::isfinite(x)) low = std::min(low, x), high = std::max(high, x);
        }
        for (std::size_t c = 0; c < classes; ++c) {
          const double x = z[rows[r] * classes + c], y = out[r * classes + c];
          if (std::isfinite(x)) {
            CHECK(std::abs(x - y) <= bound(values, x, high - low));
          } else {
            CHECK(y == x);
          }
        }
      }
    }
  };
  check(float{});
  check(double{});
}

TEST_CASE("teacher cache: the top k and the exact tail", "[teacher_cache]") {
  const std::vector<float> z = teacher_logits<float>();
  for (const double temperature : {1.0, 3.0})
    for (const auto values : {float32, float16, bfloat16, uint8}) {
      const files::temporary file("top.cache");
      lk::teacher_cache_writer(
          file.path,
          {.classes = classes, .kind = lk::cache_kind::top_k, .values = values, .temperature = temperature, .k = 4})
          .append(shuffled_ids, rows_of(z));
      const lk::teacher_cache cache(file.path);
      lk::sparse_store<float> store;
      cache.gather(shuffled_ids, store);
      REQUIRE(store.view().samples() == samples);
      CHECK(store.temperature == temperature);
      CHECK(!store.sampled);
      for (std::size_t r = 0; r < samples; ++r) {
        auto expected = log_softmax(&z[r * classes], temperature);
        auto sorted = expected;
        std::sort(sorted.rbegin(), sorted.rend());
        const auto range = static_cast<double>(sorted[0] - sorted[3]);
        REQUIRE(store.offsets[r + 1] - store.offsets[r] == 4);
        long double tail = 0;
        for (std::size_t i = store.offsets[r]; i < store.offsets[r + 1]; ++i) {
          auto& value = expected[static_cast<std::size_t>(store.ids[i])];
          CHECK(value >= sorted[3]);
          CHECK(std::abs(static_cast<double>(value) - static_cast<double>(store.log_weights[i])) <=
                bound(values, static_cast<double>(value), range));
          value = -std::numeric_limits<long double>::infinity();
        }
        for (const long double x : expected) tail += std::exp(x);
        CHECK(store.log_tails[r] == Approx(static_cast<double>(std::log(tail))).epsilon(1e-5));
      }
    }
}

TEST_CASE("teacher cache: counts of draws are exact", "[teacher_cache]") {
  const std::vector<float> z = teacher_logits<float>();
  const files::temporary file("drawn.cache");
  lk::teacher_cache_writer(
      file.path, {.classes = classes, .kind = lk::cache_kind::sampled, .values = uint8, .draws = 50}, {.seed = 9})
      .append(shuffled_ids, rows_of(z));
  const lk::teacher_cache cache(file.path);
  lk::sparse_store<double> store;
  cache.gather(shuffled_ids, store);
  CHECK(store.log_tails.empty());
  for (std::size_t r = 0; r < samples; ++r) {
    // the draws belong to the sample, not to its place in a batch
    const auto again = lk::draw_sparse(lk::rows<const float>(&z[r * classes], 1, classes), 50,
                                       lk::random_stream(9).split(shuffled_ids[r]));
    REQUIRE(store.offsets[r + 1] - store.offsets[r] == again.ids.size());
    double sum = 0;
    for (std::size_t i = 0; i < again.ids.size(); ++i) {
      CHECK(store.ids[store.offsets[r] + i] == again.ids[i]);
      const double count = 50 * std::exp(store.log_weights[store.offsets[r] + i]);
      CHECK(std::abs(count - std::nearbyint(count)) < 1e-10);
      CHECK(std::abs(count - 50 * std::exp(static_cast<double>(again.log_weights[i]))) < 1e-4);
      sum += count;
    }
    CHECK(sum == Approx(50));
  }
}

TEST_CASE("teacher cache: a call reads it as it would the teacher", "[teacher_cache]") {
  const auto b = random_batch<float>(samples, classes);
  const files::temporary file("call.cache");
  lk::teacher_cache_writer(file.path, {.classes = classes}).append(shuffled_ids, b.t());
  const lk::teacher_cache cache(file.path);
  const auto objective = 0.5 * lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{});
  std::vector<float> g(b.size()), expected(b.size());
  lk::workspace ws;
  const double loss =
      objective(b.s(), b.t(), b.labels, lk::into(lk::rows<float>(expected.data(), samples, classes))).loss;
  CHECK(same_bits(objective(b.s(), cache.target<float>(shuffled_ids), b.labels,
                            lk::into(lk::rows<float>(g.data(), samples, classes)), ws)
                      .loss,
                  loss));
  CHECK(g == expected);
}

TEST_CASE("teacher cache: sparse rows at their temperature are the stored weights", "[teacher_cache]") {
  const std::vector<float> z = teacher_logits<float>();
  const files::temporary file("tempered.cache");
  lk::teacher_cache_writer(file.path, {.classes = classes, .kind = lk::cache_kind::top_k, .temperature = 2, .k = 5})
      .append(shuffled_ids, rows_of(z));
  const lk::teacher_cache cache(file.path);
  for (const auto rest : {lk::tail::spread, lk::tail::drop}) {
    std::vector<float> out(samples * classes);
    lk::fill(cache.target<float>(shuffled_ids, rest), lk::rows<float>(out.data(), samples, classes));
    for (std::size_t r = 0; r < samples; ++r) {
      const auto p = log_softmax(&z[r * classes], 2), q = log_softmax(&out[r * classes], 2);
      auto order = p;
      std::sort(order.rbegin(), order.rend());
      long double kept = 0;
      for (std::size_t i = 0; i < 5; ++i) kept += std::exp(order[i]);
      const long double shift = rest == lk::tail::drop ? std::log(kept) : 0;
      for (std::size_t c = 0; c < classes; ++c) {
        if (p[c] >= order[4]) {
          CHECK(static_cast<double>(q[c]) == Approx(static_cast<double>(p[c] - shift)).margin(1e-5));
        } else if (rest == lk::tail::drop) {
          CHECK(out[r * classes + c] == -std::numeric_limits<float>::infinity());
        } else {
          CHECK(static_cast<double>(std::exp(q[c])) ==
                Approx(static_cast<double>((1 - kept) / (classes - 5))).epsilon(1e-4));
        }
      }
    }
  }
}

TEST_CASE("teacher cache: stores of the library go in as they are, and wide classes too", "[teacher_cache]") {
  constexpr std::size_t wide = 70000;
  std::vector<double> z(2 * wide);
  for (std::size_t i = 0; i < z.size(); ++i) z[i] = std::sin(static_cast<double>(i) * 0.37) * 5;
  z[wide - 1] = 20;
  const auto store = lk::keep_top(lk::rows<const double>(z.data(), 2, wide), 3);
  const files::temporary file("wide.cache");
  const std::vector<std::uint64_t> ids{std::uint64_t{1} << 40U, 5};
  lk::teacher_cache_writer(file.path, {.classes = wide, .kind = lk::cache_kind::top_k, .k = 3}).append(ids, store);
  const lk::teacher_cache cache(file.path);
  lk::sparse_store<double> back;
  cache.gather(ids, back);
  CHECK(back.ids == store.ids);
  CHECK(back.offsets == store.offsets);
  CHECK(back.ids[2] == wide - 1);
  for (std::size_t i = 0; i < back.ids.size(); ++i)
    CHECK(back.log_weights[i] == Approx(store.log_weights[i]).margin(1e-6));
  CHECK(cache.ids() == std::vector<std::uint64_t>{5, std::uint64_t{1} << 40U});
  CHECK(cache.contains(5));
  CHECK_FALSE(cache.contains(6));
}

TEST_CASE("teacher cache: a file grows, and of an id that comes twice the last row counts", "[teacher_cache]") {
  const files::temporary file("grows.cache");
  const lk::cache_metadata metadata{.classes = 2, .user = R"({"run": 7})"};
  const auto add = [&](std::vector<int> ids, std::vector<float> z) {
    lk::teacher_cache_writer(file.path, metadata).append(ids, lk::rows<const float>(z.data(), ids.size(), 2));
  };
  const auto first_logit = [&](int id) {
    std::vector<float> out(2);
    const std::vector<int> one{id};
    const lk::teacher_cache cache(file.path);
    lk::fill(cache.target<float>(one), lk::rows<float>(out.data(), 1, 2));
    return out[0];
  };
  add({0, 1}, {1, 0, 2, 0});
  add({2}, {3, 0});
  CHECK(lk::teacher_cache(file.path).size() == 3);
  CHECK(first_logit(2) == 3);
  CHECK(lk::teacher_cache(file.path).metadata().user == R"({"run":7})");
  add({1, 5, 1}, {4, 0, 5, 0, 6, 0});
  CHECK(lk::teacher_cache(file.path).size() == 4);
  CHECK(first_logit(0) == 1);
  CHECK(first_logit(1) == 6);
  CHECK(first_logit(5) == 5);
  add({}, {});
  CHECK(lk::teacher_cache(file.path).ids() == std::vector<std::uint64_t>{0, 1, 2, 5});
}

TEST_CASE("teacher cache: what does not fit the run is refused with both values", "[teacher_cache]") {
  const std::vector<float> z = teacher_logits<float>();
  const files::temporary file("fits.cache");
  lk::teacher_cache_writer(file.path, {.classes = classes, .teacher = "one", .augmentation = "flip"})
      .append(shuffled_ids, rows_of(z));
  const std::string name = "limbeck: '" + file.path.string() + "' is a teacher cache whose ";
  CHECK_THROWS_WITH(lk::teacher_cache(file.path, {.classes = 10}), name + "number of classes is 26, expected 10");
  CHECK_THROWS_WITH(lk::teacher_cache(file.path, {.temperature = 4}), name + "temperature is 1, expected 4");
  CHECK_THROWS_WITH(lk::teacher_cache(file.path, {.teacher = "two"}), name + "teacher is 'one', expected 'two'");
  CHECK_THROWS_WITH(lk::teacher_cache(file.path, {.augmentation = ""}), name + "augmentation is 'flip', expected ''");
  const auto reopen = [&](const lk::cache_metadata& m) { lk::teacher_cache_writer writer(file.path, m); };
  CHECK_THROWS_WITH(reopen({.classes = classes, .teacher = "two", .augmentation = "flip"}),
                    Contains("holds a teacher cache whose teacher is \"one\", not \"two\""));
  CHECK_THROWS_WITH(reopen({.classes = classes, .values = float16, .teacher = "one", .augmentation = "flip"}),
                    Contains("whose values is \"float32\", not \"float16\""));
  CHECK_THROWS_WITH(
      reopen({.classes = classes, .kind = lk::cache_kind::top_k, .k = 2, .teacher = "one", .augmentation = "flip"}),
      Contains("whose kind is \"logits\", not \"top_k\""));

  const lk::teacher_cache cache(file.path);
  const std::vector<int> missing{7, 8}, negative{-1};
  CHECK_THROWS_WITH(cache.target<float>(missing), Contains("has no row of sample 8, row 1 of this call"));
  CHECK_THROWS_WITH(cache.target<float>(negative), Contains("has no row of sample -1, row 0 of this call"));
  lk::sparse_store<float> store;
  CHECK_THROWS_WITH(cache.gather(shuffled_ids, store), Contains("holds logits, not sparse rows"));
}

TEST_CASE("teacher cache: rows that cannot be kept leave no trace", "[teacher_cache]") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<int> ids{0, 1};
  const auto check = [&](const lk::cache_metadata& m, std::vector<float> bad, const char* message) {
    const files::temporary file("bad.cache");
    {
      lk::teacher_cache_writer writer(file.path, m);
      std::vector<float> z{1, 2, 3, 4, 5, 6};
      writer.append(ids, lk::rows<const float>(z.data(), 2, 3));
      std::copy(bad.begin(), bad.end(), z.begin() + 3);
      const std::vector<int> others{2, 3};
      CHECK_THROWS_WITH(writer.append(others, lk::rows<const float>(z.data(), 2, 3)), Contains(message));
      CHECK(writer.rows_written() == 2);
      const std::vector<int> wrong{4, -4};
      CHECK_THROWS_WITH(writer.append(wrong, lk::rows<const float>(z.data(), 2, 3)), Contains("sample id -4 of row 1"));
      CHECK_THROWS_WITH(writer.append(ids, lk::rows<const float>(z.data(), 1, 3)),
                        Contains("ids has 2 elements, expected 1"));
      CHECK_THROWS_WITH(writer.append(ids, lk::rows<const float>(z.data(), 2, 2)), Contains("logits has shape 2 x 2"));
    }
    CHECK(lk::teacher_cache(file.path).size() == 2);
    CHECK_FALSE(lk::teacher_cache(file.path).contains(2));
  };
  check({.classes = 3}, {1, nan, 2}, "logits row 1 has no softmax");
  check({.classes = 3}, {1, inf, 2}, "logits row 1 has no softmax");
  check({.classes = 3}, {-inf, -inf, -inf}, "logits row 1 has no softmax");
  check({.classes = 3, .values = float16}, {1, 70000, 2}, "70000 in row 1 is beyond what float16 holds");
  check({.classes = 3, .kind = lk::cache_kind::top_k, .k = 2}, {1, nan, 2}, "logits row 1 has no softmax");
  check({.classes = 3, .kind = lk::cache_kind::sampled, .values = uint8, .draws = 5}, {1, nan, 2},
        "logits row 1 has no softmax");

  const files::temporary beyond("beyond.cache");
  lk::teacher_cache_writer bytes(beyond.path, {.classes = 3, .values = uint8});
  const std::vector<double> far_apart{0, 1e39, 2};
  const std::vector<int> one{0};
  CHECK_THROWS_WITH(bytes.append(one, lk::rows<const double>(far_apart.data(), 1, 3)),
                    Contains("is beyond what uint8 holds"));

  const files::temporary file("settings.cache");
  const auto open = [&](const lk::cache_metadata& m) { lk::teacher_cache_writer writer(file.path, m); };
  CHECK_THROWS_WITH(open({}), Contains("a teacher cache of 0 classes"));
  CHECK_THROWS_WITH(open({.classes = 3, .values = int8}), Contains("of values int8, expected float32"));
  CHECK_THROWS_WITH(open({.classes = 3, .temperature = 2}), Contains("of logits has temperature 1, not 2"));
  CHECK_THROWS_WITH(open({.classes = 3, .kind = lk::cache_kind::top_k}), Contains("of the top k with k 0"));
  CHECK_THROWS_WITH(open({.classes = 3, .kind = lk::cache_kind::sampled}), Contains("of samples with 0 draws"));
  CHECK_THROWS_WITH(open({.classes = 3, .kind = lk::cache_kind::sampled, .values = uint8, .draws = 300}),
                    Contains("of counts in uint8 with 300 draws"));
  CHECK_THROWS_WITH(open({.classes = 3, .user = "[1]"}), Contains("is no JSON object"));
  CHECK_FALSE(std::filesystem::exists(file.path));
}

TEST_CASE("teacher cache: threads may read at once", "[teacher_cache]") {
  const std::vector<float> z = teacher_logits<float>();
  const files::temporary file("threads.cache");
  lk::teacher_cache_writer(file.path, {.classes = classes, .values = float16}, {.block_bytes = 1})
      .append(shuffled_ids, rows_of(z));
  const lk::teacher_cache cache(file.path);
  std::vector<std::vector<float>> out(4, std::vector<float>(z.size()));
  std::vector<std::thread> threads;
  for (auto& mine : out)
    threads.emplace_back(
        [&] { lk::fill(cache.target<float>(shuffled_ids), lk::rows<float>(mine.data(), samples, classes)); });
  for (auto& t : threads) t.join();
  for (const auto& mine : out) CHECK(mine == out[0]);
}
