#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that the tests that pages of docs/ name exist.

In the pages below a word in backquotes like `Suite.Case` is a case of a *_test.cc, `test_case` one
of tests/**/*.py. In a table with a column "held by" each row names at least one.
"""

import argparse
import pathlib
import re
import sys

import sources

PAGES = ("docs/reference/hami-weak-points.md",)
WORD = re.compile(r"`([A-Z]\w*\.\w+|test_\w+)`")
CASE = re.compile(r"^(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)", re.M)
FUNCTION = re.compile(r"^\s*(?:async )?def (test_\w+)", re.M)


def cases(root: pathlib.Path) -> set[str]:
  found = set()
  for file in (root / "src").rglob("*_test.cc"):
    found.update(f"{suite}.{case}" for suite, case in CASE.findall(file.read_text()))
  for file in (root / "tests").rglob("test_*.py"):
    found.update(FUNCTION.findall(file.read_text()))
  return found


def check_page(page: str, text: str, known: set[str]) -> list[str]:
  problems = []
  is_held = False  # within a table with that column
  for number, line in enumerate(text.splitlines(), 1):
    names = WORD.findall(line)
    problems += [f"{page}:{number}: no test is called {name}" for name in names
                 if name not in known]
    if not line.startswith("|"):
      is_held = False
    elif "held by" in line:
      is_held = True
    elif is_held and not names and not line.startswith("| ---"):
      problems.append(f"{page}:{number}: a row without a test")
  return problems


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--root", type=pathlib.Path, default=sources.ROOT)
  args = parser.parse_args()
  known = cases(args.root)
  problems = []
  for page in PAGES:
    problems += check_page(page, (args.root / page).read_text(), known)
  print("\n".join(problems) or f"every test that is named is there ({len(known)} are known)")
  return 1 if problems else 0


if __name__ == "__main__":
  sys.exit(main())
