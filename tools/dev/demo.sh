# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# demo: two tenants share one GPU, each within its limits (simulated where there is no GPU)
#
# Usage: ./dev demo [--json FILE] [OPTION ...]
#        ./dev demo cluster [--version V] [--keep] [OPTION ...]
#
# Builds what it needs, then runs tools/demo/run.py, which gets all options. --json writes the
# printed table as records (name, value, unit, baseline, conditions). Says whether the GPU was
# simulated.
#
# `cluster` walks the published DRA guide on a real Kubernetes with a simulated GPU (needs root; the
# first time it builds Kubernetes, 7 minutes on 2 cores): tools/demo/cluster.py, which gets all
# options.

_demo_cluster() {
  ((EUID == 0)) || die "demo cluster: needs root: it makes namespaces, mounts and cgroups"
  local version=1.36 i
  for ((i = 1; i <= $#; i++)); do
    case ${!i} in
      --version) version=${*:i+1:1} ;;
      --version=*) version=${!i#*=} ;;
    esac
  done
  # shellcheck source=tools/dev/cluster.sh
  . tools/dev/cluster.sh
  setup_group cluster
  build_cluster_programs --version "$version"
  build_preset dev product tenant
  "$HAMI_PYTHON" tools/cluster/image.py --no-import
  exec "$HAMI_PYTHON" tools/demo/cluster.py "$@"
}

verb_demo() {
  if [ "${1:-}" = cluster ]; then
    _demo_cluster "${@:2}"
  fi
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
