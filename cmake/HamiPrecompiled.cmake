# SPDX-License-Identifier: Apache-2.0
#
# Headers that are read once for many sources; a third of a compilation went into these. Whether a
# source includes what it uses is for tools/check_includes.py to say, and for a cross compilation,
# which precompiles nothing.
#
# With them g++ 12 warns of `std::string(kA) + kB`, of two constants, as of a write beyond the end,
# which it is not; of fmt::format it does not.
#
# hami_precompile_test(NAME SOURCE...)   a unit test: reading GoogleTest is half of its compilation
# hami_precompile_module(NAME)           a module of src/

set(HAMI_STANDARD_HEADERS
  <algorithm> <atomic> <chrono> <functional> <map> <memory> <mutex> <optional> <string>
  <string_view> <system_error> <thread> <unordered_map> <utility> <vector> <fmt/format.h>)

# A precompiled header fits one set of flags. This target makes the one that others then use.
function(_hami_precompiled name headers libraries options)
  set(source ${PROJECT_BINARY_DIR}/generated/${name}.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "// Nothing: the headers are what this is for.\n")
  add_library(${name} OBJECT ${source})
  target_link_libraries(${name} PRIVATE ${libraries})
  target_compile_options(${name} PRIVATE ${options})
  target_precompile_headers(${name} PRIVATE ${headers})
endfunction()

# fmt's own flags belong to those of its header, also where the target does not use it.
function(_hami_reuse name headers)
  target_precompile_headers(${name} REUSE_FROM ${headers})
  target_compile_definitions(${name} PRIVATE
    $<TARGET_PROPERTY:fmt::fmt,INTERFACE_COMPILE_DEFINITIONS>)
endfunction()

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # ccache looks at contents: a time inside would differ from one build to the next. Their folder is
  # inside, too, and has to be there, so a clone elsewhere makes its own (g++'s name no place).
  set(_no_time "SHELL:-Xclang -fno-pch-timestamp")
endif()
if(NOT CMAKE_CROSSCOMPILING)
  _hami_precompiled(hami_test_headers
    "${HAMI_STANDARD_HEADERS};<gtest/gtest.h>;<gmock/gmock.h>" "fmt::fmt;GTest::gmock_main"
    "${_no_time};${HAMI_TEST_OPTIONS};-fPIE")
  # As code of a program, not of a library.
  set_target_properties(hami_test_headers PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  _hami_precompiled(hami_module_headers "${HAMI_STANDARD_HEADERS}" fmt::fmt "${_no_time}")
endif()

function(hami_precompile_test name)
  _hami_reuse(${name} hami_test_headers)
  foreach(source ${ARGN})
    if(NOT source MATCHES "_test\\.cc$")
      set_source_files_properties(${source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
endfunction()

function(hami_precompile_module name)
  if(TARGET hami_module_headers AND CMAKE_CURRENT_SOURCE_DIR MATCHES "^${PROJECT_SOURCE_DIR}/src/")
    _hami_reuse(${name} hami_module_headers)
  endif()
endfunction()
