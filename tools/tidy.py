#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the rules for text of STYLE.md that no compiler knows.

Files: ASCII, no tabs, no trailing spaces, end with a newline, lines up to 100 columns, up to 800
lines (--soft also names those above 400), a licence line on top, executable exactly when they start
with #!, no file called util, common or misc. C++ functions: up to 70 lines. Work left open carries
an issue's number in brackets. CHANGELOG.md has a section Unreleased.
"""

import argparse
import os
import pathlib
import re
import sys

import sources

MAX_COLUMNS = 100
MAX_LINES = 800
SOFT_LINES = 400
MAX_FUNCTION = 70
CODE = {".cc", ".h", ".def", ".inc", ".c", ".S", ".py", ".sh", ".cmake"}
# Markdown, profiles and lists: text rules, but neither licence line nor length.
TEXT = CODE | {".md", ".txt", ".yaml", ".yml", ".json"}
# Copied as they are from elsewhere, or recorded.
FOREIGN = ("third_party/", "tests/golden/")
# Tables, one row a line: their length is the number of facts.
TABLES = (".def",)
# Lines that mean something as a whole: rows, paragraphs, records.
UNBROKEN = (".def", ".md", ".json")
OPEN_WORK = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b(?!\(#\d+\))")
BANNED_NAMES = re.compile(r"(^|[_-])(utils?|common|misc|helpers?)([_.-]|$)")
SPDX = "SPDX-License-Identifier: Apache-2.0"


def needs_licence(file: pathlib.PurePosixPath) -> bool:
  return file.suffix in CODE or file.name in ("CMakeLists.txt", "dev") or str(file) == ".ci/run"


def check_text(file: pathlib.PurePosixPath, text: str) -> list[str]:
  problems = []
  if text and not text.endswith("\n"):
    problems.append(f"{file}: the last line has no end")
  for number, line in enumerate(text.splitlines(), 1):
    place = f"{file}:{number}"
    if not line.isascii():
      problems.append(f"{place}: not ASCII")
    if "\t" in line:
      problems.append(f"{place}: a tab")
    if line != line.rstrip():
      problems.append(f"{place}: trailing space")
    # An address cannot be broken.
    if len(line) > MAX_COLUMNS and "://" not in line and file.suffix not in UNBROKEN:
      problems.append(f"{place}: {len(line)} columns")
    if OPEN_WORK.search(line):
      problems.append(f"{place}: open work without an issue's number, (#N)")
  return problems


def check_file(file: pathlib.PurePosixPath, text: str, executable: bool, soft: bool) -> list[str]:
  problems = []
  lines = text.splitlines()
  if needs_licence(file) and not any(SPDX in line for line in lines[:3]):
    problems.append(f"{file}:1: no licence line ({SPDX})")
  script = text.startswith("#!")
  if script != executable:
    problems.append(f"{file}: {'starts with #! and is not' if script else 'is'} executable")
  if file.suffix in CODE and file.suffix not in TABLES:
    if len(lines) > MAX_LINES:
      problems.append(f"{file}: {len(lines)} lines (at most {MAX_LINES})")
    elif soft and len(lines) > SOFT_LINES:
      problems.append(f"{file}: {len(lines)} lines (aim at {SOFT_LINES})")
  if BANNED_NAMES.search(file.name):
    problems.append(f"{file}: a name that says nothing about what is inside")
  return problems


def function_lengths(text: str) -> list[tuple[int, int]]:
  """(first line, lines) of each function body, in text that clang-format has laid out.

  A body opens with a line that ends in `{`, belongs to no type, namespace or initialiser, and
  closes with a line of the same indentation that starts with `}`.
  """
  found = []
  lines = text.splitlines()
  not_function = re.compile(
      r"^\s*(namespace|extern \"C\"|class|struct|union|enum|typedef|\}|#|//|"
      r"(static )?(constexpr|const|constinit)\b[^(]*=)")
  number = 0
  while number < len(lines):
    line = lines[number]
    opens = re.search(r"\)\s*(const|noexcept|override|final|->[^{]*|\s)*\{$", line)
    # A signature may start lines above: where its brackets balance.
    first, depth = number, line.count(")") - line.count("(")
    while opens and depth > 0 and first > 0:
      first -= 1
      depth += lines[first].count(")") - lines[first].count("(")
    indent = len(lines[first]) - len(lines[first].lstrip())
    if opens and indent <= 2 and not not_function.match(lines[first]) and \
        not re.match(r"\s*(if|for|while|switch|else|do|catch|return)\b", lines[first]):
      for end in range(number + 1, len(lines)):
        if re.match(rf"\s{{0,{indent}}}\}}", lines[end]):
          found.append((number + 1, end - number + 1))
          break
    number += 1
  return found


def check(root: pathlib.Path, soft: bool) -> list[str]:
  problems = []
  for file in sources.list_files(root):
    path = root / file
    if str(file).startswith(FOREIGN) or path.is_symlink():
      continue
    is_script = file.suffix == "" and path.read_bytes()[:2] == b"#!"
    if file.suffix not in TEXT and not is_script and file.name != "CODEOWNERS":
      continue
    text = path.read_bytes().decode("utf-8", errors="replace")
    problems += check_text(file, text)
    problems += check_file(file, text, os.access(path, os.X_OK), soft)
    if file.suffix in (".cc", ".h"):
      problems += [f"{file}:{line}: a function of {length} lines (at most {MAX_FUNCTION})"
                   for line, length in function_lengths(text) if length > MAX_FUNCTION]
  changelog = root / "CHANGELOG.md"
  if not changelog.exists() or "## Unreleased" not in changelog.read_text():
    problems.append("CHANGELOG.md: no section Unreleased")
  return problems


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--root", type=pathlib.Path, default=sources.ROOT)
  parser.add_argument("--soft", action="store_true",
                      help=f"also name files above {SOFT_LINES} lines")
  args = parser.parse_args()
  problems = check(args.root, args.soft)
  print("\n".join(problems) if problems else "no file breaks a rule for text")
  return 1 if problems else 0


if __name__ == "__main__":
  sys.exit(main())
