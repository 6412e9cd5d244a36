# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# setup: install what is needed: Debian packages, test tools, vendor headers, clients
#
# Usage: ./dev setup [--build | --headers]
#
#   (nothing)    all of it
#   --build      only what ./dev build and ./dev demo need
#   --headers    only the vendor's header files, into .cache/headers
#
# Other verbs call it for what they need. What is current is not done again. Packages come from
# tools/dev/packages.txt, test tools (PyPI, into .cache/venv) from tools/dev/requirements-test.txt,
# headers from tools/dev/headers.txt, clients and nvcc (PyPI, into .cache/clients) from
# tools/dev/clients.txt. Installing packages needs root; without it, what is missing is named.

_missing_packages() {  # _missing_packages GROUP...
  local group package rest
  while read -r group package rest; do
    [[ " $* " == *" $group "* ]] || continue
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      echo "$package"
  done < <(sed '/^#/d; /^$/d' tools/dev/packages.txt)
}

_install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  local options=(-y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
  apt-get "${options[@]}" update &&
    apt-get "${options[@]}" install --no-install-recommends "$@"
}

_setup_packages() {  # _setup_packages GROUP...
  local missing
  mapfile -t missing < <(_missing_packages "$@")
  if ((${#missing[@]} == 0)); then
    _setup_current+=("Debian packages ($*)")
    return
  fi
  command -v apt-get >/dev/null ||
    die "this needs Debian 12 with apt-get; missing packages: ${missing[*]}"
  if ((EUID != 0)); then
    die "missing packages; as root: apt-get install --no-install-recommends ${missing[*]}"
  fi
  # shellcheck disable=SC1091
  if [[ $(. /etc/os-release && echo "$ID $VERSION_ID") != "debian 12" ]]; then
    say "note: this is not Debian 12, for which the packages are chosen; trying"
  fi
  run_step setup-packages "install ${#missing[@]} Debian packages" _install_packages "${missing[@]}"
}

_digest() { cat "$@" | sha256sum | cut -c1-16; }

_make_venv() {
  rm -rf "$HAMI_VENV" &&
    "$HAMI_PYTHON" -m venv "$HAMI_VENV" &&
    "$HAMI_VENV/bin/pip" install --retries 3 -r tools/dev/requirements-test.txt &&
    "$HAMI_VENV/bin/pip" install --retries 3 --no-deps --target "$HAMI_VENV/cuda12" \
      -r tools/dev/requirements-cuda12.txt &&
    _venv_digest >"$HAMI_VENV/stamp"
}

_venv_digest() { { "$HAMI_PYTHON" --version; cat tools/dev/requirements-*.txt; } | _digest; }

_setup_venv() {
  if [ "$(cat "$HAMI_VENV/stamp" 2>/dev/null)" = "$(_venv_digest)" ]; then
    _setup_current+=("test tools")
  else
    run_step setup-venv "install test tools into $HAMI_VENV" _make_venv
  fi
}

_fetch_headers() {
  rm -rf "$HAMI_HEADERS" &&
    "$HAMI_PYTHON" tools/dev/fetch_headers.py --list tools/dev/headers.txt --to "$HAMI_HEADERS" \
      --pip "$HAMI_VENV/bin/pip" &&
    _digest tools/dev/headers.txt >"$HAMI_HEADERS/stamp"
}

_setup_headers() {
  if [ "$(cat "$HAMI_HEADERS/stamp" 2>/dev/null)" = "$(_digest tools/dev/headers.txt)" ]; then
    _setup_current+=("vendor headers")
  else
    run_step setup-headers "fetch vendor headers into $HAMI_HEADERS" _fetch_headers
  fi
}

# pycuda is built for the oldest driver that the tests simulate under it: it is linked directly, and
# a newer toolkit's build asks for functions that an older driver lacks.
_make_clients() {
  rm -rf "$HAMI_CLIENTS" &&
    "$HAMI_PYTHON" -m venv "$HAMI_CLIENTS" &&
    "$HAMI_CLIENTS/bin/pip" install --retries 3 --no-deps -r tools/dev/clients.txt &&
    "$HAMI_PYTHON" tools/dev/build_pycuda.py pycuda==2026.1 --python "$HAMI_CLIENTS/bin/python" \
      --headers "$HAMI_HEADERS/cuda-12.4" --to .cache/wheels \
      --include "$("$HAMI_CLIENTS/bin/python" -c 'import sysconfig
print(sysconfig.get_path("purelib"))')/nvidia/cu13/include" &&
    _clients_digest >"$HAMI_CLIENTS/stamp"
}

_clients_digest() {
  { "$HAMI_PYTHON" --version; cat tools/dev/clients.txt tools/dev/build_pycuda.py; } | _digest
}

_setup_clients() {
  if [ "$(cat "$HAMI_CLIENTS/stamp" 2>/dev/null)" = "$(_clients_digest)" ]; then
    _setup_current+=("clients and nvcc")
  else
    run_step setup-clients "install clients and nvcc into $HAMI_CLIENTS" _make_clients
  fi
}

# The group comes from the verb that needs it: build, cluster, tools (for tests without clients),
# clients, or test, which is both.
setup_group() {
  local code=0 _setup_current=()
  mkdir -p .cache
  # Two calls at once take turns.
  exec {_setup_lock}>.cache/setup.lock
  flock "$_setup_lock"
  case $1 in
    build) _setup_packages build ;;
    cluster) _setup_packages build cluster ;;
    clients) _setup_clients || code=$? ;;
    *)
      _setup_packages build test
      _setup_venv
      _setup_headers
      [ "$1" = tools ] || _setup_clients
      ;;
  esac
  exec {_setup_lock}>&-
  if ((${#_setup_current[@]})); then
    printf 'setup: current already:'
    printf ' %s;' "${_setup_current[@]}" | sed 's/;$/\n/'
  fi
  return "$code"
}

verb_setup() {
  case ${1:-} in
    "") setup_group test ;;
    --build) setup_group build ;;
    --headers) setup_group tools ;;
    *) die "setup: no option '$1'" 2 ;;
  esac
}
