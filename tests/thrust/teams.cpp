// The row's algorithm with several threads a row, as warps and blocks run it: here they are threads of the host. A step in
// which the threads of a team part ways would hang; a class that two of them take, or none, would show.
#include "catch.hpp"
#include "device_cases.hpp"

#include <barrier>
#include <memory>
#include <thread>

using namespace limbeck_test;
namespace detail = limbeck::detail;

namespace {

constexpr std::size_t team_size = 5;

struct meeting {
  std::barrier<> barrier{static_cast<std::ptrdiff_t>(team_size)};
  alignas(64) unsigned char slot[team_size][4096];
};

/// Like a warp (all compute what is done once) or like a block (one does).
template <bool Block>
struct thread_team {
  static constexpr bool alone = false;
  template <class T>
  static constexpr std::size_t width = 16 / sizeof(T);
  std::size_t me = 0;
  meeting* place = nullptr;

  std::size_t rank() const { return me; }
  static constexpr std::size_t size() { return team_size; }
  template <class A>
  A sum(const A& a) const {
    return reduce(a, [](auto x, auto y) { return x + y; });
  }
  template <class A>
  A highest(const A& a) const {
    return reduce(a, [](auto x, auto y) { return x > y ? x : y; });
  }
  void wait() const { place->barrier.arrive_and_wait(); }

 private:
  template <class A, class F>
  A reduce(const A& a, F f) const {
    std::construct_at(reinterpret_cast<A*>(place->slot[me]), a);
    place->barrier.arrive_and_wait();
    A total = *reinterpret_cast<A*>(place->slot[0]);
    for (std::size_t r = 1; r < team_size; ++r) {
      const A& other = *reinterpret_cast<A*>(place->slot[r]);
      for (std::size_t i = 0; i < sizeof(a.v) / sizeof(a.v[0]); ++i) total.v[i] = f(total.v[i], other.v[i]);
    }
    place->barrier.arrive_and_wait();
    return total;
  }
};

template <class F>
void with_teams(F&& f) {
  meeting place;
  std::vector<std::thread> threads;
  for (std::size_t me = 0; me < team_size; ++me) threads.emplace_back([&, me] { f(me, &place); });
  for (auto& t : threads) t.join();
}

template <bool Block, class T, class E>
void compare_team(complaints& out, const std::string& name, const E& objective, const batch<T>& b) {
  std::vector<T> expected(b.size()), g(b.size(), T(-7));
  const lk::evaluation host =
      objective(b.s(), b.t(), b.labels, lk::unread_is_fine, lk::into(lk::rows<T>(expected.data(), b.samples, b.classes)));

  const auto terms = detail::flatten(objective, detail::context<>{});
  using Terms = std::remove_cv_t<decltype(terms)>;
  using Mode = detail::sweep_mode<true, false, false>;
  detail::problem<T> in;
  in.student = b.s();
  in.teacher = b.t();
  in.gradient = lk::rows<T>(g.data(), b.samples, b.classes);
  in.labels = detail::view_vector(b.labels);
  detail::device_task<T, Terms, Mode> task{.in = in, .terms = terms};
  detail::device_outcome outcome{};
  std::vector<double> values(b.samples);
  task.out = &outcome;
  task.values = values.data();
  detail::set_up(task);
  task.staged = Block;
  std::vector<T> memory(task.rows_of_memory() * task.padded + 4);
  with_teams([&](std::size_t me, meeting* place) {
    thread_team<Block> team{me, place};
    const auto weigh = task.add_rows(team, 0, b.samples, false);
    if (me == 0) task.conclude(weigh, false);
    place->barrier.arrive_and_wait();
    for (std::size_t r = 0; r < b.samples; ++r) task.row(team, r, memory.data());
    place->barrier.arrive_and_wait();
    const auto sum = task.add_rows(team, 0, b.samples, true);
    if (me == 0) task.conclude(sum, true);
  });
  if (outcome.fault_code != 0) out.push_back(name + ": a fault");
  lk::evaluation device;
  device.loss = outcome.loss;
  device.weight = outcome.weight;
  device.rows = static_cast<std::size_t>(outcome.rows);
  compare_evaluations<T>(out, name, host, device);
  compare_rows(out, name, expected, g, b.classes);
}

template <bool Block, class T>
void compare_teams(complaints& out) {
  const std::vector<std::pair<std::size_t, std::size_t>> shapes = {{3, 2}, {4, 3}, {3, 20}, {2, 21}, {2, 103}, {2, 400}};
  for (const auto& [n, c] : shapes) {
    auto b = random_batch<T>(n, c, 31, 3);
    b.labels[n - 1] = -100;
    compare_team<Block>(out, at("four terms", n, c),
                        0.1 * lk::cross_entropy{.smoothing = 0.05} + lk::dkd{} +
                            lk::at_temperature(4.0, lk::forward_kl{} + lk::jensen_shannon{}),
                        b);
    compare_team<Block>(out, at("labels alone", n, c), lk::objective(lk::cross_entropy{}), b);
    compare_team<Block>(out, at("logits", n, c), lk::objective(lk::mse{}), b);
    if (c < 3) continue;
    b.student[1] = -infinity<T>;
    b.teacher[2] = -infinity<T>;
    compare_team<Block>(out, at("masked", n, c), lk::at_temperature(2.0, lk::forward_kl{} + lk::reverse_kl{}), b);
    const auto close = random_batch<T>(n, c, 33, 2, 1e-4);
    compare_team<Block>(out, at("close", n, c), lk::at_temperature(2.0, lk::forward_kl{}), close);
  }
}

}  // namespace

TEST_CASE("device: a team of threads a row", "[thrust]") {
  complaints found;
  compare_teams<false, float>(found);
  compare_teams<true, double>(found);
  for (const auto& c : found) UNSCOPED_INFO(c);
  CHECK(found.empty());
}

TEST_CASE("device: a fault ends a row for all threads of its team", "[thrust]") {
  auto b = random_batch<float>(6, 50);
  b.teacher[3 * 50 + 7] = std::numeric_limits<float>::quiet_NaN();
  b.labels[4] = 50;
  const auto terms = detail::flatten(lk::forward_kl{} + lk::cross_entropy{}, detail::context<>{});
  detail::problem<float> in;
  in.student = b.s();
  in.teacher = b.t();
  in.labels = detail::view_vector(b.labels);
  detail::device_task<float, std::remove_cv_t<decltype(terms)>, detail::sweep_mode<false, false, false>> task{.in = in,
                                                                                                             .terms = terms};
  detail::device_outcome outcome{};
  std::vector<double> values(6);
  task.out = &outcome;
  task.values = values.data();
  detail::set_up(task);
  with_teams([&](std::size_t me, meeting* place) {
    thread_team<true> team{me, place};
    for (std::size_t r = 6; r-- > 0;) task.row(team, r, static_cast<float*>(nullptr));
    place->barrier.arrive_and_wait();
    const auto sum = task.add_rows(team, 0, 6, true);
    if (me == 0) task.conclude(sum, true);
  });
  CHECK(outcome.fault_row == 3);
  CHECK(outcome.fault_column == 7);
  CHECK(outcome.loss != outcome.loss);
}
