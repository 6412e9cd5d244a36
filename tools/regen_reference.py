#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/reference/environment.md from src/preload/environment.def (--check: compares)."""

import argparse
import pathlib
import re
import sys

import sources

HEAD = """# Environment variables of libvgpu.so

Written by tools/regen_reference.py from src/preload/environment.def. A limits file (api/limits)
comes first; where one is mounted, variables can only lower it.

| variable | default | meaning |
| --- | --- | --- |
"""
ROW = re.compile(r'^HAMI_ENVIRONMENT\((\w+),\s*"([^"]*)",\s*((?:"[^"]*"\s*)+)\)', re.M)


def render(text: str) -> str:
  rows = []
  for name, default, parts in ROW.findall(text):
    meaning = "".join(re.findall(r'"([^"]*)"', parts))
    shown = name + "N" if name.endswith("_") else name
    rows.append(f"| `{shown}` | {default} | {meaning} |\n")
  if not rows:
    sys.exit("environment.def: no row found")
  return HEAD + "".join(rows)


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--check", action="store_true", help="compare, write nothing")
  parser.add_argument("--root", type=pathlib.Path, default=sources.ROOT)
  args = parser.parse_args()
  text = render((args.root / "src/preload/environment.def").read_text())
  page = args.root / "docs/reference/environment.md"
  if not args.check:
    page.write_text(text)
  elif not page.exists() or page.read_text() != text:
    print("docs/reference/environment.md is not what environment.def says; "
          "run tools/regen_reference.py")
    return 1
  return 0


if __name__ == "__main__":
  sys.exit(main())
