# SPDX-License-Identifier: Apache-2.0
#
# Writes build/generated/version_values.h at every build, and touches it only when something in it
# changed, so that a new commit rebuilds one file. Run as a script (-P) it does the writing.

if(CMAKE_SCRIPT_MODE_FILE)
  cmake_policy(VERSION 3.25)
  execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND git -C ${SOURCE} status --porcelain --untracked-files=no
    OUTPUT_VARIABLE dirty OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT commit)
    set(commit unknown)
  endif()
  if(dirty)
    string(APPEND commit "-dirty")
  endif()
  file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT
"// Written by cmake/HamiVersion.cmake at build time.
#pragma once
#define HAMI_VERSION \"@VERSION@\"
#define HAMI_COMMIT \"@commit@\"
#define HAMI_BUILD \"@BUILD@\"
")
  return()
endif()

set(HAMI_GENERATED ${PROJECT_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${HAMI_GENERATED})
set(_build "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_BUILD_TYPE}")
if(HAMI_SANITIZER)
  string(APPEND _build " ${HAMI_SANITIZER}")
endif()
set(_write_version ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DVERSION=${PROJECT_VERSION}
  "-DBUILD=${_build}" -DOUTPUT=${HAMI_GENERATED}/version_values.h
  -P ${PROJECT_SOURCE_DIR}/cmake/HamiVersion.cmake)
execute_process(COMMAND ${_write_version})
add_custom_target(hami_version_values COMMAND ${_write_version}
  BYPRODUCTS ${HAMI_GENERATED}/version_values.h)
include_directories(${HAMI_GENERATED})
