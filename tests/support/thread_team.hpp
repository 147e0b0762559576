#ifndef LIMBECK_TESTS_SUPPORT_THREAD_TEAM_HPP
#define LIMBECK_TESTS_SUPPORT_THREAD_TEAM_HPP

// Teams whose threads are threads of the host. A step in which the threads of a team part ways would hang; a class that two
// of them take, or none, would show.

#include <barrier>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

namespace limbeck_test {

inline constexpr std::size_t team_size = 5;

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
  template <class F>
  auto once(F&& f) const {
    if constexpr (!Block) {
      return f();
    } else {
      using R = decltype(f());
      static_assert(sizeof(R) <= 4096);
      if (me == 0) std::construct_at(reinterpret_cast<R*>(place->slot[0]), f());
      place->barrier.arrive_and_wait();
      const R result = *reinterpret_cast<R*>(place->slot[0]);
      place->barrier.arrive_and_wait();
      return result;
    }
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

}  // namespace limbeck_test

#endif
