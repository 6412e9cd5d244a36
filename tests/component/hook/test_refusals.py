# SPDX-License-Identifier: Apache-2.0
"""Hostile images, and hooks that are used wrongly: the container does not start, the pod's event
says why, and nothing outside of the image's own root has changed."""

import json
import os
import socket
import stat
import subprocess

import pytest
from hook_harness import HOOK, LIBRARY


@pytest.fixture
def victim(bundle):
    """A folder of the node that an image tries to reach."""
    folder = bundle.folder / "victim"
    (folder / "etc").mkdir(parents=True)
    (folder / "file").write_text("of the node\n")
    yield folder
    assert (folder / "file").read_text() == "of the node\n"
    assert list((folder / "etc").iterdir()) == []


@pytest.mark.parametrize("outside", [True, False], ids=["to-the-node", "to-nowhere"])
def test_etc_is_a_link(bundle, victim, outside):
    (bundle.rootfs / "etc").rmdir()
    target = victim / "etc" if outside else "/host/etc"
    (bundle.rootfs / "etc").symlink_to(target)
    assert "/etc of the image is a link or a file" in bundle.refusal()


def test_etc_is_a_file(bundle):
    (bundle.rootfs / "etc").rmdir()
    (bundle.rootfs / "etc").write_text("")
    assert "/etc of the image is a link or a file" in bundle.refusal()


@pytest.mark.parametrize("kind", ["up", "absolute", "inside", "nowhere", "magic"])
def test_the_file_is_a_link(bundle, victim, kind):
    (bundle.rootfs / "inside").write_text("/a.so\n")
    targets = {
        "up": "../" * 20 + str(victim / "file")[1:],
        "absolute": victim / "file",
        "inside": "../inside",
        "nowhere": "none",
        "magic": "/proc/self/root" + str(victim / "file"),
    }
    bundle.preload.symlink_to(targets[kind])
    assert "ld.so.preload of the image is a link" in bundle.refusal()
    assert (bundle.rootfs / "inside").read_text() == "/a.so\n"


def test_the_file_is_no_file(bundle):
    bundle.preload.mkdir()
    assert "is a folder, not a plain file" in bundle.refusal()
    bundle.preload.rmdir()
    os.mkfifo(bundle.preload)  # would hold up whoever opens it
    assert "is a pipe, socket or device" in bundle.refusal()
    bundle.preload.unlink()
    os.mknod(bundle.preload, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    assert "is a pipe, socket or device" in bundle.refusal()
    bundle.preload.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(bundle.preload))
        assert "is a pipe, socket or device" in bundle.refusal()


def test_the_file_is_too_large(bundle):
    most = "#" * 65535 + "\n"
    bundle.preload.write_text(most)
    assert bundle.shown() == f"{LIBRARY}\n{most}"
    bundle.preload.write_text(most + "\n")
    assert "has more than 65536 bytes" in bundle.refusal()
    with bundle.preload.open("wb") as file:
        file.truncate(1 << 40)
    assert "has more than 65536 bytes" in bundle.refusal()


def test_the_library_is_missing(bundle):
    (bundle.rootfs / LIBRARY[1:]).unlink()
    assert f"{LIBRARY} is not in the container" in bundle.refusal()
    (bundle.rootfs / LIBRARY[1:]).symlink_to("/etc/passwd")  # the node has one
    assert f"{LIBRARY} is not in the container" in bundle.refusal()
    (bundle.rootfs / LIBRARY[1:]).unlink()
    (bundle.rootfs / LIBRARY[1:]).mkdir()
    assert "is no file" in bundle.refusal()


def test_a_refusal_is_one_line(bundle):
    ended = bundle.shell("true")
    assert ended.returncode == 0
    bundle.hooks = [bundle.hook("--library=/a\nb")]
    ended = bundle.shell("true")
    assert ended.returncode != 0
    assert "--library must be an absolute path" in ended.stderr


def test_images_with_musl_start_and_are_reported(bundle):
    bundle.name += "+x"
    (bundle.rootfs / "lib").mkdir()
    (bundle.rootfs / "lib" / f"ld-musl-{os.uname().machine}.so.1").write_text("")
    assert bundle.shown() == f"{LIBRARY}\n"
    name = "limits-inactive-" + bundle.name.replace("+", "_")
    assert [mark.name for mark in bundle.marks.iterdir()] == [name]
    assert "musl" in (bundle.marks / name).read_text()


def test_a_mark_that_cannot_be_left_stops_nobody(bundle):
    (bundle.rootfs / "lib").mkdir()
    (bundle.rootfs / "lib" / f"ld-musl-{os.uname().machine}.so.1").write_text("")
    bundle.marks.rmdir()
    assert bundle.shown() == f"{LIBRARY}\n"


def test_images_with_both_loaders_are_not_reported(bundle):
    machine = os.uname().machine
    glibc = {"x86_64": "lib64/ld-linux-x86-64.so.2", "aarch64": "lib/ld-linux-aarch64.so.1"}
    for path in (f"lib/ld-musl-{machine}.so.1", glibc[machine]):
        (bundle.rootfs / path).parent.mkdir(exist_ok=True)
        (bundle.rootfs / path).write_text("")
    assert bundle.shown() == f"{LIBRARY}\n"
    assert list(bundle.marks.iterdir()) == []


# --- used wrongly -------------------------------------------------------------------------------


def call(bundle, state, arguments=None, config=None):
    if config is not None:
        (bundle.folder / "config.json").write_text(config)
    ended = subprocess.run(
        [HOOK, *(arguments or bundle.hook()["args"][1:])],
        input=state,
        env={},
        capture_output=True,
        text=True,
    )
    assert ended.stderr.count("\n") == 1
    return ended.returncode, ended.stderr


def state_of(bundle, **more):
    return json.dumps({"id": "x", "bundle": str(bundle.folder), **more})


# As a hook of another kind, in the mount namespace of the node's first process.
def test_outside_of_a_container(bundle):
    (bundle.folder / "config.json").write_text(json.dumps({"root": {"path": "rootfs"}}))
    node = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", '"$@"; exit $?', "sh"]
    ended = subprocess.run(
        [*node, HOOK, *bundle.hook()["args"][1:]],
        input=state_of(bundle),
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "this is the node's own mount namespace" in ended.stderr


def test_a_root_that_is_the_nodes(bundle):
    (bundle.folder / "config.json").write_text(json.dumps({"root": {"path": "/"}}))
    ended = subprocess.run(
        ["unshare", "--mount", HOOK, *bundle.hook()["args"][1:]],
        input=state_of(bundle),
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "root / is the node's own" in ended.stderr


@pytest.mark.parametrize(
    ("state", "config", "words"),
    [
        ("", None, "is not whole JSON"),
        ('{"id":"x"}', None, 'has no "bundle"'),
        ('{"bundle":"/"}', None, 'has no "id"'),
        ('{"id":"x","bundle":"b"}', None, "not an absolute path"),
        ('{"id":"x","bundle":"/no/such"}', None, "open /no/such/config.json"),
        (None, "{}", 'config.json has no "path"'),
        (None, '{"root":{"path":"none"}}', "open the root file system"),
        (None, '{"root":{"path":"' + "x" * 5000 + '"}}', '"path" is too long'),
        (None, '{"root":{"path":"/"}', "config.json is not whole JSON"),
    ],
)
def test_states_that_make_no_sense(bundle, state, config, words):
    given = state_of(bundle) if state is None else state
    code, text = call(bundle, given, config=config)
    assert code == 1
    assert words in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["postload"], "must be preload"),
        (["preload"], "--library must be"),
        (["preload", "--library=x", "--folder=/x"], "--library must be"),
        (["preload", "--library=/a:b", "--folder=/x"], "--library must be"),
        (["preload", "--library=/x", "--folder=x"], "--folder must be"),
        (["preload", "--library=/x", "--folder=/x", "--more"], "unknown argument --more"),
    ],
)
def test_wrong_arguments(bundle, arguments, words):
    code, text = call(bundle, "", arguments)
    assert code == 2
    assert words in text
