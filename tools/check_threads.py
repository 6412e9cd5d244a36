#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that a test program with ONE_THREAD (cmake/HamiModule.cmake) can start no thread.

The build with the thread sanitizer is without these programs, so one that gets a thread later must
lose the word. CMake calls this for all of them; a program that was not built is left out.
"""

import argparse
import pathlib
import subprocess
import sys

STARTS = ("pthread_create", "thrd_create", "std::thread::_M_start_thread")


def starts(program: pathlib.Path) -> list[str]:
  """What it would call to start a thread. Libraries that it loads have threads of their own."""
  symbols = subprocess.run(["nm", "-CD", "--undefined-only", program], check=True,
                           capture_output=True, text=True).stdout
  return [name for name in STARTS if name in symbols]


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("programs", nargs="+", type=pathlib.Path, metavar="PROGRAM")
  found = {path: starts(path) for path in parser.parse_args().programs if path.exists()}
  for path, names in found.items():
    if names:
      print(f"{path.name}: calls {', '.join(names)}: it is not ONE_THREAD")
  if not found:
    print("no program was built")
    return 77
  return 1 if any(found.values()) else 0


if __name__ == "__main__":
  sys.exit(main())
