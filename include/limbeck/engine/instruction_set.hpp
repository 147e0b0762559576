#ifndef LIMBECK_ENGINE_INSTRUCTION_SET_HPP
#define LIMBECK_ENGINE_INSTRUCTION_SET_HPP

/// @file
/// Hot loops are compiled three times on x86-64, for the file's own flags, for AVX2 and for AVX-512, and the processor
/// chooses once a process: at a plain -O2 a program has the vectors that -march=native would give it.
///
/// A loop says so by `dispatch([&]<class Isa>(Isa) { ... })`, and inside, around what has to be fast, `Isa::call(body)`.
/// What depends on the instruction set has it in its type, so that the linker never takes one for another. Levels below the
/// file's own flags are not compiled: under -march=native on AVX-512 there is one, as there is on other processors, at -O0
/// (where packs would cross calls) and with LIMBECK_NO_DISPATCH.

#include <limbeck/core/config.hpp>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <string_view>

/// @cond
// By features, not by an architecture: a function of another architecture inlines nothing of the standard library's.
#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__) && !defined(__CUDACC__) && defined(__OPTIMIZE__) && \
    !defined(__NO_INLINE__) && !defined(LIMBECK_NO_DISPATCH)
#if !(defined(__AVX2__) && defined(__FMA__))
#define LIMBECK_DETAIL_AVX2 "avx2,fma,bmi,bmi2,lzcnt,popcnt,f16c"
#endif
#if !(defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__))
#define LIMBECK_DETAIL_AVX512 "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,bmi,bmi2,lzcnt,popcnt,f16c"
#endif
#endif
/// @endcond

LIMBECK_BEGIN_COMMON_NAMESPACE

/// What Limbeck's loops run on. `as_compiled` is what the flags of their file allow: SSE2 on x86-64 where there are none.
enum class instruction_set { as_compiled, avx2, avx512 };

/// @cond
// One for the process, whatever the flags of its files; -1 until somebody asks.
inline std::atomic<int> instruction_set_in_use{-1};
/// @endcond

LIMBECK_END_NAMESPACE

LIMBECK_BEGIN_NAMESPACE

/// The widest set that this processor (and its system) has, of those that this file was compiled for.
inline instruction_set widest_instruction_set() {
#if defined(LIMBECK_DETAIL_AVX512)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return instruction_set::avx512;
#endif
#if defined(LIMBECK_DETAIL_AVX2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    return instruction_set::avx2;
#endif
  return instruction_set::as_compiled;
}

/// The process runs its loops on @p set from now on, or on the widest that there is below it. Files that were compiled for
/// more than @p set stay what they are. Results of different sets differ in their last bits. Not while a call runs.
inline void use_instruction_set(instruction_set set) {
  instruction_set_in_use.store(static_cast<int>(set), std::memory_order_relaxed);
}

/// The set on which the loops of this file run: what `use_instruction_set` said last, else what the environment's
/// LIMBECK_INSTRUCTION_SET says (`as_compiled`, `avx2` or `avx512`; anything else is not heard), else the widest.
inline instruction_set current_instruction_set() {
  int wanted = instruction_set_in_use.load(std::memory_order_relaxed);
  if (wanted < 0) {
    const char* const text = std::getenv("LIMBECK_INSTRUCTION_SET");
    const std::string_view name = text ? text : "";
    wanted = name == "as_compiled" ? 0 : name == "avx2" ? 1 : 2;
    instruction_set_in_use.store(wanted, std::memory_order_relaxed);
  }
  static const int widest = static_cast<int>(widest_instruction_set());
  return static_cast<instruction_set>(wanted < widest ? wanted : widest);
}

/// "as_compiled", "avx2" or "avx512".
constexpr const char* name_of(instruction_set set) {
  return set == instruction_set::avx512 ? "avx512" : set == instruction_set::avx2 ? "avx2" : "as_compiled";
}

/// @cond
namespace detail {

// Each: how wide its registers are, and `call(body)`, the only function whose code is of that set: it takes in all that
// `body` calls, so `body` and whatever hands packs on are always_inline.

/// The flags of this file.
struct as_compiled {
#if defined(__AVX512F__)
  static constexpr std::size_t register_bytes = 64;
#elif defined(__AVX__)
  static constexpr std::size_t register_bytes = 32;
#else
  static constexpr std::size_t register_bytes = 16;
#endif
  template <class Body>
#if !defined(__CUDACC__)
  LIMBECK_FLATTEN [[gnu::noinline]]
#endif
  static void call(const Body& body) {
    body();
  }
};

#if defined(LIMBECK_DETAIL_AVX2)
struct avx2 {
  static constexpr std::size_t register_bytes = 32;
  template <class Body>
  [[gnu::target(LIMBECK_DETAIL_AVX2), gnu::flatten, gnu::noinline]] static void call(const Body& body) {
    body();
  }
};
#endif

#if defined(LIMBECK_DETAIL_AVX512)
struct avx512 {
  static constexpr std::size_t register_bytes = 64;
  template <class Body>
  [[gnu::target(LIMBECK_DETAIL_AVX512), gnu::flatten, gnu::noinline]] static void call(const Body& body) {
    body();
  }
};
#endif

/// Bytes of the widest vector register that the flags of this file know; a wider or narrower pack is slower.
inline constexpr std::size_t register_bytes = as_compiled::register_bytes;

/// body(set) for the set in use: what it returns.
template <class Body>
decltype(auto) dispatch(const Body& body) {
#if defined(LIMBECK_DETAIL_AVX512) || defined(LIMBECK_DETAIL_AVX2)
  switch (current_instruction_set()) {
#if defined(LIMBECK_DETAIL_AVX512)
    case instruction_set::avx512: return body(avx512{});
#endif
#if defined(LIMBECK_DETAIL_AVX2)
    case instruction_set::avx2: return body(avx2{});
#endif
    default: break;
  }
#endif
  return body(as_compiled{});
}

/// The same for a loop that is fast as a whole: `body(set)` is called inside `set::call`.
template <class Body>
void dispatch_loop(const Body& body) {
  dispatch([&]<class Isa>(Isa isa) { Isa::call([&]() LIMBECK_LAMBDA_INLINE { body(isa); }); });
}

}  // namespace detail
/// @endcond

LIMBECK_END_NAMESPACE

#endif
