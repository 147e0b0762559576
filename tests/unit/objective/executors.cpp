// Who runs the rows changes no bit; and nothing is allocated after the first call.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/limbeck.hpp>
#include <initializer_list>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

// AddressSanitizer brings its own operator new, and does not want another; the other builds count.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LIMBECK_TEST_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define LIMBECK_TEST_SANITIZED
#endif

namespace {
std::atomic<long> allocations{0};
}

#if !defined(LIMBECK_TEST_SANITIZED)
namespace {
void* counted(std::size_t size, std::size_t alignment) {
  ++allocations;
  const std::size_t whole = (size + alignment - 1) / alignment * alignment;
  if (void* p = std::aligned_alloc(alignment, whole ? whole : alignment)) return p;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t size) { return counted(size, 16); }
void* operator new(std::size_t size, std::align_val_t a) { return counted(size, static_cast<std::size_t>(a)); }
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // g++ 12 does not see that these belong together
#endif
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
#endif

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

/// A pool of a user's own: threads that take the next task.
struct thread_pool {
  std::size_t threads;
  std::size_t workers() const { return threads; }
  template <class Task>
  void operator()(std::size_t tasks, Task&& task) const {
    std::atomic<std::size_t> next{0};
    std::vector<std::thread> team;
    for (std::size_t w = 0; w < threads; ++w)
      team.emplace_back([&, w] {
        for (std::size_t i; (i = next++) < tasks;) task(i, w);
      });
    for (auto& t : team) t.join();
  }
};
/// The calling thread, from the last task to the first.
struct backwards {
  std::size_t calls = 0;
  std::size_t workers() const { return 1; }
  template <class Task>
  void operator()(std::size_t tasks, Task&& task) {
    ++calls;
    for (std::size_t i = tasks; i-- > 0;) task(i, std::size_t{0});
  }
};
static_assert(lk::executor<thread_pool>);
static_assert(lk::executor<backwards>);

const auto objective = 0.3 * lk::cross_entropy{} + lk::at_temperature(4.0, lk::forward_kl{} + lk::dkd{});

}  // namespace

TEST_CASE("any executor gives the same bits") {
  for (const auto& [samples, classes] : {std::pair<std::size_t, std::size_t>{701, 100}, {67, 1000}, {5, 32003}}) {
    const auto b = random_batch<float>(samples, classes);
    std::vector<float> expected(b.size()), g(b.size());
    const lk::rows<float> reference(expected.data(), samples, classes), out(g.data(), samples, classes);
    const auto first = objective(b.s(), b.t(), b.labels, lk::into(reference), lk::on(lk::serial{}));
    const auto check = [&](auto&& executor) {
      std::fill(g.begin(), g.end(), -1.0f);
      const auto e = objective(b.s(), b.t(), b.labels, lk::into(out), lk::on(executor));
      CHECK(same_bits(e.loss, first.loss));
      CHECK(same_bits(g, expected));
      CHECK(same_bits(objective.value(b.s(), b.t(), b.labels, lk::on(executor)), first.loss));
    };
#if defined(_OPENMP)
    check(lk::openmp{1});
    check(lk::openmp{2});
    check(lk::openmp{7});
    check(lk::openmp{});
#endif
    check(thread_pool{1});
    check(thread_pool{3});
    check(backwards{});
  }
}

TEST_CASE("an executor that has state is used, not copied") {
  const auto b = random_batch<float>(3, 10);
  backwards mine;
  objective.value(b.s(), b.t(), b.labels, lk::on(mine));
  CHECK(mine.calls == 1);
}

TEST_CASE("threads report the lowest bad row") {
  auto b = random_batch<float>(600, 300);
  for (const auto r : std::initializer_list<std::size_t>{599, 411, 87, 300})
    b.student[r * 300 + 9] = std::numeric_limits<float>::quiet_NaN();
  for (int i = 0; i < 20; ++i)
    CHECK_THROWS_WITH(objective.value(b.s(), b.t(), b.labels, lk::on(thread_pool{4})), Catch::Contains("row 87,"));
}

TEST_CASE("the second call allocates nothing") {
  const auto b = random_batch<float>(64, 100);
  const auto c = random_batch<float>(3, 33);  // smaller
  std::vector<float> g(b.size()), losses(64), weights(64, 1.0f);
  lk::workspace ws;
  const auto call = [&](const batch<float>& x) {
    const std::span<float> l(losses.data(), x.samples);
    const std::span<const float> w(weights.data(), x.samples);
    objective(x.s(), x.t(), x.labels, lk::into(lk::rows<float>(g.data(), x.samples, x.classes)), ws,
              lk::row_losses(l), lk::row_weights(w));
    objective.value(x.s(), x.t(), x.labels, ws);
  };
  call(b);
  const long before = allocations;
  for (int i = 0; i < 3; ++i) call(b), call(c);
  CHECK(allocations == before);
  // tensors with samples in columns are staged in the workspace, not copied
  const lk::rows<const float> s(b.student.data(), 64, 100, 1, 64), t(b.teacher.data(), 64, 100, 1, 64);
  const lk::rows<float> out(g.data(), 64, 100, 1, 64);
  objective(s, t, b.labels, lk::into(out), ws);
  const long staged = allocations;
  objective(s, t, b.labels, lk::into(out), ws);
  CHECK(allocations == staged);
}

TEST_CASE("schedules with knots allocate nothing in a call") {
  const auto stairs = lk::step({{0.0, 1.0}, {0.5, 2.0}}) * lk::forward_kl{};
  const auto b = random_batch<float>(4, 10);
  std::vector<float> g(b.size());
  lk::workspace ws;
  const auto call = [&] { stairs(b.s(), b.t(), lk::into(lk::rows<float>(g.data(), 4, 10)), lk::progress(0.7), ws); };
  call();
  const long before = allocations;
  call();
  CHECK(allocations == before);
}
