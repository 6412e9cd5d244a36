# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# test: run all tests; the last line is "N passed, N failed, N skipped"
#
# Usage: ./dev test [--fast | --only KIND] [-k PATTERN]
#
#   --fast        what the dev build can run: no second compiler, no sanitizers, no clusters
#   --only KIND   one of: unit component checks pytest asan tsan fuzz cluster
#   -k PATTERN    only test programs and checks whose name matches this regular expression (pytest:
#                 cases whose name contains it)
#
# `cluster` is tests/cluster on a real Kubernetes, the newest and the oldest that ./dev cluster
# knows (./dev soak has the one between), or on those in HAMI_CLUSTER_VERSIONS; it needs root.
# HAMI_KEEP_CLUSTER leaves the clusters for the next run.
#
# `asan` builds everything with the second compiler, clang, with warnings as errors, and runs the
# unit tests with the address and undefined-behaviour sanitizers; `tsan` those that have threads.
# `fuzz` runs each fuzz target for a few seconds; ./dev fuzz runs them for longer.
#
# Clusters mostly wait: the other tests run beside them at a lower priority, and what is built for
# those that come later beside both, with what these leave over.
#
# Cases are counted one by one (GoogleTest, pytest); a check or a build counts as one. Exit code 1
# if one failed. Reports are left in .cache/test, logs in .cache/log.

HAMI_REPORTS=.cache/test
# shellcheck source=tools/dev/cluster.sh
. tools/dev/cluster.sh
# shellcheck source=tools/dev/fuzz.sh
. tools/dev/fuzz.sh
HAMI_FUZZ_SECONDS=3

# Runs the ctest tests of a preset with some labels, and leaves their reports for the count.
_ctest_step() {  # _ctest_step KIND PRESET LABELS PATTERN
  local kind=$1 folder report=$PWD/$HAMI_REPORTS/$1
  folder=$(build_folder "$2")
  mkdir -p "$report/cases"
  # One file per program, in a folder of its own.
  HAMI_FAILED_LINES='\*\*\*|^(\[  FAILED  \]|WARNING: ThreadSanitizer|==.*ERROR: )' \
    GTEST_OUTPUT="xml:$report/cases/" run_step "test-$kind" "test $kind" \
    ctest --test-dir "$folder" -j "$(job_count)" --output-on-failure --no-tests=ignore \
    --output-junit "$report/programs.xml" -L "^($3)$" -R "$4" || true
  # The count says what failed; a run that left no report has failed itself.
  [ -f "$report/programs.xml" ] || : >"$report/no-report"
}

_build_case() {  # _build_case NAME COMMAND...: a build that counts as one case
  local name=$1 code=0
  shift
  "$@" || code=$?
  mkdir -p "$HAMI_REPORTS/builds"
  # At once, for who waits for it.
  echo "$code" >"$HAMI_REPORTS/builds/.$name"
  mv "$HAMI_REPORTS/builds/.$name" "$HAMI_REPORTS/builds/$name"
}

# What it takes is left over by who has a higher one: `idle` nearly nothing else, `low` a quarter.
_take_priority() {  # _take_priority idle|low
  local nice=5
  if [ "$1" = idle ]; then
    nice=19
    chrt --idle --pid 0 "$$" || true
  else
    chrt --other --pid 0 "$$" || true
    renice -n 5 -p "$$" >/dev/null || true
  fi
  # Among sessions the kernel divides by this number alone.
  { echo "$nice" >"/proc/$$/autogroup"; } 2>/dev/null || true
}

# One after the other. What fails keeps nothing from being run.
_lane() {  # _lane PATTERN ITEM...
  local only=$1 item
  shift
  for item in "$@"; do
    case $item in
      build-cluster-*)
        _build_case "${item#build-}" build_cluster_programs --version "${item##*-}"
        ;;
      clients) _build_case clients setup_group clients ;;
      build-asan) _build_case asan build_preset asan ;;
      build-tsan) _build_case tsan build_preset tsan unit_tests ;;
      wait-*) _wait_for_build "${item#wait-}" || true ;;
      idle | low) [ -z "${HAMI_NO_PROGRESS:-}" ] || _take_priority "$item" ;;
      pytest) _pytest_step "$only" ;;
      asan | tsan) _ctest_step "$item" "$item" unit "$only" ;;
      fuzz) _fuzz_step "$only" ;;
      *) _ctest_step dev dev "$item" "$only" ;;
    esac
  done
}

_start_lane() {  # _start_lane PATTERN ITEM...: beside what follows
  HAMI_NO_PROGRESS=1 HAMI_BUILDER=${HAMI_LANES[0]-} setsid bash -euo pipefail -c '
    . tools/dev/lib.sh; . tools/dev/setup.sh; . tools/dev/test.sh
    _lane "$@"' lane "$@" </dev/null &
  HAMI_LANES+=("$!")
  HAMI_BUILDER=${HAMI_LANES[0]}  # the lane that builds is the first
  trap 'for lane in "${HAMI_LANES[@]}"; do kill -- "-$lane" 2>/dev/null; done; exit 130' INT TERM
}

_lanes_run() {
  local lane
  for lane in "${HAMI_LANES[@]}"; do
    ! kill -0 "$lane" 2>/dev/null || return 0
  done
  return 1
}

_wait_for_lanes() {
  _lanes_run || return 0
  run_step wait-lanes "wait for the tests beside the clusters" _see_lanes
}

_see_lanes() {
  local newest
  while _lanes_run; do
    newest=$(find "$HAMI_LOGS" -name '*.log' ! -name 'wait-*' -printf '%T@ %p\n' |
      sort -n | tail -n 1)
    tail -qn 1 "${newest#* }" 2>/dev/null || true
    sleep 1
  done
}

_wait_for_build() {  # _wait_for_build NAME: its exit code
  local result=$HAMI_REPORTS/builds/$1
  if [ ! -f "$result" ]; then
    run_step "wait-$1" "wait for the build $1" _see_build "$result" || true
  fi
  # No result: the builds were ended.
  [ -f "$result" ] || echo 1 >"$result"
  return "$(cat "$result")"
}

_see_build() {
  while [ ! -f "$1" ] && kill -0 "$HAMI_BUILDER" 2>/dev/null; do
    tail -qn 1 "$HAMI_LOGS/build-${1##*/}.log" 2>/dev/null || true
    sleep 1
  done
}

_pytest_step() {  # _pytest_step PATTERN
  local folders report=$HAMI_REPORTS/pytest pattern=()
  mapfile -t folders < <(git ls-files --cached --others --exclude-standard 'tests/*test_*.py' |
    grep -v -e '^tests/gpu/' -e '^tests/cluster/')
  ((${#folders[@]})) || return 0
  mkdir -p "$report"
  [ "$1" = . ] || pattern=(-k "$1")
  HAMI_FAILED_LINES='^(FAILED|ERROR) ' run_step test-pytest "test pytest" \
    "$HAMI_VENV/bin/pytest" -n "$(job_count)" -m "not soak" -rsfE \
    -o junit_family=xunit1 --junit-xml "$report/pytest.xml" "${pattern[@]}" \
    "${folders[@]}" || true
  [ -f "$report/pytest.xml" ] || : >"$report/no-report"
}

# Begins with the inputs of the repository, those that failed once among them.
_fuzz_step() (  # _fuzz_step PATTERN
  local targets target code
  mapfile -t targets < <(_fuzz_targets | grep -E -- "$1")
  mkdir -p "$HAMI_REPORTS/fuzz"
  export HAMI_NO_PROGRESS=1
  for target in "${targets[@]}"; do
    while (($(jobs -rp | wc -l) >= $(job_count))); do wait -n || true; done
    {
      code=0
      HAMI_FAILED_LINES='ERROR: |^SUMMARY|Test unit written' \
        run_step "fuzz-$target" "test fuzz $target" \
        _fuzz_one "$target" "-max_total_time=$HAMI_FUZZ_SECONDS" || code=$?
      echo "$code" >"$HAMI_REPORTS/fuzz/$target"
    } &
  done
  wait
)

# One version after the other. Two clusters of it at a time, since tests mostly wait.
_cluster_step() {  # _cluster_step PATTERN
  local version report pattern=() marks
  [ "$1" = . ] || pattern=(-k "$1")
  _wait_for_build clients || true
  for version in "${HAMI_VERSIONS[@]}"; do
    _wait_for_build "cluster-$version" || continue
    marks="not soak"
    [ "$version" = 1.36 ] || marks+=" and not newest_only"
    report=$HAMI_REPORTS/cluster-$version
    mkdir -p "$report"
    HAMI_CLUSTER_VERSION=$version HAMI_FAILED_LINES='^(FAILED|ERROR) ' \
      run_step "test-cluster-$version" "test cluster $version" \
      "$HAMI_VENV/bin/pytest" -v -m "$marks" -rsfE -n 2 \
      -o junit_family=xunit1 --junit-xml "$report/pytest.xml" "${pattern[@]}" tests/cluster ||
      true
    [ -f "$report/pytest.xml" ] || : >"$report/no-report"
  done
}

verb_test() {
  local kinds=(unit checks component pytest cluster asan tsan fuzz) only=.
  local kind version labels=() builds=(idle) tests=()
  HAMI_LANES=()
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
  _has() { [[ " ${kinds[*]} " == *" $1 "* ]]; }
  read -r -a HAMI_VERSIONS <<<"${HAMI_CLUSTER_VERSIONS:-1.36 1.34}"
  setup_group tools
  ! _has cluster || setup_group cluster
  rm -rf "$HAMI_REPORTS"
  mkdir -p "$HAMI_REPORTS"
  # A test that meets a real driver or the caller's simulation would depend on the machine.
  unset LD_LIBRARY_PATH LD_PRELOAD HAMI_SIM

  for kind in unit checks component; do
    ! _has "$kind" || labels+=("$kind")
  done
  ! { _has pytest || _has cluster; } || builds+=(clients)
  if _has cluster; then
    for version in "${HAMI_VERSIONS[@]}"; do builds+=("build-cluster-$version"); done
    # Nothing comes before the clusters.
    tests+=("wait-cluster-${HAMI_VERSIONS[0]}")
  fi
  ! { _has asan || _has fuzz; } || builds+=(build-asan)
  ! _has tsan || builds+=(build-tsan)
  ! _has cluster || _start_lane "$only" "${builds[@]}"

  if ((${#labels[@]})) || _has pytest || _has cluster; then
    # A test whose program was not built has failed; the others still say something.
    _build_case dev build_preset dev
  fi
  tests+=(low)
  if [ -f build/build.ninja ]; then
    ((${#labels[@]} == 0)) || tests+=("$(IFS='|' && echo "${labels[*]}")")
    ! _has pytest || tests+=(wait-clients pytest)
  fi
  ! { _has asan || _has fuzz; } || tests+=(wait-asan)
  ! _has asan || tests+=(asan)
  ! _has fuzz || tests+=(fuzz)
  ! _has tsan || tests+=(wait-tsan tsan)

  if _has cluster; then
    _start_lane "$only" "${tests[@]}"
    _cluster_step "$only"
    _wait_for_lanes
  else
    _lane "$only" "${builds[@]}" "${tests[@]}"
  fi
  exec "$HAMI_PYTHON" tools/dev/count_tests.py "$HAMI_REPORTS"
}
