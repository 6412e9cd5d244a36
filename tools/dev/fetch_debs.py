#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Unpacks Debian packages of another architecture or release into a folder. Nothing is installed,
and this machine's package lists are left alone: apt works in folders of its own, with the machine's
sources and keys. Run again with the same arguments it does nothing."""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FAILED = 1
SOURCES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources")


def mirror():
    """The first mirror of Debian's that this machine's sources name."""
    for path in map(pathlib.Path, SOURCES):
        if not path.exists():
            continue
        text = re.sub(r"^#.*$", "", path.read_text(), flags=re.MULTILINE)
        found = re.search(r"^(?:URIs:|deb)\s+(?:\[[^]]*\]\s+)?(\S+/debian)/?\s", text, re.MULTILINE)
        if found:
            return found.group(1)
    raise RuntimeError("no mirror of Debian's in this machine's apt sources")


def apt_options(work, arch):
    """A world of its own below a folder, for an architecture."""
    folders = {
        "Dir::State": work / "state",
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": work / "none",
        "Dir::State::status": work / "status",
    }
    options = [f"-o{name}={path}" for name, path in folders.items()]
    return [
        *options,
        f"-oAPT::Architecture={arch}",
        f"-oAPT::Architectures={arch}",
        "-oAPT::Get::List-Cleanup=0",
        "-oAcquire::Languages=none",
        "-oAcquire::Retries=3",
        "-oAPT::Sandbox::User=root",
        "-q",
    ]


def fetch(arch, release, packages, folder):
    with tempfile.TemporaryDirectory(prefix="hami-debs-") as name:
        work = pathlib.Path(name)
        (work / "state" / "lists" / "partial").mkdir(parents=True)
        (work / "cache" / "archives" / "partial").mkdir(parents=True)
        (work / "none").mkdir()
        (work / "status").touch()
        (work / "sources.list").write_text(f"deb {mirror()} {release} main\n")
        options = apt_options(work, arch)
        subprocess.run(["apt-get", *options, "update"], check=True, stdout=sys.stderr)
        subprocess.run(
            ["apt-get", *options, "download", *packages], check=True, stdout=sys.stderr, cwd=work
        )
        unpacked = folder.with_name(folder.name + ".new")
        shutil.rmtree(unpacked, ignore_errors=True)
        for package in sorted(work.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(unpacked, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", required=True, help="as Debian names it: arm64")
    parser.add_argument("--release", default="bookworm")
    parser.add_argument("--to", type=pathlib.Path, required=True)
    parser.add_argument("packages", nargs="+")
    arguments = parser.parse_args()
    stamp = arguments.to / ".fetched"
    asked = " ".join([arguments.arch, arguments.release, *arguments.packages])
    if stamp.exists() and stamp.read_text() == asked:
        return 0
    arguments.to.parent.mkdir(parents=True, exist_ok=True)
    try:
        fetch(arguments.arch, arguments.release, arguments.packages, arguments.to)
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        print(f"fetch_debs: {error}", file=sys.stderr)
        return FAILED
    stamp.write_text(asked)
    return 0


if __name__ == "__main__":
    sys.exit(main())
