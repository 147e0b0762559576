# The warnings that Limbeck is held to, on a private target: tests, examples and benchmarks link it, users never see it.
set(limbeck_warning_flags "")
if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  set(limbeck_warning_flags -Wall -Wextra -Wconversion -Wshadow -Wpedantic)
  if(LIMBECK_WERROR)
    list(APPEND limbeck_warning_flags -Werror)
  endif()
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ stops explaining a failed concept after one level otherwise.
  list(APPEND limbeck_warning_flags -fconcepts-diagnostics-depth=4)
endif()

add_library(limbeck_warnings INTERFACE)
target_compile_options(limbeck_warnings INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${limbeck_warning_flags}>")
