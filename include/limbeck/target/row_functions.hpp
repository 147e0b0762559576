#ifndef LIMBECK_TARGET_ROW_FUNCTIONS_HPP
#define LIMBECK_TARGET_ROW_FUNCTIONS_HPP

/// @file
/// What targets do to one row, in packs: a softmax's sums, weighted sums, logarithms. Rows are contiguous and not
/// padded: the last classes are one pack, padded on the stack.

#include <limbeck/core/number.hpp>
#include <limbeck/engine/math.hpp>
#include <limbeck/engine/target.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <tuple>
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
  bool proper() const { return sum > 0 && sum < infinite<T>; }
  /// log sum exp(z/T).
  T log_sum(T inverse_t) const { return maximum * inverse_t + std::log(sum); }
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

/// log(exp(a) + exp(b)); either may be -inf.
template <class T>
T log_add(T a, T b) {
  const T top = a > b ? a : b, low = a > b ? b : a;
  return low == -infinite<T> ? top : top + std::log1p(std::exp(low - top));
}

/// A row that the engine will report: all masked as the faulty source is, else NaN.
template <class T>
void spoil(const target_row<T>& r, T maximum = std::numeric_limits<T>::quiet_NaN()) {
  const T value = maximum == -infinite<T> ? maximum : std::numeric_limits<T>::quiet_NaN();
  for (T& x : r.out) x = value;
}

/// Row @p r of a source: in place where it is one in memory, else written to @p buffer. The source's own scratch is @p
/// memory.
template <class Source, class T>
const T* source_row(const Source& s, const target_row<T>& r, std::span<T> buffer, std::span<T> memory) {
  if constexpr (std::is_same_v<Source, tensor_target<T>>) {
    if (s.view.class_stride == 1 && s.view.native()) return s.view.row(r.index);
  }
  s.fill({r.index, buffer, memory, r.student, r.label, r.progress});
  return buffer.data();
}

/// The source's row into r.out, its scratch behind the first @p kept rows of r.memory.
template <class Source, class T>
void fill_from(const Source& s, const target_row<T>& r, std::size_t kept = 0) {
  s.fill({r.index, r.out, r.memory.subspan(kept * r.out.size()), r.student, r.label, r.progress});
}

/// A temperature that a target holds, at the progress of the call; NaN where it is not positive, which spoils the row.
template <schedule S, class T>
T target_temperature(const S& t, const target_row<T>& r) {
  const double x = t(r.progress);
  return x > 0 && x - x == 0 ? static_cast<T>(x) : std::numeric_limits<T>::quiet_NaN();
}

/// What most targets of one source share.
template <class Source>
struct one_source {
  using limbeck_target = void;
  using scalar = typename Source::scalar;
  static constexpr bool needs_labels = target_needs_labels<Source>();
  static constexpr bool needs_student = target_needs_student<Source>();
  static constexpr std::size_t scratch_rows = Source::scratch_rows;
  Source source;
  std::size_t samples() const { return source.samples(); }
  std::size_t classes() const { return source.classes(); }
};
template <class X>
using target_of = decltype(as_target(std::declval<const std::remove_cvref_t<X>&>()));

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
