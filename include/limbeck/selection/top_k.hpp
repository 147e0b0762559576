#ifndef LIMBECK_SELECTION_TOP_K_HPP
#define LIMBECK_SELECTION_TOP_K_HPP

/// @file
/// The k largest numbers of every row, in one pass over memory.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/executor.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/scratch.hpp>
#include <limbeck/engine/pack.hpp>
#include <limbeck/engine/top_classes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <new>
#include <span>
#include <string>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The k largest of one row. The row is read once, as runs of `depth` packs; lane by lane, the largest of a run is
/// kept. Of the largest of k disjoint groups of runs, k are at least as large as the smallest: a bound from below on
/// the k-th largest number of the row, which few numbers reach (some 1.4 k of them where the row is long). Only lanes
/// that reach it are looked at again.
template <class T, class Isa>
class row_top_k {
  using lanes = host_lanes<T, Isa>;
  using X = pack<lanes>;
  static constexpr std::size_t L = static_cast<std::size_t>(X::lanes), depth = 16, run = L * depth;
  static constexpr T nothing = -std::numeric_limits<T>::infinity();

 public:
  row_top_k(std::size_t classes, std::size_t k, scratch& memory)
      : classes_(classes),
        k_(k),
        runs_(classes / run),
        // twice as many groups as are asked for: fewer bound badly, more cost more than they save
        packs_((std::min)((2 * k + L - 1) / L, runs_)),
        copy_(memory.take<T>(classes)),
        largest_(memory.take<T>(runs_ * L)),
        groups_(memory.take<T>(packs_ * L)),
        found_(memory.take<placed<T>>(classes)) {}

  /// Where the first NaN was met, after which nothing more is done.
  std::size_t row_with_nan = static_cast<std::size_t>(-1), column_with_nan = 0;

  /// False where the row has a NaN.
  template <class Place>
  bool operator()(const rows<const T>& x, std::size_t r, T* values, Place* places) {
    const T* const row = contiguous(x, r);
    const T bound = lower_bound(row, r);
    if (row_with_nan == r) return false;
    std::size_t n = 0;
    const auto consider = [&](std::size_t c) LIMBECK_LAMBDA_INLINE {
      if (row[c] >= bound) found_[n++] = {row[c], static_cast<std::uint32_t>(c)};
    };
    Isa::call([&]() LIMBECK_LAMBDA_INLINE {
      for (std::size_t i = 0; i < runs_; ++i) {
        if (!(lanes::highest(lanes::load(largest_.data() + i * L)) >= bound)) continue;
        for (std::size_t lane = 0; lane < L; ++lane)
          if (largest_[i * L + lane] >= bound)
            for (std::size_t d = 0; d < depth; ++d) consider(i * run + d * L + lane);
      }
    });
    for (std::size_t c = runs_ * run; c < classes_; ++c) consider(c);
    const auto begin = found_.begin(), middle = begin + static_cast<std::ptrdiff_t>(k_);
    if (n > k_) std::nth_element(begin, middle - 1, begin + static_cast<std::ptrdiff_t>(n));
    std::sort(begin, middle);
    for (std::size_t i = 0; i < k_; ++i) {
      values[i] = found_[i].value;
      places[i] = static_cast<Place>(found_[i].place);
    }
    return true;
  }

 private:
  const T* contiguous(const rows<const T>& x, std::size_t r) {
    if (x.class_stride == 1) return x.row(r);
    for (std::size_t c = 0; c < classes_; ++c) copy_[c] = x(r, c);
    return copy_.data();
  }

  /// Fills `largest_`. A sum beside it is NaN wherever a number is (or where both infinities are, which the second look
  /// tells).
  T lower_bound(const T* row, std::size_t r) {
    T rest(0);
    Isa::call([&]() LIMBECK_LAMBDA_INLINE { rest = take_largest(row); });
    if (rest != rest) {
      column_with_nan = static_cast<std::size_t>(std::find_if(row, row + classes_, [](T v) { return v != v; }) - row);
      if (column_with_nan < classes_) row_with_nan = r;
    }
    if (packs_ * L < k_) return nothing;
    const auto kth = groups_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
    std::nth_element(groups_.begin(), kth, groups_.end(), std::greater<T>());
    return *kth;
  }
  /// The runs and groups of a row, and the sum of its numbers.
  LIMBECK_INLINE T take_largest(const T* row) {
    X sum(T(0));
    T rest(0);
    for (std::size_t p = 0; p < packs_ * L; ++p) groups_[p] = nothing;
    for (std::size_t i = 0, group = 0; i < runs_; ++i, group = group + 1 == packs_ ? 0 : group + 1) {
      const T* const at = row + i * run;
      X a = load(at), b = load(at + L), s = a, t = b;
      for (std::size_t d = 2; d < depth; d += 2) {
        const X u = load(at + d * L), v = load(at + (d + 1) * L);
        a = larger(a, u);
        b = larger(b, v);
        s += u;
        t += v;
      }
      a = larger(a, b);
      sum += s + t;
      lanes::store(largest_.data() + i * L, a.v);
      lanes::store(groups_.data() + group * L, larger(a, load(groups_.data() + group * L)).v);
    }
    for (std::size_t c = runs_ * run; c < classes_; ++c) rest += row[c];
    return rest + lanes::sum(sum.v);
  }
  LIMBECK_INLINE static X load(const T* p) { return X::from(lanes::load(p)); }

  std::size_t classes_, k_, runs_, packs_;
  std::span<T> copy_, largest_, groups_;
  std::span<placed<T>> found_;
};

}  // namespace detail

/// Writes the @p k largest numbers of every row of @p x to `values[r k ... r k + k - 1]`, largest first, and their
/// classes to `places`, any vector of integers; equal numbers stand in order of their class. -inf counts as a number.
/// The same result for any number of workers. Reads each row once; 512 x 32000 is bound by memory.
/// @throws value_error where k is not in 1 ... classes or a number is NaN, shape_error where an output is not samples k
/// long.
template <tensor Tensor, detail::sized_memory Values, detail::sized_memory Places, executor Executor>
void top_k(const Tensor& x, std::size_t k, Values&& values, Places&& places, workspace& ws, Executor&& run) {
  using T = typename tensor_traits<Tensor>::scalar;
  static_assert(std::is_same_v<typename tensor_traits<Tensor>::sweep, host_rows>,
                "limbeck: top_k of a tensor reads its rows on the host, and these live on a device");
  static_assert(std::is_same_v<std::remove_cvref_t<decltype(*values.data())>, T>,
                "limbeck: the values of top_k have the scalar type of the tensor");
  static_assert(std::is_integral_v<std::remove_cvref_t<decltype(*places.data())>>,
                "limbeck: the places of top_k are integers");
  const rows<const T> view = tensor_traits<Tensor>::view(x);
  if (k == 0 || k > view.classes)
    raise<value_error>("limbeck: k is " + std::to_string(k) + ", expected 1 to " + std::to_string(view.classes) +
                       ", the number of classes");
  const std::size_t length = view.samples * k;
  if (values.size() != length) detail::throw_length("values", values.size(), length, "k a row");
  if (places.size() != length) detail::throw_length("places", places.size(), length, "k a row");
  if (view.samples == 0) return;
  detail::dispatch([&]<class Isa>(Isa) {
    scratch memory(ws);
    const std::size_t workers = run.workers(), part = (view.samples + workers - 1) / workers;
    const auto tops = memory.take<detail::row_top_k<T, Isa>>(workers);
    for (auto& top : tops) new (&top) detail::row_top_k<T, Isa>(view.classes, k, memory);
    run(workers, [&](std::size_t task, std::size_t) {
      const std::size_t end = (std::min)(view.samples, (task + 1) * part);
      for (std::size_t r = task * part; r < end; ++r)
        if (!tops[task](view, r, values.data() + r * k, places.data() + r * k)) return;
    });
    for (const auto& top : tops)
      if (top.row_with_nan < view.samples)
        raise<value_error>("limbeck: x is nan at row " + std::to_string(top.row_with_nan) + ", column " +
                           std::to_string(top.column_with_nan));
  });
}

/// The same on the calling thread, with a workspace or with memory of its own.
template <tensor Tensor, detail::sized_memory Values, detail::sized_memory Places>
void top_k(const Tensor& x, std::size_t k, Values&& values, Places&& places, workspace& ws) {
  top_k(x, k, values, places, ws, serial{});
}
/// @cond
template <tensor Tensor, detail::sized_memory Values, detail::sized_memory Places>
void top_k(const Tensor& x, std::size_t k, Values&& values, Places&& places) {
  workspace ws;
  top_k(x, k, values, places, ws, serial{});
}
/// @endcond

LIMBECK_END_NAMESPACE

#endif
