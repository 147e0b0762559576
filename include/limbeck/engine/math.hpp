#ifndef LIMBECK_ENGINE_MATH_HPP
#define LIMBECK_ENGINE_MATH_HPP

/// @file
/// The few transcendental functions of the engine, written once over packs: the same bits on every host backend.
/// Coefficients: near-minimax polynomials, made by `scripts/coefficients.py`, which prints their errors.

#include <limbeck/engine/pack.hpp>

#include <limits>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class X>
LIMBECK_INLINE X polynomial(const X&, double last) {
  return X(static_cast<typename X::scalar>(last));
}
/// Horner's rule; coefficients from the constant term up.
template <class X, class... C>
LIMBECK_INLINE X polynomial(const X& x, double first, C... rest) {
  return X(static_cast<typename X::scalar>(first)) + x * polynomial(x, rest...);
}

/// 2^y for y <= 1; exactly 0 from -127 (float) or -1023 (double) down, NaN stays NaN.
template <class K>
LIMBECK_INLINE pack<K> exp2_negative(const pack<K>& x) {
  using T = typename K::scalar;
  using X = pack<K>;
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(T) == 4) {  // one instruction, within 2 units of the last digit
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x.v));
    return X(y);
  }
#endif
  const X y = larger(X(float_bits<T>::lowest_exponent), x);
  const X shifted = y + X(float_bits<T>::magic);
  const X f = y - (shifted - X(float_bits<T>::magic));
  X series;
  if constexpr (sizeof(T) == 4) {
    series = polynomial(f, 1.0, 0.693147206702832596, 0.240226509222887581, 0.0555032722667030206,
                        0.00961805667852463808, 0.00134004281776158379, 0.000154614446985691291);
  } else {
    series = polynomial(f, 1.0, 0.693147180559945309, 0.240226506959101596, 0.055504108664821627,
                        0.00961812910758725667, 0.00133335581464064707, 0.000154035304637243542,
                        0.0000152527338415567726, 1.32154325359123762e-6, 1.01780570877339411e-7,
                        7.07419429728852101e-9, 4.45581790833606449e-10);
  }
  return series * X::from(K::power_of_two(shifted.v));
}

/// A result of `exp2_any` from here on may be one that overflowed.
template <class T>
inline constexpr T exp2_most = (std::numeric_limits<T>::max)() / T(2);

/// 2^y; what would overflow gives 2^127 (float) or 2^1023 (double).
template <class K>
LIMBECK_INLINE pack<K> exp2_any(const pack<K>& y) {
  return exp2_negative(smaller(pack<K>(-float_bits<typename K::scalar>::lowest_exponent), y));
}

/// (expm1(-r) + r) / r^2 for |r| <= 1/2: what is left of an exponential when its first two terms are taken away.
template <class X>
LIMBECK_INLINE X exp_excess_ratio(const X& r) {
  if constexpr (sizeof(typename X::scalar) == 4) {
    return polynomial(r, 0.500000012160716671, -0.166666668016834353, 0.0416657912300064554, -0.00833323613352186254,
                      0.00139821860462777512, -0.000199448744415895904);
  } else {
    return polynomial(r, 0.5, -0.166666666666666667, 0.0416666666666670617, -0.00833333333333335966,
                      0.0013888888888704549, -0.000198412698411469919, 0.0000248015876161454127,
                      -2.75573194336202428e-6, 2.75570766366427235e-7, -2.50519467097216211e-8,
                      2.09629558159760757e-9, -1.61164965143715465e-10);
  }
}

/// f - log(1+f) for 1+f in [sqrt(1/2), sqrt(2)], without cancellation.
template <class X>
LIMBECK_INLINE X log1p_excess_core(const X& f) {
  if constexpr (sizeof(typename X::scalar) == 4) {
    return f * f *
           polynomial(f, 0.499999976497709795, -0.333333300283547969, 0.250007812398126962, -0.200012344610934552,
                      0.166266456291274628, -0.142048559525710139, 0.131275556512876516, -0.127226727880109615,
                      0.0767364150167402572);
  } else {
    const X s = f / (X(2) + f);
    const X z = s * s;
    const X tail = polynomial(z, 0.333333333333333332, 0.200000000000004385, 0.142857142854018059,
                              0.111111111958569587, 0.0909089782006645314, 0.0769311985140732909,
                              0.0663438656932844259, 0.0654331307392005107);
    return s * (f - (z + z) * tail);
  }
}

inline constexpr double ln2 = 0.693147180559945309417;
inline constexpr double log2e = 1.44269504088896340736;

/// x - log(1+x) >= 0 for x > -1, right to the last digits near 0, where it is x^2/2.
template <class K>
LIMBECK_INLINE pack<K> log1p_excess(const pack<K>& x) {
  using X = pack<K>;
  using T = typename K::scalar;
  X m;
  const X k = X::from(K::split_exponent((X(1) + x).v, m.v));
  const X f = select(abs(k) < X(T(0.5)), x, m - X(1));  // where 1+x needs no scaling, x itself has more digits
  return ((x - f) - k * X(static_cast<T>(ln2))) + log1p_excess_core(f);
}

/// log(x) for normal, positive x.
template <class K>
LIMBECK_INLINE pack<K> log_positive(const pack<K>& x) {
  using X = pack<K>;
  using T = typename K::scalar;
  X m;
  const X k = X::from(K::split_exponent(x.v, m.v));
  const X f = m - X(1);
  return k * X(static_cast<T>(ln2)) + (f - log1p_excess_core(f));
}

}  // namespace detail

/// e^x of each lane; the relative error is (2 + |x|) units of the last digit at most. Beyond the range it is exactly 0, or the
/// largest power of two.
template <class K>
LIMBECK_INLINE pack<K> exp(const pack<K>& x) {
  return detail::exp2_any(x * pack<K>(static_cast<typename K::scalar>(detail::log2e)));
}

/// The natural logarithm of each lane, within 4 units of the last digit away from 1. Of 0, and of what is smaller than the
/// smallest normal number, it is that of the latter, so that 0 log 0 is 0; of a negative number it is NaN.
template <class K>
LIMBECK_INLINE pack<K> log(const pack<K>& x) {
  using X = pack<K>;
  using T = typename K::scalar;
  const X least((std::numeric_limits<T>::min)());
  return select(x < X(T(0)), X(std::numeric_limits<T>::quiet_NaN()), detail::log_positive(larger(least, x)));
}

/// a^b = exp(b log a) of each lane, for a >= 0: digits are lost as |b log a| grows.
template <class K>
LIMBECK_INLINE pack<K> pow(const pack<K>& a, const pack<K>& b) {
  return exp(b * log(a));
}
/// @cond
template <class K, detail::lane_number N>
LIMBECK_INLINE pack<K> pow(const pack<K>& a, N b) {
  return pow(a, pack<K>(static_cast<typename K::scalar>(b)));
}
/// @endcond

LIMBECK_END_NAMESPACE

#endif
