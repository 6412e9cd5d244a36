# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# demo: two tenants share one GPU, each within its limits (simulated where there is no GPU)
#
# Usage: ./dev demo [--json FILE] [OPTION ...]
#
# Builds what it needs, then runs tools/demo/run.py, which gets all options. --json writes the
# printed table as records (name, value, unit, baseline, conditions). Says whether the GPU was
# simulated.

verb_demo() {
  local arguments=()
  while (($#)); do
    if [ "$1" = --json ]; then
      [ $# -ge 2 ] || die "demo: --json needs a file" 2
      arguments+=(--json "$(caller_path "$2")")
      shift 2
    else
      arguments+=("$1")
      shift
    fi
  done
  [ -f tools/demo/run.py ] || die "tools/demo/run.py does not exist in this version"
  setup_group build
  build_preset dev product
  exec "$HAMI_PYTHON" tools/demo/run.py --build build "${arguments[@]}"
}
