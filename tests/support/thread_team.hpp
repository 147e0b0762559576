#ifndef LIMBECK_TESTS_SUPPORT_THREAD_TEAM_HPP
#define LIMBECK_TESTS_SUPPORT_THREAD_TEAM_HPP

// Teams of a device as threads of the host, see core/team.hpp. Where they meet, each says at what: a step in which the
// threads of a team part ways is a fault here, where a device would hang or mix numbers. And they are as unordered as on a
// device: under ThreadSanitizer a team like a warp orders memory in wait() alone, for lanes that exchange numbers know
// nothing of each other's stores.

#include <limbeck/core/team.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#if defined(__SANITIZE_THREAD__)
#define LIMBECK_TEST_RACES 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LIMBECK_TEST_RACES 1
#endif
#endif
#ifndef LIMBECK_TEST_RACES
#define LIMBECK_TEST_RACES 0
#endif

namespace limbeck_test {

/// The threads of a team are not all at the same step.
struct parted_ways : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class step : std::uint64_t { sum, highest, wait, end };
inline const char* name_of(step s) {
  const char* const names[] = {"sum", "highest", "wait", "end"};
  return names[static_cast<std::size_t>(s)];
}

/// Where a team meets: a slot for each thread, twice, so that nobody writes what another still reads.
class meeting {
 public:
  static constexpr std::size_t team_size = 6;
  static constexpr std::size_t bytes = 4096;

  /// Leaves @p mine in the slot of @p me, waits for all, and returns the slots' number. @p ordered: what the others have
  /// written before is seen after.
  /// @throws parted_ways in every thread, where they are not all at the same step with as many numbers of the same size.
  std::size_t at(std::size_t me, step s, std::size_t element, std::size_t count, const void* mine,
                 std::size_t size, bool ordered) {
    // ThreadSanitizer takes the order from here, and the processor keeps its own (x86).
    const bool hidden = LIMBECK_TEST_RACES && !ordered;
    const std::size_t turn = met_[me].times++ % 2;
    slot& place = slots_[turn][me];
    place.words[0].store(static_cast<std::uint64_t>(s) << 48 | element << 24 | count, std::memory_order_relaxed);
    for (std::size_t i = 0; i < size; i += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, static_cast<const char*>(mine) + i, size - i < 8 ? size - i : 8);
      place.words[1 + i / 8].store(word, std::memory_order_relaxed);
    }
    const std::uint64_t ticket = arrived_.fetch_add(1, hidden ? std::memory_order_relaxed : std::memory_order_acq_rel);
    const std::uint64_t all = (ticket / team_size + 1) * team_size;
    for (int tries = 0; arrived_.load(hidden ? std::memory_order_relaxed : std::memory_order_acquire) < all; ++tries) {
      if (broken_.load(std::memory_order_relaxed)) throw parted_ways("a thread has thrown");
      if (tries < 64) std::this_thread::yield();
      else std::this_thread::sleep_for(std::chrono::microseconds(20));  // a busy machine has others to run
    }
    for (std::size_t r = 0; r < team_size; ++r)
      if (word(turn, r, 0) != word(turn, 0, 0))
        throw parted_ways("thread 0 is at " + words_of(turn, 0) + ", thread " + std::to_string(r) + " at " + words_of(turn, r));
    return turn;
  }
  std::atomic<std::size_t> moved{0};  ///< bytes to and from tensors
  /// A thread will not come any more.
  void leave() { broken_.store(true, std::memory_order_relaxed); }
  /// What thread @p r has left.
  template <class R>
  R left_by(std::size_t turn, std::size_t r) const {
    static_assert(std::is_trivially_copyable_v<R> && sizeof(R) <= bytes);
    alignas(R) unsigned char raw[sizeof(R)];
    for (std::size_t i = 0; i < sizeof(R); i += 8) {
      const std::uint64_t w = word(turn, r, 1 + i / 8);
      std::memcpy(raw + i, &w, sizeof(R) - i < 8 ? sizeof(R) - i : 8);
    }
    return *reinterpret_cast<const R*>(raw);
  }

 private:
  struct alignas(64) slot {
    std::atomic<std::uint64_t> words[1 + bytes / 8];
  };
  std::uint64_t word(std::size_t turn, std::size_t r, std::size_t i) const {
    return slots_[turn][r].words[i].load(std::memory_order_relaxed);
  }
  std::string words_of(std::size_t turn, std::size_t r) const {
    const std::uint64_t w = word(turn, r, 0);
    return std::string(name_of(static_cast<step>(w >> 48))) + " of " + std::to_string(w & 0xffffff) + " numbers of " +
           std::to_string(w >> 24 & 0xffffff) + " bytes";
  }

  struct alignas(64) counter {
    std::uint64_t times = 0;  // each thread's own
  };
  std::atomic<std::uint64_t> arrived_{0};
  std::atomic<bool> broken_{false};
  counter met_[team_size];
  slot slots_[2][team_size]{};
};

/// Like a warp (only wait() orders memory) or like a block (every step does).
template <bool Block>
struct thread_team {
  static constexpr bool alone = false;
  template <class T>
  static constexpr std::size_t width = 16 / sizeof(T);

  thread_team() = default;
  thread_team(std::size_t rank, meeting& place) : me_(rank), place_(&place) {}
  std::size_t rank() const { return me_; }
  static constexpr std::size_t size() { return meeting::team_size; }
  template <class A>
  A sum(const A& a) const {
    return reduce(step::sum, a, [](auto x, auto y) { return x + y; });
  }
  template <class A>
  A highest(const A& a) const {
    return reduce(step::highest, a, [](auto x, auto y) { return x > y ? x : y; });
  }
  void wait() const { place_->at(me_, step::wait, 0, 0, nullptr, 0, true); }
  /// To or from the tensors of the call.
  void moves(std::size_t bytes) const { place_->moved.fetch_add(bytes, std::memory_order_relaxed); }
  /// This thread has done its work.
  void end() const { place_->at(me_, step::end, 0, 0, nullptr, 0, true); }

 private:
  std::size_t meet(step s, std::size_t element, std::size_t count, const void* mine, std::size_t size) const {
    return place_->at(me_, s, element, count, mine, size, Block);
  }
  template <class T, std::size_t N, class F>
  limbeck::detail::team_array<T, N> reduce(step s, const limbeck::detail::team_array<T, N>& a, F f) const {
    using A = limbeck::detail::team_array<T, N>;
    const std::size_t turn = meet(s, sizeof(T), N, &a, sizeof(A));
    A total = place_->left_by<A>(turn, 0);
    for (std::size_t r = 1; r < size(); ++r) {
      const A other = place_->left_by<A>(turn, r);
      for (std::size_t i = 0; i < N; ++i) total.v[i] = f(total.v[i], other.v[i]);
    }
    return total;
  }

  std::size_t me_ = 0;
  meeting* place_ = nullptr;
};

/// Like the blocks of a cluster: two halves, each with memory of its own for @p share neighbouring classes.
struct cluster_team : thread_team<true> {
  std::size_t share = 0;
  cluster_team() = default;
  cluster_team(const thread_team<true>& team, std::size_t classes) : thread_team<true>(team), share(classes) {}
  static constexpr std::size_t size_of_part() { return size() / 2; }
  std::size_t half() const { return rank() / size_of_part(); }
  std::size_t rank_in_part() const { return rank() % size_of_part(); }
  limbeck::detail::team_part part() const { return {half() * share, (half() + 1) * share}; }
};

/// f(team) on every thread of a team; the bytes that it has moved. @throws parted_ways where they part ways.
template <bool Block, class F>
std::size_t with_team(F&& f) {
  meeting place;
  std::exception_ptr wrong;
  std::mutex one;
  std::vector<std::thread> threads;
  for (std::size_t me = 0; me < meeting::team_size; ++me)
    threads.emplace_back([&, me] {
      try {
        const thread_team<Block> team(me, place);
        f(team);
        team.end();
      } catch (...) {
        const std::lock_guard lock(one);
        if (!wrong) wrong = std::current_exception();
        place.leave();
      }
    });
  for (auto& t : threads) t.join();
  if (wrong) std::rethrow_exception(wrong);
  return place.moved;
}

}  // namespace limbeck_test

#endif
