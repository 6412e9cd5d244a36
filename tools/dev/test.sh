# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# test: run all tests; the last line is "N passed, N failed, N skipped"
#
# Usage: ./dev test [--fast | --only KIND] [-k PATTERN]
#
#   --fast        what the dev build can run: no second compiler, no sanitizers, no clusters
#   --only KIND   one of: unit component checks pytest clang asan tsan fuzz cluster
#   -k PATTERN    only test programs and checks whose name matches this regular expression (pytest:
#                 cases whose name contains it)
#
# `cluster` is tests/cluster on a real Kubernetes of each version that ./dev cluster knows, or of
# those in HAMI_CLUSTER_VERSIONS; it needs root. HAMI_KEEP_CLUSTER leaves the clusters for the next
# run.
#
# `fuzz` runs each fuzz target for a few seconds; ./dev fuzz runs them for longer.
#
# Cases are counted one by one (GoogleTest, pytest); a check or a build counts as one. Exit code 1
# if one failed. Reports are left in .cache/test, logs in .cache/log.

HAMI_REPORTS=.cache/test
# shellcheck source=tools/dev/cluster.sh
. tools/dev/cluster.sh
# shellcheck source=tools/dev/fuzz.sh
. tools/dev/fuzz.sh
HAMI_FUZZ_SECONDS=5

# Runs the ctest tests of a preset with some labels, and leaves their reports for the count.
_ctest_step() {  # _ctest_step KIND PRESET LABELS PATTERN
  local kind=$1 folder report=$PWD/$HAMI_REPORTS/$1
  folder=$(build_folder "$2")
  mkdir -p "$report/cases"
  # One file per program, in a folder of its own.
  HAMI_QUIET_FAILURE=1 GTEST_OUTPUT="xml:$report/cases/" run_step "test-$kind" "test $kind" \
    ctest --test-dir "$folder" -j "$(job_count)" --output-on-failure --no-tests=ignore \
    --output-junit "$report/programs.xml" -L "^($3)$" -R "$4" || true
  # The count says what failed; a run that left no report has failed itself.
  [ -f "$report/programs.xml" ] || : >"$report/no-report"
}

_build_case() {  # _build_case PRESET TARGET...: a build that counts as one case
  local code=0
  mkdir -p "$HAMI_REPORTS/builds"
  build_preset "$@" || code=$?
  echo "$code" >"$HAMI_REPORTS/builds/$1"
  return "$code"
}

_pytest_step() {  # _pytest_step PATTERN
  local folders report=$HAMI_REPORTS/pytest pattern=()
  mapfile -t folders < <(git ls-files --cached --others --exclude-standard 'tests/*test_*.py' |
    grep -v -e '^tests/gpu/' -e '^tests/cluster/')
  ((${#folders[@]})) || return 0
  mkdir -p "$report"
  [ "$1" = . ] || pattern=(-k "$1")
  HAMI_QUIET_FAILURE=1 run_step test-pytest "test pytest" \
    "$HAMI_VENV/bin/pytest" -n "$(job_count)" -m "not soak" -rs \
    -o junit_family=xunit1 --junit-xml "$report/pytest.xml" "${pattern[@]}" \
    "${folders[@]}" || true
  [ -f "$report/pytest.xml" ] || : >"$report/no-report"
}

# Begins with the inputs of the repository, those that failed once among them.
_fuzz_step() {  # _fuzz_step PATTERN
  local target targets code
  mapfile -t targets < <(_fuzz_targets | grep -E -- "$1")
  ((${#targets[@]})) || return 0
  _build_case fuzz "${targets[@]}" || return 0
  mkdir -p "$HAMI_REPORTS/fuzz"
  for target in "${targets[@]}"; do
    code=0
    HAMI_QUIET_FAILURE=1 run_step "fuzz-$target" "test fuzz $target" \
      _fuzz_one "$target" "-max_total_time=$HAMI_FUZZ_SECONDS" || code=$?
    echo "$code" >"$HAMI_REPORTS/fuzz/$target"
  done
}

# One version after the other: each has the machine for itself.
_cluster_step() {  # _cluster_step PATTERN
  local version versions report pattern=() marks code
  read -r -a versions <<<"${HAMI_CLUSTER_VERSIONS:-1.36 1.35 1.34}"
  [ "$1" = . ] || pattern=(-k "$1")
  for version in "${versions[@]}"; do
    code=0
    build_cluster_programs --version "$version" || code=$?
    mkdir -p "$HAMI_REPORTS/builds"
    echo "$code" >"$HAMI_REPORTS/builds/cluster-$version"
    ((code == 0)) || continue
    marks="not soak"
    [ "$version" = 1.36 ] || marks+=" and not newest_only"
    report=$HAMI_REPORTS/cluster-$version
    mkdir -p "$report"
    HAMI_CLUSTER_VERSION=$version HAMI_QUIET_FAILURE=1 \
      run_step "test-cluster-$version" "test cluster $version" \
      "$HAMI_VENV/bin/pytest" -v -m "$marks" -rs -p no:xdist \
      -o junit_family=xunit1 --junit-xml "$report/pytest.xml" "${pattern[@]}" tests/cluster ||
      true
    [ -f "$report/pytest.xml" ] || : >"$report/no-report"
  done
}

verb_test() {
  local kinds=(clang unit checks component pytest asan tsan fuzz cluster) only=. kind labels=()
  while (($#)); do
    case $1 in
      --fast) kinds=(unit checks component pytest) ;;
      --only)
        [[ " ${kinds[*]} " == *" ${2:-} "* ]] || die "test: --only wants one of: ${kinds[*]}" 2
        kinds=("$2")
        shift
        ;;
      -k) only=${2:?-k needs a pattern} && shift ;;
      *) die "test: no option '$1'" 2 ;;
    esac
    shift
  done
  setup_group test
  [[ " ${kinds[*]} " != *" cluster "* ]] || setup_group cluster
  rm -rf "$HAMI_REPORTS"
  mkdir -p "$HAMI_REPORTS"
  # A test that meets a real driver or the caller's simulation would depend on the machine.
  unset LD_LIBRARY_PATH LD_PRELOAD HAMI_SIM

  for kind in "${kinds[@]}"; do
    case $kind in
      unit | checks | component) labels+=("$kind") ;;
    esac
  done
  if ((${#labels[@]})) || [[ " ${kinds[*]} " =~ " pytest "|" cluster " ]]; then
    # A test whose program was not built has failed; the others still say something.
    _build_case dev || true
    if [ -f build/build.ninja ]; then
      ((${#labels[@]} == 0)) || _ctest_step dev dev "$(IFS='|' && echo "${labels[*]}")" "$only"
      [[ " ${kinds[*]} " != *" pytest "* ]] || _pytest_step "$only"
    fi
  fi
  if [[ " ${kinds[*]} " == *" clang "* ]]; then
    _build_case clang || true
  fi
  for kind in asan tsan; do
    if [[ " ${kinds[*]} " == *" $kind "* ]]; then
      _build_case "$kind" unit_tests || true
      _ctest_step "$kind" "$kind" unit "$only"
    fi
  done
  if [[ " ${kinds[*]} " == *" fuzz "* ]]; then
    _fuzz_step "$only"
  fi
  if [[ " ${kinds[*]} " == *" cluster "* ]]; then
    _cluster_step "$only"
  fi
  exec "$HAMI_PYTHON" tools/dev/count_tests.py "$HAMI_REPORTS"
}
