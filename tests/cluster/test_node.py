# SPDX-License-Identifier: Apache-2.0
"""The node: its simulated GPUs, its own folders, the layouts of the tenants' images."""

import os
import pathlib

import pytest

pytestmark = pytest.mark.newest_only

DRIVER_ROOT = "/run/nvidia/driver"
LIBRARIES = f"{DRIVER_ROOT}/usr/lib/x86_64-linux-gnu"
SIMULATION = f"{DRIVER_ROOT}/run/hami-sim"


def test_the_driver_root_holds_a_simulated_gpu(cluster):
  said = cluster.run("env", f"HAMI_SIM={SIMULATION}", f"LD_LIBRARY_PATH={LIBRARIES}",
                     f"{DRIVER_ROOT}/usr/bin/nvidia-smi").stdout
  assert "NVIDIA A10" in said
  assert "Simulated" in said


def test_driver_libraries_carry_their_version(cluster):
  libraries = cluster.root / LIBRARIES.lstrip("/")
  for name in ("libcuda.so", "libnvidia-ml.so"):
    assert os.readlink(libraries / name) == f"{name}.1"
    assert os.readlink(libraries / f"{name}.1") == f"{name}.550.144.03"
    assert (libraries / f"{name}.550.144.03").is_file()


def test_any_user_may_use_the_simulation(cluster):
  said = cluster.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env",
                     f"HAMI_SIM={SIMULATION}", f"LD_LIBRARY_PATH={LIBRARIES}",
                     f"{DRIVER_ROOT}/usr/bin/nvidia-smi").stdout
  assert "NVIDIA A10" in said


@pytest.mark.parametrize("folder", ["/run", "/var/lib", "/var/log", "/etc"])
def test_the_nodes_folders_are_not_the_hosts(cluster, folder):
  mark = f"{folder}/hami-cluster-mark-{os.getpid()}"
  cluster.run("touch", mark)
  assert (cluster.root / mark.lstrip("/")).exists()
  assert not pathlib.Path(mark).exists()
  cluster.run("rm", mark)


def test_cgroups_begin_at_the_clusters_own(cluster, namespace):
  namespace.create_pod("grouped")
  pod = namespace.wait_running("grouped")
  uid = pod.metadata.uid
  below = cluster.run("sh", "-c", "find /sys/fs/cgroup/ -type d -path '*/kubepods/*'").stdout
  assert uid in below or uid.replace("-", "_") in below
  assert cluster.folder.cgroup not in below


def test_debians_layout(namespace):
  namespace.create_pod("tenant", image="tenant-debian")
  namespace.wait_running("tenant")
  said = namespace.exec("tenant", "bash", "-c", "ldconfig -p; cat /proc/self/maps; env")
  assert "=> /lib/x86_64-linux-gnu/libc.so.6" in said
  assert "/usr/lib/x86_64-linux-gnu/libc.so.6" in said
  assert "NVIDIA_VISIBLE_DEVICES=all" in said


def test_rhels_layout(namespace):
  namespace.create_pod("tenant", image="tenant-rhel")
  namespace.wait_running("tenant")
  said = namespace.exec("tenant", "bash", "-c", "ldconfig -p; bash -c 'cat /proc/self/maps'; env")
  assert "=> /lib64/libc.so.6" in said
  assert "/usr/lib64/libc.so.6" in said
  assert "x86_64-linux-gnu" not in said
  assert "NVIDIA_VISIBLE_DEVICES=all" in said


def test_rhels_loader_searches_lib64_alone(namespace):
  """Without its cache, so that what is found is found by the loader's own folders."""
  namespace.create_pod("tenant", image="tenant-rhel")
  namespace.wait_running("tenant")
  said = namespace.exec("tenant", "sh", "-c",
                        "/lib64/ld-linux-x86-64.so.2 --help; "
                        "mkdir -p /usr/lib/x86_64-linux-gnu && rm /etc/ld.so.cache && "
                        "mv /usr/lib64/libtinfo.so.6 /usr/lib/x86_64-linux-gnu/ && "
                        "bash -c true 2>&1 || echo not found there")
  assert "/lib64 (system search path)" in said
  assert "x86_64-linux-gnu (system search path)" not in said
  assert "not found there" in said


def test_the_bare_image_preloads_a_library_of_its_own(namespace):
  namespace.create_pod("tenant", image="tenant-bare")
  namespace.wait_running("tenant")
  assert namespace.exec("tenant", "show", "TENANT_MARK") == "TENANT_MARK=loaded\n"
  said = namespace.exec("tenant", "sh", "-c", "ls /sbin/ldconfig /etc/ld.so.cache 2>&1 || true")
  assert said.count("No such file") == 2
