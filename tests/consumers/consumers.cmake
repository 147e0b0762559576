# Projects of other people, each configured, built and run as they would do it. Included by ../CMakeLists.txt.
#
#   installed, refused_version    find_package, over what `cmake --install` wrote
#   pkg_config                    the same through limbeck.pc and its relatives
#   add_subdirectory              the checkout inside a project
#   twice                         the checkout twice inside a project that exports a library of its own
#   fetch_content                 an archive of the sources, as a release has it
#   single_header                 what scripts/amalgamate.py writes
#   conan, vcpkg                  the recipe and the port: their own scripts say how
set(root "${CMAKE_CURRENT_BINARY_DIR}/consumers")
set(sources "${CMAKE_CURRENT_SOURCE_DIR}/consumers")
set(components "${limbeck_backends}")
# LibTorch takes a compiler as long as all the others together: one consumer is enough.
list(REMOVE_ITEM components torch)
list(JOIN components "," components)  # a semicolon would end the argument of add_test
list(JOIN limbeck_backends "," all_components)

function(limbeck_add_consumer_test name)
  add_test(NAME "consumers: ${name}" COMMAND ${ARGN})
  set_tests_properties("consumers: ${name}" PROPERTIES LABELS consumers TIMEOUT 600 COST 50)
endfunction()

# limbeck_add_consumer(<name> NEEDS <fixture>... [SCRIPT <file>] [DEFINE <definition>...])
# SCRIPT runs in the place of build.cmake.
function(limbeck_add_consumer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "SCRIPT" "NEEDS;DEFINE")
  if(NOT arg_SCRIPT)
    set(arg_SCRIPT "${sources}/build.cmake")
  endif()
  limbeck_add_consumer_test(${name} "${CMAKE_COMMAND}"
    "-DSOURCE=${sources}/${name}" "-DBUILD=${root}/${name}" "-DGENERATOR=${CMAKE_GENERATOR}"
    "-DCOMPILER=${CMAKE_CXX_COMPILER}" "-DPREFIX=${root}/prefix" "-DCOMPONENTS=${components}"
    "-DVERSION=${PROJECT_VERSION}" "-DLIMBECK=${PROJECT_SOURCE_DIR}"
    "-DARCHIVE=${root}/limbeck-${PROJECT_VERSION}.tar.gz" ${arg_DEFINE} -P "${arg_SCRIPT}")
  set_tests_properties("consumers: ${name}" PROPERTIES FIXTURES_REQUIRED "${arg_NEEDS}")
endfunction()

limbeck_add_consumer_test(install
  "${CMAKE_COMMAND}" --install "${PROJECT_BINARY_DIR}" --config "$<CONFIG>" --prefix "${root}/prefix")
set_tests_properties("consumers: install" PROPERTIES FIXTURES_SETUP limbeck_installed)
limbeck_add_consumer_test(archive "${CMAKE_COMMAND}" "-DLIMBECK=${PROJECT_SOURCE_DIR}" "-DVERSION=${PROJECT_VERSION}"
  "-DFOLDER=${root}" -P "${sources}/archive.cmake")
set_tests_properties("consumers: archive" PROPERTIES FIXTURES_SETUP limbeck_archive)

limbeck_add_consumer(installed NEEDS limbeck_installed DEFINE "-DCOMPONENTS=${all_components}")
limbeck_add_consumer(refused_version NEEDS limbeck_installed)
limbeck_add_consumer(add_subdirectory)
if(TARGET limbeck::eigen AND TARGET limbeck::trainer)
  limbeck_add_consumer(twice)
endif()
limbeck_add_consumer(fetch_content NEEDS limbeck_archive)
limbeck_add_consumer(vcpkg SCRIPT "${sources}/vcpkg/run.cmake")

find_package(PkgConfig QUIET)
if(PKG_CONFIG_FOUND)
  limbeck_add_consumer(pkg_config NEEDS limbeck_installed)
else()
  limbeck_skip("pkg-config was not found (Debian: pkg-config)" consumers/pkg_config)
endif()

find_package(Python3 3.9 QUIET COMPONENTS Interpreter)
if(Python3_FOUND)
  limbeck_add_consumer_test(amalgamate
    "${Python3_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/scripts/amalgamate.py" --output "${root}/single")
  set_tests_properties("consumers: amalgamate" PROPERTIES FIXTURES_SETUP limbeck_single)
  limbeck_add_consumer(single_header NEEDS limbeck_installed limbeck_single DEFINE "-DSINGLE=${root}/single")
else()
  limbeck_skip("Python 3 was not found" consumers/single_header)
endif()

# Where scripts/test puts it, or anywhere on the path.
find_program(LIMBECK_CONAN conan HINTS "${PROJECT_SOURCE_DIR}/build/conan/bin" DOC "Conan 2, for tests/consumers/conan")
mark_as_advanced(LIMBECK_CONAN)
set(conan_says "")
if(LIMBECK_CONAN)
  execute_process(COMMAND "${LIMBECK_CONAN}" --version OUTPUT_VARIABLE conan_says)
endif()
if(conan_says MATCHES "^Conan version 2" AND PKG_CONFIG_FOUND)
  limbeck_add_consumer(conan NEEDS limbeck_archive
    SCRIPT "${sources}/conan/run.cmake" DEFINE "-DCONAN=${LIMBECK_CONAN}")
else()
  set(how "python3 -m venv build/conan && build/conan/bin/pip install 'conan>=2.4,<3'")
  limbeck_skip("Conan 2 or pkg-config was not found (${how})" consumers/conan)
endif()
