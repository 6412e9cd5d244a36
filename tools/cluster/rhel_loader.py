# SPDX-License-Identifier: Apache-2.0
"""Debian's loader and ldconfig, changed to search where those of RHEL and its kind search.

Which folders are searched by default is compiled in: strings one behind the other, and an array
of their lengths. Debian's are the multiarch folders, /lib and /usr/lib; RHEL's are /lib64 and
/usr/lib64. The number of entries, and the length of the first, are in the code too and cannot
change: the first becomes a folder that is not there, and /lib64 stands in the table twice.
"""

import pathlib
import struct
import subprocess

DEBIAN = ("/lib/x86_64-linux-gnu/", "/usr/lib/x86_64-linux-gnu/", "/lib/", "/usr/lib/")
RHEL = ("/there/is/no/such/dir/", "/lib64/", "/usr/lib64/", "/lib64/")


def strings_of(folders: tuple[str, ...]) -> bytes:
  return b"".join(folder.encode() + b"\0" for folder in folders)


def lengths_of(folders: tuple[str, ...]) -> bytes:
  return struct.pack(f"<{len(folders)}Q", *map(len, folders))


def patch(program: bytes) -> bytes:
  """Every copy of the table: one in the loader, two in ldconfig."""
  old, new = strings_of(DEBIAN), strings_of(RHEL)
  if old not in program or lengths_of(DEBIAN) not in program:
    raise SystemExit("image: the loader or ldconfig is not built as Debian 12's: its default "
                     "folders are not where they are expected")
  return program.replace(old, new.ljust(len(old), b"\0")) \
      .replace(lengths_of(DEBIAN), lengths_of(RHEL))


def search_folders(loader: pathlib.Path) -> list[str]:
  """What a loader says about itself."""
  said = subprocess.run([loader, "--list-diagnostics"], capture_output=True, text=True,
                        check=True).stdout
  return [line.split("=", 1)[1].strip('"') for line in said.splitlines()
          if line.startswith("path.system_dirs[")]
