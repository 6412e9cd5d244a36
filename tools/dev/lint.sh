# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# lint: check format, text rules, layers, shell scripts and clang-tidy
#
# Usage: ./dev lint [--all] [--fix]
#
#   --all    clang-tidy on every file; default: those that differ from the main branch's last commit
#            on the remote, or from HEAD where there is none
#   --fix    let clang-format rewrite what it would complain about
#
# The text rules and layers are tests too (./dev test --only checks); format and clang-tidy are not,
# since they follow one version of one tool.

_lint_files() {  # tracked or new C++ files that the tools should see
  git ls-files --cached --others --exclude-standard '*.cc' '*.h' | while read -r file; do
    [[ -f $file && $file != tools/header_stubs/* ]] && echo "$file"
  done
  return 0
}

_changed_sources() {
  local base=HEAD
  git rev-parse --quiet --verify origin/main >/dev/null && base=$(git merge-base HEAD origin/main)
  { git diff --name-only --diff-filter=d "$base" -- '*.cc'
    git ls-files --others --exclude-standard '*.cc'; } | sort -u
}

# clang-tidy reads the flags of clang's build, less the precompiled headers, which need not be made;
# only files that it compiles can be checked.
_clang_tidy() {  # _clang_tidy FILE...
  local database=build-asan/tidy/compile_commands.json file known=()
  mkdir -p "${database%/*}"
  sed -E 's/ -Xclang -include(-pch)? -Xclang [^ ]+//g' build-asan/compile_commands.json >"$database"
  for file in "$@"; do
    grep -qF "\"file\": \"$PWD/$file\"" "$database" && known+=("$file")
  done
  ((${#known[@]})) || { say "no file to check"; return 0; }
  printf '%s\0' "${known[@]}" |
    xargs -0 -n 4 -P "$(job_count)" \
      clang-tidy-19 --quiet -p "${database%/*}" --warnings-as-errors='*'
}

_clang_tidy_step() {  # _clang_tidy_step ALL
  local files
  if [ -n "$1" ]; then mapfile -t files < <(_lint_files | grep '\.cc$'); else
    mapfile -t files < <(_changed_sources); fi
  [ -f build-asan/build.ninja ] ||
    run_step configure-asan "configure asan" cmake --preset asan || return
  run_step lint-clang-tidy "clang-tidy (${#files[@]} files)" _clang_tidy "${files[@]}"
}

verb_lint() {
  local all='' fix=(--dry-run --Werror) failed=() files scripts check
  while (($#)); do
    case $1 in
      --all) all=1 ;;
      --fix) fix=(-i) ;;
      *) die "lint: no option '$1'" 2 ;;
    esac
    shift
  done
  setup_group tools
  mapfile -t files < <(_lint_files)
  run_step lint-format "clang-format (${#files[@]} files)" \
    clang-format-19 "${fix[@]}" "${files[@]}" || failed+=(format)
  mapfile -t scripts < <(ls dev .ci/run tools/dev/*.sh)
  run_step lint-shellcheck "shellcheck (${#scripts[@]} files)" \
    shellcheck -x "${scripts[@]}" || failed+=(shellcheck)
  for check in tidy check_layers check_includes; do
    run_step "lint-$check" "$check" "$HAMI_PYTHON" "tools/$check.py" || failed+=("$check")
  done
  _clang_tidy_step "$all" || failed+=(clang-tidy)
  ((${#failed[@]} == 0)) || die "lint: failed: ${failed[*]}"
}
