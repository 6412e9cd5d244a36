# SPDX-License-Identifier: Apache-2.0
"""Bundles of the Open Container Initiative, made by hand and run by the real runc, with
hami-cdi-hook as their createContainer hook. The program comes from $HAMI_BUILD, else from build/ of
the repository.

The image is busybox, linked statically: it shows what the hook does to files and mounts. Programs
that load libraries are added by add_glibc.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess

BUILD = pathlib.Path(
    os.environ.get("HAMI_BUILD", pathlib.Path(__file__).resolve().parents[3] / "build")
).resolve()
HOOK = BUILD / "bin" / "hami-cdi-hook"
LIBRARY = "/opt/hami/libvgpu.so"
# What a container runtime gives root by default, as far as files are concerned.
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_MKNOD", "CAP_SYS_CHROOT"]
PATIENCE_S = 60  # never the subject of a test, only its end


def why_not():
    """Why these tests cannot run here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("runc", "busybox"):
        if shutil.which(program) is None:
            return f"needs {program}"
    return None


class Bundle:
    def __init__(self, folder, name):
        self.folder = folder
        self.name = name  # the container's id
        self.rootfs = folder / "rootfs"
        self.marks = folder / "marks"
        for path in ("bin", "etc", "proc", "dev", "tmp", "opt/hami"):
            (self.rootfs / path).mkdir(parents=True)
        self.marks.mkdir()
        shutil.copy(shutil.which("busybox"), self.rootfs / "bin/busybox")
        (self.rootfs / LIBRARY[1:]).write_bytes(b"stands for a library")
        self.preload = self.rootfs / "etc/ld.so.preload"
        self.env = ["PATH=/bin"]
        self.hooks = [self.hook()]
        self.readonly = False
        self.changes = lambda config: None
        self.around = []  # a program that starts runc

    def hook(self, *more, path=None):
        return {
            "path": str(path or HOOK),
            "args": [
                "hami-cdi-hook",
                "preload",
                f"--library={LIBRARY}",
                f"--folder={self.marks}",
                *more,
            ],
            "env": ["HAMI_HOOK=1"],
        }

    def share_mounts(self):
        """Runs it where the node's mounts are shared, in a namespace of its own."""
        seen = self.folder / "left"
        script = (
            'mount --make-rshared / && "$@"; code=$?; '
            f"grep -F {self.folder} /proc/self/mountinfo > {seen}; exit $code"
        )
        self.around = ["unshare", "--mount", "--propagation", "shared", "sh", "-c", script, "sh"]

    def left_on_the_node(self):
        """The mounts below the bundle when it had ended; after share_mounts."""
        return (self.folder / "left").read_text()

    def add_glibc(self, program):
        """A program of this machine with all that it loads."""
        text = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for path in [program, *re.findall(r"(/\S+) \(0x", text)]:
            target = self.rootfs / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)

    def config(self, arguments):
        config = {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": False,
                "user": {"uid": 0, "gid": 0},
                "args": arguments,
                "env": self.env,
                "cwd": "/",
                "capabilities": {
                    kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")
                },
                "noNewPrivileges": True,
            },
            "root": {"path": "rootfs", "readonly": self.readonly},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            ],
            "hooks": {"createContainer": self.hooks},
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]},
        }
        self.changes(config)
        return config

    def run(self, *arguments):
        """The container's end: returncode, stdout, stderr."""
        (self.folder / "config.json").write_text(json.dumps(self.config(list(arguments))))
        runc = ["runc", "--root", str(self.folder / "run")]
        return subprocess.run(
            [*self.around, *runc, "run", "--bundle", str(self.folder), self.name],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE_S,
        )

    def shell(self, script):
        return self.run("/bin/busybox", "sh", "-c", script)

    def shown(self):
        """The text of /etc/ld.so.preload as the container's programs see it."""
        ended = self.run("/bin/busybox", "cat", "/etc/ld.so.preload")
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def refusal(self):
        """What the pod's event would say of a container that does not start."""
        ended = self.shell("echo started")
        assert ended.returncode != 0
        assert "started" not in ended.stdout
        assert "GPU limits cannot be set up: " in ended.stderr, ended.stderr
        return ended.stderr.split("GPU limits cannot be set up: ")[1]


def mounts_below(folder):
    """Mount points of this namespace: a hook must leave none."""
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [point for point in (line.split()[4] for line in lines) if point.startswith(str(folder))]
