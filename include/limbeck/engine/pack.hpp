#ifndef LIMBECK_ENGINE_PACK_HPP
#define LIMBECK_ENGINE_PACK_HPP

/// @file
/// Packs: the value type on which every scalar function of Limbeck runs.
///
/// `pack<Lanes>` is a regular number: `X(1)` broadcasts, the operators return packs (never expressions that
/// could dangle), and `select`, `smaller`, `larger`, `abs`, `sqrt` are found by argument-dependent look-up. *Lanes*
/// is what a backend supplies: the storage (a GNU vector, an `Eigen::Array`, an `xsimd::batch`, one scalar)
/// and the few operations that have no operator.

#include <limbeck/core/config.hpp>
#include <limbeck/engine/instruction_set.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

template <class T>
struct float_bits;
template <>
struct float_bits<float> {
  using integer = std::int32_t;
  static constexpr int mantissa = 23;
  static constexpr integer one = 0x3f800000;        // the bits of 1
  static constexpr integer sqrt_half = 0x3f3504f3;  // the bits of sqrt(1/2)
  static constexpr float magic = 12582912.0f;       // 1.5 * 2^23: adding it leaves round(x) in the low bits
  static constexpr float lowest_exponent = -127.0f;
  static constexpr integer inverse_sqrt_guess = 0x5f3759df;
  static constexpr int newton_steps = 3;
};
template <>
struct float_bits<double> {
  using integer = std::int64_t;
  static constexpr int mantissa = 52;
  static constexpr integer one = 0x3ff0000000000000;
  static constexpr integer sqrt_half = 0x3fe6a09e667f3bcd;
  static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double lowest_exponent = -1023.0;
  static constexpr integer inverse_sqrt_guess = 0x5fe6eb50c7b537a9;
  static constexpr int newton_steps = 4;
};

// The two functions that look at bits, for a scalar and for a GNU vector alike: F is T or a vector of T, and Int
// the integer (vector) of the same size.

/// 2^n for an integral y + magic; n = lowest_exponent gives exactly 0.
template <class T, class Int, class F>
LIMBECK_INLINE void power_of_two(const F& y_plus_magic, F& result) {
  Int bits;
  std::memcpy(&bits, &y_plus_magic, sizeof(F));
  bits = (bits << float_bits<T>::mantissa) + float_bits<T>::one;
  std::memcpy(&result, &bits, sizeof(F));
}

/// x = m 2^k with m in [sqrt(1/2), sqrt(2)).
template <class T, class Int, class F>
LIMBECK_INLINE void split_exponent(const F& x, F& m, Int& k) {
  Int bits;
  std::memcpy(&bits, &x, sizeof(F));
  k = (bits - float_bits<T>::sqrt_half) >> float_bits<T>::mantissa;
  bits -= k << float_bits<T>::mantissa;
  std::memcpy(&m, &bits, sizeof(F));
}

/// sqrt(x) for 0 <= x, x not huge: a first guess of 1/sqrt(x) from the bits, then Newton. The library's sqrt()
/// sets errno, which keeps a compiler from taking it in packs.
template <class T, class Int, class F>
LIMBECK_INLINE void newton_sqrt(const F& x, F& result) {
  Int bits;
  std::memcpy(&bits, &x, sizeof(F));
  bits = float_bits<T>::inverse_sqrt_guess - (bits >> 1);
  F y;
  std::memcpy(&y, &bits, sizeof(F));
  const F half_x = T(0.5) * x;
  for (int i = 0; i < float_bits<T>::newton_steps; ++i) y = y * (T(1.5) - half_x * y * y);
  const F root = x * y;
  result = root + T(0.5) * y * (x - root * root);
}

/// What may stand beside a pack.
template <class N>
concept lane_number = std::is_arithmetic_v<N>;

}  // namespace detail

/// A number in @p Lanes lanes. See the file comment; a divergence uses it as it would use a `double`.
template <class Lanes>
struct pack {
  using scalar = typename Lanes::scalar;      ///< float or double
  using storage = typename Lanes::storage;    ///< a vector of them
  static constexpr int lanes = Lanes::count;  ///< how many

  storage v;  ///< the numbers

  pack() = default;
  /// @p x in every lane.
  LIMBECK_INLINE constexpr explicit pack(scalar x) : v(Lanes::broadcast(x)) {}
  /// The numbers of @p s.
  LIMBECK_INLINE static constexpr pack from(const storage& s) {
    pack p;
    p.v = s;
    return p;
  }

  /// @cond
  LIMBECK_INLINE friend constexpr pack operator+(const pack& a, const pack& b) { return from(a.v + b.v); }
  LIMBECK_INLINE friend constexpr pack operator-(const pack& a, const pack& b) { return from(a.v - b.v); }
  LIMBECK_INLINE friend constexpr pack operator*(const pack& a, const pack& b) { return from(a.v * b.v); }
  LIMBECK_INLINE friend constexpr pack operator/(const pack& a, const pack& b) { return from(a.v / b.v); }
  LIMBECK_INLINE friend constexpr pack operator-(const pack& a) { return from(-a.v); }
  LIMBECK_INLINE constexpr pack& operator+=(const pack& b) { return *this = *this + b; }
  LIMBECK_INLINE constexpr pack& operator-=(const pack& b) { return *this = *this - b; }
  LIMBECK_INLINE constexpr pack& operator*=(const pack& b) { return *this = *this * b; }

  // a number beside a pack is that number in every lane: 0.5 * x.p, 1 - x.q
  template <detail::lane_number N>
  LIMBECK_INLINE friend constexpr pack operator+(const pack& a, N b) { return a + pack(static_cast<scalar>(b)); }
  template <detail::lane_number N>
  LIMBECK_INLINE friend constexpr pack operator+(N a, const pack& b) { return pack(static_cast<scalar>(a)) + b; }
  template <detail::lane_number N>
  LIMBECK_INLINE friend constexpr pack operator-(const pack& a, N b) { return a - pack(static_cast<scalar>(b)); }
  template <detail::lane_number N>
  LIMBECK_INLINE friend constexpr pack operator-(N a, const pack& b) { return pack(static_cast<scalar>(a)) - b; }
  template <detail::lane_number N>
  LIMBECK_INLINE friend constexpr pack operator*(const pack& a, N b) { return a * pack(static_cast<scalar>(b)); }
  template <detail::lane_number N>
  LIMBECK_INLINE friend constexpr pack operator*(N a, const pack& b) { return pack(static_cast<scalar>(a)) * b; }
  template <detail::lane_number N>
  LIMBECK_INLINE friend constexpr pack operator/(const pack& a, N b) { return a / pack(static_cast<scalar>(b)); }
  template <detail::lane_number N>
  LIMBECK_INLINE friend constexpr pack operator/(N a, const pack& b) { return pack(static_cast<scalar>(a)) / b; }

  LIMBECK_INLINE friend constexpr auto operator<(const pack& a, const pack& b) { return Lanes::less(a.v, b.v); }
  LIMBECK_INLINE friend constexpr auto operator>(const pack& a, const pack& b) { return Lanes::less(b.v, a.v); }
  template <detail::lane_number N>
  LIMBECK_INLINE friend constexpr auto operator<(const pack& a, N b) { return a < pack(static_cast<scalar>(b)); }
  template <detail::lane_number N>
  LIMBECK_INLINE friend constexpr auto operator<(N a, const pack& b) { return pack(static_cast<scalar>(a)) < b; }
  template <detail::lane_number N>
  LIMBECK_INLINE friend constexpr auto operator>(const pack& a, N b) { return a > pack(static_cast<scalar>(b)); }
  template <detail::lane_number N>
  LIMBECK_INLINE friend constexpr auto operator>(N a, const pack& b) { return pack(static_cast<scalar>(a)) > b; }
  /// @endcond
  /// a where the mask holds, b elsewhere.
  template <class Mask>
  LIMBECK_INLINE friend constexpr pack select(const Mask& mask, const pack& a, const pack& b) {
    return from(Lanes::select(mask, a.v, b.v));
  }
  /// The smaller and the larger; where one operand is NaN the second is returned, so `larger(floor, x)` keeps NaN.
  LIMBECK_INLINE friend constexpr pack smaller(const pack& a, const pack& b) { return from(Lanes::smaller(a.v, b.v)); }
  /// See smaller().
  LIMBECK_INLINE friend constexpr pack larger(const pack& a, const pack& b) { return from(Lanes::larger(a.v, b.v)); }
  /// |a|, lane by lane.
  LIMBECK_INLINE friend constexpr pack abs(const pack& a) { return from(Lanes::larger(-a.v, a.v)); }
  /// The square root of each lane, which is not negative.
  LIMBECK_INLINE friend pack sqrt(const pack& a) { return from(Lanes::sqrt(a.v)); }
};

/// One scalar: the pack of a CUDA thread, of a per-row computation, and of a long double reference.
template <class T>
struct scalar_lanes {
  /// @cond
  using scalar = T;
  using storage = T;
  static constexpr int count = 1;
  LIMBECK_INLINE static constexpr T broadcast(T x) { return x; }
  LIMBECK_INLINE static T load(const T* x) { return *x; }
  LIMBECK_INLINE static void store(T* x, T v) { *x = v; }
  LIMBECK_INLINE static constexpr bool less(T a, T b) { return a < b; }
  LIMBECK_INLINE static constexpr T select(bool m, T a, T b) { return m ? a : b; }
  LIMBECK_INLINE static constexpr T smaller(T a, T b) { return a < b ? a : b; }
  LIMBECK_INLINE static constexpr T larger(T a, T b) { return a > b ? a : b; }
  LIMBECK_INLINE static T sqrt(T a) { return std::sqrt(a); }
  LIMBECK_INLINE static T sum(T a) { return a; }
  LIMBECK_INLINE static T highest(T a) { return a; }
  LIMBECK_INLINE static T lowest(T a) { return a; }
  LIMBECK_INLINE static T power_of_two(T y_plus_magic) {
    T power;
    detail::power_of_two<T, typename detail::float_bits<T>::integer>(y_plus_magic, power);
    return power;
  }
  LIMBECK_INLINE static T split_exponent(T x, T& m) {
    typename detail::float_bits<T>::integer k;
    detail::split_exponent<T>(x, m, k);
    return static_cast<T>(k);
  }
  /// @endcond
};

#if defined(__GNUC__) || defined(__clang__)

namespace detail {
template <class T, int N>
struct gnu_vector {
  typedef T type __attribute__((vector_size(sizeof(T) * N)));
  typedef typename float_bits<T>::integer integer
      __attribute__((vector_size(sizeof(typename float_bits<T>::integer) * N)));
};
}  // namespace detail

/// A GNU vector of N elements: the pack of plain memory, and the bit-level work of the other host packs. @p Isa tells code for
/// one instruction set from that for another, by its name.
template <class T, int N = static_cast<int>(detail::register_bytes / sizeof(T)), class Isa = detail::as_compiled>
struct vector_lanes {
  /// @cond
  using scalar = T;
  using vector = typename detail::gnu_vector<T, N>::type;
  using integers = typename detail::gnu_vector<T, N>::integer;
  static constexpr int count = N;

  // Structures around vectors: a bare vector that a function returns makes a compiler speak of its ABI, inlined or not.
  struct storage {
    vector v;
    LIMBECK_INLINE friend storage operator+(const storage& a, const storage& b) { return {a.v + b.v}; }
    LIMBECK_INLINE friend storage operator-(const storage& a, const storage& b) { return {a.v - b.v}; }
    LIMBECK_INLINE friend storage operator*(const storage& a, const storage& b) { return {a.v * b.v}; }
    LIMBECK_INLINE friend storage operator*(T a, const storage& b) { return {a * b.v}; }
    LIMBECK_INLINE friend storage operator/(const storage& a, const storage& b) { return {a.v / b.v}; }
    LIMBECK_INLINE friend storage operator-(const storage& a) { return {-a.v}; }
    LIMBECK_INLINE storage& operator+=(const storage& b) {
      v += b.v;
      return *this;
    }
  };
  struct mask {
    decltype(vector() < vector()) v;
  };

  // Plus 0, which no compiler takes away as -0 + 0 is 0: a bare vector of copies g++ stores copy by copy where it knows of no
  // such register yet, and never mends it.
  LIMBECK_INLINE static storage broadcast(T x) { return {x + vector{}}; }
  LIMBECK_INLINE static storage load(const T* x) {
    storage s;
    std::memcpy(&s.v, x, sizeof(s.v));
    return s;
  }
  LIMBECK_INLINE static void store(T* x, const storage& s) { std::memcpy(x, &s.v, sizeof(s.v)); }
  LIMBECK_INLINE static mask less(const storage& a, const storage& b) { return {a.v < b.v}; }
  LIMBECK_INLINE static storage select(const mask& m, const storage& a, const storage& b) { return {m.v ? a.v : b.v}; }
  LIMBECK_INLINE static storage smaller(const storage& a, const storage& b) { return {a.v < b.v ? a.v : b.v}; }
  LIMBECK_INLINE static storage larger(const storage& a, const storage& b) { return {a.v > b.v ? a.v : b.v}; }
  LIMBECK_INLINE static storage sqrt(const storage& a) {
    storage root;
    detail::newton_sqrt<T, integers>(a.v, root.v);
    return root;
  }
  /// All lanes into one, by halves: `f(lanes, a, b)`.
  template <class F>
  LIMBECK_INLINE static T fold(const storage& a, const F& f) {
    if constexpr (N == 1) {
      return a.v[0];
    } else {
      using half = vector_lanes<T, N / 2, Isa>;
#if defined(__CUDACC__)  // nvcc cannot hand __builtin_shufflevector of a pack to the host's compiler
      typename half::storage low, high;
      std::memcpy(&low, &a, sizeof(low));
      std::memcpy(&high, reinterpret_cast<const char*>(&a) + sizeof(low), sizeof(high));
      return half::fold(f(half{}, low, high), f);
#else
      return [&]<int... At>(std::integer_sequence<int, At...>) LIMBECK_LAMBDA_INLINE {
        const typename half::storage low{__builtin_shufflevector(a.v, a.v, At...)};
        const typename half::storage high{__builtin_shufflevector(a.v, a.v, (At + N / 2)...)};
        return half::fold(f(half{}, low, high), f);
      }(std::make_integer_sequence<int, N / 2>{});
#endif
    }
  }
  LIMBECK_INLINE static T sum(const storage& a) {
    return fold(a, [](auto, const auto& x, const auto& y) LIMBECK_LAMBDA_INLINE { return x + y; });
  }
  LIMBECK_INLINE static T highest(const storage& a) {
    return fold(a, []<class H>(H, const auto& x, const auto& y) LIMBECK_LAMBDA_INLINE { return H::larger(x, y); });
  }
  LIMBECK_INLINE static T lowest(const storage& a) {
    return fold(a, []<class H>(H, const auto& x, const auto& y) LIMBECK_LAMBDA_INLINE { return H::smaller(x, y); });
  }
  LIMBECK_INLINE static storage power_of_two(const storage& y_plus_magic) {
    storage power;
    detail::power_of_two<T, integers>(y_plus_magic.v, power.v);
    return power;
  }
  LIMBECK_INLINE static storage split_exponent(const storage& x, storage& m) {
    integers k;
    detail::split_exponent<T>(x.v, m.v, k);
    return {__builtin_convertvector(k, vector)};
  }
  /// @endcond
};

#endif

/// The pack of memory that the host reads. In a file that nvcc compiles it is one scalar, several times slower: nvcc takes no
/// GNU vector in a function that could also run on a device.
#if (defined(__GNUC__) || defined(__clang__)) && !defined(__CUDACC__)
template <class T, class Isa = detail::as_compiled>
using host_lanes = vector_lanes<T, static_cast<int>(Isa::register_bytes / sizeof(T)), Isa>;
#else
template <class T, class Isa = detail::as_compiled>
using host_lanes = scalar_lanes<T>;
#endif

namespace detail {
/// A backend's own lanes are those of the file's flags.
template <class Lanes, class Isa>
using lanes_on =
    std::conditional_t<std::is_same_v<Isa, as_compiled>, Lanes, host_lanes<typename Lanes::scalar, Isa>>;
}  // namespace detail

LIMBECK_END_NAMESPACE

#endif
