# SPDX-License-Identifier: Apache-2.0
#
# hami_module(NAME SOURCES ... [DEPS ...] [PRIVATE_DEPS ...])
#   A static library hami_NAME: one folder of src/. DEPS are modules or packages that its headers
#   show, PRIVATE_DEPS those that only its .cc files use. tools/check_layers holds both to the
# table.
# hami_executable(NAME SOURCES ... DEPS ...)      build/bin/NAME
# hami_test(NAME SOURCES ... [DEPS ...] [LABELS ...] [ONE_THREAD])   a GoogleTest program, run by
#   ctest. ./dev test counts its cases. Labels without being named: unit (under src), component
#   (under tests), soak (a source reads HAMI_SOAK_SECONDS; ./dev soak runs it). ONE_THREAD: neither
#   it nor what it tests starts a thread, so the build with the thread sanitizer is without it.
# hami_bench(NAME SOURCES ... [DEPS ...])         a benchmark program, build/bin/bench/NAME

# Found here, so that every folder can link what a module shows.
if(NOT CMAKE_CROSSCOMPILING)
  find_package(GTest REQUIRED)
  find_package(tl-expected REQUIRED)
  find_package(fmt REQUIRED)
  find_package(spdlog REQUIRED)
  find_package(nlohmann_json REQUIRED)
  find_package(CLI11 REQUIRED)
endif()

# A unit test's own code is compiled once and runs for a moment.
set(HAMI_TEST_OPTIONS -O0)
if(HAMI_SANITIZER STREQUAL "address")
  list(APPEND HAMI_TEST_OPTIONS -fno-sanitize=undefined,fuzzer-no-link)
endif()
include(HamiPrecompiled)

function(hami_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(ARG_SOURCES)
    add_library(hami_${name} STATIC ${ARG_SOURCES})
    target_link_libraries(hami_${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
    hami_precompile_module(hami_${name})
  else()
    add_library(hami_${name} INTERFACE)
    target_link_libraries(hami_${name} INTERFACE ${ARG_DEPS})
  endif()
endfunction()

function(hami_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  set_property(GLOBAL APPEND PROPERTY HAMI_EXECUTABLES ${name})
endfunction()

function(hami_test name)
  cmake_parse_arguments(ARG "ONE_THREAD" "" "SOURCES;DEPS;LABELS" ${ARGN})
  if(CMAKE_CROSSCOMPILING OR (ARG_ONE_THREAD AND HAMI_SANITIZER STREQUAL "thread"))
    # A name, for what follows; never built.
    add_executable(${name} EXCLUDE_FROM_ALL ${ARG_SOURCES})
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock_main)
  if(CMAKE_CURRENT_SOURCE_DIR MATCHES "^${PROJECT_SOURCE_DIR}/tests/")
    list(APPEND ARG_LABELS component)
  else()
    target_compile_options(${name} PRIVATE ${HAMI_TEST_OPTIONS})
    hami_precompile_test(${name} ${ARG_SOURCES})
    list(APPEND ARG_LABELS unit)
    set_property(GLOBAL APPEND PROPERTY HAMI_UNIT_TESTS ${name})
  endif()
  foreach(source ${ARG_SOURCES})
    file(STRINGS ${source} soak REGEX HAMI_SOAK_SECONDS LIMIT_COUNT 1)
    if(soak)
      list(APPEND ARG_LABELS soak)
    endif()
  endforeach()
  list(REMOVE_DUPLICATES ARG_LABELS)
  if(ARG_ONE_THREAD)
    set_property(GLOBAL APPEND PROPERTY HAMI_ONE_THREAD_TESTS ${name})
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 LABELS "${ARG_LABELS}" TIMEOUT 600)
  if(HAMI_SANITIZER STREQUAL "thread")
    set_tests_properties(${name} PROPERTIES ENVIRONMENT
      "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/cmake/thread_sanitizer.txt")
  endif()
endfunction()

function(hami_bench name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin/bench)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
endfunction()
