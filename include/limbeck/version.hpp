#ifndef LIMBECK_VERSION_HPP
#define LIMBECK_VERSION_HPP

/// @file
/// The one place where the version lives: CMake, the packages and the documents read it from here.

/// @cond
// Before anything that an older language would choke on; the header that is not there ends the compilation here.
#if defined(_MSVC_LANG)
#define LIMBECK_DETAIL_LANGUAGE _MSVC_LANG
#else
#define LIMBECK_DETAIL_LANGUAGE __cplusplus
#endif
#if LIMBECK_DETAIL_LANGUAGE <= 201703L
#error "limbeck needs C++20: compile with -std=c++20 (CMake: limbeck::limbeck asks for it by itself)"
#include <limbeck_needs_cxx20>
#endif
/// @endcond

/// Changes when code that compiled may have to change (while it is 0, the minor version does).
#define LIMBECK_VERSION_MAJOR 0
/// Changes with new features.
#define LIMBECK_VERSION_MINOR 1
/// Changes with corrections.
#define LIMBECK_VERSION_PATCH 0

/// One number to compare: 10203 is version 1.2.3.
#define LIMBECK_VERSION (LIMBECK_VERSION_MAJOR * 10000 + LIMBECK_VERSION_MINOR * 100 + LIMBECK_VERSION_PATCH)
/// "0.1.0".
#define LIMBECK_VERSION_STRING \
  LIMBECK_DETAIL_TEXT(LIMBECK_VERSION_MAJOR) \
  "." LIMBECK_DETAIL_TEXT(LIMBECK_VERSION_MINOR) "." LIMBECK_DETAIL_TEXT(LIMBECK_VERSION_PATCH)
/// @cond
#define LIMBECK_DETAIL_TEXT(x) LIMBECK_DETAIL_TEXT_OF(x)
#define LIMBECK_DETAIL_TEXT_OF(x) #x

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define LIMBECK_DETAIL_EXCEPTIONS 1
#else
#define LIMBECK_DETAIL_EXCEPTIONS 0
#endif

// The linker keeps one of two inline functions of one name: a program whose files are compiled for several processors must
// not run one's instructions on another, nor abort where the caller would have caught. So what is compiled for a vector
// width, or without exceptions, has a name of its own.
#if defined(__AVX512F__)
#define LIMBECK_DETAIL_WIDTH _avx512
#elif defined(__AVX2__)
#define LIMBECK_DETAIL_WIDTH _avx2
#elif defined(__AVX__)
#define LIMBECK_DETAIL_WIDTH _avx
#else
#define LIMBECK_DETAIL_WIDTH
#endif
#if LIMBECK_DETAIL_EXCEPTIONS
#define LIMBECK_DETAIL_FAULTS
#else
#define LIMBECK_DETAIL_FAULTS _noexcept
#endif
#define LIMBECK_DETAIL_JOIN(a, b, c) LIMBECK_DETAIL_JOIN_OF(a, b, c)
#define LIMBECK_DETAIL_JOIN_OF(a, b, c) a##b##c
#define LIMBECK_DETAIL_ABI LIMBECK_DETAIL_JOIN(v0_1, LIMBECK_DETAIL_WIDTH, LIMBECK_DETAIL_FAULTS)
/// @endcond

/// @cond
// Packs wider than the flags of a file never cross a call, which is what this warning is about.
#if defined(__GNUC__) && !defined(__CUDACC__)
#define LIMBECK_DETAIL_PACKS _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wpsabi\"")
#define LIMBECK_DETAIL_END_PACKS _Pragma("GCC diagnostic pop")
#else
#define LIMBECK_DETAIL_PACKS
#define LIMBECK_DETAIL_END_PACKS
#endif
/// @endcond

/// Everything stands in an inline namespace of the version and the vector width, so that two releases, and files compiled
/// for two processors, can meet in one program.
#define LIMBECK_BEGIN_NAMESPACE \
  LIMBECK_DETAIL_PACKS          \
  namespace limbeck {           \
  inline namespace LIMBECK_DETAIL_ABI {
/// Ends what LIMBECK_BEGIN_NAMESPACE began.
#define LIMBECK_END_NAMESPACE \
  }                           \
  }                           \
  LIMBECK_DETAIL_END_PACKS
/// The same for exceptions, which are caught by name in files compiled for another processor.
#define LIMBECK_BEGIN_COMMON_NAMESPACE \
  LIMBECK_DETAIL_PACKS                 \
  namespace limbeck {                  \
  inline namespace v0_1_common {

#endif
