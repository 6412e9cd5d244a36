# SPDX-License-Identifier: Apache-2.0
"""Which shared libraries programs of this machine need, and the loader that starts them."""

import pathlib
import re
import subprocess
from collections.abc import Iterable

LOADER = pathlib.Path("/lib64/ld-linux-x86-64.so.2")
# What belongs to glibc even where nothing here names it: foreign libraries in a container may.
GLIBC = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1",
         "libresolv.so.2")


def closure(programs: Iterable[pathlib.Path]) -> dict[str, pathlib.Path]:
  """Name to file of all that they load, at any depth, without the loader. Those that a program
  finds beside itself are left out; they come with it."""
  found = {}
  for program in programs:
    result = subprocess.run(["ldd", str(program)], capture_output=True, text=True)
    if result.returncode:
      if "not a dynamic executable" in result.stderr + result.stdout:
        continue
      raise SystemExit(f"image: ldd {program}: {result.stderr.strip()}")
    for line in result.stdout.splitlines():
      if "not found" in line:
        raise SystemExit(f"image: {program} needs {line.split()[0]}, which is not there")
      match = re.match(r"\s*(\S+) => (/\S+) ", line)
      if match:
        found[match[1]] = pathlib.Path(match[2]).resolve()
  return dict(sorted(found.items()))


def glibc() -> dict[str, pathlib.Path]:
  """All of GLIBC, from beside the C library that programs get here."""
  folder = closure([pathlib.Path("/bin/bash")])["libc.so.6"].parent
  return {name: (folder / name).resolve() for name in GLIBC if (folder / name).exists()}
