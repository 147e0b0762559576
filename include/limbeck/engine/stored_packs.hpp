#ifndef LIMBECK_ENGINE_STORED_PACKS_HPP
#define LIMBECK_ENGINE_STORED_PACKS_HPP

/// @file
/// Neighbours of a row whose memory holds another type than the one computed with, read and written in packs:
/// bfloat16 by moving bits, float16 by the processor's own instruction where it has one.

#include <limbeck/core/stored_rows.hpp>
#include <limbeck/engine/instruction_set.hpp>

#include <cstring>
#include <utility>

LIMBECK_BEGIN_NAMESPACE
/// @cond
namespace detail {

/// body(from, to) for packs of @p N of the @p n neighbours; the last pack in memory of its own.
template <std::size_t N, class From, class To, class Body>
LIMBECK_HOST_INLINE void each_stored_pack(const From* from, std::size_t n, To* to, const Body& body) {
  std::size_t i = 0;
  for (; i + N <= n; i += N) body(from + i, to + i);
  if (i == n) return;
  From last[N]{};
  To out[N];
  std::memcpy(last, from + i, (n - i) * sizeof(From));
  body(last, out);
  std::memcpy(to + i, out, (n - i) * sizeof(To));
}

/// Eight numbers by the processor's instruction, where the set has it.
template <class Isa>
struct float16_instruction {
  static constexpr bool exists = false;
};
#if !defined(__CUDACC__) && (defined(LIMBECK_DETAIL_AVX2) || defined(LIMBECK_DETAIL_AVX512) || defined(__F16C__))
typedef short eight_halves __attribute__((vector_size(16)));
typedef float eight_floats __attribute__((vector_size(32)));
#define LIMBECK_DETAIL_FLOAT16(SET, ...)                                     \
  template <>                                                                \
  struct float16_instruction<SET> {                                          \
    static constexpr bool exists = true;                                     \
    __VA_ARGS__ static void widen(const std::uint16_t* from, float* to) {    \
      eight_halves in;                                                       \
      std::memcpy(&in, from, sizeof in);                                     \
      const eight_floats out = __builtin_ia32_vcvtph2ps256(in);              \
      std::memcpy(to, &out, sizeof out);                                     \
    }                                                                        \
    __VA_ARGS__ static void narrow(const float* from, std::uint16_t* to) {   \
      eight_floats in;                                                       \
      std::memcpy(&in, from, sizeof in);                                     \
      const eight_halves out = __builtin_ia32_vcvtps2ph256(in, 0);           \
      std::memcpy(to, &out, sizeof out);                                     \
    }                                                                        \
  }
#if defined(__F16C__)
LIMBECK_DETAIL_FLOAT16(as_compiled, );
#endif
#if defined(LIMBECK_DETAIL_AVX2)
LIMBECK_DETAIL_FLOAT16(avx2, [[gnu::target(LIMBECK_DETAIL_AVX2)]]);
#endif
#if defined(LIMBECK_DETAIL_AVX512)
LIMBECK_DETAIL_FLOAT16(avx512, [[gnu::target(LIMBECK_DETAIL_AVX512)]]);
#endif
#undef LIMBECK_DETAIL_FLOAT16
#endif

#if (defined(__GNUC__) || defined(__clang__)) && !defined(__CUDACC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
template <class E, std::size_t N>
struct gnu_pack {
  typedef E type __attribute__((vector_size(sizeof(E) * N)));
};
/// Two registers of floats and one of bfloat16, by shuffles, which compilers make better code of than of conversions.
template <class Isa>
struct bfloat16_packs {
  static constexpr bool exist = true;
  static constexpr std::size_t words = Isa::register_bytes / 2, quads = words / 4;
  using float_pack = typename gnu_pack<float, words / 2>::type;
  using long_pack = typename gnu_pack<std::uint32_t, words / 2>::type;
  using short_pack = typename gnu_pack<std::uint16_t, words>::type;
  using quad_pack = typename gnu_pack<std::uint64_t, quads>::type;

  // A zero below each word. Instructions do so inside 16 bytes: what belongs there is brought there before.
  LIMBECK_HOST_INLINE static void widen(const std::uint16_t* from, float* to) {
    quad_pack in;
    std::memcpy(&in, from, sizeof in);
    [&]<std::size_t... At>(std::index_sequence<At...>) LIMBECK_LAMBDA_INLINE {
      in = __builtin_shufflevector(in, in, (At % 2 * (quads / 2) + At / 2)...);
    }(std::make_index_sequence<quads>{});
    short_pack x;
    std::memcpy(&x, &in, sizeof x);
    [&]<std::size_t... At>(std::index_sequence<At...>) LIMBECK_LAMBDA_INLINE {
      const short_pack zero{}, low = __builtin_shufflevector(zero, x, (At % 2 * words + At / 8 * 8 + At % 8 / 2)...);
      const short_pack high = __builtin_shufflevector(zero, x, (At % 2 * words + At / 8 * 8 + 4 + At % 8 / 2)...);
      std::memcpy(to, &low, sizeof low);
      std::memcpy(to + words / 2, &high, sizeof high);
    }(std::make_index_sequence<words>{});
  }
  LIMBECK_HOST_INLINE static void narrow(const float* from, std::uint16_t* to) {
    short_pack low, high;
    round(from, low);
    round(from + words / 2, high);
    [&]<std::size_t... At>(std::index_sequence<At...>) LIMBECK_LAMBDA_INLINE {
      const short_pack out = __builtin_shufflevector(low, high, (2 * At + 1)...);
      std::memcpy(to, &out, sizeof out);
    }(std::make_index_sequence<words>{});
  }

 private:
  /// As `to_bfloat16`, in the upper word of each float.
  LIMBECK_HOST_INLINE static void round(const float* from, short_pack& out) {
    float_pack x;
    std::memcpy(&x, from, sizeof x);
    long_pack bits;
    std::memcpy(&bits, &x, sizeof bits);
    bits = x == x ? bits + (0x7fffU + ((bits >> 16) & 1U)) : bits | 0x400000U;
    std::memcpy(&out, &bits, sizeof out);
  }
};
#else
template <class Isa>
struct bfloat16_packs {
  static constexpr bool exist = false;
};
#endif

/// @p n neighbours from @p from, as @p T.
template <class Isa, class Stored, class T>
LIMBECK_HOST_INLINE void widen_packs(const Stored* from, std::size_t n, T* to) {
  if constexpr (std::is_same_v<Stored, bfloat16> && std::is_same_v<T, float> && bfloat16_packs<Isa>::exist) {
    each_stored_pack<bfloat16_packs<Isa>::words>(from, n, to, [](const bfloat16* x, float* y) LIMBECK_LAMBDA_INLINE {
      bfloat16_packs<Isa>::widen(&x->bits, y);
    });
  } else if constexpr (std::is_same_v<Stored, float16> && std::is_same_v<T, float> && float16_instruction<Isa>::exists) {
    each_stored_pack<8>(from, n, to, [](const float16* x, float* y) LIMBECK_LAMBDA_INLINE {
      float16_instruction<Isa>::widen(&x->bits, y);
    });
  } else {
    widen(from, n, to);
  }
}
/// The other way.
template <class Isa, class Stored, class T>
LIMBECK_HOST_INLINE void narrow_packs(const T* from, std::size_t n, Stored* to) {
  if constexpr (std::is_same_v<Stored, bfloat16> && std::is_same_v<T, float> && bfloat16_packs<Isa>::exist) {
    each_stored_pack<bfloat16_packs<Isa>::words>(from, n, to, [](const float* x, bfloat16* y) LIMBECK_LAMBDA_INLINE {
      bfloat16_packs<Isa>::narrow(x, &y->bits);
    });
  } else if constexpr (std::is_same_v<Stored, float16> && std::is_same_v<T, float> && float16_instruction<Isa>::exists) {
    each_stored_pack<8>(from, n, to, [](const float* x, float16* y) LIMBECK_LAMBDA_INLINE {
      float16_instruction<Isa>::narrow(x, &y->bits);
    });
  } else {
    narrow(from, n, to);
  }
}

/// f(pointer to element @p first of @p row, of its type), where that is another than T.
template <class T, class F>
LIMBECK_HOST_INLINE void with_other_type(element_type type, const void* row, std::size_t first, const F& f) {
  using other = std::conditional_t<std::is_same_v<T, float>, double, float>;
  switch (type) {
    case element_type::float16: return f(static_cast<const float16*>(row) + first);
    case element_type::bfloat16: return f(static_cast<const bfloat16*>(row) + first);
    default: return f(static_cast<const other*>(row) + first);
  }
}

/// Elements [@p first, @p first + @p n) of a row of another type, as @p T.
template <class Isa, class T>
[[gnu::noinline]] void widen_row(element_type type, const void* row, std::size_t first, std::size_t n, T* out) {
  with_other_type<T>(type, row, first, [&](const auto* from) {
    Isa::call([&]() LIMBECK_LAMBDA_INLINE { widen_packs<Isa>(from, n, out); });
  });
}
/// The other way, each rounded once, ties to even.
template <class Isa, class T>
[[gnu::noinline]] void narrow_row(element_type type, const T* from, std::size_t first, std::size_t n, void* row) {
  with_other_type<T>(type, row, first, [&]<class E>(const E* to) {
    Isa::call([&]() LIMBECK_LAMBDA_INLINE { narrow_packs<Isa>(from, n, const_cast<E*>(to)); });
  });
}
/// x += what is there.
template <class Isa, class T>
[[gnu::noinline]] void add_row(element_type type, const void* row, std::size_t first, std::size_t n, T* x) {
  constexpr std::size_t some = 64;
  for (std::size_t i = 0; i < n; i += some) {
    const std::size_t count = n - i < some ? n - i : some;
    T there[some];
    widen_row<Isa>(type, row, first + i, count, there);
    for (std::size_t k = 0; k < count; ++k) x[i + k] += there[k];
  }
}

}  // namespace detail
/// @endcond
LIMBECK_END_NAMESPACE

#endif
