#ifndef LIMBECK_VERSION_HPP
#define LIMBECK_VERSION_HPP

/// @file
/// The one place where the version lives: CMake, the packages and the documents read it from here.

#define LIMBECK_VERSION_MAJOR 0
#define LIMBECK_VERSION_MINOR 1
#define LIMBECK_VERSION_PATCH 0

/// Everything stands in a versioned inline namespace, so that two releases can meet in one program.
#define LIMBECK_BEGIN_NAMESPACE \
  namespace limbeck {           \
  inline namespace v0_1 {
#define LIMBECK_END_NAMESPACE \
  }                           \
  }

#endif
