#pragma once

/// @file
/// Tests of ranks. on_ranks(n, f) runs f(communicator) on n ranks: threads of this process, which sanitizers see; or, where
/// LIMBECK_TEST_MPI is 1, the processes of this program, which does nothing for other n than theirs. Catch2 counts on one thread,
/// so that f says what it expects by EXPECT_ON_RANK: the first that fails, of the lowest rank, fails the test case.

#include "catch.hpp"

#include <limbeck/ranks.hpp>

#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
#if LIMBECK_TEST_MPI
#include <limbeck/mpi.hpp>
#endif

namespace ranks {

namespace lk = limbeck;

/// Whose failure others learn of while they wait.
struct gone : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What the threads of one program share.
class meeting {
 public:
  explicit meeting(int n) : n_(n), spans_(static_cast<std::size_t>(n)) {}
  /// Shows @p mine to all, and runs read(everybody's) when all are there; returns when all have read.
  template <class Read>
  void together(int rank, std::span<const std::byte> mine, const Read& read) {
    spans_[static_cast<std::size_t>(rank)] = mine;
    wait();
    read(spans_);
    wait();
  }
  void give_up() {
    const std::lock_guard lock(mutex_);
    gone_ = true;
    all_here_.notify_all();
  }

 private:
  void wait() {
    std::unique_lock lock(mutex_);
    if (gone_) throw gone("another rank has ended");
    const std::size_t turn = turn_;
    if (++here_ == n_) {
      here_ = 0, ++turn_;
      all_here_.notify_all();
    } else {
      all_here_.wait(lock, [&] { return turn_ != turn || gone_; });
      if (turn_ == turn) throw gone("another rank has ended");
    }
  }
  const int n_;
  int here_ = 0;
  std::size_t turn_ = 0;
  bool gone_ = false;
  std::vector<std::span<const std::byte>> spans_;
  std::mutex mutex_;
  std::condition_variable all_here_;
};

/// A thread as a rank.
class thread_rank {
 public:
  thread_rank(meeting& with, int rank, int size) : with_(&with), rank_(rank), size_(size) {}
  int rank() const { return rank_; }
  int size() const { return size_; }
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) const {
    if (all.size() != mine.size() * static_cast<std::size_t>(size_)) throw std::logic_error("all_gather: sizes");
    with_->together(rank_, mine, [&](const auto& spans) {
      std::byte* to = all.data();
      for (const auto& x : spans) {
        if (x.size() != mine.size()) throw std::logic_error("all_gather: ranks brought different sizes");
        to = std::copy(x.begin(), x.end(), to);
      }
    });
  }
  void all_to_all(std::span<const std::byte> mine, std::span<std::byte> all) const {
    const std::size_t n = static_cast<std::size_t>(size_), piece = mine.size() / n;
    if (mine.size() % n != 0 || all.size() != mine.size()) throw std::logic_error("all_to_all: sizes");
    with_->together(rank_, mine, [&](const auto& spans) {
      for (std::size_t k = 0; k < n; ++k) {
        if (spans[k].size() != mine.size()) throw std::logic_error("all_to_all: ranks brought different sizes");
        const auto x = spans[k].subspan(static_cast<std::size_t>(rank_) * piece, piece);
        std::copy(x.begin(), x.end(), all.begin() + static_cast<std::ptrdiff_t>(k * piece));
      }
    });
  }
  void broadcast(std::span<std::byte> bytes, int root) const {
    with_->together(rank_, bytes, [&](const auto& spans) {
      const auto& x = spans[static_cast<std::size_t>(root)];
      if (x.size() != bytes.size()) throw std::logic_error("broadcast: ranks brought different sizes");
      if (rank_ != root) std::copy(x.begin(), x.end(), bytes.begin());
    });
  }

 private:
  meeting* with_;
  int rank_, size_;
};

/// EXPECT_ON_RANK's.
inline void expect(bool holds, const char* what, const char* file, int line) {
  if (holds) return;
  std::ostringstream s;
  s << file << ":" << line << ": " << what;
  throw std::logic_error(s.str());
}

#if LIMBECK_TEST_MPI
/// The program's ranks; made by its main function.
inline const lk::mpi* world = nullptr;

template <class F>
void on_ranks(int n, const F& f) {
  if (n != world->size()) return;
  // where one fails the others may wait for it, so that all are told and end
  try {
    f(*world);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "rank %d of %d: %s\n", world->rank(), world->size(), e.what());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  SUCCEED();
}
#else
template <class F>
void on_ranks(int n, const F& f) {
  meeting with(n);
  std::vector<std::exception_ptr> failed(static_cast<std::size_t>(n));
  {
    std::vector<std::jthread> threads;
    for (int k = 0; k < n; ++k)
      threads.emplace_back([&, k] {
        try {
          f(thread_rank(with, k, n));
        } catch (...) {
          failed[static_cast<std::size_t>(k)] = std::current_exception();
          with.give_up();
        }
      });
  }
  std::string others;
  for (const std::exception_ptr& e : failed) {
    if (!e) continue;
    try {
      std::rethrow_exception(e);
    } catch (const gone& x) {
      others = x.what();
    } catch (const std::exception& x) {
      FAIL(x.what());
    }
  }
  REQUIRE(others == "");
}
#endif

/// on_ranks for 1 to 4 ranks.
template <class F>
void on_any_ranks(const F& f) {
  for (int n = 1; n <= 4; ++n) on_ranks(n, f);
}

/// The message of what f throws, "" where it does not: for faults that all ranks have to see.
template <class Fault, class F>
std::string fault_of(const F& f) {
  try {
    f();
  } catch (const Fault& e) {
    return e.what();
  }
  return "";
}

}  // namespace ranks

#define EXPECT_ON_RANK(...) ranks::expect(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)
