#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the wrapper modules tools/cluster/go/NAME/{go.mod,go.sum} from the table go_modules.py.

To be run by hand after a version in the table was changed; needs the Go module proxy. The commands
are named as `tool` lines, so that `go mod tidy` keeps what they need. Kubernetes names its own
staging modules with v0.0.0, which means "the folder beside me"; outside its repository each needs a
replacement by the release of the same minor and patch.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

import go_modules
import go_toolchain


def run(go: str, folder, *arguments: str) -> str:
  environment = dict(os.environ, GOFLAGS="-mod=mod", GOWORK="off", GOTOOLCHAIN="local")
  return subprocess.run([go, *arguments], cwd=folder, env=environment, check=True,
                        stdout=subprocess.PIPE, text=True).stdout


def staging_modules(go: str, version: str) -> list[str]:
  """The modules that Kubernetes' go.mod names with exactly v0.0.0."""
  with tempfile.TemporaryDirectory() as folder:
    run(go, folder, "mod", "init", "hami.invalid/look")
    path = run(go, folder, "mod", "download", "-json", f"{go_modules.KUBERNETES}@{version}")
    with open(json.loads(path)["GoMod"]) as file:
      words = [line.split() for line in file]
  return sorted({line[0] if line[0] != "require" else line[1] for line in words
                 if "v0.0.0" in line})


def write_wrapper(go: str, item: go_modules.GoModule) -> None:
  shutil.rmtree(item.wrapper, ignore_errors=True)
  item.wrapper.mkdir(parents=True)
  lines = [f"module hami.invalid/cluster/{item.name}", "", "go 1.26", ""]
  lines += [f"tool {package}" for package in item.packages]
  lines += ["", f"require {item.module} {item.version}"]
  if item.module == go_modules.KUBERNETES:
    staged = "v0." + item.version.split(".", 1)[1]
    lines += [f"replace {name} => {name} {staged}" for name in staging_modules(go, item.version)]
  (item.wrapper / "go.mod").write_text("\n".join(lines) + "\n")
  run(go, item.wrapper, "mod", "tidy")
  found = run(go, item.wrapper, "list", "-m", "-f", "{{.Version}}", item.module).strip()
  if found != item.version:
    raise SystemExit(f"{item.name}: {item.module} became {found} instead of {item.version}")


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("names", nargs="*", metavar="NAME",
                      help="wrappers to write (default all): "
                           + " ".join(item.name for item in go_modules.ALL))
  names = parser.parse_args().names
  known = {item.name for item in go_modules.ALL}
  if set(names) - known:
    parser.error("no wrapper " + ", ".join(sorted(set(names) - known)))
  go = go_toolchain.find_go()
  for item in go_modules.ALL:
    if not names or item.name in names:
      print(f"{item.name}: {item.module} {item.version}", flush=True)
      write_wrapper(go, item)
  return 0


if __name__ == "__main__":
  sys.exit(main())
