# SPDX-License-Identifier: Apache-2.0
#
# Two targets over all folders, read after the last add_subdirectory():
#
#   product      what a user runs: every executable of build/bin and every library of build/lib
#   unit_tests   the test programs beside the code, for builds with a sanitizer

# Every target of a folder and of those below it.
function(_hami_targets_below folder result)
  get_property(found DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
  get_property(children DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
  foreach(child ${children})
    _hami_targets_below(${child} below)
    list(APPEND found ${below})
  endforeach()
  set(${result} ${found} PARENT_SCOPE)
endfunction()

add_custom_target(product)
_hami_targets_below(${PROJECT_SOURCE_DIR} _targets)
foreach(_target ${_targets})
  get_target_property(_type ${_target} TYPE)
  set(_folder "")
  if(_type STREQUAL "EXECUTABLE")
    get_target_property(_folder ${_target} RUNTIME_OUTPUT_DIRECTORY)
  elseif(_type MATCHES "^(SHARED|MODULE)_LIBRARY$")
    get_target_property(_folder ${_target} LIBRARY_OUTPUT_DIRECTORY)
  endif()
  if(_folder MATCHES "^${PROJECT_BINARY_DIR}/(bin|lib)(/|$)" AND NOT _folder MATCHES "/bin/bench$")
    add_dependencies(product ${_target})
  endif()
endforeach()

add_custom_target(unit_tests)
get_property(_unit_tests GLOBAL PROPERTY HAMI_UNIT_TESTS)
if(_unit_tests)
  add_dependencies(unit_tests ${_unit_tests})
endif()
