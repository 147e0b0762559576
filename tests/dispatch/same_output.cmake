cmake_minimum_required(VERSION 3.25)
# Two programs print the same. -DFIRST=program -DSECOND=program -P same_output.cmake
foreach(program IN ITEMS FIRST SECOND)
  execute_process(COMMAND "${${program}}" OUTPUT_VARIABLE of_${program} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
if(NOT of_FIRST STREQUAL of_SECOND OR of_FIRST STREQUAL "")
  message(FATAL_ERROR "${FIRST}:\n${of_FIRST}\n${SECOND}:\n${of_SECOND}")
endif()
