#ifndef LIMBECK_BACKEND_THRUST_K_CENTER_HPP
#define LIMBECK_BACKEND_THRUST_K_CENTER_HPP

/// @file
/// k-center greedy on a device: the textbook's loop, one pass over the pool a choice, over the host's distances.

#include <limbeck/backend/thrust/metric.hpp>
#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/selection/k_center.hpp>
#include <limbeck/selection/ranking.hpp>

#include <thrust/copy.h>
#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/transform_reduce.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// A pool on the device as a metric embeds it. Numbers are read four neighbours at once where they are.
template <class T, class Metric>
struct embedded_pool {
  using embedding_type = device_embedding<Metric>;
  using kept = typename embedding_type::kept;
  static constexpr bool keeps = !std::is_same_v<kept, nothing_of_a_row>;

  struct alignas(16) four {
    T v[4];
  };

  rows<const T> view;
  embedding_type embedding;
  kept* of_rows;  // one a row, where it keeps anything
  bool neighbours;

  LIMBECK_HOST_DEVICE kept kept_of(std::size_t r) const {
    if constexpr (keeps) {
      return of_rows[r];
    } else {
      return {};
    }
  }
  LIMBECK_HOST_DEVICE T number(std::size_t r, std::size_t c, const kept& k) const { return embedding.embed(view(r, c), k); }
  /// Columns c to c + 3.
  LIMBECK_HOST_DEVICE four numbers(std::size_t r, std::size_t c, const kept& k) const {
    four x;
    if (neighbours) {
      x = *reinterpret_cast<const four*>(view.row(r) + c);
    } else {
      for (std::size_t j = 0; j < 4; ++j) x.v[j] = view(r, c + j);
    }
    for (std::size_t j = 0; j < 4; ++j) x.v[j] = embedding.embed(x.v[j], k);
    return x;
  }
};

/// Checks row r and keeps what its embedding needs; sizes[r] is that of its largest number, -1 where the row is bad.
template <class T, class Metric>
struct look_at_row {
  embedded_pool<T, Metric> pool;
  T most;  // see square_range
  T* sizes;
  LIMBECK_HOST_DEVICE void operator()(std::size_t r) const { sizes[r] = size_of(r); }
  LIMBECK_HOST_DEVICE T size_of(std::size_t r) const {
    const device_row<T> row{pool.view.row(r), pool.view.classes, pool.view.class_stride};
    for (std::size_t c = 0; c < row.size; ++c)
      if (!(row[c] - row[c] == 0)) return T(-1);
    typename embedded_pool<T, Metric>::kept k{};
    if (!pool.embedding.look(row, k)) return T(-1);
    if constexpr (embedded_pool<T, Metric>::keeps) pool.of_rows[r] = k;
    T largest(0);
    for (std::size_t c = 0; c < row.size; ++c) {
      const T x = pool.embedding.embed(row[c], k), size = x < 0 ? -x : x;
      largest = size > largest ? size : largest;
    }
    return largest > most ? T(-1) : largest;
  }
};
/// The lowest bad row, and the largest number of all.
template <class T>
struct pool_state {
  std::size_t bad;
  T largest;
};
template <class T>
struct state_of_row {
  const T* sizes;
  LIMBECK_HOST_DEVICE pool_state<T> operator()(std::size_t r) const {
    return {sizes[r] < 0 ? r : static_cast<std::size_t>(-1), sizes[r]};
  }
};
template <class T>
struct state_of_both {
  LIMBECK_HOST_DEVICE pool_state<T> operator()(const pool_state<T>& a, const pool_state<T>& b) const {
    return {a.bad < b.bad ? a.bad : b.bad, a.largest > b.largest ? a.largest : b.largest};
  }
};

/// How many centres a pass over the pool can take.
inline constexpr std::size_t centres_a_pass = 8;

/// Centre i / pitch of a pass, embedded, one after the other.
template <class T, class Metric>
struct copy_centre_number {
  embedded_pool<T, Metric> pool;
  std::size_t row_of[centres_a_pass];
  T* centres;
  std::size_t pitch;
  LIMBECK_HOST_DEVICE void operator()(std::size_t i) const {
    const std::size_t r = row_of[i / pitch], c = i % pitch;
    if (c < pool.view.classes) centres[i] = pool.number(r, c, pool.kept_of(r));
  }
};

/// Holds a row against Count centres: its key becomes the least squared distance. A key of 0 or below stays what it is.
/// The order of the sums is that of squared_distances().
template <class T, class Metric, std::size_t Count>
struct hold_against {
  embedded_pool<T, Metric> pool;
  const T* centres;
  std::size_t pitch;
  T* keys;
  fused_squares fused;
  LIMBECK_HOST_DEVICE void operator()(std::size_t r) const {
    T least = keys[r];
    if (!(least > 0)) return;
    const auto k = pool.kept_of(r);
    const std::size_t width = pool.view.classes;
    T sums[Count][4] = {};
    std::size_t c = 0;
    for (; c + 4 <= width; c += 4) {
      const auto x = pool.numbers(r, c, k);
      for (std::size_t i = 0; i < Count; ++i)
        for (std::size_t j = 0; j < 4; ++j)
          sums[i][j] = plus_square(sums[i][j], centres[i * pitch + c + j] - x.v[j], fused.blocks);
    }
    for (; c < width; ++c) {
      const T x = pool.number(r, c, k);
      for (std::size_t i = 0; i < Count; ++i)
        sums[i][0] = plus_square(sums[i][0], centres[i * pitch + c] - x, fused.rest);
    }
    for (std::size_t i = 0; i < Count; ++i) {
      const T distance = (sums[i][0] + sums[i][1]) + (sums[i][2] + sums[i][3]);
      least = distance < least ? distance : least;
    }
    keys[r] = least;
  }
};

/// The key of a row that cannot be chosen.
inline constexpr int gone_key = -1;

/// A row with its weighted key.
template <class T>
struct weighted_key {
  const T* keys;
  any_vector weights;
  bool weighted;
  LIMBECK_HOST_DEVICE ranked_row operator()(std::size_t r) const {
    const double key = static_cast<double>(keys[r]);
    if (!weighted || key < 0) return {key, r};
    const double w = weights.number(r);
    return {w > 0 ? w * w * key : 0, r};
  }
};
struct first_of_two {
  LIMBECK_HOST_DEVICE ranked_row operator()(const ranked_row& a, const ranked_row& b) const {
    return ranks_before(a, b) ? a : b;
  }
};

/// A row whose weight is no weight; the last row of all where it is one.
struct bad_weight {
  any_vector weights;
  LIMBECK_HOST_DEVICE ranked_row operator()(std::size_t r) const {
    const double w = weights.number(r);
    return {w, w >= 0 && w - w == 0 ? static_cast<std::size_t>(-1) : r};
  }
};
struct lower_row {
  LIMBECK_HOST_DEVICE ranked_row operator()(const ranked_row& a, const ranked_row& b) const {
    return a.row < b.row ? a : b;
  }
};

/// One row, on the host, under its number.
template <class T>
struct fetched_row {
  using scalar = T;
  static constexpr bool in_memory = true;
  std::vector<T> numbers;
  std::size_t row;
  std::size_t size() const { return row + 1; }
  std::size_t columns() const { return numbers.size(); }
  void read(std::size_t, std::size_t, T* out) const { std::copy(numbers.begin(), numbers.end(), out); }
};

/// The pool, the keys of its rows and what is chosen.
template <class T, class Metric>
class device_covering {
  using pool_type = embedded_pool<T, Metric>;

 public:
  device_covering(const Metric& metric, const rows<const T>& view, const any_vector& weights)
      : metric_(metric),
        weights_(weights),
        pitch_((view.classes + 3) / 4 * 4),
        kept_(pool_type::keeps ? view.samples : 0),
        centres_(centres_a_pass * pitch_),
        keys_(view.samples),
        pool_{view, {}, thrust::raw_pointer_cast(kept_.data()), neighbours(view)},
        fused_(fuses_distances<T>()) {}

  /// Checks the pool as the host does, the seeds first, then row by row; no row has a centre yet, and those @p taken get none.
  void begin(std::span<const std::size_t> seeds, const std::vector<unsigned char>& taken) {
    const std::size_t n = keys_.size();
    T* const sizes = thrust::raw_pointer_cast(keys_.data());
    thrust::for_each_n(thrust::device, count(0), n,
                       look_at_row<T, Metric>{pool_, square_range<T>::limit(pool_.view.classes), sizes});
    const pool_state<T> state = thrust::transform_reduce(thrust::device, count(0), count(n), state_of_row<T>{sizes},
                                                         pool_state<T>{n, T(0)}, state_of_both<T>{});
    square_range<T> range;
    if (state.bad < n) {
      for (const std::size_t r : seeds) check_on_host(r, nullptr);
      check_on_host(state.bad, &range);
    }
    range.look(&state.largest, 1, 0);
    range.conclude();
    std::vector<T> keys(n);
    for (std::size_t r = 0; r < n; ++r) keys[r] = taken[r] ? T(gone_key) : (std::numeric_limits<T>::infinity)();
    thrust::copy(keys.begin(), keys.end(), keys_.begin());
  }

  /// Rows @p centres are centres: one pass over the pool for eight of them.
  void add(std::span<const std::size_t> centres) {
    for (std::size_t i = 0; i < centres.size(); i += centres_a_pass) {
      const auto some = centres.subspan(i, (std::min)(centres_a_pass, centres.size() - i));
      if (some.size() == 1) {
        hold<1>(some);
      } else {
        hold<centres_a_pass>(some);
      }
    }
  }
  void take(std::size_t r) { keys_[r] = T(gone_key); }
  /// The row with the largest key, the lowest among equals.
  ranked_row farthest() const {
    return thrust::transform_reduce(
        thrust::device, count(0), count(keys_.size()),
        weighted_key<T>{thrust::raw_pointer_cast(keys_.data()), weights_, !weights_.empty()},
        ranked_row{-(std::numeric_limits<double>::infinity)(), keys_.size()}, first_of_two{});
  }

 private:
  static thrust::counting_iterator<std::size_t> count(std::size_t i) { return thrust::counting_iterator<std::size_t>(i); }
  static bool neighbours(const rows<const T>& x) {
    return x.class_stride == 1 && reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0 &&
           x.sample_stride * static_cast<std::ptrdiff_t>(sizeof(T)) % 16 == 0;
  }
  /// @throws value_error what is wrong with row @p r.
  void check_on_host(std::size_t r, square_range<T>* range) const {
    const fetched_row<T> fetched{fetch_row(pool_.view, r), r};
    embedded_rows<fetched_row<T>, Metric> row(fetched, metric_);
    row.template each_of<true>(std::span<const std::size_t>(&r, 1), [&](std::size_t index, const T* x) {
      if (range) range->look(x, pool_.view.classes, index);
    });
  }
  template <std::size_t Count>
  void hold(std::span<const std::size_t> some) {
    T* const centres = thrust::raw_pointer_cast(centres_.data());
    copy_centre_number<T, Metric> copy{pool_, {}, centres, pitch_};
    for (std::size_t i = 0; i < Count; ++i) copy.row_of[i] = some[(std::min)(i, some.size() - 1)];
    thrust::for_each_n(thrust::device, count(0), Count * pitch_, copy);
    thrust::for_each_n(thrust::device, count(0), keys_.size(),
                       hold_against<T, Metric, Count>{pool_, centres, pitch_, thrust::raw_pointer_cast(keys_.data()), fused_});
  }

  const Metric& metric_;
  any_vector weights_;
  std::size_t pitch_;
  thrust::device_vector<typename pool_type::kept> kept_;
  thrust::device_vector<T> centres_, keys_;
  pool_type pool_;
  fused_squares fused_;
};

/// k_center over rows of the device; its weights are in the device's memory, too.
template <class T, class Metric>
covering farthest_first_on_device(const k_center<Metric>& how, const rows<const T>& pool, const query& q, bool with_radius) {
  const std::size_t n = pool.samples;
  std::vector<unsigned char> taken = check_query(q, n);
  check_first_and_weights(how.first, how.weights, n);
  if (!how.weights.empty()) {
    const thrust::counting_iterator<std::size_t> row(0);
    const ranked_row bad = thrust::transform_reduce(thrust::device, row, row + static_cast<std::ptrdiff_t>(n),
                                                    bad_weight{how.weights}, ranked_row{0, n}, lower_row{});
    if (bad.row < n) throw_weight_of_row(bad.score, bad.row);
  }
  if (pool.classes == 0) raise<shape_error>("limbeck: the pool has no columns");
  covering result;
  result.rows.reserve(q.budget);
  std::span<const std::size_t> seeds = q.labelled;
  if (seeds.empty()) {
    seeds = std::span<const std::size_t>(&how.first, 1);
    taken[how.first] = 1;
    result.rows.push_back(how.first);
    result.distances.push_back((std::numeric_limits<double>::infinity)());
  }
  device_covering<T, Metric> pool_with_keys(how.metric, pool, how.weights);
  pool_with_keys.begin(seeds, taken);
  std::vector<std::size_t> centres(seeds.begin(), seeds.end());  // that no row has been held against
  const auto farthest = [&] {
    pool_with_keys.add(std::exchange(centres, {}));
    return pool_with_keys.farthest();
  };
  while (result.rows.size() < q.budget) {
    const ranked_row next = farthest();
    const double distance = how.metric.scale * std::sqrt(next.score);
    if (distance <= how.radius) break;
    result.rows.push_back(next.row);
    result.distances.push_back(distance);
    pool_with_keys.take(next.row);
    if (next.score > 0) centres.push_back(next.row);  // at 0 every row that is left is on a centre
  }
  if (with_radius) result.radius = how.metric.scale * std::sqrt((std::max)(0.0, farthest().score));
  return result;
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
