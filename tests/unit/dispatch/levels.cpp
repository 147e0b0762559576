// The same program on every instruction set that this machine has: results differ in their last bits at most, and what
// compares numbers only not at all. This group is compiled with dispatch, the others with the flags of their leg.
#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace lk = limbeck;

namespace {

/// One instruction set for as long as it lives.
struct pinned {
  lk::instruction_set before = lk::current_instruction_set();
  explicit pinned(lk::instruction_set set) { lk::use_instruction_set(set); }
  pinned(const pinned&) = delete;
  pinned& operator=(const pinned&) = delete;
  ~pinned() { lk::use_instruction_set(before); }
};

std::vector<lk::instruction_set> sets_here() {
  std::vector<lk::instruction_set> sets;
  for (const auto set : {lk::instruction_set::as_compiled, lk::instruction_set::avx2, lk::instruction_set::avx512})
    if (set <= lk::widest_instruction_set()) sets.push_back(set);
  return sets;
}

template <class T>
std::vector<T> normal(std::size_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<T> draw(0, 2);
  std::vector<T> x(n);
  for (T& v : x) v = draw(engine);
  return x;
}

template <class T>
void require_same(const std::vector<T>& a, const std::vector<T>& b, double tolerance) {
  REQUIRE(a.size() == b.size());
  double largest = 0, apart = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = (std::max)(largest, std::fabs(static_cast<double>(a[i])));
    apart = (std::max)(apart, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  CHECK(largest > 0);
  CHECK(apart <= tolerance * largest);
}

/// What f() returns on each set, beside what it returns on the flags of this file.
template <class F>
void on_each_set(double tolerance, const F& f) {
  const auto expected = [&] {
    const pinned here(lk::instruction_set::as_compiled);
    return f();
  }();
  for (const auto set : sets_here()) {
    CAPTURE(lk::name_of(set));
    const pinned here(set);
    REQUIRE(lk::current_instruction_set() == set);
    const auto result = f(), again = f();
    CHECK(std::memcmp(result.data(), again.data(), result.size() * sizeof(result[0])) == 0);
    require_same(result, expected, tolerance);
  }
}

template <class T>
constexpr double few_ulps = 64 * static_cast<double>(std::numeric_limits<T>::epsilon());

}  // namespace

TEST_CASE("a process runs on the widest set that it is not told to leave alone", "[dispatch]") {
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__AVX2__)
  static_assert(lk::detail::avx2::register_bytes == 32 && lk::detail::avx512::register_bytes == 64);
  if (!std::getenv("LIMBECK_INSTRUCTION_SET")) CHECK(lk::current_instruction_set() == lk::widest_instruction_set());
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) CHECK(sets_here().size() >= 2);
#endif
  if (const char* const set = std::getenv("LIMBECK_INSTRUCTION_SET"))
    CHECK((std::string(lk::name_of(lk::current_instruction_set())) == set ||
           lk::current_instruction_set() == lk::widest_instruction_set()));
  const pinned here(lk::instruction_set::avx512);
  CHECK(lk::current_instruction_set() == lk::widest_instruction_set());
}

TEMPLATE_TEST_CASE("an objective on every instruction set", "[dispatch]", float, double) {
  using T = TestType;
  for (const std::size_t classes : {3u, 37u, 100u, 1030u}) {
    CAPTURE(classes);
    const std::size_t n = 19;
    const auto s = normal<T>(n * classes, 1), noise = normal<T>(n * classes, 2);
    auto t = s;  // the first rows are close to the student's, which takes one pass more
    for (std::size_t i = 0; i < t.size(); ++i) t[i] += noise[i] * (i < 4 * classes ? T(1e-4) : T(1));
    for (std::size_t r = 6; r < 9; ++r) t[r * classes] = -std::numeric_limits<T>::infinity();
    std::vector<int> labels(n, 1);
    labels[3] = -100;
    std::vector<double> weights(n, 1.25);
    const auto objective = 0.25 * lk::cross_entropy{} + lk::at_temperature(3.0, lk::forward_kl{}) +
                           0.5 * lk::of_teacher(lk::entropy{}) * lk::at_temperature(2.0, lk::jensen_shannon{}) +
                           lk::dkd{};
    on_each_set(few_ulps<T>, [&] {
      lk::workspace ws;
      std::vector<T> out(n * classes + 1);
      const auto e = objective(lk::rows<const T>(s.data(), n, classes), lk::rows<const T>(t.data(), n, classes), labels,
                               lk::row_weights(weights), lk::into(lk::rows<T>(out.data(), n, classes)), ws);
      out.back() = static_cast<T>(e.loss);
      return out;
    });
  }
}

TEMPLATE_TEST_CASE("losses that relate rows, and products, on every instruction set", "[dispatch]", float, double) {
  using T = TestType;
  const std::size_t n = 21, width = 45;
  const auto s = normal<T>(n * width, 3), t = normal<T>(n * width, 4);
  const auto call = [&](const auto& loss) {
    lk::workspace ws;
    std::vector<T> out(n * width);
    (void)(1.0 * loss)(lk::rows<const T>(s.data(), n, width), lk::rows<const T>(t.data(), n, width),
               lk::into(lk::rows<T>(out.data(), n, width)), ws);
    return out;
  };
  on_each_set(few_ulps<T>, [&] { return call(lk::rkd_angle{}); });
  on_each_set(few_ulps<T>, [&] { return call(lk::rkd_distance{}); });
  on_each_set(few_ulps<T>, [&] { return call(lk::sinkhorn{}); });
  on_each_set(few_ulps<T>, [&] { return call(lk::pkt{}); });
  on_each_set(few_ulps<T>, [&] {
    lk::workspace ws;
    lk::scratch memory(ws);
    lk::serial here;
    std::vector<T> product(n * n);
    lk::detail::dense_of<T>().multiply(T(1), lk::rows<const T>(s.data(), n, width),
                                       lk::rows<const T>(t.data(), n, width).transposed(), T(0),
                                       lk::rows<T>(product.data(), n, n), memory, lk::executor_ref(here));
    return product;
  });
}

TEMPLATE_TEST_CASE("what compares numbers has one result on all instruction sets", "[dispatch]", float, double) {
  using T = TestType;
  const std::size_t n = 50, classes = 1100;
  const auto x = normal<T>(n * classes, 5);
  const lk::rows<const T> view(x.data(), n, classes);
  on_each_set(0, [&] {
    std::vector<T> values(n * 7);
    std::vector<int> places(n * 7);
    lk::top_k(view, 7, values, places);
    std::vector<T> all(values);
    for (const int p : places) all.push_back(static_cast<T>(p));
    return all;
  });
  on_each_set(0, [&] {
    std::vector<T> picks;
    for (const std::size_t r : lk::k_center{}(view, {.budget = 20})) picks.push_back(static_cast<T>(r));
    return picks;
  });
  on_each_set(few_ulps<T>, [&] {
    const auto kept = lk::keep_top(view, 5, 2.0);
    std::vector<T> all(kept.log_weights.begin(), kept.log_weights.end());
    for (const auto id : kept.ids) all.push_back(static_cast<T>(id));
    return all;
  });
}
