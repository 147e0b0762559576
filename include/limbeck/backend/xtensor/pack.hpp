#ifndef LIMBECK_BACKEND_XTENSOR_PACK_HPP
#define LIMBECK_BACKEND_XTENSOR_PACK_HPP

/// @file
/// The pack of the xtensor backend: `xsimd::batch<T>`.

#include <limbeck/engine/pack.hpp>

#include <xsimd/xsimd.hpp>

LIMBECK_BEGIN_NAMESPACE

/// Arithmetic, comparison and selection by xsimd; the two bit-level functions through a GNU vector of the same size.
template <class T>
struct xsimd_lanes {
  /// @cond
  using scalar = T;
  using storage = xsimd::batch<T>;
  static constexpr int count = static_cast<int>(storage::size);
  using bits = vector_lanes<T, count>;

  LIMBECK_INLINE static storage broadcast(T x) { return storage(x); }
  LIMBECK_INLINE static storage load(const T* x) { return storage::load_unaligned(x); }
  LIMBECK_INLINE static void store(T* x, const storage& v) { v.store_unaligned(x); }
  LIMBECK_INLINE static auto less(const storage& a, const storage& b) { return a < b; }
  template <class Mask>
  LIMBECK_INLINE static storage select(const Mask& m, const storage& a, const storage& b) {
    return xsimd::select(m, a, b);
  }
  LIMBECK_INLINE static storage smaller(const storage& a, const storage& b) { return xsimd::select(a < b, a, b); }
  LIMBECK_INLINE static storage larger(const storage& a, const storage& b) { return xsimd::select(b < a, a, b); }
  LIMBECK_INLINE static storage sqrt(const storage& a) { return xsimd::sqrt(a); }
  LIMBECK_INLINE static T sum(const storage& a) { return bits::sum(to(a)); }
  LIMBECK_INLINE static T highest(const storage& a) { return bits::highest(to(a)); }
  LIMBECK_INLINE static T lowest(const storage& a) { return bits::lowest(to(a)); }
  LIMBECK_INLINE static storage power_of_two(const storage& y) { return from(bits::power_of_two(to(y))); }
  LIMBECK_INLINE static storage split_exponent(const storage& x, storage& m) {
    typename bits::storage mantissa;
    const auto k = bits::split_exponent(to(x), mantissa);
    m = from(mantissa);
    return from(k);
  }

 private:
  LIMBECK_INLINE static typename bits::storage to(const storage& a) {
    typename bits::storage v;
    std::memcpy(&v, &a.data, sizeof(v));
    return v;
  }
  LIMBECK_INLINE static storage from(const typename bits::storage& v) {
    storage a;
    std::memcpy(&a.data, &v, sizeof(v));
    return a;
  }
  /// @endcond
};

LIMBECK_END_NAMESPACE

#endif
