cmake_minimum_required(VERSION 3.25)
# A rank is killed, or throws: the others end within seconds, with a message; the checkpoint is whole, and the run that goes on from it
# ends as one that nobody killed. -DMPIEXEC=mpiexec -DFLAG=-n -DPROGRAM=program -DFOLDER=... -P killed.cmake
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")

# run(<name> <arguments>...): out, err, result and seconds.
macro(run)
  string(TIMESTAMP before "%s")
  execute_process(COMMAND "${MPIEXEC}" ${FLAG} 3 "${PROGRAM}" ${ARGN}
    OUTPUT_VARIABLE out ERROR_VARIABLE err RESULT_VARIABLE result TIMEOUT 60)
  string(TIMESTAMP after "%s")
  math(EXPR seconds "${after} - ${before}")
endmacro()
function(fail why)
  message(FATAL_ERROR "${why}\nresult: ${result}, ${seconds} s\nstdout: ${out}\nstderr: ${err}")
endfunction()

run("${FOLDER}/never")
set(never "${out}")
if(NOT result EQUAL 0 OR NOT never MATCHES "^steps 24 ")
  fail("the run that nobody kills")
endif()

# how, whose, when, what is said, and from which step the next run goes on
foreach(case IN ITEMS "step 1 10|signal 9|9" "step 0 2|signal 9|0" "save 0 3|signal 9|6" "save 2 2|signal 9|3" "save 1 1|signal 9|0"
        "throw 1 7|limbeck: rank 1 of 3: the machine is gone|6"
        "hook 1 5|rank 1 of 3 ends all: somebody pulled a cable|3" "outside 2 0|rank 2 of 3 ends all: somebody pulled a cable|0")
  string(REPLACE "|" ";" case "${case}")
  list(GET case 0 arguments)
  list(GET case 1 said)
  list(GET case 2 from)
  string(REPLACE " " "_" name "${arguments}")
  string(REPLACE " " ";" arguments "${arguments}")
  run("${FOLDER}/${name}" ${arguments})
  if(result EQUAL 0 OR seconds GREATER 20 OR NOT "${out}${err}" MATCHES "${said}")
    fail("${name}: expected an end within seconds, and '${said}'")
  endif()
  message(STATUS "${name}: over within ${seconds} s")
  run("${FOLDER}/${name}")
  if(NOT result EQUAL 0 OR NOT out STREQUAL never OR NOT err MATCHES "from step ${from}\n")
    fail("${name}: expected, from step ${from}, what nobody killed:\n${never}")
  endif()
endforeach()
