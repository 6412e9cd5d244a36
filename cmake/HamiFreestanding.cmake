# SPDX-License-Identifier: Apache-2.0
#
# Everything that is mounted into tenants: C++20 as a language, without the C++ runtime
# (docs/adr/0001). It needs nothing but libc and, on x86-64, no symbol version above GLIBC_2.17;
# tools/check_abi_floor proves it for every target registered here.
#
# hami_freestanding_module(NAME SOURCES ... [DEPS ...])
#   An object library hami_NAME compiled with the freestanding flags, for an injected library, and a
#   static library hami_NAME_hosted of the same sources (with the sanitizer of the preset), for
#   tests and host programs.
# hami_injected_library(NAME OUTPUT libfoo.so[.N] MODULES ... MAP file [SYMBOLIC] [SOURCES ...])
# hami_injected_executable(NAME OUTPUT foo MODULES ...)
# hami_static_executable(NAME OUTPUT foo MODULES ...)
#   Likewise, but nothing is loaded beside it: for what runs with privileges where a tenant may have
#   chosen the environment. check_abi_floor proves that it is static.

set(HAMI_FREESTANDING_FLAGS
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions;-fno-rtti;-fno-threadsafe-statics>
  -fvisibility=hidden -fno-stack-protector -fno-asynchronous-unwind-tables
  -U_FORTIFY_SOURCE -ftls-model=initial-exec)
set_property(GLOBAL PROPERTY HAMI_INJECTED "")

function(hami_freestanding_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(hami_${name} OBJECT ${ARG_SOURCES})
  target_compile_options(hami_${name} PRIVATE ${HAMI_FREESTANDING_FLAGS})
  if(HAMI_SANITIZER_FLAGS)
    target_compile_options(hami_${name} PRIVATE -fno-sanitize=all)
  endif()
  add_library(hami_${name}_hosted STATIC ${ARG_SOURCES})
  foreach(dep ${ARG_DEPS})
    target_link_libraries(hami_${name} PUBLIC ${dep})
    if(TARGET ${dep}_hosted)
      target_link_libraries(hami_${name}_hosted PUBLIC ${dep}_hosted)
    else()
      target_link_libraries(hami_${name}_hosted PUBLIC ${dep})
    endif()
  endforeach()
endfunction()

function(_hami_injected target)
  # The C front end links: no libstdc++, no libgcc_s; its default libraries are libc and libgcc.a.
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
  target_link_options(${target} PRIVATE
    -fno-sanitize=all -static-libgcc
    -Wl,-z,defs -Wl,-z,now -Wl,-z,relro -Wl,--as-needed -Wl,--build-id=sha1)
  set_property(GLOBAL APPEND PROPERTY HAMI_INJECTED ${target})
endfunction()

function(hami_injected_library name)
  cmake_parse_arguments(ARG "SYMBOLIC" "OUTPUT;MAP;SONAME;DIRECTORY" "MODULES;SOURCES;LIBS" ${ARGN})
  set(objects "")
  foreach(module ${ARG_MODULES})
    list(APPEND objects $<TARGET_OBJECTS:${module}>)
  endforeach()
  add_library(${name} SHARED ${ARG_SOURCES} ${objects})
  target_compile_options(${name} PRIVATE ${HAMI_FREESTANDING_FLAGS} -fno-sanitize=all)
  set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX "" OUTPUT_NAME ${ARG_OUTPUT}
    NO_SONAME ON LINK_DEPENDS "${ARG_MAP}")
  if(ARG_DIRECTORY)
    set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${ARG_DIRECTORY})
  endif()
  _hami_injected(${name})
  target_link_options(${name} PRIVATE -nostartfiles -Wl,-z,nodelete)
  if(ARG_SONAME)
    target_link_options(${name} PRIVATE -Wl,-soname,${ARG_SONAME})
  endif()
  if(ARG_MAP)
    target_link_options(${name} PRIVATE -Wl,--version-script=${ARG_MAP})
  endif()
  if(ARG_SYMBOLIC)
    target_link_options(${name} PRIVATE -Wl,-Bsymbolic)
  endif()
  target_link_libraries(${name} PRIVATE ${ARG_LIBS})
endfunction()

function(hami_injected_executable name)
  cmake_parse_arguments(ARG "" "OUTPUT" "MODULES;SOURCES" ${ARGN})
  set(objects "")
  foreach(module ${ARG_MODULES})
    list(APPEND objects $<TARGET_OBJECTS:${module}>)
  endforeach()
  add_executable(${name} ${ARG_SOURCES} ${objects})
  target_compile_options(${name} PRIVATE ${HAMI_FREESTANDING_FLAGS} -fno-sanitize=all)
  set_target_properties(${name} PROPERTIES OUTPUT_NAME ${ARG_OUTPUT})
  _hami_injected(${name})
endfunction()

function(hami_static_executable name)
  hami_injected_executable(${name} ${ARGN})
  target_link_options(${name} PRIVATE -static-pie)
  set_target_properties(${name} PROPERTIES HAMI_STATIC ON)
endfunction()
