# SPDX-License-Identifier: Apache-2.0
"""The published guide, object by object: what its reader types, and what the guide then shows
(tests/golden/dra_guide)."""

import re

import pytest
import yaml
from cluster_harness import ROOT
from dra import DRIVER, GPU_MIB, claim, container, pod, raw, request

GUIDE = ROOT / "tests" / "golden" / "dra_guide"
CLAIM, POD = "gpu-half-claim", "gpu-test-dra-native"


@pytest.fixture(scope="module")
def expected():
  return yaml.safe_load((GUIDE / "expected.yaml").read_text())


@pytest.fixture
def guide(tenants):
  """A namespace with the guide's pod, which runs."""
  objects = list(yaml.safe_load_all((GUIDE / "native.yaml").read_text()))
  objects[1]["spec"]["containers"][0] |= {"image": "localhost/tenant-rhel:dev",
                                          "imagePullPolicy": "Never"}
  tenants.create(*objects)
  tenants.wait_running(POD)
  return tenants


def test_the_slice(cluster, driver, expected):
  [found] = driver.slices()
  node = cluster.core.read_node(cluster.node)
  metadata = found["metadata"]
  assert metadata["generateName"] == expected["resourceSlice"]["metadata"]["generateName"]
  assert metadata["name"].startswith(metadata["generateName"])
  assert metadata["ownerReferences"] == [{
      "apiVersion": "v1", "kind": "Node", "name": node.metadata.name, "uid": node.metadata.uid,
      "controller": True}]
  # What the guide's listing leaves out.
  [device] = found["spec"]["devices"]
  assert device.pop("allowMultipleAllocations") is True
  total = f"{GPU_MIB}Mi"
  assert device["capacity"]["memory"].pop("requestPolicy") == {
      "default": total, "validRange": {"min": "1Mi", "max": total, "step": "1Mi"}}
  assert device["capacity"]["cores"].pop("requestPolicy") == {
      "default": "0", "validRange": {"min": "0", "max": "100", "step": "1"}}
  # The generation counts what the tests before did.
  assert found["spec"]["pool"].pop("generation") >= 1
  expected["resourceSlice"]["spec"]["pool"].pop("generation")
  assert found["spec"] == expected["resourceSlice"]["spec"]


def test_the_claims_allocation(guide, expected):
  status = guide.claim(CLAIM)["status"]
  allocation = status["allocation"]
  assert re.fullmatch(r"[0-9a-f-]{36}", allocation["devices"]["results"][0].pop("shareID"))
  allocation.pop("allocationTimestamp", None)  # 1.34 has none
  assert allocation == expected["nativeClaimAllocation"]
  user = guide.pod(POD).metadata
  assert status["reservedFor"] == [{"resource": "pods", "name": POD, "uid": user.uid}]


def test_nvidia_smi(guide, expected):
  smi = expected["nvidiaSmi"]
  said = guide.inside(POD, "nvidia-smi")
  assert f"Driver Version: {smi['driver']}" in said
  [gpu] = re.findall(r"^\|\s+(\d+)  (\S.*?)\s+(?:On|Off) \| (\S+) ", said, re.MULTILINE)
  assert gpu == ("0", smi["name"], smi["busId"])
  [figures] = re.findall(r"\| +(\d+MiB) / (\d+MiB) \| +(\d+%)", said)
  assert figures == (smi["memory"]["used"], smi["memory"]["total"], smi["utilization"])
  assert "No running processes found" in said


def test_memory_ends_at_the_slice(guide):
  said = guide.tenant(POD, "alloc", "11Gi", "alloc", "9Gi", "alloc", "2Gi", "free", "alloc", "9Gi")
  assert said.splitlines() == [
      "alloc 11Gi CUDA_ERROR_OUT_OF_MEMORY", "alloc 9Gi CUDA_SUCCESS",
      "alloc 2Gi CUDA_ERROR_OUT_OF_MEMORY", "free CUDA_SUCCESS", "alloc 9Gi CUDA_SUCCESS"]


def test_a_second_pod_beside_it_and_a_third_that_waits(guide, driver):
  guide.run("second", memory="10Gi", cores=50)
  first, second = (guide.claim(name)["status"]["allocation"]["devices"]["results"][0]
                   for name in (CLAIM, "second"))
  assert (first["driver"], first["device"]) == (second["driver"], second["device"])
  assert first["shareID"] != second["shareID"]
  assert guide.slice_mib(POD) == guide.slice_mib("second") == 10240
  with guide.holding(POD, "9Gi"), guide.holding("second", "9Gi"):
    assert driver.memory_used_mib() > 2 * 9 * 1024
  guide.create(claim("third", request(memory="10Gi")), pod("third"))
  assert "cannot allocate all claims" in guide.wait_event("third", "FailedScheduling")
  assert guide.pod("third").status.phase == "Pending"
  assert "allocation" not in guide.claim("third").get("status", {})
  guide.delete_pod("second", grace=0)
  guide.wait_running("third")
  assert guide.slice_mib("third") == 10240


def test_an_empty_request_is_a_whole_gpu(tenants):
  tenants.create(claim("whole", request()), pod("whole", container(image="tenant-rhel")))
  tenants.wait_running("whole")
  [result] = tenants.claim("whole")["status"]["allocation"]["devices"]["results"]
  assert result["consumedCapacity"] == {"cores": "0", "memory": f"{GPU_MIB}Mi"}
  assert f"/ {GPU_MIB}MiB" in tenants.inside("whole", "nvidia-smi")


def test_the_device_class(cluster, driver):
  found = raw(cluster.resource.read_device_class, DRIVER)
  [selector] = found["spec"]["selectors"]
  assert f'device.driver == "{DRIVER}"' in selector["cel"]["expression"]
