#ifndef LIMBECK_BACKEND_EIGEN_PACK_HPP
#define LIMBECK_BACKEND_EIGEN_PACK_HPP

/// @file
/// The pack of the Eigen backend: a fixed-size `Eigen::Array` that fills one register.

#include <limbeck/engine/pack.hpp>

#include <Eigen/Core>

#include <cstring>

LIMBECK_BEGIN_NAMESPACE

/// Arithmetic through Eigen's public operators. Comparison, selection and bit-level work go through a GNU vector of
/// the same size: Eigen 3.4 has no packet path for select(), and none for bits.
template <class T, int N = static_cast<int>(detail::register_bytes / sizeof(T))>
struct eigen_lanes {
  using scalar = T;
  using storage = Eigen::Array<T, N, 1>;
  using bits = vector_lanes<T, N>;
  static constexpr int count = N;

  LIMBECK_INLINE static storage broadcast(T x) { return storage::Constant(x); }
  LIMBECK_INLINE static storage load(const T* x) { return Eigen::Map<const storage>{x}; }
  LIMBECK_INLINE static void store(T* x, const storage& v) { Eigen::Map<storage>{x} = v; }
  LIMBECK_INLINE static auto less(const storage& a, const storage& b) { return bits::less(to(a), to(b)); }
  template <class Mask>
  LIMBECK_INLINE static storage select(const Mask& m, const storage& a, const storage& b) {
    return from(bits::select(m, to(a), to(b)));
  }
  // Eigen's min() and max() leave open which operand a NaN gives
  LIMBECK_INLINE static storage smaller(const storage& a, const storage& b) { return from(bits::smaller(to(a), to(b))); }
  LIMBECK_INLINE static storage larger(const storage& a, const storage& b) { return from(bits::larger(to(a), to(b))); }
  LIMBECK_INLINE static storage sqrt(const storage& a) { return a.sqrt(); }
  LIMBECK_INLINE static T sum(const storage& a) { return bits::sum(to(a)); }
  LIMBECK_INLINE static storage power_of_two(const storage& y) { return from(bits::power_of_two(to(y))); }
  LIMBECK_INLINE static storage split_exponent(const storage& x, storage& m) {
    typename bits::storage mantissa;
    const auto k = bits::split_exponent(to(x), mantissa);
    m = from(mantissa);
    return from(k);
  }

 private:
  LIMBECK_INLINE static typename bits::storage to(const storage& a) { return bits::load(a.data()); }
  LIMBECK_INLINE static storage from(const typename bits::storage& v) {
    storage a;
    bits::store(a.data(), v);
    return a;
  }
};

LIMBECK_END_NAMESPACE

#endif
