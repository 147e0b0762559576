#ifndef LIMBECK_TESTS_SUPPORT_TEAM_BATCH_HPP
#define LIMBECK_TESTS_SUPPORT_TEAM_BATCH_HPP

// Batches whose rows teams of several threads share, see thread_team.hpp.

#include "thread_team.hpp"

#include <limbeck/engine/batch.hpp>
#include <limbeck/engine/dense.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace limbeck_test {

namespace lk = limbeck;

/// Memory of the host whose rows teams share, like lanes of a warp or like a block.
template <bool Block>
struct shared_rows {};

struct number_at {
  double constant = 0, factor = 1;
  const double* at = nullptr;
  bool of_logits = false;
  number_at(double c) : constant(c) {}
  number_at(double c, double f, const double* p) : constant(c), factor(f), at(p) {}
  double value() const { return at ? constant + factor * *at : constant; }
};

}  // namespace limbeck_test

namespace limbeck {

template <class T, bool Block>
struct dense_primitives<T, limbeck_test::shared_rows<Block>> {};

template <bool Block>
struct batch_memory<limbeck_test::shared_rows<Block>> {
  using scratch_type = scratch;
  using executor_type = serial;
  using number = limbeck_test::number_at;

  template <class T>
  using storage = std::vector<T>;
  template <class T>
  static T* address(std::vector<T>& v) {
    return v.data();
  }
  template <class T>
  static const T* address(const std::vector<T>& v) {
    return v.data();
  }

  template <class Batch, class F>
  static void each_row(const Batch&, std::size_t n, std::size_t, const F& f) {
    limbeck_test::with_team<Block>([&](const auto& team) {
      for (std::size_t r = 0; r < n; ++r) f(team, r);
    });
  }
  template <class Batch>
  static std::size_t slots(const Batch&, std::size_t n) {
    return (std::min)(n, std::size_t{2});
  }
  template <class Batch, class F>
  static void each_row_in_slots(const Batch&, std::size_t n, std::size_t, std::size_t slots, const F& f) {
    limbeck_test::with_team<Block>([&](const auto& team) {
      for (std::size_t r = 0; r < n; ++r) {
        f(team, r, r % slots);
        team.wait();
      }
    });
  }
  template <class Batch>
  static void add_up(const Batch&, const std::span<double>& values, double* total) {
    *total = 0;
    for (const double v : values) *total += v;
  }
  template <class T, class Batch>
  static const T* sorted(const Batch&, const std::span<T>& values) {
    std::sort(values.begin(), values.end());
    return values.data();
  }
  template <class T, class Batch>
  static void multiply(const Batch& x, T alpha, const rows<const T>& a, const rows<const T>& b, T beta, const rows<T>& c) {
    serial one;
    detail::dense_of<T>().multiply(alpha, a, b, beta, c, x.memory, executor_ref(one));
  }
};

}  // namespace limbeck

#endif
