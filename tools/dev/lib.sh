# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the verbs of ./dev share: messages, long steps with a progress line and a log, builds. Read
# by ./dev, which has set -euo pipefail and stands in the repository root.

HAMI_LOGS=.cache/log
# shellcheck disable=SC2034  # used by the verbs
HAMI_VENV=.cache/venv
# shellcheck disable=SC2034
HAMI_HEADERS=.cache/headers
# shellcheck disable=SC2034
HAMI_CLIENTS=.cache/clients
# Debian's own interpreter, so that a newer one in PATH changes nothing.
HAMI_PYTHON=/usr/bin/python3
export GTEST_COLOR=no PYTHONDONTWRITEBYTECODE=1 NINJA_STATUS='[%f/%t] '
export PIP_DISABLE_PIP_VERSION_CHECK=1
# What one checkout has compiled is a hit in every other, wherever it lies; of clang's build only in
# one at the same place, which is named in its precompiled headers.
export CCACHE_BASEDIR=${CCACHE_BASEDIR-$PWD} CCACHE_NOHASHDIR=1
# For precompiled headers: what is inside them is compared, not when they were made.
export CCACHE_SLOPPINESS=pch_defines,time_macros

say() { printf '%s\n' "$*"; }

die() {  # die MESSAGE [EXIT CODE]
  printf 'dev: %s\n' "$1" >&2
  exit "${2:-1}"
}

job_count() { echo "${HAMI_JOBS:-$(nproc)}"; }

# A path as the caller wrote it, from the folder in which ./dev was called.
caller_path() {
  case $1 in
    /* | -) echo "$1" ;;
    *) echo "$HAMI_CALLER_DIR/$1" ;;
  esac
}

elapsed() {  # elapsed SECONDS
  if (($1 < 60)); then echo "$1 s"; else echo "$(($1 / 60)) min $(($1 % 60)) s"; fi
}

# Shows that a step is alive: on a terminal one line that is written again each second, elsewhere a
# line every 30 seconds. Sleeps by `read -t`, so that no `sleep` outlives it.
_show_progress() {  # _show_progress TITLE LOG
  local started=$SECONDS pause=30 last idle
  [ -t 1 ] && pause=1
  exec {idle}<> <(:)
  while ! read -r -t "$pause" -u "$idle"; do
    last=$(tail -n 1 "$2" 2>/dev/null | tr -cd '[:print:]') || last=
    if [ -t 1 ]; then
      printf '\r\033[K%.*s' "$(($(tput cols 2>/dev/null || echo 80) - 1))" \
        "$1: $(elapsed $((SECONDS - started)))  $last"
    else
      printf '%s: %s  %.70s\n' "$1" "$(elapsed $((SECONDS - started)))" "$last"
    fi
  done
}

# Runs a long step with its output in .cache/log/NAME.log. On failure the end of the log and its
# name are printed, and the step's exit code is returned. HAMI_NO_PROGRESS: it says nothing until it
# has ended, as another step is shown meanwhile. HAMI_FAILED_LINES: of a failed step's log only the
# lines that match it are printed.
run_step() {  # run_step NAME TITLE COMMAND...
  local title=$2 started=$SECONDS log=$HAMI_LOGS/$1.log code=0 ticker=
  shift 2
  mkdir -p "$HAMI_LOGS"
  : >"$log"
  if [ -z "${HAMI_NO_PROGRESS:-}" ]; then
    _show_progress "$title" "$log" &
    ticker=$!
    # shellcheck disable=SC2064  # the id of now is meant
    trap "kill $ticker 2>/dev/null || true" EXIT
  fi
  "$@" >"$log" 2>&1 </dev/null || code=$?
  if [ -n "$ticker" ]; then
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    trap - EXIT
  fi
  [ -t 1 ] && printf '\r\033[K'
  if ((code == 0)); then
    say "$title: done in $(elapsed $((SECONDS - started)))"
  else
    say "$title: FAILED after $(elapsed $((SECONDS - started))), exit code $code"
    if [ -n "${HAMI_FAILED_LINES:-}" ]; then
      { grep -E -- "$HAMI_FAILED_LINES" "$log" || true; } | tail -n 40 | cut -c 1-200 |
        sed 's/^/  | /'
    else
      tail -n 40 "$log" | sed 's/^/  | /'
    fi
    say "  log: $log"
  fi
  return "$code"
}

build_folder() {  # build_folder PRESET
  if [ "$1" = dev ]; then echo build; else echo "build-$1"; fi
}

preset_names() { sed -n 's/.*"name": "\([a-z]*\)", "configurePreset".*/\1/p' CMakePresets.json; }

_configure_and_build() {  # _configure_and_build PRESET TARGET...
  local preset=$1 folder
  folder=$(build_folder "$preset")
  shift
  # CMake runs itself again when its own files change; only a first run needs the preset.
  if [ ! -f "$folder/build.ninja" ]; then
    cmake --preset "$preset" || return
  fi
  # -k 0: one run shows every error, not only the first. A compiler with huge pages for its heap is
  # done up to a fifth sooner.
  GLIBC_TUNABLES=glibc.malloc.hugetlb=1 \
    cmake --build "$folder" -j "$(job_count)" ${1:+--target "$@"} -- -k 0
}

build_preset() {  # build_preset PRESET [TARGET...]
  local preset=$1
  run_step "build-$preset" "build $*" _configure_and_build "$@"
}

need_python() {
  [ -x "$HAMI_PYTHON" ] || die "$HAMI_PYTHON is missing; run ./dev setup"
}
