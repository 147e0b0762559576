# Runs vcpkg/ports/limbeck as vcpkg would, with ./helpers.cmake in the place of its functions, and builds a consumer
# from what comes out. build.cmake has the arguments.
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()
include("${CMAKE_CURRENT_LIST_DIR}/helpers.cmake")

set(port_dir "${LIMBECK}/vcpkg/ports/limbeck")
file(READ "${port_dir}/vcpkg.json" manifest)
string(JSON PORT GET "${manifest}" name)
string(JSON port_version GET "${manifest}" version-semver)
if(NOT port_version STREQUAL VERSION)
  message(FATAL_ERROR "vcpkg.json has version ${port_version} and version.hpp has ${VERSION}")
endif()

# Every component that is here is a feature, every feature is described, and the portfile turns it into its option.
file(READ "${port_dir}/portfile.cmake" portfile)
string(JSON count LENGTH "${manifest}" features)
math(EXPR last "${count} - 1")
set(features "")
foreach(index RANGE ${last})
  string(JSON feature MEMBER "${manifest}" features ${index})
  string(JSON description GET "${manifest}" features ${feature} description)
  string(TOUPPER "${feature}" upper)
  if(NOT portfile MATCHES "\n +${feature} +LIMBECK_WITH_${upper}\n" OR description STREQUAL "")
    message(FATAL_ERROR "Feature ${feature} has no line in the portfile, or no description")
  endif()
  list(APPEND features ${feature})
endforeach()
string(REPLACE "," ";" FEATURES "${COMPONENTS}")
foreach(component IN LISTS FEATURES)
  if(NOT component IN_LIST features)
    message(FATAL_ERROR "limbeck::${component} is no feature of the port")
  endif()
endforeach()

set(CURRENT_PACKAGES_DIR "${BUILD}/packages/limbeck_x64-linux")
set(CURRENT_BUILDTREES_DIR "${BUILD}/buildtrees/limbeck")
file(REMOVE_RECURSE "${BUILD}")
include("${port_dir}/portfile.cmake")

# vcpkg's own checks of a header-only port: nothing beside headers and share/<port>, a copyright, a usage.
file(GLOB tops RELATIVE "${CURRENT_PACKAGES_DIR}" "${CURRENT_PACKAGES_DIR}/*" "${CURRENT_PACKAGES_DIR}/share/*")
list(SORT tops)
if(NOT tops STREQUAL "include;share;share/limbeck;share/pkgconfig")
  message(FATAL_ERROR "The package holds ${tops}")
endif()
foreach(file IN ITEMS copyright usage limbeckConfig.cmake limbeckConfigVersion.cmake)
  if(NOT EXISTS "${CURRENT_PACKAGES_DIR}/share/limbeck/${file}")
    message(FATAL_ERROR "The package has no share/limbeck/${file}")
  endif()
endforeach()

# vcpkg builds in one folder and installs into another.
file(MAKE_DIRECTORY "${BUILD}/installed")
file(RENAME "${CURRENT_PACKAGES_DIR}" "${BUILD}/installed/x64-linux")
run("${CMAKE_COMMAND}" "-DSOURCE=${LIMBECK}/tests/consumers/installed" "-DBUILD=${BUILD}/consumer"
  "-DGENERATOR=${GENERATOR}" "-DCOMPILER=${COMPILER}" "-DPREFIX=${BUILD}/installed/x64-linux"
  "-DCOMPONENTS=${COMPONENTS}" "-DVERSION=${VERSION}" -P "${CMAKE_CURRENT_LIST_DIR}/../build.cmake")
