# SPDX-License-Identifier: Apache-2.0
"""The simulated GPUs of a cluster's node, laid out as a driver in a container lays out a real one.

Below /run/nvidia/driver of the node: the libraries with the driver's version in their names,
nvidia-smi, and in run/hami-sim the simulation (state, sim.yaml) that all programs of the node
share. Programs find the latter by HAMI_SIM.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import go_modules

DRIVER_ROOT = "run/nvidia/driver"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
SIMULATION = "run/hami-sim"
BUILD = go_modules.ROOT / "build"
DEFAULT = "a10-550:1"


def parse(text: str) -> tuple[str, int] | None:
  """PROFILE[:N] or none."""
  match = re.fullmatch(r"([a-z0-9-]+)(?::([1-9][0-9]?))?", text)
  if not match:
    raise SystemExit(f"cluster: --gpu '{text}' is not PROFILE, PROFILE:N or none")
  return None if text == "none" else (match[1], int(match[2] or 1))


def install(node_root: pathlib.Path, gpu: tuple[str, int], number: int = 1) -> dict:
  """Makes the driver root below `node_root`; returns what `hami sim create --json` said. GPUs of
  nodes of different numbers have different UUIDs."""
  profile, count = gpu
  hami = BUILD / "bin" / "hami"
  if not hami.exists():
    raise SystemExit("cluster: build/bin/hami is missing; run ./dev build, or use --gpu none")
  with tempfile.TemporaryDirectory() as scratch:
    made = _create(hami, scratch, "--profile", profile, "--gpus", str(count), "node")
    if number > 1:
      # Profiles may say the UUID of their first GPU; without that it follows from the name.
      own = pathlib.Path(scratch) / "own.yaml"
      text = (pathlib.Path(made["folder"]) / "sim.yaml").read_text()
      own.write_text(re.sub(r"(?m)^ +(- )?uuid: .*\n", "", text))
      made = _create(hami, scratch, "--file", str(own), f"node{number}")
    _copy(pathlib.Path(made["folder"]), node_root / DRIVER_ROOT, made["driver_version"])
  return made


def _create(hami: pathlib.Path, state: str, *arguments: str) -> dict:
  result = subprocess.run([hami, "sim", "create", "--json", *arguments],
                          env=dict(os.environ, HAMI_STATE_DIR=state), capture_output=True,
                          text=True)
  if result.returncode:
    raise SystemExit(f"cluster: hami sim create: {(result.stderr or result.stdout).strip()}")
  return json.loads(result.stdout)


def _copy(made: pathlib.Path, root: pathlib.Path, version: str) -> None:
  libraries, simulation = root / LIBRARIES, root / SIMULATION
  for folder in (libraries, root / "usr/bin", simulation):
    folder.mkdir(parents=True)
  for name in ("libcuda.so", "libnvidia-ml.so"):
    shutil.copy(made / "lib" / f"{name}.1", libraries / f"{name}.{version}")
    (libraries / f"{name}.1").symlink_to(f"{name}.{version}")
    (libraries / name).symlink_to(f"{name}.1")
  shutil.copy(made / "bin" / "nvidia-smi", root / "usr/bin/nvidia-smi")
  # The state is a large file with holes. Tenants of any user share it, and what they put beside.
  parts = [path for path in made.iterdir() if path.name not in ("lib", "bin")]
  subprocess.run(["cp", "--sparse=always", "-R", *parts, simulation], check=True)
  simulation.chmod(0o1777)
  (simulation / "state").chmod(0o666)
