# Packs what a release's archive must have for a user: limbeck-<version>/ with the headers and what installs them.
#   cmake -DLIMBECK= -DVERSION= -DFOLDER= -P archive.cmake
set(staged "${FOLDER}/archive/limbeck-${VERSION}")
file(REMOVE_RECURSE "${FOLDER}/archive")
foreach(name IN ITEMS CMakeLists.txt LICENSE cmake include)
  file(COPY "${LIMBECK}/${name}" DESTINATION "${staged}")
endforeach()
execute_process(COMMAND "${CMAKE_COMMAND}" -E tar czf "${FOLDER}/limbeck-${VERSION}.tar.gz" "limbeck-${VERSION}"
  WORKING_DIRECTORY "${FOLDER}/archive" COMMAND_ERROR_IS_FATAL ANY)
