#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what we say about the driver's interface with the vendor's headers of every release.

1. api/*/entry_points.def names every function that the headers declare.
2. Each of these functions stands exactly once in src/preload/hooks.def, refused.def or
   forwarded.def, and nothing else stands there; what hooks.def has is declared in
   api/*/functions.h, and so is what calls.def has.
3. Each function of hooks.def is named by a test, tests/**/*.{cc,h,py}.
4. Each prototype, structure, enumerator and constant of api/cuda and api/nvml is what the vendor's
   header says, in every release that has it: a source file made of both is compiled, with
   assertions on calling convention, sizes, offsets and values (abi_assertions.h). What refused.def
   has takes only what one stub for all of it can pass on.

Without the headers (./dev setup --headers) only parts 2 and 3 run and the exit code is 77: skipped.
"""

import argparse
import collections
import concurrent.futures
import pathlib
import re
import subprocess
import sys

import abi_compare
import sources

ENTRY = re.compile(r"^HAMI_(?:CUDA|NVML)_ENTRY\((\w+),", re.M)
# What each file says of a function.
DECISIONS = {"hooks.def": {"HAMI_CUDA_HOOK", "HAMI_NVML_HOOK"}, "refused.def": {"HAMI_REFUSED"},
             "forwarded.def": {"HAMI_FORWARD"}}
# The symbol is the first argument of every macro; `#define NAME(symbol)` lines do not match.
LINE = re.compile(r"^(HAMI_\w+)\(\s*(\w+)\s*([^)]*(?:\"[^\"]*\")?[^)]*)\)", re.M)


def read_def(path: pathlib.Path) -> list[tuple[str, str, str]]:
  """(macro, symbol, rest) of each line."""
  return [(macro, symbol, rest.strip(", \n"))
          for macro, symbol, rest in LINE.findall(path.read_text())]


def check_classes(root: pathlib.Path) -> list[str]:
  problems = []
  entries = {name for api in ("cuda", "nvml")
             for name in ENTRY.findall((root / f"api/{api}/entry_points.def").read_text())}
  places = collections.defaultdict(list)
  for name in DECISIONS:
    text = (root / "src/preload" / name).read_text()
    classes = set(re.findall(r"^//   (k[A-Z]\w+) ", text, re.M))
    for macro, symbol, rest in read_def(root / "src/preload" / name):
      places[symbol].append(name)
      if macro not in DECISIONS[name]:
        problems.append(f"{name}: {symbol} stands under {macro}, which decides nothing")
      elif macro == "HAMI_FORWARD" and rest not in classes:
        problems.append(f"{name}: {symbol} is forwarded as {rest or 'nothing'}, which is no class")
  for symbol in sorted(entries - places.keys()):
    problems.append(f"{symbol} is in none of {', '.join(DECISIONS)}")
  for symbol, where in sorted(places.items()):
    if len(where) > 1:
      problems.append(f"{symbol} stands {len(where)} times: {', '.join(where)}")
    if symbol not in entries:
      problems.append(f"{where[0]}: {symbol} is no entry point of any header")
  declared = {name for api in ("cuda", "nvml")
              for name in abi_compare.prototypes((root / f"api/{api}/functions.h").read_text())}
  for name in ("src/preload/hooks.def", "src/preload/calls.def", "src/smi/calls.def"):
    if (root / name).exists():
      for _, symbol, _ in read_def(root / name):
        if re.match(r"cu[A-Z]|nvml[A-Z]", symbol) and symbol not in declared:
          problems.append(f"{name}: {symbol} has no prototype in api/*/functions.h")
  return problems


def check_tested(root: pathlib.Path) -> list[str]:
  named = set()
  for path in (root / "tests").rglob("*"):
    if path.suffix in (".cc", ".h", ".py"):
      named.update(re.findall(r"\w+", path.read_text()))
  return [f"hooks.def: no test names {symbol}"
          for _, symbol, _ in read_def(root / "src/preload/hooks.def") if symbol not in named]


def refused(root: pathlib.Path) -> set[str]:
  return {symbol for _, symbol, _ in read_def(root / "src/preload/refused.def")}


def check_entry_points(root: pathlib.Path, headers: pathlib.Path) -> list[str]:
  done = subprocess.run([sys.executable, str(root / "tools/regen_entry_points.py"), "--check",
                         str(headers)], capture_output=True, text=True)
  return [] if done.returncode == 0 else (done.stdout.strip() or done.stderr.strip()).splitlines()


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--root", type=pathlib.Path, default=sources.ROOT)
  parser.add_argument("--headers", type=pathlib.Path, help="default: .cache/headers of the root")
  parser.add_argument("--compiler", default="g++-12")
  args = parser.parse_args()
  headers = args.headers or args.root / ".cache/headers"
  releases = {api: sorted(headers.glob(f"{api}-*")) for api in ("cuda", "nvml")}

  problems = check_classes(args.root) + check_tested(args.root)
  if all(releases.values()):
    problems += check_entry_points(args.root, headers)
    with concurrent.futures.ThreadPoolExecutor() as pool:
      for found in pool.map(lambda api: abi_compare.compare(
          args.root, api, releases[api], args.compiler, refused(args.root)), releases):
        problems += found
  for problem in problems:
    print(problem)
  if problems:
    return 1
  if not all(releases.values()):
    print(f"no vendor headers in {headers} (./dev setup --headers): only the tables were compared")
    return 77
  print("hooks and interface headers agree with " +
        ", ".join(folder.name for found in releases.values() for folder in found))
  return 0


if __name__ == "__main__":
  sys.exit(main())
