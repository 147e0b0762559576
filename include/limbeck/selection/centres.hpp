#ifndef LIMBECK_SELECTION_CENTRES_HPP
#define LIMBECK_SELECTION_CENTRES_HPP

/// @file
/// What the greedy selectors are made of: centres in packs, the distances to them, and a tournament of keys.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/pack.hpp>
#include <limbeck/selection/metric.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// @p own: the rows of the pool's @p n that have their weights here. @throws value_error, shape_error
inline void check_first_and_weights(std::size_t first, const any_vector& weights, std::size_t n, std::size_t own) {
  if (first >= n)
    raise<value_error>("limbeck: first is " + std::to_string(first) + ", expected a row of the pool, 0 to " +
                       std::to_string(n - 1));
  if (!weights.empty() && weights.size() != own) throw_length("weights", weights.size(), own);
}
inline void check_first_and_weights(std::size_t first, const any_vector& weights, std::size_t n) {
  check_first_and_weights(first, weights, n, n);
}
[[noreturn]] inline void throw_weight_of_row(double w, std::size_t r) {
  raise<value_error>("limbeck: weights is " + show(w) + " in row " + std::to_string(r) + ", expected a finite number >= 0");
}

/// Centres that are looked at together: whole packs on every instruction set.
template <class T>
inline constexpr std::size_t centres_a_block = 64 / sizeof(T);

/// Squared Euclidean distances of @p x to a pack of the centres of one block (block[column][centre]), as differences:
/// the Gram form loses the digits that near ties need. Each lane is summed in the same order wherever its
/// centre stands, so a distance has one value. Four sums hide the latency of the additions.
template <class K, class T = typename K::scalar>
LIMBECK_INLINE pack<K> squared_distances(const T* x, std::size_t width, const T* block) {
  using X = pack<K>;
  constexpr std::size_t L = centres_a_block<T>;
  X a(0), b(0), c(0), d(0);
  std::size_t k = 0;
  for (; k + 4 <= width; k += 4, block += 4 * L) {
    const X e = X::from(K::load(block)) - X(x[k]), f = X::from(K::load(block + L)) - X(x[k + 1]);
    const X g = X::from(K::load(block + 2 * L)) - X(x[k + 2]), h = X::from(K::load(block + 3 * L)) - X(x[k + 3]);
    a += e * e;
    b += f * f;
    c += g * g;
    d += h * h;
  }
  for (; k < width; ++k, block += L) {
    const X e = X::from(K::load(block)) - X(x[k]);
    a += e * e;
  }
  return (a + b) + (c + d);
}

/// Centres of an embedding metric, a pack of them side by side. Keys are squared distances, not yet scaled.
template <class T, class Metric>
class centres {
 public:
  static constexpr std::size_t block = centres_a_block<T>;
  centres(const Metric& metric, std::size_t width) : metric_(metric), width_(width) {}
  std::size_t size() const { return size_; }
  void add(const T* x) {
    const std::size_t lane = size_ % block;
    if (lane == 0) data_.resize(data_.size() + width_ * block);
    T* const out = data_.data() + size_ / block * width_ * block;
    // the first of a block takes all its lanes: no lane is ever empty
    for (std::size_t k = 0; k < width_; ++k)
      for (std::size_t l = lane; l < (lane == 0 ? block : lane + 1); ++l) out[k * block + l] = x[k];
    ++size_;
  }
  /// The centres of block @p b, as squared_distances() takes them.
  const T* operator[](std::size_t b) const { return data_.data() + b * width_ * block; }
  /// The least key of @p x among the centres of block @p b.
  double nearest(const T* x, std::size_t b) const {
    T least;
    dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
      using K = host_lanes<T, Isa>;
      pack<K> lowest = squared_distances<K>(x, width_, (*this)[b]);
      for (std::size_t first = K::count; first < block; first += K::count)
        lowest = smaller(lowest, squared_distances<K>(x, width_, (*this)[b] + first));
      least = K::lowest(lowest.v);
    });
    return static_cast<double>(least);
  }
  /// Which centre is nearest to @p x, the first among equals, and its key.
  std::pair<std::size_t, double> closest(const T* x) const {
    std::size_t best = 0;
    T least = (std::numeric_limits<T>::infinity)();
    dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
      using K = host_lanes<T, Isa>;
      T keys[block];
      for (std::size_t b = 0; b * block < size_; ++b) {
        for (std::size_t first = 0; first < block; first += K::count)
          K::store(keys + first, squared_distances<K>(x, width_, (*this)[b] + first).v);
        for (std::size_t l = 0; l < block && b * block + l < size_; ++l)
          if (keys[l] < least) least = keys[l], best = b * block + l;
      }
    });
    return {best, static_cast<double>(least)};
  }
  double distance(double key) const { return metric_.scale * std::sqrt(key); }

 private:
  const Metric& metric_;
  std::size_t width_, size_ = 0;
  std::vector<T> data_;
};

/// Centres of a metric that is a function of two rows. Keys are distances.
template <class T, class Metric>
  requires(!embedding<Metric>)
class centres<T, Metric> {
  static_assert(
      distance_function<Metric, T>,
      "limbeck: a metric has a member scale, or is called with two std::span<const T> (the scalar type of the "
      "pool) and returns their distance");

 public:
  static constexpr std::size_t block = 1;
  centres(const Metric& metric, std::size_t width) : metric_(metric), width_(width) {}
  std::size_t size() const { return size_; }
  void add(const T* x) {
    data_.insert(data_.end(), x, x + width_);
    ++size_;
  }
  double nearest(const T* x, std::size_t b) const {
    const double d = static_cast<double>(
        metric_(std::span<const T>(x, width_), std::span<const T>(data_.data() + b * width_, width_)));
    if (!(d >= 0)) raise<value_error>("limbeck: the metric returned " + show(d) + ", expected a distance");
    return d;
  }
  double distance(double key) const { return key; }

 private:
  const Metric& metric_;
  std::size_t width_, size_ = 0;
  std::vector<T> data_;
};

/// Of a pool that is read: the rows with the largest keys among those that have been read, in memory. A pool in memory
/// has them there already.
template <class Reader, class Metric>
class likeliest_rows {
  using T = typename Reader::scalar;

 public:
  /// Keeps four blocks, or as many rows as there will be centres.
  likeliest_rows(embedded_rows<Reader, Metric>& rows, std::size_t size, std::size_t centres) : rows_(rows) {
    if constexpr (in_memory<Reader>) return;
    most_ = (std::max)(4 * rows_of_block(size, rows.width()), centres);
    place_.assign(size, nowhere);
  }
  /// Row @p r, good until the next call; null where it has to be read.
  const T* find(std::size_t r) {
    if constexpr (in_memory<Reader>) {
      return rows_(r);
    } else {
      return place_[r] == nowhere ? nullptr : data_.data() + place_[r] * rows_.width();
    }
  }
  /// Whether row @p r need not be read.
  bool has([[maybe_unused]] std::size_t r) const {
    if constexpr (in_memory<Reader>) {
      return true;
    } else {
      return place_[r] != nowhere;
    }
  }
  /// Keeps row @p r, which it has not, if its key is large enough; a key of nothing that is kept has changed.
  template <class Keys>
  void offer(std::size_t r, const T* x, const Keys& keys) {
    if constexpr (in_memory<Reader>) return;
    const auto before = in_order(keys);
    std::size_t place = kept_.size();
    if (place < most_) {
      kept_.push_back(r);
      data_.resize(data_.size() + rows_.width());
    } else {
      if (!before(r, kept_.front())) return;
      std::pop_heap(kept_.begin(), kept_.end(), before);
      place = std::exchange(place_[kept_.back()], nowhere);
      kept_.back() = r;
    }
    std::push_heap(kept_.begin(), kept_.end(), before);
    place_[r] = static_cast<std::uint32_t>(place);
    std::copy_n(x, rows_.width(), data_.data() + place * rows_.width());
  }
  /// Reads as many of the rows with the largest keys as it may keep, and what lies close between them.
  /// `refresh(r, row)` brings a key up to date: first of all rows that are kept, then of each that is read.
  template <class Keys, class Refresh>
  void read(const Keys& keys, Refresh&& refresh) {
    const auto before = in_order(keys);
    for (const std::size_t r : kept_) refresh(r, find(r));
    std::make_heap(kept_.begin(), kept_.end(), before);
    std::vector<std::size_t> wanted;
    wanted.reserve(place_.size());
    for (std::size_t r = 0; r < place_.size(); ++r)
      if (keys[r] > 0 && place_[r] == nowhere) wanted.push_back(r);
    if (wanted.size() > most_) {
      std::nth_element(wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(most_), wanted.end(), before);
      wanted.resize(most_);
      std::sort(wanted.begin(), wanted.end());
    }
    rows_.each_near(wanted, [&](std::size_t r, const T* x) {
      if (!(keys[r] > 0) || place_[r] != nowhere) return;
      refresh(r, x);
      offer(r, x, keys);
    });
  }

 private:
  static constexpr std::uint32_t nowhere = ~std::uint32_t{0};
  /// The tournament's order.
  template <class Keys>
  static auto in_order(const Keys& keys) {
    return [&keys](std::size_t i, std::size_t j) { return keys[i] > keys[j] || (keys[i] == keys[j] && i < j); };
  }

  embedded_rows<Reader, Metric>& rows_;
  std::size_t most_ = 0;
  std::vector<std::size_t> kept_;     // a heap, the least likely on top
  std::vector<std::uint32_t> place_;  // of every row of the pool, in data_
  std::vector<T> data_;
};

/// A winner tree: the largest of n keys, the lowest index among equals.
class tournament {
 public:
  explicit tournament(std::vector<double> keys) : keys_(std::move(keys)), winners_(keys_.size()) {
    for (std::size_t node = keys_.size(); --node > 0;) winners_[node] = better(winner(2 * node), winner(2 * node + 1));
  }
  double operator[](std::size_t i) const { return keys_[i]; }
  std::size_t top() const { return winner(1); }
  /// Who would be on top without the one that is: itself where there is no other.
  std::size_t second() const {
    const std::size_t n = keys_.size(), first = top();
    std::size_t best = first;
    for (std::size_t node = n + first; node > 1; node /= 2) {
      const std::size_t other = winner(node ^ 1);
      best = best == first ? other : better(best, other);
    }
    return best;
  }
  /// Whether @p i with key @p k would stand before @p j.
  bool before(std::size_t i, double k, std::size_t j) const { return k > keys_[j] || (k == keys_[j] && i <= j); }
  /// A new key for @p i.
  void set(std::size_t i, double key) {
    keys_[i] = key;
    for (std::size_t node = (keys_.size() + i) / 2; node > 0; node /= 2)
      winners_[node] = better(winner(2 * node), winner(2 * node + 1));
  }

 private:
  std::size_t winner(std::size_t node) const { return node >= keys_.size() ? node - keys_.size() : winners_[node]; }
  std::size_t better(std::size_t i, std::size_t j) const {
    return keys_[i] > keys_[j] || (keys_[i] == keys_[j] && i < j) ? i : j;
  }
  std::vector<double> keys_;
  std::vector<std::size_t> winners_;  // of node k: of the nodes 2k and 2k + 1; leaf i is node n + i
};

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
