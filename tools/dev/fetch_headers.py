#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Downloads the vendor's header packages of tools/dev/headers.txt and unpacks their include
folders.

Each release becomes one folder, written under a temporary name and renamed, so that an interrupted
run leaves no half folder; folders that exist are left alone.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile


def read_list(path: pathlib.Path) -> list[tuple[str, str]]:
  rows = []
  for line in path.read_text().splitlines():
    if line.strip() and not line.startswith("#"):
      folder, package = line.split()
      rows.append((folder, package))
  return rows


def unpack_headers(wheel: pathlib.Path, target: pathlib.Path) -> int:
  """The headers that stand directly in the wheel's include folder."""
  count = 0
  with zipfile.ZipFile(wheel) as archive:
    for info in archive.infolist():
      path = pathlib.PurePosixPath(info.filename)
      if path.parent.name == "include" and path.suffix == ".h":
        (target / path.name).write_bytes(archive.read(info))
        count += 1
  return count


def fetch(folder: pathlib.Path, package: str, pip: str) -> None:
  with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
    wheels = pathlib.Path(scratch) / "wheels"
    subprocess.run([pip, "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest",
                    str(wheels), package], check=True)
    fresh = pathlib.Path(scratch) / "headers"
    fresh.mkdir()
    found = sum(unpack_headers(wheel, fresh) for wheel in wheels.glob("*.whl"))
    if not found:
      sys.exit(f"{package}: no include folder in the package")
    shutil.move(fresh, folder)
    print(f"{folder.name}: {found} headers of {package}", flush=True)


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--list", type=pathlib.Path, required=True, help="tools/dev/headers.txt")
  parser.add_argument("--to", type=pathlib.Path, required=True, help="folder of the releases")
  parser.add_argument("--pip", default="pip")
  args = parser.parse_args()
  args.to.mkdir(parents=True, exist_ok=True)
  for name, package in read_list(args.list):
    folder = args.to / name
    if folder.exists():
      print(f"{name}: there already", flush=True)
    else:
      fetch(folder, package, args.pip)
  return 0


if __name__ == "__main__":
  sys.exit(main())
