# The same program over what the consumer was given: with the core alone, and with every component.
add_executable(core_only ../core_only.cpp)
target_link_libraries(core_only PRIVATE limbeck::limbeck)
add_test(NAME core_only COMMAND core_only)

add_executable(with_components ../with_components.cpp)
target_link_libraries(with_components PRIVATE limbeck::limbeck)
foreach(component IN LISTS components)
  string(TOUPPER ${component} upper)
  target_link_libraries(with_components PRIVATE limbeck::${component})
  target_compile_definitions(with_components PRIVATE HAS_${upper})
endforeach()
# Somebody who is stricter than we are must not hear from our headers.
target_compile_options(with_components PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wold-style-cast -Werror)
add_test(NAME with_components COMMAND with_components)
