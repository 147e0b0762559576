#ifndef LIMBECK_TARGET_ROW_FUNCTIONS_HPP
#define LIMBECK_TARGET_ROW_FUNCTIONS_HPP

/// @file
/// What targets do to one row: a softmax's sums, weighted sums, logarithms. On the host in packs; rows are contiguous and not
/// padded: the last classes are one pack, padded on the stack. What has a team in front does the same with the threads of
/// that team, each of which reads and writes its own elements only, so that nobody waits.

#include <limbeck/core/number.hpp>
#include <limbeck/engine/math.hpp>
#include <limbeck/engine/target.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

template <class T>
inline constexpr T infinite = std::numeric_limits<T>::infinity();

/// Probabilities below this are taken again from their logarithms.
template <class T>
inline constexpr T tiny_probability = sizeof(T) == 4 ? T(1e-30) : T(1e-280);

/// `f(first, count)` for each pack of a row; count is that of a pack but for the last.
template <class Lanes, class F>
LIMBECK_INLINE void for_packs(std::size_t n, F&& f) {
  constexpr auto lanes = static_cast<std::size_t>(Lanes::count);
  std::size_t at = 0;
  for (; at + lanes <= n; at += lanes) f(at, lanes);
  if (at < n) f(at, n - at);
}

/// @p count numbers from @p x, padded with @p pad.
template <class Lanes, class T = typename Lanes::scalar>
LIMBECK_INLINE pack<Lanes> load_pack(const T* x, std::size_t count, T pad) {
  constexpr auto lanes = static_cast<std::size_t>(Lanes::count);
  if (count == lanes) return pack<Lanes>::from(Lanes::load(x));
  T padded[lanes];
  for (std::size_t i = 0; i < lanes; ++i) padded[i] = i < count ? x[i] : pad;
  return pack<Lanes>::from(Lanes::load(padded));
}
template <class Lanes, class T = typename Lanes::scalar>
LIMBECK_INLINE void store_pack(T* x, std::size_t count, const pack<Lanes>& v) {
  constexpr auto lanes = static_cast<std::size_t>(Lanes::count);
  if (count == lanes) return Lanes::store(x, v.v);
  T padded[lanes];
  Lanes::store(padded, v.v);
  for (std::size_t i = 0; i < count; ++i) x[i] = padded[i];
}

/// softmax(z/T) of a row is exp((z - maximum)/T) / sum.
template <class T>
struct softmax_sums {
  T maximum, sum;
  /// False where a logit is NaN or +inf, or all are -inf.
  LIMBECK_HOST_DEVICE bool proper() const { return sum > 0 && sum < infinite<T>; }
  /// log sum exp(z/T).
  LIMBECK_HOST_DEVICE T log_sum(T inverse_t) const { return maximum * inverse_t + std::log(sum); }
};

template <class Lanes, class T = typename Lanes::scalar>
LIMBECK_INLINE T maximum_on(const T* z, std::size_t n) {
  using X = pack<Lanes>;
  X top(-infinite<T>);
  for_packs<Lanes>(n, [&](std::size_t at, std::size_t count) LIMBECK_LAMBDA_INLINE {
    top = larger(top, load_pack<Lanes>(z + at, count, -infinite<T>));
  });
  return Lanes::highest(top.v);
}

template <class T>
T row_maximum(const T* z, std::size_t n) {
  T top;
  dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE { top = maximum_on<host_lanes<T, Isa>>(z, n); });
  return top;
}

/// The sums of a row; writes the exponentials where @p e is not null. @p e may be @p z.
template <class T>
softmax_sums<T> exponentials_of(const T* z, std::size_t n, T inverse_t, T* e) {
  softmax_sums<T> out;
  dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
    using Lanes = host_lanes<T, Isa>;
    using X = pack<Lanes>;
    out.maximum = maximum_on<Lanes>(z, n);
    if (out.maximum == -infinite<T>)  // all masked, or NaN, which packs may pass over
      for (std::size_t i = 0; i < n; ++i) out.maximum = z[i] == z[i] ? out.maximum : z[i];
    const X maximum(out.maximum), scale(inverse_t * static_cast<T>(log2e));
    X sum(T(0));
    for_packs<Lanes>(n, [&](std::size_t at, std::size_t count) LIMBECK_LAMBDA_INLINE {
      const X x = exp2_negative((load_pack<Lanes>(z + at, count, -infinite<T>) - maximum) * scale);
      sum += x;
      if (e) store_pack<Lanes>(e + at, count, x);
    });
    out.sum = Lanes::sum(sum.v);
  });
  return out;
}

/// Entropy of softmax(z), in nats; NaN where the row has none.
template <class T>
double entropy_of(const T* z, std::size_t n) {
  double top = 0, s = 0, m = 0;
  dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
    using Lanes = host_lanes<T, Isa>;
    using X = pack<Lanes>;
    const X maximum(maximum_on<Lanes>(z, n)), scale(static_cast<T>(log2e)), low(T(-1e30));
    X sum(T(0)), moment(T(0));
    for_packs<Lanes>(n, [&](std::size_t at, std::size_t count) LIMBECK_LAMBDA_INLINE {
      const X d = larger(low, load_pack<Lanes>(z + at, count, -infinite<T>) - maximum);
      const X e = exp2_negative(d * scale);
      sum += e;
      moment += e * d;
    });
    top = static_cast<double>(Lanes::highest(maximum.v));
    s = static_cast<double>(Lanes::sum(sum.v));
    m = static_cast<double>(Lanes::sum(moment.v));
  });
  return top - top == 0 ? std::log(s) - m / s : std::numeric_limits<double>::quiet_NaN();
}

/// -log softmax(z) of class @p y, NaN where the row has no softmax.
template <class T>
double surprise_of(const T* z, std::size_t n, std::size_t y) {
  const auto s = exponentials_of<T>(z, n, T(1), nullptr);
  if (!s.proper()) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(s.maximum - z[y]) + std::log(static_cast<double>(s.sum));
}

/// out = a z, or out += a z.
template <class T>
void add_scaled(const T* z, std::size_t n, T a, bool first, T* out) {
  dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
    using Lanes = host_lanes<T, Isa>;
    using X = pack<Lanes>;
    const X factor(a);
    for_packs<Lanes>(n, [&](std::size_t at, std::size_t count) LIMBECK_LAMBDA_INLINE {
      const X term = factor * load_pack<Lanes>(z + at, count, T(0));
      store_pack<Lanes>(out + at, count, first ? term : load_pack<Lanes>(out + at, count, T(0)) + term);
    });
  });
}

/// out = a log(p), for p of at least `tiny_probability`; what is less counts as that.
template <class T>
void scaled_logarithm(const T* p, std::size_t n, T a, T* out) {
  dispatch_loop([&]<class Isa>(Isa) LIMBECK_LAMBDA_INLINE {
    using Lanes = host_lanes<T, Isa>;
    using X = pack<Lanes>;
    const X factor(a), low(tiny_probability<T>);
    for_packs<Lanes>(n, [&](std::size_t at, std::size_t count) LIMBECK_LAMBDA_INLINE {
      store_pack<Lanes>(out + at, count, factor * log_positive(larger(low, load_pack<Lanes>(p + at, count, T(1)))));
    });
  });
}

#if defined(__CUDACC__)
template <class Team>
inline constexpr bool in_packs = false;
#else
/// Whether a row of this team is taken in packs. In a file that nvcc compiles a pack is one number anyway.
template <class Team>
inline constexpr bool in_packs = Team::alone;
#endif

/// Whether element @p i of a row of @p n is this thread's, see `for_own`.
template <class T, class Team>
LIMBECK_HOST_DEVICE bool owns(const Team& team, std::size_t n, std::size_t i) {
  if constexpr (Team::alone) {
    return true;
  } else {
    const own_elements own = own_of<T>(team, n);
    // 32 bits are many classes, and their division is no call
    return i >= own.first && i < own.last &&
           static_cast<std::uint32_t>(i - own.first) % static_cast<std::uint32_t>(own.step) < Team::template width<T>;
  }
}
/// Element @p i, from the thread whose own it is.
template <class Team, class T>
LIMBECK_HOST_DEVICE T element_at(const Team& team, const T* z, std::size_t n, std::size_t i) {
  if constexpr (Team::alone) {
    return z[i];
  } else {
    return sum_over(team, owns<T>(team, n, i) ? z[i] : T(0));
  }
}

/// The largest of a row; where there is a NaN it may be anything, of several threads +inf.
template <class Team, class T>
LIMBECK_INLINE T row_maximum(const Team& team, const T* z, std::size_t n) {
  if constexpr (in_packs<Team>) {
    return row_maximum(z, n);
  } else {
    T top = -infinite<T>;
    for_own<T>(team, n, [&](std::size_t c) {
      const T x = z[c] == z[c] ? z[c] : infinite<T>;
      top = x > top ? x : top;
    });
    return highest_over(team, top);
  }
}

template <class Team, class T>
LIMBECK_INLINE softmax_sums<T> exponentials_of(const Team& team, const T* z, std::size_t n,
                                                    std::type_identity_t<T> inverse_t, std::type_identity_t<T>* e) {
  if constexpr (in_packs<Team>) {
    return exponentials_of<T>(z, n, inverse_t, e);
  } else {
    using X = pack<scalar_lanes<T>>;
    const T top = row_maximum(team, z, n);
    const X maximum(top), scale(inverse_t * static_cast<T>(log2e));
    T sum(0);
    for_own<T>(team, n, [&](std::size_t c) {
      const T x = exp2_negative((X(z[c]) - maximum) * scale).v;
      sum += x;
      if (e) e[c] = x;
    });
    return {top, sum_over(team, sum)};
  }
}

template <class Team, class T>
LIMBECK_INLINE double entropy_of(const Team& team, const T* z, std::size_t n) {
  if constexpr (in_packs<Team>) {
    return entropy_of(z, n);
  } else {
    using X = pack<scalar_lanes<T>>;
    const T top = row_maximum(team, z, n);
    const X maximum(top), scale(static_cast<T>(log2e)), low(T(-1e30));
    team_array<T, 2> sums{};  // of e and of e d
    for_own<T>(team, n, [&](std::size_t c) {
      const X d = larger(low, X(z[c]) - maximum);
      const X e = exp2_negative(d * scale);
      sums.v[0] += e.v;
      sums.v[1] += (e * d).v;
    });
    sums = team.sum(sums);
    const double s = static_cast<double>(sums.v[0]), m = static_cast<double>(sums.v[1]);
    return top - top == 0 ? std::log(s) - m / s : std::numeric_limits<double>::quiet_NaN();
  }
}

template <class Team, class T>
LIMBECK_INLINE double surprise_of(const Team& team, const T* z, std::size_t n, std::size_t y) {
  const auto s = exponentials_of(team, z, n, T(1), nullptr);
  if (!s.proper()) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(s.maximum - element_at(team, z, n, y)) + std::log(static_cast<double>(s.sum));
}

template <class Team, class T>
LIMBECK_INLINE void add_scaled(const Team& team, const T* z, std::size_t n, std::type_identity_t<T> a, bool first, T* out) {
  if constexpr (in_packs<Team>) {
    add_scaled(z, n, a, first, out);
  } else {
    for_own<T>(team, n, [&](std::size_t c) { out[c] = first ? a * z[c] : out[c] + a * z[c]; });
  }
}

template <class Team, class T>
LIMBECK_INLINE void scaled_logarithm(const Team& team, const T* p, std::size_t n, std::type_identity_t<T> a, T* out) {
  if constexpr (in_packs<Team>) {
    scaled_logarithm(p, n, a, out);
  } else {
    using X = pack<scalar_lanes<T>>;
    for_own<T>(team, n, [&](std::size_t c) { out[c] = a * log_positive(larger(X(tiny_probability<T>), X(p[c]))).v; });
  }
}

/// The smallest of a row without NaN.
template <class Team, class T>
LIMBECK_INLINE T row_minimum(const Team& team, const T* z, std::size_t n) {
  T low = infinite<T>;
  for_own<T>(team, n, [&](std::size_t c) { low = z[c] < low ? z[c] : low; });
  return -highest_over(team, -low);
}

/// log(exp(a) + exp(b)); either may be -inf.
template <class T>
LIMBECK_HOST_DEVICE T log_add(T a, T b) {
  const T top = a > b ? a : b, low = a > b ? b : a;
  return low == -infinite<T> ? top : top + std::log1p(std::exp(low - top));
}

/// A row that the engine will report: all masked as the faulty source is, else NaN.
template <class Row, class T = typename Row::scalar>
LIMBECK_HOST_DEVICE void spoil(const Row& r, std::type_identity_t<T> maximum = std::numeric_limits<T>::quiet_NaN()) {
  const T value = maximum == -infinite<T> ? maximum : std::numeric_limits<T>::quiet_NaN();
  for_own<T>(r.team, r.out.size(), [&](std::size_t c) { r.out[c] = value; });
}

/// The same row, asked of @p s: written to @p out, with @p memory for its scratch.
LIMBECK_CALLS_ANY
template <class Source, class T, class Team>
LIMBECK_HOST_DEVICE void ask(const Source& s, const target_row<T, Team>& r, std::span<T> out, std::span<T> memory) {
  static_assert(Team::alone || device_target<Source>,
                "limbeck: the fill of a target inside this one takes rows of the host only; make it a template over the row "
                "(template <class Row> LIMBECK_HOST_DEVICE void fill(const Row&) const), or fill(target, tensor) first");
  if constexpr (Team::alone || device_target<Source>)
    s.fill(target_row<T, Team>{r.index, out, memory, r.student, r.label, r.progress, r.team});
}

template <class S>
inline constexpr bool is_tensor_target = false;
template <class T, class Memory>
inline constexpr bool is_tensor_target<tensor_target<T, Memory>> = true;

/// Row @p r of a source: in place where it is one in memory, else written to @p buffer. The source's own scratch is @p
/// memory.
template <class Source, class T, class Team>
LIMBECK_HOST_DEVICE const T* source_row(const Source& s, const target_row<T, Team>& r, std::span<T> buffer, std::span<T> memory) {
  if constexpr (is_tensor_target<Source>) {
    if (s.view.class_stride == 1 && s.view.native()) return s.view.row(r.index);
  }
  ask(s, r, buffer, memory);
  return buffer.data();
}

/// The source's row into r.out, its scratch behind the first @p kept rows of r.memory.
template <class Source, class Row>
LIMBECK_HOST_DEVICE void fill_from(const Source& s, const Row& r, std::size_t kept = 0) {
  ask(s, r, r.out, r.memory.subspan(kept * r.out.size()));
}

/// A number that a target holds, at the progress of the call.
LIMBECK_CALLS_ANY
template <schedule S, class Row>
LIMBECK_HOST_DEVICE double at_progress(const S& s, const Row& r) {
  return s(r.progress);
}
/// A temperature; NaN where it is not positive, which spoils the row.
template <schedule S, class Row>
LIMBECK_HOST_DEVICE typename Row::scalar target_temperature(const S& t, const Row& r) {
  using T = typename Row::scalar;
  const double x = at_progress(t, r);
  return x > 0 && x - x == 0 ? static_cast<T>(x) : std::numeric_limits<T>::quiet_NaN();
}

/// What most targets of one source share.
template <class Source>
struct one_source {
  using limbeck_target = void;
  using scalar = typename Source::scalar;
  using memory = target_memory<Source>;
  static constexpr bool needs_labels = target_needs_labels<Source>();
  static constexpr bool needs_student = target_needs_student<Source>();
  static constexpr std::size_t scratch_rows = Source::scratch_rows;
  Source source;
  std::size_t samples() const { return source.samples(); }
  std::size_t classes() const { return source.classes(); }
};
template <class X>
using target_of = decltype(as_target(std::declval<const std::remove_cvref_t<X>&>()));

[[noreturn]] inline void throw_no_softmax(const char* who, std::size_t r) {
  raise<value_error>(std::string("limbeck: ") + who + " row " + std::to_string(r) +
                     " has no softmax: it holds a NaN or +inf, or is all -inf");
}
/// @throws value_error where a constant is outside [low, high].
template <schedule S>
void check_constant(const char* name, const S& s, double low, double high, const char* expected) {
  if constexpr (std::is_same_v<S, constant>) {
    if (!(s.value >= low && s.value <= high))
      raise<value_error>(std::string("limbeck: ") + name + " is " + show(s.value) + ", expected " + expected);
  }
}
template <schedule S>
void check_positive(const char* name, const S& s) {
  check_constant(name, s, std::numeric_limits<double>::denorm_min(), (std::numeric_limits<double>::max)(),
                 "a positive number");
}

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
