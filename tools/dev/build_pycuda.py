#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds pycuda's wheel from its sources, without a driver and without a GPU, and keeps it.

Its extension is linked directly to libcuda.so.1, which a build machine does not have: an empty
library of that name stands in, so that the wheel names it and takes its functions from the driver
that is there at run time. The wheel lies in a folder named after the package and the headers, moved
there when it is whole; one that is there is not built again. One run at a time (./dev setup has a
lock).
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

# Answers to pycuda's own configuration: no curand, OpenGL or CUDA runtime, its own copy of boost.
SETTINGS = """\
USE_SHIPPED_BOOST = True
CUDA_ENABLE_GL = False
CUDA_ENABLE_CURAND = False
CUDA_INC_DIR = {includes}
CUDADRV_LIB_DIR = {libraries}
CUDADRV_LIBNAME = ["cuda"]
"""


def fetch_sources(python: str, package: str, scratch: pathlib.Path) -> pathlib.Path:
  subprocess.run(
      [python, "-m", "pip", "download", "--quiet", "--retries", "3", "--no-deps", "--no-binary",
       ":all:", "--no-build-isolation", "--dest", str(scratch), package], check=True)
  (archive,) = scratch.glob("*.tar.gz")
  subprocess.run(["tar", "-xf", archive, "-C", str(scratch)], check=True)
  return scratch / archive.name.removesuffix(".tar.gz")


def make_driver(folder: pathlib.Path) -> None:
  folder.mkdir()
  subprocess.run(["gcc-12", "-shared", "-x", "c", "-", "-Wl,-soname,libcuda.so.1", "-o",
                  str(folder / "libcuda.so")], input="", text=True, check=True)


def build(python: str, package: str, includes: list[str], target: pathlib.Path) -> None:
  # Always the same folder: what an interrupted run has compiled, ccache has.
  scratch = target.parent / "build"
  shutil.rmtree(scratch, ignore_errors=True)
  scratch.mkdir()
  sources = fetch_sources(python, package, scratch)
  make_driver(scratch / "driver")
  (sources / "siteconf.py").write_text(
      SETTINGS.format(includes=includes, libraries=[str(scratch / "driver")]))
  cache = [shutil.which("ccache")] if shutil.which("ccache") else []
  # Without optimisation it takes half the time. The empty library has nothing that is needed.
  compilers = {"CC": " ".join([*cache, "gcc-12"]), "CXX": " ".join([*cache, "g++-12"]),
               "CFLAGS": "-O0 -g0", "LDFLAGS": "-Wl,--no-as-needed"}
  subprocess.run([python, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation",
                  "--wheel-dir", str(scratch / "out"), str(sources)],
                 env={**os.environ, **compilers}, check=True)
  shutil.move(scratch / "out", target)
  shutil.rmtree(scratch)


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("package", help="pycuda==VERSION")
  parser.add_argument("--python", required=True, help="the environment that will use it")
  parser.add_argument("--headers", type=pathlib.Path, required=True, help="folder with cuda.h")
  parser.add_argument("--include", action="append", default=[], help="more folders of headers")
  parser.add_argument("--to", type=pathlib.Path, required=True, help="folder of the wheels")
  args = parser.parse_args()
  if not (args.headers / "cuda.h").exists():
    sys.exit(f"{args.headers}: no cuda.h there; run ./dev setup --headers")
  args.to.mkdir(parents=True, exist_ok=True)
  target = args.to.resolve() / f"{args.package.replace('==', '-')}-{args.headers.name}"
  if not target.exists():
    includes = [str(pathlib.Path(one).resolve()) for one in (args.headers, *args.include)]
    build(args.python, args.package, includes, target)
  (wheel,) = target.glob("*.whl")
  subprocess.run([args.python, "-m", "pip", "install", "--no-deps", "--force-reinstall",
                  str(wheel)], check=True)
  return 0


if __name__ == "__main__":
  sys.exit(main())
