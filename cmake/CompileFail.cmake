# Proves that a wrong program is refused with the sentence it promises, and that the same program without the mistake
# compiles: a broken include path could otherwise pass for an expected failure.
#
#   cmake -DCOMPILER=g++ -DSOURCE=wrong.cpp -DOPTIONS=file [-DCONTROLLED=ON] [-DPREFIX=header] -P CompileFail.cmake
#
# where the file holds the include folders and definitions, as the compiler's own @file takes them. CONTROLLED: another
# compiler has shown that the program without the mistake compiles. PREFIX is included before the program, from its
# precompiled form beside it, which -DPRECOMPILE=ON in the place of a source writes; it is left out where flags differ.
#
# The source holds the mistake under `#ifndef LIMBECK_CONTROL` and these lines, each as often as needed:
#   // expect: a fragment of the message, matched literally
#   // flags: -ffast-math            (for the compilation that must fail)
#   // times: 9                      (how often the first fragment must occur)
#
# Fragments must not hold an unbalanced square bracket, which CMake's lists cannot carry.

# Plain English letters and one line a message, so that the fragment is found whatever the user's locale and terminal.
set(ENV{LC_ALL} C)
set(command "${COMPILER}" "@${OPTIONS}" -std=c++20 -fmessage-length=0)

if(PRECOMPILE)
  cmake_path(GET COMPILER FILENAME name)
  set(suffix gch)
  if(name MATCHES "clang")
    set(suffix pch)
  endif()
  execute_process(COMMAND ${command} -x c++-header "${PREFIX}" -o "${PREFIX}.${suffix}" COMMAND_ERROR_IS_FATAL ANY)
  return()
endif()
list(APPEND command -fsyntax-only)

foreach(kind IN ITEMS expect flags times)
  file(STRINGS "${SOURCE}" ${kind} REGEX "^// ${kind}: ")
  list(TRANSFORM ${kind} REPLACE "^// ${kind}: +" "")
  list(TRANSFORM ${kind} STRIP)
endforeach()
if(NOT expect)
  message(FATAL_ERROR "${SOURCE} has no line `// expect: <fragment of the message>`")
endif()
string(REPLACE " " ";" flags "${flags}")

if(PREFIX AND NOT flags)
  list(APPEND command -include "${PREFIX}")
endif()

if(NOT CONTROLLED)
  execute_process(COMMAND ${command} -DLIMBECK_CONTROL "${SOURCE}" RESULT_VARIABLE result ERROR_VARIABLE output OUTPUT_VARIABLE output)
  if(output MATCHES "PLEASE submit a bug report")  # clang 14 over some programs behind a precompiled header
    list(REMOVE_ITEM command -include "${PREFIX}")
    execute_process(COMMAND ${command} -DLIMBECK_CONTROL "${SOURCE}" RESULT_VARIABLE result ERROR_VARIABLE output OUTPUT_VARIABLE output)
  endif()
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "The control must compile and does not:\n${output}")
  endif()
endif()

execute_process(COMMAND ${command} ${flags} "${SOURCE}" RESULT_VARIABLE result ERROR_VARIABLE output OUTPUT_VARIABLE output)
if(output MATCHES "PLEASE submit a bug report")  # clang 14 over some errors behind a precompiled header
  list(REMOVE_ITEM command -include "${PREFIX}")
  execute_process(COMMAND ${command} ${flags} "${SOURCE}" RESULT_VARIABLE result ERROR_VARIABLE output OUTPUT_VARIABLE output)
endif()
if(result EQUAL 0)
  message(FATAL_ERROR "The wrong program compiles")
endif()
foreach(fragment IN LISTS expect)
  string(FIND "${output}" "${fragment}" position)
  if(position EQUAL -1)
    message(FATAL_ERROR "The wrong program is refused, but not with the sentence\n  ${fragment}\nThe compiler said:\n${output}")
  endif()
endforeach()
if(times)
  list(GET expect 0 fragment)
  string(REGEX MATCHALL "error: [^\n]*" errors "${output}")
  list(FILTER errors INCLUDE REGEX "${fragment}")
  list(LENGTH errors count)
  if(NOT count EQUAL times)
    message(FATAL_ERROR "The sentence comes ${count} times and not ${times}. The compiler said:\n${output}")
  endif()
endif()
