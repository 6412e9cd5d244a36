#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds every #include line to the table tools/layers.txt.

A line that the table does not allow is printed as FILE:LINE, and the exit code is 1. So is a folder
with C++ that has no block in the table, and a block without a folder.
"""

import argparse
import dataclasses
import pathlib
import re
import sys

import sources

INCLUDE = re.compile(r'\s*#\s*include\s+([<"])([^>"]+)[>"]')
TOP_FOLDERS = ("api", "src", "cmd", "tests", "bench", "fuzz")

# Headers of the C++ library whose use needs no library at run time.
FREESTANDING = set("""
  algorithm array atomic bit cerrno cfloat climits compare concepts csignal cstdarg cstddef cstdint
  cstdio cstdlib cstring ctime initializer_list limits new numeric span string_view tuple
  type_traits utility version
  """.split())
HOSTED = set("""
  any barrier bitset cassert cctype charconv chrono cmath condition_variable coroutine cwchar deque
  exception execution filesystem forward_list fstream functional future iomanip ios iosfwd iostream
  istream iterator latch list locale map memory memory_resource mutex numbers optional ostream queue
  random ranges ratio regex scoped_allocator semaphore set shared_mutex source_location sstream
  stack stdexcept stop_token streambuf string system_error thread typeindex typeinfo unordered_map
  unordered_set valarray variant vector
  """.split())
TEST_PACKAGES = {"gtest", "gmock", "nlohmann"}


@dataclasses.dataclass
class Layer:
  freestanding: bool
  lists: dict[str, set[str]]


def read_table(path: pathlib.Path) -> dict[str, Layer]:
  table: dict[str, Layer] = {}
  layer = None
  for number, line in enumerate(path.read_text().splitlines(), 1):
    words = line.split("#")[0].split()
    if not words:
      continue
    if not line.startswith(" "):
      if len(words) != 2 or not words[0].endswith(":") or \
          words[1] not in ("freestanding", "hosted"):
        sys.exit(f"{path}:{number}: expected 'FOLDER: freestanding | hosted'")
      layer = Layer(words[1] == "freestanding",
                    {key: set() for key in ("modules", "headers", "sources", "generated", "tests")})
      table[words[0][:-1]] = layer
    elif layer is None or words[0] not in layer.lists:
      sys.exit(f"{path}:{number}: unknown line '{words[0]}'")
    else:
      layer.lists[words[0]].update(words[1:])
  return table


def find_layer(file: pathlib.PurePosixPath, table: dict[str, Layer]) -> str | None:
  for folder in file.parents:
    if str(folder) in table:
      return str(folder)
  return None


def is_test(file: pathlib.PurePosixPath, layer: Layer) -> bool:
  return (file.stem.endswith("_test") or file.name.startswith("fake_") or
          file.name in layer.lists["tests"])


def resolve(name: str, file: pathlib.PurePosixPath,
            root: pathlib.Path) -> pathlib.PurePosixPath | None:
  """The file of ours that a quoted name means, by the include path of every target."""
  for candidate in (pathlib.PurePosixPath(name), pathlib.PurePosixPath("src") / name,
                    file.parent / name):
    if (root / candidate).is_file():
      return candidate
  return None


def package_of(name: str) -> str | None:
  """fmt of <fmt/format.h>; none for what the system and the languages bring."""
  if name in FREESTANDING or name in HOSTED:
    return None
  first = name.split("/")[0]
  if first in ("sys", "linux", "asm", "arpa", "net", "netinet"):
    return None
  return re.sub(r"\.(h|hpp)$", "", first) if "/" in name or name == "zstd.h" else None


def judge(kind: str, name: str, file: pathlib.PurePosixPath, owner: str, table: dict[str, Layer],
          root: pathlib.Path) -> str | None:
  """Why the line is not allowed, or None."""
  layer = table[owner]
  if kind == '"':
    if name in layer.lists["generated"]:
      return None
    target = resolve(name, file, root)
    if target is None:
      return "is no file of ours; packages and system headers stand in <>"
    module = find_layer(target, table) or str(target.parent)
    allowed = layer.lists["modules"]
    if module == owner or module in allowed:
      return None
    return f"{owner} may not include {module}"
  package = package_of(name)
  if package:
    allowed = set(layer.lists["headers"])
    if file.suffix != ".h":
      allowed |= layer.lists["sources"]
    if is_test(file, layer):
      allowed |= TEST_PACKAGES
    if package in allowed:
      return None
    where = "a header of " if file.suffix == ".h" and package in layer.lists["sources"] else ""
    return f"{where}{owner} may not include the package {package}"
  if layer.freestanding and name in HOSTED and not is_test(file, layer):
    return f"{owner} is freestanding; <{name}> needs the C++ runtime"
  return None


def check(root: pathlib.Path, table_path: pathlib.Path) -> list[str]:
  table = read_table(table_path)
  problems = []
  seen = set()
  for file in sources.list_files(root):
    if file.suffix not in sources.CPP or file.parts[0] not in TOP_FOLDERS:
      continue
    owner = find_layer(file, table)
    if owner is None:
      problems.append(f"{file}:1: no block of {table_path.name} covers {file.parent}")
      continue
    seen.add(owner)
    for number, line in enumerate((root / file).read_text().splitlines(), 1):
      match = INCLUDE.match(line)
      if not match:
        continue
      reason = judge(match[1], match[2], file, owner, table, root)
      if reason:
        problems.append(f"{file}:{number}: {match[2]}: {reason}")
  for folder in table:
    if not (root / folder).is_dir():
      problems.append(f"{table_path.name}: {folder} does not exist")
  return problems


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--root", type=pathlib.Path, default=sources.ROOT)
  parser.add_argument("--table", type=pathlib.Path, help="default: tools/layers.txt of the root")
  args = parser.parse_args()
  problems = check(args.root, args.table or args.root / "tools/layers.txt")
  print("\n".join(problems) if problems else "every #include line is allowed by tools/layers.txt")
  return 1 if problems else 0


if __name__ == "__main__":
  sys.exit(main())
