#ifndef LIMBECK_VERSION_HPP
#define LIMBECK_VERSION_HPP

/// @file
/// The one place where the version lives: CMake, the packages and the documents read it from here.

/// Changes when code that compiled may have to change (while it is 0, the minor version does).
#define LIMBECK_VERSION_MAJOR 0
/// Changes with new features.
#define LIMBECK_VERSION_MINOR 1
/// Changes with corrections.
#define LIMBECK_VERSION_PATCH 0

/// Everything stands in a versioned inline namespace, so that two releases can meet in one program.
#define LIMBECK_BEGIN_NAMESPACE \
  namespace limbeck {           \
  inline namespace v0_1 {
/// Ends what LIMBECK_BEGIN_NAMESPACE began.
#define LIMBECK_END_NAMESPACE \
  }                           \
  }

#endif
