# SPDX-License-Identifier: Apache-2.0
#
# Flags that every target has. Warnings are errors with both pinned compilers (g++ 12, clang 19).

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/archive)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

add_compile_options(
  -Wall -Wextra -Werror
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
  -Wshadow -Wvla -Wcast-qual -Wimplicit-fallthrough
  -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # GNU attributes and designated initialisers mixed with C++ are deliberate.
  add_compile_options(-Wno-c99-designator -Wno-missing-field-initializers)
  add_link_options(-fuse-ld=lld)
else()
  add_compile_options(-Wno-missing-field-initializers)
endif()

# Set by the presets: "address" (clang: with undefined, and coverage for the fuzz targets; one build
# for the second compiler's warnings, the unit tests and the fuzz targets), "thread", or empty.
set(HAMI_SANITIZER "" CACHE STRING "address, thread or empty")
if(HAMI_SANITIZER STREQUAL "address")
  set(HAMI_SANITIZER_FLAGS -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all)
  # As g++ does.
  add_compile_definitions(__SANITIZE_ADDRESS__=1)
elseif(HAMI_SANITIZER STREQUAL "thread")
  set(HAMI_SANITIZER_FLAGS -fsanitize=thread)
endif()
# What a build with a sanitizer compiles for the second compiler's warnings and never runs.
set(HAMI_NOT_RUN_OPTIONS)
if(HAMI_SANITIZER)
  set(HAMI_NOT_RUN_OPTIONS -fno-sanitize=all)
endif()
# Half of a sanitizer's build is its optimiser, which shows no error more.
if(HAMI_SANITIZER)
  set(HAMI_OPTIMISATION -O1)
else()
  set(HAMI_OPTIMISATION -O2)
endif()
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "${HAMI_OPTIMISATION} -g1")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "${HAMI_OPTIMISATION} -g1")
add_compile_options(${HAMI_SANITIZER_FLAGS})
if(HAMI_SANITIZER STREQUAL "thread")
  # g++ 12 warns of what its own instrumentation seems to do; the other builds judge.
  add_compile_options(-Wno-error)
endif()
add_link_options(${HAMI_SANITIZER_FLAGS})

include_directories(${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
