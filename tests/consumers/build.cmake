# Configures, builds and runs somebody else's project, from nothing each time.
#   cmake -DSOURCE= -DBUILD= -DGENERATOR= -DCOMPILER= -DPREFIX= -DCOMPONENTS=a,b -DVERSION= -DLIMBECK= -DARCHIVE=
#     -DSINGLE= -P build.cmake
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "This failed: ${ARGV}")
  endif()
endfunction()

file(REMOVE_RECURSE "${BUILD}")
run("${CMAKE_COMMAND}" -S "${SOURCE}" -B "${BUILD}" -G "${GENERATOR}" "-DCMAKE_CXX_COMPILER=${COMPILER}"
  "-DCMAKE_PREFIX_PATH=${PREFIX}" "-DLIMBECK_TEST_COMPONENTS=${COMPONENTS}" "-DLIMBECK_TEST_VERSION=${VERSION}"
  "-DLIMBECK_TEST_SOURCE=${LIMBECK}" "-DLIMBECK_TEST_ARCHIVE=${ARCHIVE}" "-DLIMBECK_TEST_SINGLE=${SINGLE}"
  --no-warn-unused-cli)
run("${CMAKE_COMMAND}" --build "${BUILD}")
if(NOT SOURCE MATCHES "refused")
  run("${CMAKE_CTEST_COMMAND}" --test-dir "${BUILD}" --output-on-failure --no-tests=error)
endif()
