# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# soak: run the long variants of the property and death tests
#
# Usage: ./dev soak [--seconds N] [-k PATTERN]
#
#   --seconds N    given to the tests as HAMI_SOAK_SECONDS; default 600. Tests that count instead of
#                  looking at the clock run their long count once.
#   -k PATTERN     only tests whose name matches this regular expression
#
# Which tests: every program with the ctest label `soak` (its source reads HAMI_SOAK_SECONDS), and
# every pytest case with the mark `soak`; those in tests/cluster make a cluster, and need root. The
# weather there is each kind with each seed of HAMI_WEATHER_SEEDS (default "0 1 ... 19"), 13 kinds,
# about half a minute each. Of Kubernetes 1.35, which ./dev test leaves out, what depends on the
# version.

# shellcheck source=tools/dev/cluster.sh
. tools/dev/cluster.sh

# "NAME PROGRAM [ARGUMENT ...]" of each, tab-separated.
_soak_tests() {
  ctest --test-dir build -L '^soak$' -R "$1" --show-only=json-v1 | "$HAMI_PYTHON" -c '
import json, sys
for test in json.load(sys.stdin)["tests"]:
  print(test["name"], *test["command"], sep="\t")'
}

_soak_pytest() {  # _soak_pytest NAME ARGUMENT...: adds to the caller's `failed`, sets its `found`
  local name=$1 code=0
  shift
  run_step "soak-$name" "soak $name" \
    "$HAMI_VENV/bin/pytest" -v -n 2 "${pytest_pattern[@]}" "$@" || code=$?
  ((code == 5)) && return  # no such case
  found=1
  ((code == 0)) || failed+=("$name")
}

verb_soak() {
  local seconds=600 pattern=. pytest_pattern=() failed=() found=0 name command tests files
  while (($#)); do
    case $1 in
      --seconds) seconds=${2:?--seconds needs a number} && shift ;;
      -k)
        pattern=${2:?-k needs a pattern}
        pytest_pattern=(-k "${pattern//|/ or }")
        shift
        ;;
      *) die "soak: no option '$1'" 2 ;;
    esac
    shift
  done
  [[ $seconds =~ ^[1-9][0-9]*$ ]] || die "soak: --seconds wants a whole number above 0" 2
  setup_group test
  build_preset dev
  if ((EUID == 0)); then
    setup_group cluster
    build_cluster_programs
  fi
  export HAMI_SOAK_SECONDS=$seconds
  mapfile -t tests < <(_soak_tests "$pattern")
  for name in "${tests[@]}"; do
    IFS=$'\t' read -r -a command <<<"$name"
    name=${command[0]}
    run_step "soak-$name" "soak $name" "${command[@]:1}" || failed+=("$name")
  done
  # By name: collected together, files of different folders take each other's helpers.
  mapfile -t files < <(git grep -l 'mark\.soak' -- 'tests/*test_*.py')
  _soak_pytest pytest -m soak "${files[@]}"
  if ((EUID == 0)); then
    HAMI_CLUSTER_VERSION=1.35 \
      _soak_pytest cluster-1.35 -m "not soak and not newest_only" tests/cluster
  fi
  ((${#tests[@]} > 0 || found)) || die "no soak test matches '$pattern'"
  ((${#failed[@]} == 0)) || die "failed: ${failed[*]}"
}
