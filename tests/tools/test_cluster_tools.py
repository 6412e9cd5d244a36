# SPDX-License-Identifier: Apache-2.0
"""The parts of tools/cluster that need no cluster."""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "cluster"))

import build_go  # noqa: E402
import cluster as command_line  # noqa: E402
import cluster_folder  # noqa: E402
import go_modules  # noqa: E402
import library_closure  # noqa: E402
import rhel_loader  # noqa: E402
import simulated_gpu  # noqa: E402
from oci_archive import Image  # noqa: E402
from processes import Process  # noqa: E402


def small_image(*paths):
  image = Image("localhost/small:dev", command=["run"], environment={"KEY": "value"})
  for path in paths:
    image.add_bytes(path, path.encode())
  image.add_link("bin", "usr/bin")
  return image


def test_the_same_content_gives_the_same_archive(tmp_path):
  assert small_image("etc/a", "usr/bin/b").write(tmp_path / "one.tar")
  assert small_image("usr/bin/b", "etc/a").write(tmp_path / "two.tar")
  assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
  assert not small_image("etc/a", "usr/bin/b").write(tmp_path / "one.tar")
  assert small_image("etc/other").write(tmp_path / "one.tar")


def test_an_archive_is_what_its_index_says(tmp_path):
  small_image("etc/a").write(tmp_path / "small.tar")
  with tarfile.open(tmp_path / "small.tar") as archive:
    blobs = {member.name: archive.extractfile(member).read() for member in archive}

  def follow(description):
    blob = blobs["blobs/" + description["digest"].replace(":", "/")]
    assert "sha256:" + hashlib.sha256(blob).hexdigest() == description["digest"]
    assert len(blob) == description["size"]
    return blob

  entry = json.loads(blobs["index.json"])["manifests"][0]
  assert entry["annotations"]["io.containerd.image.name"] == "localhost/small:dev"
  manifest = json.loads(follow(entry))
  follow(manifest["layers"][0])
  config = json.loads(follow(manifest["config"]))
  assert config["config"]["Cmd"] == ["run"]
  assert "KEY=value" in config["config"]["Env"]


def test_a_path_through_a_link_is_refused():
  with pytest.raises(ValueError, match="bin/b lies below bin"):
    small_image("etc/a").add_bytes("bin/b", b"")


def test_folders_of_a_changed_loader_keep_their_places():
  """The length of the first, and so where the second begins, are in the loader's code."""
  assert len(rhel_loader.RHEL[0]) == len(rhel_loader.DEBIAN[0])
  table = b"before" + rhel_loader.lengths_of(rhel_loader.DEBIAN) + \
      rhel_loader.strings_of(rhel_loader.DEBIAN) + b"behind"
  changed = rhel_loader.patch(table)
  assert len(changed) == len(table)
  assert changed.startswith(b"before") and changed.endswith(b"behind")
  assert rhel_loader.strings_of(rhel_loader.RHEL) in changed
  assert b"x86_64-linux-gnu" not in changed


def test_a_loader_of_another_build_is_refused():
  with pytest.raises(SystemExit, match="not built as Debian 12's"):
    rhel_loader.patch(b"something else")


def test_this_machines_loader_can_be_changed(tmp_path):
  changed = tmp_path / "loader"
  changed.write_bytes(rhel_loader.patch(library_closure.LOADER.read_bytes()))
  changed.chmod(0o755)
  assert rhel_loader.search_folders(changed) == list(rhel_loader.RHEL)


def test_closure_names_what_a_program_loads():
  found = library_closure.closure([pathlib.Path("/bin/bash")])
  assert "libc.so.6" in found
  assert not any("ld-linux" in name for name in found)


@pytest.mark.parametrize("text, meant", [("a10-550", ("a10-550", 1)), ("a10-550:2", ("a10-550", 2)),
                                         ("h200-580:16", ("h200-580", 16)), ("none", None)])
def test_gpu_option(text, meant):
  assert simulated_gpu.parse(text) == meant


@pytest.mark.parametrize("text", ["", "a10-550:0", "a10-550:", "A10", "a10-550:100", "../x"])
def test_gpu_option_that_means_nothing(text):
  with pytest.raises(SystemExit, match="is not PROFILE"):
    simulated_gpu.parse(text)


@pytest.mark.parametrize("arguments, name, command", [
    (["kubectl", "-n", "team", "get", "pods"], None, ["-n", "team", "get", "pods"]),
    (["kubectl", "--name", "two", "get", "--version"], "two", ["get", "--version"]),
    (["exec", "--name=two", "--", "sh", "-c", "--name"], "two", ["sh", "-c", "--name"]),
    (["exec"], None, []),
])
def test_what_follows_own_options_is_the_command(arguments, name, command):
  args = command_line.parse_arguments(arguments)
  assert (args.name, args.command) == (name, command)


def test_a_number_that_was_used_again_is_not_signalled():
  child = subprocess.Popen(["sleep", "infinity"])
  try:
    now = Process.of(child.pid)
    earlier = Process(now.pid, now.started - 1, now.boot)
    assert now.is_running() and not earlier.is_running()
    assert earlier.end(signal.SIGKILL, 10)
    assert child.poll() is None
    assert now.end(signal.SIGKILL, 10)
    assert child.wait() == -signal.SIGKILL
    assert not now.is_running()
  finally:
    child.kill()
    child.wait()


@pytest.mark.parametrize("name", ["", "..", "a/b", "Upper", "-a", "a" * 25])
def test_names_that_cannot_be_folders(name):
  with pytest.raises(SystemExit, match="cannot be a name"):
    cluster_folder.ClusterFolder(name)


def test_who_waits_for_a_removed_folder_gets_a_new_one(tmp_path, monkeypatch):
  monkeypatch.setattr(cluster_folder, "ROOT", tmp_path / "clusters")
  first = cluster_folder.ClusterFolder("shared")
  seen = []

  def wait():
    folder = cluster_folder.ClusterFolder("shared")
    with folder.locked():
      seen.append(folder.exists())

  for _ in range(50):
    with first.locked():
      waiter = threading.Thread(target=wait)
      waiter.start()
      first.remove()
    waiter.join()
  assert seen == [True] * 50


def test_an_error_under_the_lock_comes_out_as_it_is(tmp_path, monkeypatch):
  monkeypatch.setattr(cluster_folder, "ROOT", tmp_path / "clusters")
  with pytest.raises(FileNotFoundError, match="of the work"):
    with cluster_folder.ClusterFolder("shared").locked():
      raise FileNotFoundError("of the work")


def test_a_folder_with_a_mount_is_not_emptied(tmp_path, monkeypatch):
  """`/proc` stands for a mount that was forgotten below the folder."""
  monkeypatch.setattr(cluster_folder, "ROOT", pathlib.Path("/"))
  with pytest.raises(SystemExit, match="is a mount"):
    cluster_folder.ClusterFolder("proc").empty()


@pytest.mark.parametrize("item", go_modules.ALL, ids=lambda item: item.name)
def test_wrapper_modules_are_those_of_the_table(item):
  text = (item.wrapper / "go.mod").read_text()
  assert f"{item.module} {item.version}" in text
  for package in item.packages:
    assert f"tool {package}\n" in text or f"\t{package}\n" in text
  assert (item.wrapper / "go.sum").stat().st_size > 0
  assert len(build_go.wanted_stamp(item)) == 64


def test_every_version_has_gates_and_a_wrapper():
  import components
  assert set(components.GATES_BY_VERSION) == set(go_modules.KUBERNETES_VERSIONS)
  assert go_modules.NEWEST == max(go_modules.KUBERNETES_VERSIONS)
  assert os.access(go_modules.HERE / "build_go.py", os.X_OK)
