# SPDX-License-Identifier: Apache-2.0
"""The files that the checks of this folder look at: what git knows or would take up."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
CPP = {".cc", ".h", ".def", ".inc"}


def list_files(root: pathlib.Path) -> list[pathlib.PurePosixPath]:
  """Files below root, relative to it; in a checkout what git tracks and what it does not ignore."""
  if (root / ".git").exists():
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others",
                             "--exclude-standard"], check=True, capture_output=True, text=True)
    names = [name for name in listed.stdout.split("\0") if name]
  else:
    names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
  # A tracked file may just have been deleted.
  return sorted(pathlib.PurePosixPath(name) for name in set(names) if (root / name).is_file())
