#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that what is mounted into tenants runs on any glibc from 2.17 on and shows only what it
must.

For each file: it needs nothing but libc and its parts; no symbol version above GLIBC_2.17 and none
of another library; nothing from GLIBC_PRIVATE; no text relocation, no executable stack, no RPATH.
With MAP (a version script) after the file's name and a comma, it exports exactly the names of its
global part. With the word static there, it needs nothing at all: no library and no loader, which
would obey LD_PRELOAD. CMake calls it for every target of the global property HAMI_INJECTED.
"""

import argparse
import pathlib
import re
import subprocess
import sys

FLOOR = (2, 17)
# libdl, libpthread and librt are part of libc since 2.34 and stay as empty files.
LIBRARIES = re.compile(
    r"(libc\.so\.6|libdl\.so\.2|libpthread\.so\.0|librt\.so\.1|"
    r"ld-linux(-x86-64|-aarch64)?\.so\.[12])")


def readelf(path: pathlib.Path, *options: str) -> str:
  return subprocess.run(["readelf", "-W", *options, str(path)], check=True, capture_output=True,
                        text=True).stdout


def read_map(path: pathlib.Path) -> set[str]:
  """The names of a version script's global part; wildcards would make the list open, so none."""
  text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
  match = re.search(r"global:(.*?)(local:|\})", text, re.S)
  return {name.strip() for name in match[1].split(";") if name.strip()} if match else set()


def check_needed(path: pathlib.Path) -> list[str]:
  dynamic = readelf(path, "-d")
  problems = [f"needs {name}" for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
              if not LIBRARIES.fullmatch(name)]
  if re.search(r"\(TEXTREL\)|\(FLAGS\).*TEXTREL", dynamic):
    problems.append("has text relocations")
  if re.search(r"\((RPATH|RUNPATH)\)", dynamic):
    problems.append("has an RPATH")
  return problems


def check_stack(path: pathlib.Path) -> list[str]:
  match = re.search(r"GNU_STACK\s+.*?\s([RWE ]{3})\s+0x", readelf(path, "-l"))
  if not match:
    return ["does not say that its stack is not executable"]
  return ["wants an executable stack"] if "E" in match[1] else []


def dynamic_symbols(path: pathlib.Path) -> list[tuple[str, str, bool]]:
  """(name, version, defined) of each global or weak dynamic symbol."""
  rows = []
  for line in readelf(path, "--dyn-syms").splitlines():
    match = re.match(
        r"\s*\d+:\s+\S+\s+\S+\s+\S+\s+(GLOBAL|WEAK|UNIQUE)\s+\S+\s+(\S+)\s+(\S+)", line)
    if match:
      name, _, version = match[3].partition("@")
      rows.append((name, version.lstrip("@"), match[2] != "UND"))
  return rows


def check_versions(path: pathlib.Path) -> list[str]:
  """From the version table, not only from the symbols: the loader checks that table."""
  problems = []
  names = set(re.findall(r"Name: (\S+)\s+Flags", readelf(path, "-V")))
  for version in sorted(names):
    match = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", version)
    if match and (int(match[1]), int(match[2])) <= FLOOR:
      continue
    users = [name for name, used, defined in dynamic_symbols(path)
             if used == version and not defined]
    problems.append(f"needs version {version} ({', '.join(users[:5]) or 'no symbol'})")
  return problems


def check_exports(path: pathlib.Path, allowed: set[str]) -> list[str]:
  exported = {name for name, _, defined in dynamic_symbols(path) if defined}
  return ([f"exports {name}, which its map does not name" for name in sorted(exported - allowed)] +
          [f"does not export {name} of its map" for name in sorted(allowed - exported)])


def check_static(path: pathlib.Path) -> list[str]:
  problems = [f"needs {name}" for name in re.findall(r"\(NEEDED\).*\[(.*)\]", readelf(path, "-d"))]
  if re.search(r"^\s*INTERP\s", readelf(path, "-l"), re.M):
    problems.append("asks for a loader")
  return problems


def check(path: pathlib.Path, expected: str) -> list[str]:
  if expected == "static":
    return check_static(path) + check_stack(path)
  problems = check_needed(path) + check_stack(path) + check_versions(path)
  if expected:
    problems += check_exports(path, read_map(pathlib.Path(expected)))
  return problems


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("files", nargs="+", metavar="FILE[,MAP|static]")
  failed = False
  for argument in parser.parse_args().files:
    name, _, expected = argument.partition(",")
    problems = check(pathlib.Path(name), expected)
    fine = "needs nothing" if expected == "static" else "runs from GLIBC_2.17 on"
    print(f"{name}: {'; '.join(problems) if problems else fine}")
    failed = failed or bool(problems)
  return 1 if failed else 0


if __name__ == "__main__":
  sys.exit(main())
