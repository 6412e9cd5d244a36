# SPDX-License-Identifier: Apache-2.0
"""What a container gets: our line first, the image's own behind it, and no way to change either."""

import json
import os
import subprocess

import pytest
from hook_harness import BUILD, HOOK, LIBRARY

LINE = f"{LIBRARY}\n"


def test_an_image_without_the_file(bundle):
    assert bundle.shown() == LINE
    # All that is left of it in the image is a place to mount over.
    assert bundle.preload.read_bytes() == b""


def test_an_image_without_etc(bundle):
    (bundle.rootfs / "etc").rmdir()
    assert bundle.shown() == LINE


def test_an_images_own_libraries_stay(bundle):
    bundle.preload.write_text("# ours\n/usr/lib/libjemalloc.so.2")
    assert bundle.shown() == LINE + "# ours\n/usr/lib/libjemalloc.so.2\n"
    assert bundle.preload.read_text() == "# ours\n/usr/lib/libjemalloc.so.2"


def test_our_line_is_not_doubled(bundle):
    bundle.preload.write_text(f"/a.so\n{LIBRARY}\n")
    assert bundle.shown() == LINE + "/a.so\n"


def test_two_claims_of_one_container(bundle):
    bundle.preload.write_text("/a.so\n")
    bundle.hooks = [bundle.hook(), bundle.hook()]
    assert bundle.shown() == LINE + "/a.so\n"


# A tenant's root may do all that files allow, but not mount.
@pytest.mark.parametrize(
    "attempt",
    [
        "echo x > /etc/ld.so.preload",
        "echo x >> /etc/ld.so.preload",
        "rm -f /etc/ld.so.preload",
        "mv /etc/ld.so.preload /etc/other",
        "echo x > /tmp/x && mv -f /tmp/x /etc/ld.so.preload",
        "ln -sf /tmp/x /etc/ld.so.preload",
        "umount /etc/ld.so.preload",
        "umount -l /etc/ld.so.preload",
        "mount -o remount,rw,bind /etc/ld.so.preload",
        "chmod 0666 /etc/ld.so.preload",
        "chown 1 /etc/ld.so.preload",
        "rm -rf /etc",
    ],
)
def test_root_cannot_change_it(bundle, attempt):
    commands = ("rm", "mv", "ln", "umount", "mount", "chmod", "chown", "cat")
    for name in commands:
        (bundle.rootfs / "bin" / name).symlink_to("busybox")
    ended = bundle.shell(f"({attempt}) 2>&1 && echo DONE; cat /etc/ld.so.preload")
    assert ended.returncode == 0, ended
    assert "DONE" not in ended.stdout
    assert ended.stdout.endswith(LINE), ended.stdout


def test_everybody_may_read_it(bundle):
    bundle.changes = lambda config: config["process"]["user"].update(uid=1000, gid=1000)
    bundle.preload.write_text("/a.so\n")
    assert bundle.shown() == LINE + "/a.so\n"


def test_a_read_only_root(bundle):
    bundle.readonly = True
    ended = bundle.shell("busybox touch /tmp/x || busybox cat /etc/ld.so.preload")
    assert ended.stdout == LINE, ended


# A root that is read-only already while the hook runs, as some runtimes mount an image.
def read_only_from_the_start(bundle):
    root = str(bundle.rootfs)
    script = f"mount --bind {root} {root} && mount -o remount,bind,ro {root} && exec \"$@\""
    bundle.around = ["unshare", "--mount", "sh", "-c", script, "sh"]


def test_a_root_that_cannot_take_the_file(bundle):
    read_only_from_the_start(bundle)
    assert "add an empty one to the image" in bundle.refusal()


def test_a_read_only_root_with_the_file(bundle):
    bundle.preload.write_text("")
    read_only_from_the_start(bundle)
    assert bundle.shown() == LINE


def test_mounts_in_etc_stay(bundle):
    (bundle.folder / "hosts").write_text("127.0.0.1 localhost\n")
    (bundle.folder / "preload").write_text("/from/a/volume.so\n")

    def add_mounts(config):
        for name, path in (("hosts", "hosts"), ("preload", "ld.so.preload")):
            config["mounts"].append(
                {
                    "destination": f"/etc/{path}",
                    "type": "bind",
                    "source": str(bundle.folder / name),
                    "options": ["bind", "ro"],
                }
            )

    bundle.changes = add_mounts
    ended = bundle.shell("busybox cat /etc/hosts /etc/ld.so.preload")
    assert ended.stdout == "127.0.0.1 localhost\n" + LINE + "/from/a/volume.so\n"


@pytest.mark.parametrize("propagation", [None, "rprivate", "rslave", "rshared"])
def test_nothing_comes_back_to_the_node(bundle, propagation):
    """On a node whose mounts are shared, as systemd makes them."""
    if propagation:
        bundle.changes = lambda config: config["linux"].update(rootfsPropagation=propagation)
    bundle.share_mounts()
    assert bundle.shown() == LINE
    assert bundle.left_on_the_node() == ""


def test_a_user_namespace(bundle):
    """hostUsers: false. The hook is root of the container only and may not write on the node."""
    base = 100_000
    for path in [bundle.rootfs, *bundle.rootfs.rglob("*")]:
        os.chown(path, base, base, follow_symlinks=False)
    bundle.marks.chmod(0o700)

    def map_ids(config):
        config["linux"]["namespaces"].append({"type": "user"})
        mapping = [{"containerID": 0, "hostID": base, "size": 65536}]
        config["linux"].update(uidMappings=mapping, gidMappings=mapping)

    bundle.changes = map_ids
    assert bundle.shown() == LINE


def test_programs_load_the_library(bundle):
    library = BUILD / "lib" / "libvgpu.so"
    assert library.exists(), f"{library} is not built (set HAMI_BUILD)"
    bundle.add_glibc("/bin/cat")
    (bundle.rootfs / LIBRARY[1:]).write_bytes(library.read_bytes())
    (bundle.rootfs / LIBRARY[1:]).chmod(0o755)
    ended = bundle.run("/bin/cat", "/proc/self/maps")
    assert ended.returncode == 0, ended
    assert LIBRARY in ended.stdout
    assert ended.stderr == ""
    # Whatever the tenant says.
    bundle.env = ["LD_PRELOAD=", "LD_LIBRARY_PATH=/nowhere"]
    assert LIBRARY in bundle.run("/bin/cat", "/proc/self/maps").stdout


def test_a_large_configuration(bundle):
    bundle.env = ["PATH=/bin", *(f"V{i}={'x' * 1000}" for i in range(1000))]
    bundle.changes = lambda config: config.update(annotations={"root": json.dumps({"path": "/"})})
    assert bundle.shown() == LINE


# runc gives a hook without an environment of its own the container's, and starts it in the
# container's root: a loader would take these from the image.
def test_the_environment_of_the_image_does_nothing(bundle):
    bundle.env = ["PATH=/bin", "LD_PRELOAD=./evil.so", "GLIBC_TUNABLES=glibc.malloc.check=3"]
    (bundle.rootfs / "evil.so").write_text("not even a library")
    del bundle.hooks[0]["env"]
    assert bundle.shown() == LINE
    environment = {"LD_PRELOAD": "/nowhere.so", "LD_LIBRARY_PATH": "/nowhere", "LD_DEBUG": "all"}
    ended = subprocess.run([HOOK, "--version"], env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
