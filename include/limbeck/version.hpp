#ifndef LIMBECK_VERSION_HPP
#define LIMBECK_VERSION_HPP

/// @file
/// The one place where the version lives: CMake, the packages and the documents read it from here.

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
/// @endcond

/// Everything stands in a versioned inline namespace, so that two releases can meet in one program.
#define LIMBECK_BEGIN_NAMESPACE \
  namespace limbeck {           \
  inline namespace v0_1 {
/// Ends what LIMBECK_BEGIN_NAMESPACE began.
#define LIMBECK_END_NAMESPACE \
  }                           \
  }

#endif
