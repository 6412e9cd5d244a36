#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds sources that use a precompiled header without including it, directly or by another of ours.

The build cannot: what cmake/HamiPrecompiled.cmake lists is read before each source of src/. The
names below are those by which a header is known here; a source that uses one is held to include the
header, so that it also compiles where nothing is precompiled.
"""

import argparse
import functools
import pathlib
import re
import sys

import sources

LIST = pathlib.PurePosixPath("cmake/HamiPrecompiled.cmake")
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^">]+)', re.M)
NO_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"', re.S)

# Names of namespace std, as a regular expression; of fmt any.
NAMES = {
    "algorithm": r"(?:all_of|any_of|clamp|copy_n|count_if|equal|fill_n|find|find_if|lower_bound|"
                 r"max_element|min_element|nth_element|none_of|partition|ranges::\w+|remove_if|"
                 r"replace|reverse|rotate|sort|transform|unique|upper_bound)(?=\()",
    "atomic": r"(?:atomic|atomic_ref|memory_order\w*)",
    "chrono": r"chrono",
    "functional": r"(?:function|greater|hash|less)",
    "map": r"(?:map|multimap)",
    "memory": r"(?:addressof|make_shared|make_unique|shared_ptr|unique_ptr|weak_ptr)",
    "mutex": r"(?:call_once|lock_guard|mutex|once_flag|scoped_lock|unique_lock)",
    "optional": r"(?:nullopt|optional)",
    "string": r"(?:string|to_string)",
    "string_view": r"string_view",
    "system_error": r"(?:error_code|generic_category|system_category)",
    "thread": r"(?:jthread|this_thread|thread)",
    "unordered_map": r"unordered_map",
    "utility": r"(?:exchange|forward|make_pair|move|pair|swap)",
    "vector": r"vector",
}
USES = {header: re.compile(rf"\bstd::{names}\b") for header, names in NAMES.items()}
USES["fmt/format.h"] = re.compile(r"\bfmt::\w+")


def read_precompiled(root: pathlib.Path) -> set[str]:
  body = re.search(r"set\(HAMI_STANDARD_HEADERS\s([^)]*)\)", (root / LIST).read_text())
  return set(re.findall(r"<([^>]+)>", body[1])) if body else set()


class Tree:
  def __init__(self, root: pathlib.Path) -> None:
    self.root = root
    self.files = [name for name in sources.list_files(root)
                  if name.parts[0] == "src" and name.suffix in sources.CPP]

  def find(self, name: str, beside: pathlib.PurePosixPath) -> pathlib.PurePosixPath | None:
    for path in (pathlib.PurePosixPath(name), "src" / pathlib.PurePosixPath(name), beside / name):
      if (self.root / path).is_file():
        return path
    return None

  @functools.cache
  def includes(self, path: pathlib.PurePosixPath) -> tuple[set[str], set[pathlib.PurePosixPath]]:
    """Of one file: others' headers, and files of ours."""
    others, ours = set(), set()
    for name in INCLUDE.findall((self.root / path).read_text(errors="replace")):
      if found := self.find(name, path.parent):
        ours.add(found)
      else:
        others.add(name)
    return others, ours

  def reached(self, path: pathlib.PurePosixPath) -> set[str]:
    """Others' headers that a file gets by what it includes of ours, and its own."""
    seen, waiting, out = set(), [path], set()
    while waiting:
      if (path := waiting.pop()) not in seen:
        seen.add(path)
        others, ours = self.includes(path)
        out |= others
        waiting += ours
    return out

  def findings(self) -> list[str]:
    out = []
    for path in self.files:
      code = NO_CODE.sub("", (self.root / path).read_text(errors="replace"))
      used = {header: use.search(code) for header, use in USES.items()}
      missing = {header for header in used if used[header]}
      missing -= self.reached(path) if missing else set()
      out += [f"{path}: uses {used[header][0]} and does not include <{header}>"
              for header in sorted(missing)]
    return out


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--root", type=pathlib.Path, default=sources.ROOT)
  root = parser.parse_args().root
  found = [f"{LIST}: <{header}> is precompiled, and tools/check_includes.py knows no name of it"
           for header in sorted(read_precompiled(root) - USES.keys())]
  found += Tree(root).findings()
  print(*found, sep="\n", end="\n" if found else "")
  return 1 if found else 0


if __name__ == "__main__":
  sys.exit(main())
