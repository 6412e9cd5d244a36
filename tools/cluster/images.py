# SPDX-License-Identifier: Apache-2.0
"""Which container images there are, and how they reach a cluster's node.

Archives lie in .cache/images/NAME.tar and hold localhost/NAME:dev. No registry is involved: they
are imported into containerd, and pods name them with imagePullPolicy Never.
"""

import os
import pathlib
import subprocess
import sys

import components
import go_modules
import namespaces
import node_runtime
from cluster_folder import ClusterFolder
from oci_archive import Image

FOLDER = go_modules.ROOT / ".cache" / "images"
PROGRAMS = go_modules.HERE / "programs"


def archive(name: str) -> pathlib.Path:
  return FOLDER / f"{name}.tar"


def compile_c(source: str, *flags: str) -> bytes:
  """A program of tools/cluster/programs. The same source gives the same bytes."""
  FOLDER.mkdir(parents=True, exist_ok=True)
  target = FOLDER / f"{source}.{os.getpid()}.new"
  subprocess.run(["gcc-12", "-O2", "-s", "-Wall", "-Wextra", "-Werror", "-Wl,--build-id=none",
                  *flags, "-o", str(target), str(PROGRAMS / source)], check=True)
  try:
    return target.read_bytes()
  finally:
    target.unlink()


def pause_image() -> Image:
  image = Image(node_runtime.PAUSE_IMAGE, entrypoint=["/pause"], user="65535:65535")
  image.add_bytes("pause", compile_c("pause.c", "-static"), 0o755)
  return image


def ensure_pause() -> None:
  """A cluster cannot do without it."""
  if not archive("pause").exists():
    pause_image().write(archive("pause"))


def archives() -> list[pathlib.Path]:
  return sorted(FOLDER.glob("*.tar"))


def _ctr(folder: ClusterFolder, *arguments: str, stdin: int | None = None) -> str | None:
  """None where all went well, else what it said."""
  with open(os.memfd_create("ctr"), "w+b") as said:
    code = namespaces.run_forked(
        folder, ["ctr", "--address", node_runtime.SOCKET, "--namespace", "k8s.io", *arguments],
        components.environment(), stdin=stdin, stdout=said.fileno(), stderr=said.fileno())
    said.seek(0)
    return said.read().decode(errors="replace") if code else None


def node_answers(folder: ClusterFolder) -> bool:
  return _ctr(folder, "version") is None


def import_into(folder: ClusterFolder, found: list[pathlib.Path]) -> None:
  """Replaces images of the same name."""
  for path in found:
    with path.open("rb") as file:
      problem = _ctr(folder, "images", "import", "--local", "-", stdin=file.fileno())
    if problem is not None:
      sys.exit(f"cluster: {path.name} could not be imported into '{folder.name}': {problem}")
