#ifndef LIMBECK_LOSS_RELATIONS_RKD_HPP
#define LIMBECK_LOSS_RELATIONS_RKD_HPP

/// @file
/// Relational knowledge distillation: distances of pairs and angles of triplets of samples.
///
/// Both are functions of the squared distances of all pairs alone. Those come from one product, and the gradient goes
/// back by another: no array of n x n x width, or of n^3, is made.

#include <limbeck/loss/relations/distances.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The distances of a row that are not 0: their sum, and their number.
template <class T>
struct add_distances_of_row {
  distances<T> d;
  double* counts;

  LIMBECK_CALLS_ANY
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    const std::size_t n = d.length.samples;
    if constexpr (Team::alone) {
      return by_packs(i);
    } else {
      team_array<T, 2> sums{};
      for_own<T>(team, n, [&](std::size_t j) {
        sums.v[0] += d.length(i, j);
        sums.v[1] += d.inverse(i, j) > T(0) ? T(1) : T(0);
      });
      sums = team.sum(sums);
      if (team.rank() == 0) counts[i] = static_cast<double>(sums.v[1]);
      return static_cast<double>(sums.v[0]);
    }
  }

 private:
  double by_packs(std::size_t i) const {
    using L = host_lanes<T>;
    using X = pack<L>;
    X row(T(0)), count(T(0));
    for (std::size_t j = 0; j < d.length.samples; j += static_cast<std::size_t>(X::lanes)) {
      row += X::from(L::load(d.length.row(i) + j));
      count += select(X::from(L::load(d.inverse.row(i) + j)) > X(T(0)), X(T(1)), X(T(0)));
    }
    counts[i] = static_cast<double>(L::sum(count.v));
    return static_cast<double>(L::sum(row.v));
  }
};
/// The mean of the distances that are not 0, 1 where there is none; their number.
struct mean_distance {
  double average, inverse, pairs;
};
struct take_mean_distance {
  const double *total, *pairs;
  mean_distance* out;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    if (team.rank() != 0) return;
    out->pairs = *pairs;
    out->average = *total == 0 ? 1 : *total / *pairs;
    out->inverse = 1 / out->average;
  }
};
template <class T, class Memory>
const mean_distance* mean_of(const batch<T, Memory>& x, const distances<T>& d) {
  const std::span<double> counts = x.memory.template take<double>(x.samples());
  const double* const total = x.sum_rows(x.samples(), add_distances_of_row<T>{d, counts.data()});
  mean_distance* const mean_of_pairs = x.memory.template take<mean_distance>(1).data();
  x.each_row(1, 1, take_mean_distance{total, x.add_up(counts), mean_of_pairs});
  return mean_of_pairs;
}

/// The sum of huber over a row; its slopes by d_s/mu_s take the place of the teacher's squares, their sum times d goes to
/// @p part.
template <class T>
struct compare_distances_of_row {
  distances<T> s, t;
  const mean_distance *student, *teacher;
  double* part;

  LIMBECK_CALLS_ANY
  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    const T by_average = static_cast<T>(student->inverse), ratio = static_cast<T>(student->average / teacher->average);
    if constexpr (Team::alone) {
      return by_packs(i, by_average, ratio);
    } else {
      team_array<T, 2> sums{};
      for_own<T>(team, s.length.samples, [&](std::size_t j) {
        const T d = s.length(i, j), delta = (d - ratio * t.length(i, j)) * by_average, slope = clamped_slope(delta);
        sums.v[0] += slope * (delta - T(0.5) * slope);
        sums.v[1] += slope * d;
        t.squared(i, j) = slope;
      });
      sums = team.sum(sums);
      if (team.rank() == 0) part[i] = static_cast<double>(sums.v[1]);
      return static_cast<double>(sums.v[0]);
    }
  }

 private:
  double by_packs(std::size_t i, T by_average, T ratio) const {
    using L = host_lanes<T>;
    using X = pack<L>;
    const auto load = [](const T* p) LIMBECK_LAMBDA_INLINE { return X::from(L::load(p)); };
    const T *const ds = s.length.row(i), *const dt = t.length.row(i);
    T* const slopes = t.squared.row(i);
    X value(T(0)), along(T(0));
    for (std::size_t j = 0; j < s.length.samples; j += static_cast<std::size_t>(X::lanes)) {
      const X d = load(ds + j), delta = (d - X(ratio) * load(dt + j)) * X(by_average);
      const X slope = larger(X(T(-1)), smaller(X(T(1)), delta));
      value += slope * (delta - X(T(0.5)) * slope);
      along += slope * d;
      L::store(slopes + j, slope.v);
    }
    part[i] = static_cast<double>(L::sum(along.v));
    return static_cast<double>(L::sum(value.v));
  }
};
/// Slopes by d_s/mu_s become those by d_s^2, times mu_s.
template <class T>
struct slopes_of_squares_row {
  distances<T> s, t;
  const mean_distance* student;
  const double* along;  // the sum of huber' times d: what mu takes back

  LIMBECK_CALLS_ANY
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    const T back = student->pairs > 0 ? static_cast<T>(*along * student->inverse / student->pairs) : T(0);
    if constexpr (Team::alone) {
      by_packs(i, back);
    } else {
      for_own<T>(team, s.length.samples,
                 [&](std::size_t j) { t.squared(i, j) = (t.squared(i, j) - back) * (T(0.5) * s.inverse(i, j)); });
    }
  }

 private:
  void by_packs(std::size_t i, T take) const {
    using L = host_lanes<T>;
    using X = pack<L>;
    const auto load = [](const T* p) LIMBECK_LAMBDA_INLINE { return X::from(L::load(p)); };
    const X back(take);
    T* const slopes = t.squared.row(i);
    const T* const inverse = s.inverse.row(i);
    for (std::size_t j = 0; j < s.length.samples; j += static_cast<std::size_t>(X::lanes))
      L::store(slopes + j, ((load(slopes + j) - back) * (X(T(0.5)) * load(inverse + j))).v);
  }
};

/// The triplets at vertex i on a device: their sum, and their slopes by d_ij^2 times d_ij where these are wanted.
template <class T>
struct angles_at_vertex {
  distances<T> s, t;
  rows<T> arms;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    const std::size_t n = s.squared.samples;
    return sum_own<T, double>(team, n, [&](std::size_t j) {
      T value(0), along(0);
      for (std::size_t k = 0; k < n; ++k) {
        if (k == j) continue;
        const T cosine = cosine_at(s, i, j, k), delta = cosine - cosine_at(t, i, j, k), g = clamped_slope(delta);
        value += g * (delta - T(0.5) * g);
        along += g * (s.inverse(i, k) - s.inverse(i, j) * cosine);
      }
      if (arms.data) arms(i, j) = along;
      // a point with itself: cosines of 1, or 0 on one side
      return static_cast<double>(value) + ((s.inverse(i, j) > T(0)) != (t.inverse(i, j) > T(0)) ? 0.5 : 0);
    });
  }
  LIMBECK_HOST_DEVICE static T cosine_at(const distances<T>& d, std::size_t i, std::size_t j, std::size_t k) {
    return d.inverse(i, j) / 2 * (d.length(i, k) + d.inverse(i, k) * (d.squared(i, j) - d.squared(k, j)));
  }
};
/// Then the slopes by d_jk^2, as a leg of the angles at j and at k and as the side opposite all others.
template <class T>
struct angles_opposite {
  distances<T> s, t;
  rows<T> arms;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t j) const {
    using vertex = angles_at_vertex<T>;
    const std::size_t n = s.squared.samples;
    for_own<T>(team, n, [&](std::size_t k) {
      T total(0);
      for (std::size_t i = 0; i < n && k != j; ++i)
        total += s.inverse(i, j) / 2 * s.inverse(i, k) *
                 clamped_slope(vertex::cosine_at(s, i, j, k) - vertex::cosine_at(t, i, j, k));
      arms(j, k) = arms(j, k) * s.inverse(j, k) - total;
    });
  }
};

}  // namespace detail

/// RKD-D: the mean over all n^2 pairs of huber(d_s/mu_s - d_t/mu_t), d the distance of a pair, mu the mean of those
/// that are not 0, huber(x) = x^2/2 where |x| < 1, |x| - 1/2 beyond.
///
/// The gradient flows through mu_s too. Neither rotation nor scale nor shift of either side changes the value.
/// Student and teacher may differ in width. Two samples at the same place have distance 0, count in the mean over
/// pairs, and pass no gradient (the authors' code gives them 1e-6, which counts in mu). Two products of n x n x
/// width, memory of 4 n^2 a side.
/// @throws value_error where a feature is not finite.
///
/// Park et al., Relational Knowledge Distillation, 2019, arXiv:1904.05068, and the authors' `RkdDistance`, which is
/// what `smooth_l1` and the mean are taken from; usual weights 25 (distance) and 50 (angle), or 1 and 2 on
/// embeddings.
struct rkd_distance {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    const std::size_t n = x.samples();
    if (n == 0) return 0;
    const detail::distances<T> s = detail::distances_of(x, x.student), t = detail::distances_of(x, x.teacher);
    const detail::mean_distance *const student = detail::mean_of(x, s), *const teacher = detail::mean_of(x, t);
    const std::span<double> part = x.memory.template take<double>(n);
    const double* const total =
        x.sum_rows(n, detail::compare_distances_of_row<T>{s, t, student, teacher, part.data()});
    const double* const along = x.add_up(part);
    const double factor = 1 / (static_cast<double>(n) * static_cast<double>(n));
    if (x.wants_gradient()) {
      x.each_row(n, n, detail::slopes_of_squares_row<T>{s, t, student, along});
      detail::pull_back_distances(x, s, t.squared, factor, &student->inverse);
    }
    return detail::with_teacher(*this, x, detail::finite(x, factor, total));
  }
};

/// RKD-A: the mean over all n^3 triplets of huber(cos_s - cos_t), cos the cosine of the angle at x_i between x_j and
/// x_k, 0 where two of the three stand at the same place; huber as in `rkd_distance`.
///
/// Neither rotation nor scale nor shift of either side changes the value. Student and teacher may differ in width.
/// Two products of n x n x width and n^3 / 2 triplets, a few operations each; memory of 4 n^2 a side and, for the
/// gradient, 9 n^2 more.
/// @throws value_error where a feature is not finite.
///
/// Park et al., Relational Knowledge Distillation, 2019, arXiv:1904.05068, and the authors' `RKdAngle`. The cosine is
/// (d_ij^2 + d_ik^2 - d_jk^2)/(2 d_ij d_ik).
struct rkd_angle {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true, into_teacher = true;

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    const std::size_t n = x.samples();
    if (n == 0) return 0;
    const double size = static_cast<double>(n), factor = 1 / (size * size * size);
    const detail::distances<T> s = detail::distances_of(x, x.student), t = detail::distances_of(x, x.teacher);
    if constexpr (batch<T, Memory>::on_host) {
      return detail::with_teacher(*this, x, detail::finite(x, factor * on_host(x, s, t, factor)));
    } else {
      rows<T> arms;
      if (x.wants_gradient()) arms = detail::take_matrix(x, n, n);
      const double* const total = x.sum_rows(n, detail::angles_at_vertex<T>{s, t, arms});
      if (x.wants_gradient()) {
        x.each_row(n, n, detail::angles_opposite<T>{s, t, arms});
        detail::pull_back_distances(x, s, arms, factor);
      }
      return detail::with_teacher(*this, x, detail::finite(x, factor, total));
    }
  }

 private:
  /// Shares of the vertices, whatever the number of workers: each has an array of its own for the slopes by d_jk^2.
  static constexpr std::size_t chunks = 8;
  static constexpr std::size_t abreast = 4;  ///< second points whose rows are read together

  /// The sum over all triplets, each pair of a vertex looked at once.
  template <class T>
  static double on_host(const batch<T>& x, const detail::distances<T>& s, const detail::distances<T>& t, double factor) {
    const std::size_t n = x.samples(), parts = (std::min)(n, chunks);
    const std::span<double> values = x.memory.template take<double>(parts);
    rows<T> arms, opposite[chunks];
    if (x.wants_gradient()) {
      arms = detail::take_padded(x, n);
      for (std::size_t c = 0; c < parts; ++c) opposite[c] = detail::take_padded(x, n);
    }
    x.on(parts, [&](std::size_t c, std::size_t) {
      const std::size_t first = c * n / parts, last = (c + 1) * n / parts;
      detail::dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
        values[c] = x.wants_gradient() ? triplets<Isa, true>(s, t, first, last, arms, opposite[c])
                                       : triplets<Isa, false>(s, t, first, last, arms, opposite[c]);
      });
    });
    double total = 0;
    for (const double v : values) total += 2 * v;
    if (x.wants_gradient()) {
      x.on(n, [&](std::size_t j, std::size_t) {
        T* const slope = arms.row(j);
        const T* const inverse = s.inverse.row(j);
        for (std::size_t k = 0; k < n; ++k) slope[k] *= inverse[k];
        for (std::size_t c = 0; c < parts; ++c) {
          const T* const part = opposite[c].row(j);
          for (std::size_t k = j; k < n; ++k) slope[k] -= 2 * part[k];
        }
      });
      detail::pull_back_distances(x, s, arms, factor);
    }
    return total;
  }
  /// Half the sum over the triplets at the vertices from @p first to @p last. @p arms receives the slopes by d_ij^2
  /// times d_ij, @p opposite, at j < k, the sum over the vertices of huber' / (2 d_ij d_ik): less the slope by d_jk^2.
  template <class Isa, bool Gradient, class T>
  LIMBECK_INLINE static double triplets(const detail::distances<T>& s, const detail::distances<T>& t, std::size_t first,
                         std::size_t last, const rows<T>& arms, const rows<T>& opposite) {
    constexpr std::size_t group = 4;  // vertices whose rows stay in the first cache while those of the others pass
    const std::size_t n = s.squared.samples, padded = static_cast<std::size_t>(s.squared.sample_stride);
    if constexpr (Gradient) {
      for (std::size_t i = first; i < last; ++i) std::fill(arms.row(i), arms.row(i) + padded, T(0));
      constexpr std::size_t step = (std::max)(static_cast<std::size_t>(host_lanes<T, Isa>::count), abreast);
      for (std::size_t j = 0; j < padded; ++j)  // what stands before, by whole packs, is not used
        std::fill(opposite.row(j) + j / step * step, opposite.row(j) + padded, T(0));
    }
    double value = 0;
    for (std::size_t i = first; i < last; ++i)  // a point with itself: cosines of 1, or 0 on one side
      for (std::size_t j = 0; j < n; ++j)
        if ((s.inverse(i, j) > T(0)) != (t.inverse(i, j) > T(0))) value += 0.25;
    for (std::size_t g = first; g < last; g += group)
      for (std::size_t j = 0; j < n; j += abreast)
        for (std::size_t i = g; i < (std::min)(last, g + group); ++i)
          value += pairs_at<Isa, Gradient>(s, t, i, j, arms, opposite);
    return value;
  }

  /// The triplets at @p i of the points from @p first on, as many as stand abreast, with those after them: each pair
  /// once. Where a pack crosses the diagonal, weights of 0 and 1 tell which of its pairs count.
  template <class Isa, bool Gradient, class T>
  LIMBECK_INLINE static double pairs_at(const detail::distances<T>& s, const detail::distances<T>& t, std::size_t i, std::size_t first,
                         const rows<T>& arms, const rows<T>& opposite) {
    using L = host_lanes<T, Isa>;
    using X = pack<L>;
    constexpr auto lanes = static_cast<std::size_t>(X::lanes);
    constexpr std::size_t same = (std::max)(lanes, abreast);
    static constexpr auto weights = [] {  // of the pair (j, k), at same + k - j
      std::array<T, same + abreast + lanes> w{};
      for (std::size_t c = same + 1; c < w.size(); ++c) w[c] = T(1);
      return w;
    }();
    const auto load = [](const T* p) LIMBECK_LAMBDA_INLINE { return X::from(L::load(p)); };
    const T *const s_length = s.length.row(i), *const s_inverse = s.inverse.row(i);
    const T *const t_length = t.length.row(i), *const t_inverse = t.inverse.row(i);
    T* const arm = Gradient ? arms.row(i) : nullptr;
    X total(T(0)), along[abreast];
    X s_one[abreast], s_half[abreast], s_square[abreast], t_half[abreast], t_square[abreast];
    for (std::size_t a = 0; a < abreast; ++a) {
      s_one[a] = X(s_inverse[first + a]), s_half[a] = X(s_inverse[first + a] / 2);
      s_square[a] = X(s.squared.row(i)[first + a]);
      t_half[a] = X(t_inverse[first + a] / 2), t_square[a] = X(t.squared.row(i)[first + a]);
      along[a] = X(T(0));
    }
    const auto step = [&](std::size_t k, auto diagonal) LIMBECK_LAMBDA_INLINE {
      const X sl = load(s_length + k), sr = load(s_inverse + k), tl = load(t_length + k), tr = load(t_inverse + k);
      X across = Gradient ? load(arm + k) : X(T(0));
      for (std::size_t a = 0; a < abreast; ++a) {
        const std::size_t j = first + a;
        const X s_cosine = s_half[a] * (sl + sr * (s_square[a] - load(s.squared.row(j) + k)));
        const X t_cosine = t_half[a] * (tl + tr * (t_square[a] - load(t.squared.row(j) + k)));
        const X delta = s_cosine - t_cosine;
        X g = larger(X(T(-1)), smaller(X(T(1)), delta));
        const X rest = delta - X(T(0.5)) * g;
        if constexpr (diagonal) g *= load(weights.data() + (same + k - j));
        total += g * rest;
        if constexpr (Gradient) {
          along[a] += g * (sr - s_one[a] * s_cosine);
          across += g * (s_one[a] - sr * s_cosine);
          L::store(opposite.row(j) + k, (load(opposite.row(j) + k) + s_half[a] * (g * sr)).v);
        }
      }
      if constexpr (Gradient) L::store(arm + k, across.v);
    };
    const std::size_t padded = static_cast<std::size_t>(s.squared.sample_stride);
    std::size_t k = first / lanes * lanes;
    for (; k < first + abreast; k += lanes) step(k, std::true_type{});
    for (; k < padded; k += lanes) step(k, std::false_type{});
    if constexpr (Gradient)
      for (std::size_t a = 0; a < abreast; ++a) arm[first + a] += L::sum(along[a].v);
    return static_cast<double>(L::sum(total.v));
  }
};

LIMBECK_END_NAMESPACE

#endif
