# Creates the Conan package twice, against the system's libraries and with no remote: the core from the checkout, and
# every component as ConanCenter would, from an archive that a conandata.yml names. Both run conan/test_package.
# build.cmake has the arguments; -DCONAN= is the program.
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE "${BUILD}")
set(ENV{CONAN_HOME} "${BUILD}/home")
set(ENV{CXX} "${COMPILER}")

function(conan)
  execute_process(COMMAND "${CONAN}" ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

conan(profile detect)
foreach(name IN ITEMS boost eigen xtensor xsimd thrust nlohmann_json zlib dlpack openmpi)
  conan(export "${CMAKE_CURRENT_LIST_DIR}/system" --name ${name} --version system --no-remote)
endforeach()
set(profiles --no-remote --build=missing -pr:b default -pr:h default -pr:h "${CMAKE_CURRENT_LIST_DIR}/system.profile"
  -c "tools.cmake.cmaketoolchain:generator=${GENERATOR}" -c "tools.build:compiler_executables={'cpp': '${COMPILER}'}"
  -c "tools.cmake.cmake_layout:test_folder=${BUILD}/test_package")

conan(create "${LIMBECK}/conan" ${profiles})
conan(cache path limbeck/${VERSION})  # fails where the recipe took another version than version.hpp has
conan(remove -c limbeck)

set(recipe "${BUILD}/recipes/limbeck/all")
file(COPY "${LIMBECK}/conan/" DESTINATION "${recipe}")
file(SHA256 "${ARCHIVE}" hash)
file(WRITE "${recipe}/conandata.yml"
  "sources:\n  \"${VERSION}\":\n    url: \"file://${ARCHIVE}\"\n    sha256: \"${hash}\"\n")
string(REGEX REPLACE "([a-z]+),?" "-o;&:with_\\1=True;" options "${COMPONENTS}")
conan(create "${recipe}" --version ${VERSION} ${profiles} ${options})
