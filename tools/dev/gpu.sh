# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# gpu: run the conformance suite and the GPU tests on this machine's real GPU
#
# Usage: ./dev gpu [-k PATTERN]
#
#   -k PATTERN    only cases whose name matches
#
# Without a GPU of the vendor's driver it says "not run" and exits with 0. A simulated driver in the
# environment does not count: this verb is about what the simulation cannot show.

# Prints what is there, or returns 1.
_real_gpu() {
  [ -e /dev/nvidiactl ] || [ -e /dev/dxg ] || return 1
  ldconfig -p | grep -q 'libcuda\.so\.1' || return 1
  if command -v nvidia-smi >/dev/null; then
    nvidia-smi -L
  else
    say "a driver without nvidia-smi: $(sed -n 1p /proc/driver/nvidia/version 2>/dev/null)"
  fi
}

verb_gpu() {
  local pattern=() folders gpus code=0
  if [ "${1:-}" = -k ]; then
    pattern=(-k "${2:?-k needs a pattern}")
    shift 2
  fi
  [ $# -eq 0 ] || die "gpu: no option '$1'" 2
  # What a shell with `hami sim env` would put in front of the real driver.
  unset LD_LIBRARY_PATH HAMI_SIM
  if ! gpus=$(_real_gpu); then
    say "gpu: not run: no NVIDIA GPU and driver here (no /dev/nvidiactl with libcuda.so.1)"
    return 0
  fi
  say "$gpus"
  mapfile -t folders < <(ls -d tests/conformance tests/gpu 2>/dev/null)
  if ((${#folders[@]} == 0)); then
    say "gpu: not run: this version has neither tests/conformance nor tests/gpu"
    return 0
  fi
  setup_group test
  build_preset dev
  HAMI_REAL_GPU=1 "$HAMI_VENV/bin/pytest" -v -rs "${pattern[@]}" \
    "${folders[@]}" || code=$?
  return "$code"
}
