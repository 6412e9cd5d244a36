#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every header of ours alone, so that none depends on what stood before it.

A header with `#pragma once` that a source file of its name includes before all others is proven by
the build. For the others, the flags are those of a source file of the same folder (else of the
nearest folder above, else of any) in the build's compile_commands.json; only the syntax is checked.
What passed is remembered in the build folder, by the content of everything that the header includes
of ours and its flags.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import sources

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
ANY_INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^">]+)', re.M)


def read_sources(database: pathlib.Path) -> set[pathlib.Path]:
  return {pathlib.Path(entry["file"]) for entry in json.loads(database.read_text())}


def is_proven_by_build(header: pathlib.Path, built: set[pathlib.Path], root: pathlib.Path) -> bool:
  if "#pragma once" not in header.read_text(errors="replace"):
    return False
  for ending in (".cc", "_test.cc"):
    source = header.with_name(header.stem + ending)
    if source in built and source.exists():
      first = ANY_INCLUDE.search(source.read_text(errors="replace"))
      if first and header in (root / first[1], root / "src" / first[1], header.parent / first[1]):
        return True
  return False


def read_flags(database: pathlib.Path) -> dict[pathlib.PurePath, list[str]]:
  """Folder -> the command of one of its C++ files, without the file and its output."""
  commands: dict[pathlib.PurePath, list[str]] = {}
  for entry in json.loads(database.read_text()):
    source = pathlib.PurePath(entry["file"])
    if source.suffix != ".cc":
      continue
    words = shlex.split(entry["command"])
    if "ccache" in words[0]:
      words = words[1:]
    out = []
    skip = False
    for word in words:
      if skip or word in ("-c", str(source)):
        skip = False
      elif word in ("-o", "-MF", "-MT"):
        skip = True
      elif word not in ("-MD",):
        out.append(word)
    commands.setdefault(source.parent, out)
  return commands


def flags_for(header: pathlib.PurePath, commands: dict[pathlib.PurePath, list[str]]) -> list[str]:
  for folder in header.parents:
    if folder in commands:
      return commands[folder]
  return next(iter(commands.values()))


def content(header: pathlib.Path, root: pathlib.Path, seen: dict[pathlib.Path, bytes]) -> None:
  """Adds the header and everything of ours that it includes."""
  if header in seen or not header.is_file():
    return
  seen[header] = header.read_bytes()
  for name in INCLUDE.findall(seen[header].decode(errors="replace")):
    for candidate in (root / name, root / "src" / name, header.parent / name):
      if candidate.is_file():
        content(candidate, root, seen)
        break


def digest(header: pathlib.Path, root: pathlib.Path, flags: list[str]) -> str:
  seen: dict[pathlib.Path, bytes] = {}
  content(header, root, seen)
  value = hashlib.sha256("\0".join(flags).encode())
  for path in sorted(seen):
    value.update(str(path).encode() + b"\0" + seen[path])
  return value.hexdigest()


def compile_alone(header: pathlib.Path, flags: list[str]) -> str:
  """The compiler's message, or nothing."""
  command = [*flags, "-fsyntax-only", "-x", "c++", "-Wno-unused-function",
             "-Wno-pragma-once-outside-header", "-"]
  done = subprocess.run(command, input=f'#include "{header}"\n#include "{header}"\n', text=True,
                        capture_output=True)
  return "" if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--root", type=pathlib.Path, default=sources.ROOT)
  parser.add_argument("--build", type=pathlib.Path, required=True,
                      help="folder of a configured build")
  args = parser.parse_args()
  root = args.root.resolve()
  database = args.build / "compile_commands.json"
  commands = read_flags(database)
  built = read_sources(database)
  found = [root / name for name in sources.list_files(root)
           if name.suffix == ".h" and name.parts[0] != "tools"]
  headers = [header for header in found if not is_proven_by_build(header, built, root)]
  cache_path = args.build / "check_headers.json"
  cache = set(json.loads(cache_path.read_text())) if cache_path.exists() else set()

  digests = {header: digest(header, root, flags_for(header, commands)) for header in headers}
  stale = [header for header in headers if digests[header] not in cache]
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    messages = list(pool.map(
        lambda header: compile_alone(header, flags_for(header, commands)), stale))
  failed = {header for header, message in zip(stale, messages) if message}
  for header, message in zip(stale, messages):
    if message:
      print(f"{header.relative_to(root)} does not compile alone:\n{message}")
  cache_path.write_text(json.dumps(sorted(digests[h] for h in headers if h not in failed)))
  print(f"{len(found)} headers, {len(found) - len(headers)} proven by the build, "
        f"{len(stale)} compiled now, {len(failed)} failed")
  return 1 if failed else 0


if __name__ == "__main__":
  sys.exit(main())
