#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev image`: writes all images and imports them into every cluster that is up.

Help for people stands in tools/dev/image.sh.
"""

import argparse
import contextlib
import fcntl
import os
import sys

import cluster_folder
import images
import lifecycle
import product_image
import simulated_gpu
import tenant_images

MAKERS = {
    "pause": lambda build: images.pause_image(),
    "hami": product_image.make,
    "tenant-debian": tenant_images.debian,
    "tenant-rhel": tenant_images.rhel,
    "tenant-bare": tenant_images.bare,
    "tenant-musl": tenant_images.musl,
}


@contextlib.contextmanager
def only_one_at_a_time():
  """Tests of two clusters make the same images."""
  images.FOLDER.mkdir(parents=True, exist_ok=True)
  descriptor = os.open(images.FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
  fcntl.flock(descriptor, fcntl.LOCK_EX)
  try:
    yield
  finally:
    os.close(descriptor)


def main() -> int:
  parser = argparse.ArgumentParser(prog="./dev image", description=__doc__.splitlines()[0])
  parser.add_argument("--no-import", action="store_true")
  parser.add_argument("names", nargs="*", metavar="NAME", help=f"default all: {' '.join(MAKERS)}")
  args = parser.parse_args()
  for name in args.names:
    if name not in MAKERS:
      parser.error(f"no image '{name}'; there are: {' '.join(MAKERS)}")
  archives = []
  with only_one_at_a_time():
    for name in args.names or MAKERS:
      path = images.archive(name)
      changed = MAKERS[name](simulated_gpu.BUILD).write(path)
      print(f"localhost/{name}:dev  {path.stat().st_size / 2**20:5.1f} MiB"
            f"{'' if changed else ', as it was'}", flush=True)
      archives.append(path)
  if args.no_import:
    return 0
  for folder in cluster_folder.list_folders():
    if lifecycle.is_up(folder):
      images.import_into(folder, archives)
      print(f"imported into cluster '{folder.name}'")
  return 0


if __name__ == "__main__":
  sys.exit(main())
