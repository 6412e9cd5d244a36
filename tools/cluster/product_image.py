# SPDX-License-Identifier: Apache-2.0
"""Our own image, localhost/hami:dev: what ./dev build made and the libraries that it needs.

No shell, no package manager. It runs as a user without rights; parts that work on the node's files
set runAsUser: 0 in their pod.
"""

import pathlib

import library_closure
from oci_archive import Image

PROGRAMS = (
  "hami",
  "hami-cdi-hook",
  "hami-dra-driver",
  "hami-explain",
  "hami-simulate",
  "nvidia-smi",
)
LIBRARIES = "usr/lib/x86_64-linux-gnu"
NONROOT = 65532


def add_root_layout(image: Image, distribution: str) -> None:
  """What every image here has: folders, users, /usr merged."""
  for path in ("dev", "etc", "proc", "root", "run", "sys", "usr/bin", "usr/sbin", "usr/lib",
               "usr/lib64", "var"):
    image.add_folder(path)
  for path in ("tmp", "var/tmp"):
    image.add_folder(path, 0o1777)
  for link in ("bin", "sbin", "lib", "lib64"):
    image.add_link(link, f"usr/{link}")
  image.add_link("var/run", "/run")
  image.add_bytes("etc/os-release", f'ID={distribution}\nNAME="{image.name}"\n'.encode())
  image.add_bytes("etc/passwd", (
      "root:x:0:0:root:/root:/bin/sh\n"
      f"nonroot:x:{NONROOT}:{NONROOT}:nonroot:/tmp:/sbin/nologin\n"
      "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n").encode())
  image.add_bytes("etc/group", f"root:x:0:\nnonroot:x:{NONROOT}:\nnogroup:x:65534:\n".encode())


def add_libraries(image: Image, libraries: dict[str, pathlib.Path], folder: str) -> None:
  for name, source in libraries.items():
    image.add_bytes(f"{folder}/{name}", source.read_bytes(), 0o755)


def make(build: pathlib.Path) -> Image:
  image = Image("localhost/hami:dev", entrypoint=["/usr/bin/hami"], user=f"{NONROOT}:{NONROOT}")
  add_root_layout(image, "hami")
  programs = [build / "bin" / name for name in PROGRAMS]
  for program in programs:
    image.add_file(f"usr/bin/{program.name}", program)
  # Where hami looks when it is installed.
  own = [build / "lib" / "libvgpu.so", *sorted((build / "lib" / "simgpu").rglob("*.so*"))]
  for library in own:
    image.add_file(f"usr/lib/hami/{library.relative_to(build / 'lib')}", library)
  add_libraries(image, library_closure.glibc() | library_closure.closure(programs + own),
                LIBRARIES)
  image.add_file(f"{LIBRARIES}/{library_closure.LOADER.name}", library_closure.LOADER)
  image.add_link(f"usr/lib64/{library_closure.LOADER.name}",
                 f"../lib/x86_64-linux-gnu/{library_closure.LOADER.name}")
  return image
