# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# bench: list the benchmarks, or run one and print its table
#
# Usage: ./dev bench                                lists them
#        ./dev bench NAME [--cluster] [--json FILE] [OPTION ...]
#
# Runs build/bin/bench/NAME, or bench/NAME/NAME.py on a real Kubernetes (needs root), which gets all
# options; some have both, and --cluster takes bench/NAME/NAME_cluster.py on a real Kubernetes.
# --json writes the printed table as records (name, value, unit, baseline, conditions). Figures
# depend on the machine: compare within one run.

# Name and first sentence of each; the names are those that CMake builds.
_bench_names() {
  {
    find bench -name CMakeLists.txt -exec sed -n 's/^ *hami_bench(\([a-z0-9_]*\).*/\1/p' {} +
    for folder in bench/*/; do
      name=$(basename "$folder")
      [ ! -f "$folder$name.py" ] || echo "$name"
    done
  } | sort -u
}

_bench_on_cluster() {  # _bench_on_cluster PROGRAM ARGUMENT...
  ((EUID == 0)) || die "$1 needs root: it makes namespaces, mounts and cgroups"
  # shellcheck source=tools/dev/cluster.sh
  . tools/dev/cluster.sh
  setup_group test
  setup_group cluster
  build_cluster_programs
  build_preset dev
  "$HAMI_PYTHON" tools/cluster/image.py --no-import
  exec "$HAMI_VENV/bin/python" "$@"
}

verb_bench() {
  local name=${1:-} arguments=()
  if [ -z "$name" ]; then
    say "Benchmarks (./dev bench NAME):"
    _bench_names | sed 's/^/  /'
    return
  fi
  shift
  _bench_names | grep -qx -- "$name" ||
    die "no benchmark '$name'; there are: $(_bench_names | xargs)" 2
  while (($#)); do
    if [ "$1" = --json ]; then
      [ $# -ge 2 ] || die "bench: --json needs a file" 2
      arguments+=(--json "$(caller_path "$2")")
      shift 2
    else
      arguments+=("$1")
      shift
    fi
  done
  [ ! -f "bench/$name/$name.py" ] || _bench_on_cluster "bench/$name/$name.py" "${arguments[@]}"
  if [[ " ${arguments[*]} " == *" --cluster "* ]]; then
    [ -f "bench/$name/${name}_cluster.py" ] || die "bench $name: knows no --cluster" 2
    _bench_on_cluster "bench/$name/${name}_cluster.py" "${arguments[@]}"
  fi
  setup_group build
  build_preset dev "$name" product
  exec "build/bin/bench/$name" "${arguments[@]}"
}
