#ifndef LIMBECK_LOSS_ROW_LOOPS_HPP
#define LIMBECK_LOSS_ROW_LOOPS_HPP

/// @file
/// Loops over the numbers of a row, for losses of a whole batch and for maps: in packs where a thread is alone, shared out among a
/// team where there are more.

#include <limbeck/core/executor.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/team.hpp>
#include <limbeck/engine/math.hpp>

#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <span>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// x[c] += f(c) along a row.
template <class Team, class T, class F>
LIMBECK_HOST_DEVICE void add_to_row(const Team& team, const rows<T>& x, std::size_t r, const F& f) {
  T* const row = x.row(r);
  if (x.class_stride == 1) {
    for_own<T>(team, x.classes, [&](std::size_t c) { row[c] += f(c); });
  } else {
    for_own<T>(team, x.classes, [&](std::size_t c) { row[static_cast<std::ptrdiff_t>(c) * x.class_stride] += f(c); });
  }
}
template <class T, class F>
void add_to_row(const rows<T>& x, std::size_t r, const F& f) {
  add_to_row(single_team{}, x, r, f);
}

/// The inner product, over packs, in one order.
template <class T>
T inner_product(const T* a, const T* b, std::size_t n) {
  T total;
  dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
    using L = host_lanes<T, Isa>;
    using X = pack<L>;
    constexpr auto lanes = static_cast<std::size_t>(X::lanes);
    X s0(T(0)), s1(T(0));
    std::size_t i = 0;
    for (; i + 2 * lanes <= n; i += 2 * lanes) {
      s0 += X::from(L::load(a + i)) * X::from(L::load(b + i));
      s1 += X::from(L::load(a + i + lanes)) * X::from(L::load(b + i + lanes));
    }
    total = L::sum((s0 + s1).v);
    for (; i < n; ++i) total += a[i] * b[i];
  });
  return total;
}

/// y += a x.
template <class T>
void add_scaled(T* y, T a, const T* x, std::size_t n) {
  dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
    using L = host_lanes<T, Isa>;
    using X = pack<L>;
    constexpr auto lanes = static_cast<std::size_t>(X::lanes);
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes) L::store(y + i, (X::from(L::load(y + i)) + X(a) * X::from(L::load(x + i))).v);
    for (; i < n; ++i) y[i] += a * x[i];
  });
}

/// x becomes exp(x - shift), where shift is the largest of x; returns the sum.
template <class T>
T exponentials(T* x, std::size_t n, T shift) {
  T total;
  dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
    const auto run = [&]<class L>(L, std::size_t i) LIMBECK_LAMBDA_INLINE {
      using X = pack<L>;
      const X e = exp2_negative((X::from(L::load(x + i)) - X(shift)) * X(static_cast<T>(log2e)));
      L::store(x + i, e.v);
      return e;
    };
    using L = host_lanes<T, Isa>;
    constexpr auto lanes = static_cast<std::size_t>(L::count);
    pack<L> sums(T(0));
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes) sums += run(L{}, i);
    total = L::sum(sums.v);
    for (; i < n; ++i) total += run(scalar_lanes<T>{}, i).v;
  });
  return total;
}

/// The largest of n > 0 numbers, NaN set aside.
template <class T>
T largest(const T* x, std::size_t n) {
  T top;
  dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
    using L = host_lanes<T, Isa>;
    using X = pack<L>;
    constexpr auto lanes = static_cast<std::size_t>(X::lanes);
    constexpr T least = -std::numeric_limits<T>::infinity();
    X tops(least);
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes) tops = larger(X::from(L::load(x + i)), tops);
    top = L::highest(tops.v);
    for (; i < n; ++i) top = x[i] > top ? x[i] : top;
  });
  return top;
}

// The same by a team; one that is alone has the packs.

LIMBECK_CALLS_ANY
template <class Team, class T>
LIMBECK_HOST_DEVICE T inner_product(const Team& team, const T* a, const T* b, std::size_t n) {
  if constexpr (Team::alone) {
    return inner_product(a, b, n);
  } else {
    return sum_own<T, T>(team, n, [&](std::size_t i) { return a[i] * b[i]; });
  }
}
LIMBECK_CALLS_ANY
template <class Team, class T>
LIMBECK_HOST_DEVICE void add_scaled(const Team& team, T* y, T a, const T* x, std::size_t n) {
  if constexpr (Team::alone) {
    add_scaled(y, a, x, n);
  } else {
    for_own<T>(team, n, [&](std::size_t i) { y[i] += a * x[i]; });
  }
}
LIMBECK_CALLS_ANY
template <class Team, class T>
LIMBECK_HOST_DEVICE T exponentials(const Team& team, T* x, std::size_t n, T shift) {
  if constexpr (Team::alone) {
    return exponentials(x, n, shift);
  } else {
    using X = pack<scalar_lanes<T>>;
    return sum_own<T, T>(team, n, [&](std::size_t i) {
      return x[i] = exp2_negative(X((x[i] - shift) * static_cast<T>(log2e))).v;
    });
  }
}
LIMBECK_CALLS_ANY
template <class Team, class T>
LIMBECK_HOST_DEVICE T largest(const Team& team, const T* x, std::size_t n) {
  if constexpr (Team::alone) {
    return largest(x, n);
  } else {
    T top = -std::numeric_limits<T>::infinity();
    for_own<T>(team, n, [&](std::size_t i) { top = x[i] > top ? x[i] : top; });
    return highest_over(team, top);
  }
}

// In double whatever the type T of a row: functions of its elements, in packs where a thread is alone. What they are given: `at`,
// the first of `count` elements, as many as a pack has but at the end of the row. g++ 12
// takes a select() of doubles between constants apart, lane by lane; where one of them is 0, x - x is faster.

/// f(lanes of doubles): in the widest packs where the thread is alone, else one number at a time.
LIMBECK_CALLS_ANY
template <class Team, class F>
LIMBECK_HOST_DEVICE void on_double_lanes(const Team&, const F& f) {
  if constexpr (Team::alone) {
    dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE { f(host_lanes<double, Isa>{}); });
  } else {
    f(scalar_lanes<double>{});
  }
}
/// f(at, count) along a row of T.
template <class Lanes, class T, class Team, class F>
LIMBECK_INLINE void each_double_pack(const Team& team, std::size_t n, const F& f) {
  if constexpr (Team::alone) {
    constexpr auto lanes = static_cast<std::size_t>(Lanes::count);
    std::size_t at = 0;
    for (; at + lanes <= n; at += lanes) f(at, lanes);
    if (at < n) f(at, n - at);
  } else {
    for_own<T>(team, n, [&](std::size_t i) { f(i, std::size_t{1}); });
  }
}
/// As many numbers as the pack has.
template <class Lanes, class T>
LIMBECK_INLINE pack<Lanes> whole_doubles(const T* x) {
  if constexpr (sizeof(T) == sizeof(double)) {
    return pack<Lanes>::from(Lanes::load(x));
  } else if constexpr (Lanes::count == 1) {
    return pack<Lanes>(static_cast<double>(*x));
  } else {
    typename gnu_vector<T, Lanes::count>::type narrow;
    std::memcpy(&narrow, x, sizeof(narrow));
    return pack<Lanes>::from({__builtin_convertvector(narrow, typename Lanes::vector)});
  }
}
/// @p count numbers, padded.
template <class Lanes, class T>
LIMBECK_INLINE pack<Lanes> load_doubles(const T* x, std::size_t count, T pad) {
  constexpr auto lanes = static_cast<std::size_t>(Lanes::count);
  if (count == lanes) return whole_doubles<Lanes>(x);
  T padded[lanes];
  for (std::size_t i = 0; i < lanes; ++i) padded[i] = i < count ? x[i] : pad;
  return whole_doubles<Lanes>(padded);
}
/// Stores, or adds to what is there.
template <bool Add, class Lanes, class T>
LIMBECK_INLINE void store_doubles(T* x, std::size_t count, const pack<Lanes>& v) {
  constexpr auto lanes = static_cast<std::size_t>(Lanes::count);
  T narrow[lanes];
  if constexpr (sizeof(T) == sizeof(double)) {
    Lanes::store(narrow, v.v);
  } else if constexpr (Lanes::count == 1) {
    narrow[0] = static_cast<T>(v.v);
  } else {
    const auto all = __builtin_convertvector(v.v.v, typename gnu_vector<T, Lanes::count>::type);
    std::memcpy(narrow, &all, sizeof(all));
  }
  if (count == lanes) {
    for (std::size_t i = 0; i < lanes; ++i) x[i] = Add ? x[i] + narrow[i] : narrow[i];
  } else {
    for (std::size_t i = 0; i < count; ++i) x[i] = Add ? x[i] + narrow[i] : narrow[i];
  }
}
/// f(total, at, count) adds to the first @p Sums packs of `total`, from 0, and raises the other @p Tops, from -infinity.
LIMBECK_CALLS_ANY
template <class T, std::size_t Sums, std::size_t Tops = 0, class Team, class F>
LIMBECK_HOST_DEVICE team_array<double, Sums + Tops> totals_in_double(const Team& team, std::size_t n, const F& f) {
  constexpr double least = -std::numeric_limits<double>::infinity();
  team_array<double, Sums + Tops> out;
  on_double_lanes(team, [&]<class Lanes>(Lanes) LIMBECK_LAMBDA_INLINE {
    pack<Lanes> total[Sums + Tops];
    for (std::size_t k = 0; k < Sums + Tops; ++k) total[k] = pack<Lanes>(k < Sums ? 0.0 : least);
    each_double_pack<Lanes, T>(team, n, [&](std::size_t at, std::size_t count) LIMBECK_LAMBDA_INLINE { f(total, at, count); });
    for (std::size_t k = 0; k < Sums + Tops; ++k) out.v[k] = k < Sums ? Lanes::sum(total[k].v) : Lanes::highest(total[k].v);
  });
  if constexpr (!Team::alone) {
    for (std::size_t k = 0; k < Sums + Tops; ++k) out.v[k] = k < Sums ? sum_over(team, out.v[k]) : highest_over(team, out.v[k]);
  }
  return out;
}

/// The softmax of logits times a number.
template <class T>
struct softmax_row {
  rows<const T> logits;
  rows<T> out;
  T by;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    T* const row = out.row(i);
    for_own<T>(team, logits.classes, [&](std::size_t c) { row[c] = logits(i, c) * by; });
    const T total = exponentials(team, row, logits.classes, largest(team, row, logits.classes));
    for_own<T>(team, logits.classes, [&](std::size_t c) { row[c] /= total; });
  }
};

/// The 2-norm of n numbers f(c), also where @p square, the sum of their squares, leaves the range of T. NaN where one of them is no
/// number, or the norm is beyond T.
LIMBECK_CALLS_ANY
template <class Team, class T, class F>
LIMBECK_HOST_DEVICE T norm_by(const Team& team, T square, std::size_t n, const F& f) {
  using limits = std::numeric_limits<T>;
  if (square > (limits::min)() / limits::epsilon() && square <= (limits::max)()) return std::sqrt(square);
  T top = 0;
  for_own<T>(team, n, [&](std::size_t c) { top = std::fabs(f(c)) > top ? std::fabs(f(c)) : top; });
  top = highest_over(team, top);
  if (top == T(0)) return square;  // 0, or NaN
  const T norm = top * std::sqrt(sum_own<T, T>(team, n, [&](std::size_t c) { return (f(c) / top) * (f(c) / top); }));
  return norm <= (limits::max)() ? norm : limits::quiet_NaN();
}
LIMBECK_CALLS_ANY
template <class Team, class T>
LIMBECK_HOST_DEVICE T norm_of(const Team& team, const T* x, std::size_t n) {
  return norm_by(team, inner_product(team, x, x, n), n, [&](std::size_t c) { return x[c]; });
}
/// u = f(c) for n columns, divided by their 2-norm, which is returned. What is all 0 stays 0.
LIMBECK_CALLS_ANY
template <class Team, class T, class F>
LIMBECK_HOST_DEVICE T unit_vector(const Team& team, std::size_t n, const F& f, T* u) {
  for_own<T>(team, n, [&](std::size_t c) { u[c] = f(c); });
  const T norm = norm_of(team, u, n);
  if (norm != T(0)) for_own<T>(team, n, [&](std::size_t c) { u[c] /= norm; });
  return norm;
}

/// Rows divided by their 2-norm, and the norms. A row of 0 stays 0.
template <class T>
struct unit_row {
  rows<const T> x;
  rows<T> unit;
  T* norms;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    const T norm = unit_vector(team, x.classes, [&](std::size_t c) { return x(r, c); }, unit.row(r));
    if (team.rank() == 0) norms[r] = norm;
  }
};
template <class T>
void unit_rows(const rows<const T>& x, const rows<T>& unit, std::span<T> norms, const executor_ref& on) {
  on(x.samples, [&](std::size_t r, std::size_t) { unit_row<T>{x, unit, norms.data()}(single_team{}, r); });
}
/// @p slope, by the unit row u, becomes the slope by the row itself: (slope - (u . slope) u)/norm, or 0 where the norm
/// is.
template <class Team, class T>
LIMBECK_HOST_DEVICE void pull_back_unit(const Team& team, const T* u, T norm, T* slope, std::size_t n) {
  const T along = inner_product(team, u, slope, n);
  for_own<T>(team, n, [&](std::size_t c) { slope[c] = norm > T(0) ? (slope[c] - along * u[c]) / norm : T(0); });
}
template <class T>
void pull_back_unit(const T* u, T norm, T* slope, std::size_t n) {
  pull_back_unit(single_team{}, u, norm, slope, n);
}

}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
