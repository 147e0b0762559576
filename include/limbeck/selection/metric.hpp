#ifndef LIMBECK_SELECTION_METRIC_HPP
#define LIMBECK_SELECTION_METRIC_HPP

/// @file
/// Metrics: what "far apart" means to a geometric selector.
///
/// A metric of the library carries a row into a space where the distance is Euclidean; that is the fast path:
///
/// - `double scale`: the distance is scale times the Euclidean distance there;
/// - `template <class T> void embed(std::span<T> row) const`: into that space, in place (leave it out: stay);
/// - `template <class T> void check(std::span<const T> row, std::size_t index) const`: throws value_error for a
///   row that is not of the space (leave it out: every row of finite numbers is).
///
/// A metric of your own may be that, or any callable `double operator()(std::span<const T> a, std::span<const T> b)
/// const` with 0 <= d < inf.

#include <limbeck/core/errors.hpp>
#include <limbeck/ranks/reductions.hpp>
#include <limbeck/selection/pool_rows.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The sum of the squares of a row's numbers, in double. Whether the compiler rounds a double's square before it is added, it
/// says once for a pack of them: a row has one sum, and a device can follow. Squares of floats are exact.
template <class T>
double sum_of_squares(std::span<const T> x) {
  double parts[8] = {};
  std::size_t c = 0;
  if constexpr (sizeof(T) == 8) {
    using K = host_lanes<T>;
    using X = pack<K>;
    X sums[8 / K::count];
    for (X& s : sums) s = X(T(0));
    const auto add = [&sums](const T* eight) LIMBECK_LAMBDA_INLINE {
      for (std::size_t l = 0; l < 8; l += K::count) {
        const X v = X::from(K::load(eight + l));
        sums[l / K::count] += v * v;
      }
    };
    for (; c + 8 <= x.size(); c += 8) add(x.data() + c);
    if (c < x.size()) {
      T rest[8] = {};
      for (std::size_t l = 0; c + l < x.size(); ++l) rest[l] = x[c + l];
      add(rest);
    }
    for (std::size_t l = 0; l < 8; l += K::count) K::store(parts + l, sums[l / K::count].v);
  } else {
    for (; c + 8 <= x.size(); c += 8)  // side by side, so that the compiler takes them in packs
      for (std::size_t l = 0; l < 8; ++l) parts[l] += static_cast<double>(x[c + l]) * static_cast<double>(x[c + l]);
    for (std::size_t l = 0; c + l < x.size(); ++l) parts[l] += static_cast<double>(x[c + l]) * static_cast<double>(x[c + l]);
  }
  return ((parts[0] + parts[1]) + (parts[2] + parts[3])) + ((parts[4] + parts[5]) + (parts[6] + parts[7]));
}

}  // namespace detail

/// The Euclidean distance, sqrt(sum (a - b)^2).
struct euclidean_distance {
  static constexpr double scale = 1;
};

/// The chord between the directions of two rows, sqrt(2 - 2 cos(a, b)) in [0, 2]. It grows with the angle and with
/// 1 - cos, so all three choose the same rows; unlike 1 - cos it is a metric.
struct cosine_distance {
  static constexpr double scale = 1;
  /// @throws value_error where a row is zero and so has no direction.
  template <class T>
  void check(std::span<const T> row, std::size_t index) const {
    for (const T x : row)
      if (x != 0) return;
    raise<value_error>("limbeck: row " + std::to_string(index) + " of the pool is zero, it has no direction");
  }
  /// The row over its length.
  template <class T>
  void embed(std::span<T> row) const {
    double square = detail::sum_of_squares(std::span<const T>(row));
    if (!(square > 1e-280 && square < 1e280)) {  // first by a power of two: exact
      T largest = 0;
      for (const T x : row) largest = (std::max)(largest, std::fabs(x));
      const int exponent = std::ilogb(largest);
      for (T& x : row) x = std::ldexp(x, -exponent);
      square = detail::sum_of_squares(std::span<const T>(row));
    }
    const double inverse = 1 / std::sqrt(square);
    for (T& x : row) x = static_cast<T>(static_cast<double>(x) * inverse);
  }
};

/// The Euclidean distance between rows of probabilities, at most sqrt(2): what PCoreSet measures.
struct probability_distance {
  static constexpr double scale = 1;
  /// How far a sum may be from 1: room for probabilities that went through half precision.
  static constexpr double tolerance = 1e-3;
  /// @throws value_error where a number is negative or a sum is not 1 within the tolerance.
  template <class T>
  void check(std::span<const T> row, std::size_t index) const {
    double total = 0;
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (row[c] < 0)
        raise<value_error>("limbeck: the pool is " + detail::show(static_cast<double>(row[c])) + " at row " +
                           std::to_string(index) + ", column " + std::to_string(c) + ", expected a probability");
      total += static_cast<double>(row[c]);
    }
    if (!(std::fabs(total - 1) <= tolerance))
      raise<value_error>("limbeck: row " + std::to_string(index) + " of the pool sums to " + detail::show(total) +
                         ", expected probabilities that sum to 1");
  }
};

/// The Hellinger distance between rows of probabilities, sqrt(1/2 sum (sqrt a - sqrt b)^2) in [0, 1].
struct hellinger_distance : probability_distance {
  static constexpr double scale = 0.70710678118654752440;
  /// The roots.
  template <class T>
  void embed(std::span<T> row) const {
    for (T& x : row) x = std::sqrt(x);
  }
};

namespace detail {

template <class M>
concept embedding = requires(const M& m) {
  { m.scale } -> std::convertible_to<double>;
};
template <class M, class T>
concept distance_function = requires(const M& m, std::span<const T> x) {
  { m(x, x) } -> std::convertible_to<double>;
};

/// The first number of a row that is not finite. @throws value_error
template <class T>
void check_finite(std::span<const T> row, std::size_t index) {
  using K = host_lanes<T>;
  using X = pack<K>;
  X total(0);  // NaN as soon as one number is not finite
  std::size_t k = 0;
  for (; k + K::count <= row.size(); k += K::count) total += X::from(K::load(row.data() + k)) * X(0);
  T rest = K::sum(total.v);
  for (; k < row.size(); ++k) rest += row[k] * 0;
  if (rest == 0) return;
  for (std::size_t c = 0; c < row.size(); ++c)
    if (!std::isfinite(row[c]))
      raise<value_error>("limbeck: the pool is " + show(static_cast<double>(row[c])) + " at row " +
                         std::to_string(index) + ", column " + std::to_string(c) + ", expected a finite number");
}

/// Whether the squares of a pool's numbers, and of their differences, are numbers: beyond the range of @p T distances are
/// infinite or 0, and every row is as far as any other.
template <class T>
class square_range {
 public:
  /// The largest size of a number in rows of @p width.
  static T limit(std::size_t width) { return std::sqrt((std::numeric_limits<T>::max)() / static_cast<T>(8 * width)); }
  /// @throws value_error where a square of row @p r, or a sum of them, overflows.
  void look(const T* x, std::size_t width, std::size_t r) {
    T tops[8] = {};  // side by side: one would wait for the other
    std::size_t k = 0;
    for (; k + 8 <= width; k += 8)
      for (std::size_t l = 0; l < 8; ++l) tops[l] = (std::max)(tops[l], std::fabs(x[k + l]));
    for (; k < width; ++k) tops[0] = (std::max)(tops[0], std::fabs(x[k]));
    const T top = *std::max_element(tops, tops + 8);
    largest_ = (std::max)(largest_, top);
    const T most = limit(width);
    if (top <= most) return;
    for (std::size_t c = 0; c < width; ++c)
      if (x[c] > most || x[c] < -most)
        raise<value_error>("limbeck: the pool is " + show(static_cast<double>(x[c])) + " at row " + std::to_string(r) +
                           ", column " + std::to_string(c) + ", whose square is no number any more; scale the pool");
  }
  /// The size of the largest number so far.
  T largest() const { return largest_; }
  /// conclude(largest()).
  void conclude() const { conclude(largest_); }
  /// @throws value_error where all squares vanish, though not all numbers are 0; @p largest is the size of the largest.
  static void conclude(T largest) {
    const T least = std::sqrt((std::numeric_limits<T>::min)() / std::numeric_limits<T>::epsilon());
    if (largest > 0 && largest < least)
      raise<value_error>("limbeck: the largest number of the pool has size " + show(static_cast<double>(largest)) +
                         ", whose square is nothing; scale the pool");
  }

 private:
  T largest_ = 0;
};

/// The rows of a pool as a metric embeds them; one at a time, or all in order.
template <class Reader, class Metric>
class embedded_rows {
 public:
  using scalar = typename Reader::scalar;
  embedded_rows(const Reader& pool, const Metric& metric) : embedded_rows(pool, metric, pool.columns()) {}
  /// @p width: the columns of the whole pool, where this may be the shard of a rank without rows.
  embedded_rows(const Reader& pool, const Metric& metric, std::size_t width)
      : pool_(pool), metric_(metric), width_(width), buffer_(width_) {
    if (width_ == 0) raise<shape_error>("limbeck: the pool has no columns");
  }
  std::size_t width() const { return width_; }

  /// Row @p r, which has been checked; good until the next call.
  const scalar* operator()(std::size_t r) { return embedded(row_of(pool_, r, buffer_.data())); }

  /// `f(r, row)` for every row in order, each checked, and all of them for squares that floats can hold, where @p Check
  /// says so.
  template <bool Check, class F>
  void each(F&& f) {
    each_own<Check>(f);
    if constexpr (Check) conclude(one_rank{});
  }
  /// The same for one of several ranks, each of which has some of the rows: conclude() says whether they are well together.
  template <bool Check, class F>
  void each_own(F&& f) {
    if (pool_.size() == 0) return;
    for_each_row(pool_, [&](std::size_t r, std::span<const scalar> x) {
      if constexpr (Check) check(x, r);
      const scalar* const e = embedded(x.data());
      if constexpr (Check && embedding<Metric>) range_.look(e, width_, r);
      f(r, e);
    });
  }
  /// The size of the largest number that has been checked.
  scalar largest() const
    requires embedding<Metric>
  {
    return range_.largest();
  }
  /// Of all rows that all ranks have checked. @throws value_error on all.
  template <communicator C>
  void conclude(const C& comm) const {
    if constexpr (embedding<Metric>) range_.conclude(all_reduce_max(comm, range_.largest()));
  }

  /// `f(r, row)` for the rows @p rows in their order, each checked where @p Check says so.
  template <bool Check, class F>
  void each_of(std::span<const std::size_t> rows, F&& f) {
    if (rows.empty()) return;
    for_each_row(pool_, rows, [&](std::size_t r, std::span<const scalar> x) {
      if constexpr (Check) check(x, r);
      f(r, embedded(x.data()));
    });
  }

  /// `f(r, row)` for the rows @p rows, which ascend, and for what is read with them.
  template <class F>
  void each_near(std::span<const std::size_t> rows, F&& f) {
    const std::size_t block = rows_of_block(pool_.size(), width_);
    std::vector<scalar> read(block * width_);
    for_each_run(rows, block, [&](std::size_t i, std::size_t j) {
      const std::size_t first = rows[i], count = rows[j - 1] - first + 1;
      pool_.read(first, count, read.data());
      for (std::size_t k = 0; k < count; ++k) f(first + k, embedded(read.data() + k * width_));
    });
  }

 private:
  void check(std::span<const scalar> row, std::size_t r) const {
    check_finite(row, r);
    if constexpr (requires { metric_.check(row, r); }) metric_.check(row, r);
  }
  const scalar* embedded(const scalar* x) {
    if constexpr (requires(std::span<scalar> row) { metric_.embed(row); }) {
      if (x != buffer_.data()) std::copy(x, x + width_, buffer_.data());
      metric_.embed(std::span<scalar>(buffer_));
      return buffer_.data();
    } else {
      return x;
    }
  }

  const Reader& pool_;
  const Metric& metric_;
  std::size_t width_;
  std::vector<scalar> buffer_;
  square_range<scalar> range_;
};

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
