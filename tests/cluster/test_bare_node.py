# SPDX-License-Identifier: Apache-2.0
"""A node without a GPU driver at first, at an API server without the feature gate that shares
devices: what is missing is said, and what can work without it does."""

import os

import pytest
from cluster_harness import wait_until
from dra import GPU_MIB, Driver, Tenants, claim, pod, request

pytestmark = pytest.mark.newest_only
GATE = "DRAConsumableCapacity"


@pytest.fixture(scope="module")
def bare(make_cluster):
  """The driver there. No test of this file leaves a GPU driver unless it needs one."""
  driver = Driver(make_cluster("-bare", "--gpu=none", f"--feature-gate={GATE}=false"))
  driver.gpus = len((driver.published() or []))
  driver.stop()
  driver.install()
  driver.wait_ready()
  return driver


@pytest.fixture
def with_gpu(bare):
  """The GPU driver comes while ours runs."""
  if not bare.gpus:
    bare.put_gpu_driver()
    bare.wait_published()
  return bare


def test_without_a_gpu_driver(bare):
  if bare.gpus:
    pytest.skip("the cluster is of an earlier run and has one already")
  bare.wait_said("no GPU driver; waiting for it", "no NVIDIA driver on this machine")
  [found] = bare.slices()
  assert "devices" not in found["spec"]
  assert bare.metrics()["hami_dra_driver_found"] == 0
  # Not broken: DaemonSets are rolled out on nodes that wait for their driver.
  status = bare.pod().status.container_statuses[0]
  assert status.restart_count == 0


def test_the_gpu_driver_comes(with_gpu):
  with_gpu.wait_said("driver found", "550.144.03")
  assert with_gpu.published() == ["hami-gpu-0"]
  assert with_gpu.metrics()["hami_dra_driver_found"] == 1


def test_the_missing_gate_is_reported(with_gpu):
  [found] = with_gpu.slices()
  [device] = found["spec"]["devices"]
  assert "allowMultipleAllocations" not in device
  assert "requestPolicy" not in device["capacity"]["memory"]
  line = with_gpu.wait_said("the API server throws fields away", GATE)
  assert line["level"] == "error"
  assert with_gpu.metrics()[f'hami_dra_fields_dropped{{gate="{GATE}"}}'] == 1
  # What was dropped is not written again at each look.
  version = found["metadata"]["resourceVersion"]
  with_gpu.cluster.resource.patch_resource_slice(
      found["metadata"]["name"], {"metadata": {"labels": {"looked": "at"}}})
  wait_until(lambda: with_gpu.slices()[0]["metadata"]["resourceVersion"] != version,
             "a new version")
  assert with_gpu.slices()[0]["spec"] == found["spec"]


def test_gpus_are_given_whole(with_gpu):
  """Without the gate the scheduler takes a request for a least size."""
  tenants = Tenants(with_gpu.cluster, f"whole-{os.urandom(3).hex()}")
  try:
    tenants.create(claim("one", request(memory="10Gi")), pod("one"),
                   claim("two", request(memory="10Gi")), pod("two"),
                   claim("large", request(memory="30Gi")), pod("large"))
    tenants.wait_event("large", "FailedScheduling", "cannot allocate all claims")
    first = wait_until(lambda: next((name for name in ("one", "two")
                                     if tenants.pod(name).status.phase == "Running"), None),
                       "one of them runs")
    second = {"one": "two", "two": "one"}[first]
    assert f"/ {GPU_MIB}MiB" in tenants.inside(first, "nvidia-smi")
    tenants.wait_event(second, "FailedScheduling", "cannot allocate all claims")
    tenants.delete_pod(first)
    tenants.wait_running(second)
  finally:
    tenants.remove()
  with_gpu.wait_nothing_kept()
