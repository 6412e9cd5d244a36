#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the Go programs of a cluster into .cache/cluster/bin/COMPONENT-VERSION.

A folder there is complete when it has a stamp of its wrapper module; what is current is not built
again. The programs are static, stripped and without paths of this machine.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys

import go_modules
import go_toolchain

# Bump when the way of building changes.
RECIPE = "1"
# Go names the program of a module's root by the module.
RENAMED = {"etcd": {"server": "etcd"}}


def wanted_stamp(item: go_modules.GoModule) -> str:
  digest = hashlib.sha256(RECIPE.encode())
  for name in ("go.mod", "go.sum"):
    digest.update((item.wrapper / name).read_bytes())
  flags = item.compiler_flags + item.linker_flags
  digest.update((flags + " ".join(item.packages)).encode())
  return digest.hexdigest()


def is_current(item: go_modules.GoModule) -> bool:
  stamp = item.binaries / "stamp"
  return stamp.exists() and stamp.read_text() == wanted_stamp(item)


def build(item: go_modules.GoModule, jobs: int) -> None:
  """Into a folder beside the final one, which is then renamed: a folder with a stamp is whole."""
  fresh = item.binaries.with_name(item.binaries.name + ".new")
  shutil.rmtree(fresh, ignore_errors=True)
  fresh.mkdir(parents=True)
  # The caller's flags, workspace and toolchain choice must not change what is built.
  environment = dict(os.environ, GOFLAGS="", GOWORK="off", GOTOOLCHAIN="local", CGO_ENABLED="0")
  # A compiler is short-lived: a quarter of its time went into collecting garbage.
  environment.update(GOGC="off", GOMEMLIMIT="2GiB")
  subprocess.run(
      [go_toolchain.find_go(), "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-v",
       f"-gcflags=all={item.compiler_flags}",
       "-p", str(jobs), "-ldflags", item.linker_flags, "-o", f"{fresh}/", *item.packages],
      cwd=item.wrapper, env=environment, check=True)
  for old, new in RENAMED.get(item.component, {}).items():
    if (fresh / old).exists():
      (fresh / old).rename(fresh / new)
  (fresh / "stamp").write_text(wanted_stamp(item))
  shutil.rmtree(item.binaries, ignore_errors=True)
  fresh.rename(item.binaries)


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("names", nargs="*", metavar="NAME", help="wrapper modules, default all")
  parser.add_argument("--missing", action="store_true", help="print what is not current, and stop")
  parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
  args = parser.parse_args()
  known = {item.name: item for item in go_modules.ALL}
  for name in args.names:
    if name not in known:
      parser.error(f"no module '{name}'; there are: {' '.join(known)}")
  for name in args.names or known:
    if is_current(known[name]):
      continue
    if args.missing:
      print(name)
    else:
      build(known[name], args.jobs)
  return 0


if __name__ == "__main__":
  sys.exit(main())
