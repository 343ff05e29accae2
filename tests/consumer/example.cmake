# Runs PROGRAM in SOURCE and compares what it prints with the file EXPECTED.
set(ENV{PJRT_PLUGIN_PATH} ${SOURCE}/.plugins)
execute_process(COMMAND ${PROGRAM} WORKING_DIRECTORY ${SOURCE} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE error)
file(READ ${EXPECTED} expected)
if(NOT status EQUAL 0 OR NOT output STREQUAL expected)
  message(FATAL_ERROR "${PROGRAM}: ${status}\n${error}\nit prints\n${output}\nand should print\n${expected}")
endif()
