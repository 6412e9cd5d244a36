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
# about half a minute each.

# shellcheck source=tools/dev/cluster.sh
. tools/dev/cluster.sh

# "NAME PROGRAM [ARGUMENT ...]" of each, tab-separated.
_soak_tests() {
  ctest --test-dir build -L '^soak$' -R "$1" --show-only=json-v1 | "$HAMI_PYTHON" -c '
import json, sys
for test in json.load(sys.stdin)["tests"]:
  print(test["name"], *test["command"], sep="\t")'
}

verb_soak() {
  local seconds=600 pattern=. pytest_pattern=() failed=() name command tests files code
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
  code=0
  run_step soak-pytest "soak pytest" \
    "$HAMI_VENV/bin/pytest" -v -n 2 -m soak "${pytest_pattern[@]}" "${files[@]}" || code=$?
  # 5: pytest found no such case.
  ((code == 0 || code == 5)) || failed+=("pytest")
  ((${#tests[@]} > 0 || code != 5)) || die "no soak test matches '$pattern'"
  ((${#failed[@]} == 0)) || die "failed: ${failed[*]}"
}
