# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# fuzz: run the fuzz targets, each for some time
#
# Usage: ./dev fuzz [TARGET ...] [--seconds N]
#
#   TARGET        one of fuzz/CMakeLists.txt; default: all
#   --seconds N   for each target; default 60
#
# libFuzzer with address and undefined-behaviour sanitizers. Seeds are in the repository; what a run
# adds is kept in .cache/fuzz/TARGET, inputs that fail in .cache/fuzz/TARGET-failures.

_fuzz_targets() { sed -n 's/^ *hami_fuzz(\([a-z0-9_]*\).*/\1/p' fuzz/CMakeLists.txt | sort; }

# The folders that hami_fuzz(... SEEDS ...) named.
_fuzz_seeds() { cat "$(build_folder asan)/fuzz/$1.seeds"; }

_fuzz_one() {  # _fuzz_one TARGET LIBFUZZER-OPTION...
  local target=$1 seeds
  shift
  mapfile -t seeds < <(_fuzz_seeds "$target")
  mkdir -p ".cache/fuzz/$target" ".cache/fuzz/$target-failures"
  "$(build_folder asan)/fuzz/$target" -print_final_stats=1 -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix=".cache/fuzz/$target-failures/" "$@" ".cache/fuzz/$target" "${seeds[@]}"
}

verb_fuzz() {
  local seconds=60 targets=() target failed=()
  while (($#)); do
    case $1 in
      --seconds) seconds=${2:?--seconds needs a number} && shift ;;
      -*) die "fuzz: no option '$1'" 2 ;;
      *)
        _fuzz_targets | grep -qx -- "$1" ||
          die "no target '$1'; there are: $(_fuzz_targets | xargs)" 2
        targets+=("$1")
        ;;
    esac
    shift
  done
  [[ $seconds =~ ^[1-9][0-9]*$ ]] || die "fuzz: --seconds wants a whole number above 0" 2
  ((${#targets[@]})) || mapfile -t targets < <(_fuzz_targets)
  setup_group tools
  build_preset asan "${targets[@]}"
  for target in "${targets[@]}"; do
    run_step "fuzz-$target" "fuzz $target for $seconds s" \
      _fuzz_one "$target" "-max_total_time=$seconds" || failed+=("$target")
    sed -n 's/^stat::number_of_executed_units: */  inputs tried: /p' "$HAMI_LOGS/fuzz-$target.log"
  done
  ((${#failed[@]} == 0)) || die "failed: ${failed[*]} (inputs: .cache/fuzz/TARGET-failures)"
}
