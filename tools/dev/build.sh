# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# build: configure and build a preset; executables in build/bin, libraries in build/lib
#
# Usage: ./dev build [PRESET] [TARGET ...]
#
#   PRESET    dev (default), asan, tsan, aarch64: CMakePresets.json; each has a folder of its own
#   TARGET    as in CMake; default: everything

verb_build() {
  local preset=dev
  if [[ -n ${1:-} && " $(preset_names | tr '\n' ' ') " == *" $1 "* ]]; then
    preset=$1
    shift
  fi
  if [ "$preset" = asan ]; then
    setup_group tools
  else
    setup_group build
  fi
  build_preset "$preset" "$@"
}
