# SPDX-License-Identifier: Apache-2.0
"""What cannot be given is refused with an event of the pod that says what is wrong and what to do,
nothing is kept of it, and the pod starts, or another one like it, once it is mended."""

import contextlib

import pytest
from cluster_harness import cluster_verb, wait_until
from dra import DOCUMENTS, DRIVER, RECORDS, SHARES, claim, opaque, pod, request
from loose_driver import loose

pytestmark = pytest.mark.newest_only
OTHER = "other.example.com"
CONFIG = {"apiVersion": "hami.io/v1", "kind": "SliceConfig"}


def refused(tenants, driver, name, *parts):
  """The driver's words against a pod, which waits; nothing is kept of its claim."""
  message = tenants.wait_refused(name, *parts)
  uid = tenants.claim(name)["metadata"]["uid"]
  assert tenants.pod(name).status.phase == "Pending"
  assert not [entry for names in driver.kept().values() for entry in names if uid in entry]
  return message


@pytest.mark.parametrize("parameters, parts", [
    ({"apiVersion": "hami.io/v9", "kind": "SliceConfig"},
     ['kind "SliceConfig" hami.io/v9 are unknown', "SliceConfig of hami.io/v1"]),
    ({"colour": "red"}, ['kind "" ', "SliceConfig of hami.io/v1"]),
    (CONFIG | {"colour": "red"}, ['no field "colour"', "there is corePolicy"]),
    (CONFIG | {"corePolicy": "often"}, ['corePolicy "often" is none',
                                        "default, force, disable or burst"]),
])
def test_parameters_that_nobody_knows(driver, tenants, parameters, parts):
  tenants.create(claim("bad", request(memory="1Gi"), config=[opaque(parameters, "gpu")]),
                 pod("bad"))
  refused(tenants, driver, "bad", f"claim {tenants.name}/bad: config of the claim", *parts)
  tenants.run("good")


@pytest.fixture
def others_device(cluster):
  """A device of another driver on this node, and a class of them."""
  metadata = {"name": OTHER}
  cluster.resource.create_resource_slice({
      "apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": metadata,
      "spec": {"driver": OTHER, "nodeName": cluster.node,
               "pool": {"name": cluster.node, "generation": 1, "resourceSliceCount": 1},
               "devices": [{"name": "thing"}]}})
  cluster.resource.create_device_class({
      "apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "metadata": metadata,
      "spec": {"selectors": [{"cel": {"expression": f'device.driver == "{OTHER}"'}}]}})
  yield
  cluster.resource.delete_device_class(OTHER)
  cluster.resource.delete_resource_slice(OTHER)


def test_a_claim_that_needs_another_driver_too(driver, tenants, others_device):
  """That one is not there. The claim has a part that is ours."""
  tenants.create(claim("both", request(memory="1Gi"), request("thing", OTHER)), pod("both"))
  tenants.wait_refused("both", OTHER)
  assert tenants.pod("both").status.phase == "Pending"
  tenants.run("ours")


class HandWritten:
  """Allocations that no scheduler has made, and pods that none has bound."""

  def __init__(self, tenants):
    self.tenants = tenants
    self.node = tenants.cluster.node

  def run(self, name, device="hami-gpu-0", driver=DRIVER, pool=None, memory="1Gi", cores="10"):
    wanted = claim(name, request(memory=memory))
    # Without it nobody is told of the room that comes free with the claim's end.
    wanted["metadata"]["finalizers"] = ["resource.kubernetes.io/delete-protection"]
    self.tenants.create(wanted)
    result = {"request": "gpu", "driver": driver, "pool": pool or self.node, "device": device,
              "shareID": self.tenants.claim(name)["metadata"]["uid"],
              "consumedCapacity": {"memory": memory, "cores": cores}}
    selector = {"nodeSelectorTerms": [{"matchFields": [
        {"key": "metadata.name", "operator": "In", "values": [self.node]}]}]}
    self.tenants.cluster.resource.patch_namespaced_resource_claim_status(
        name, self.tenants.name,
        {"status": {"allocation": {"devices": {"results": [result]}, "nodeSelector": selector}}})
    self.tenants.create(pod(name, nodeName=self.node))


@pytest.fixture
def hand_written(tenants):
  return HandWritten(tenants)


def test_what_the_scheduler_writes_may_be_written_by_hand(hand_written, tenants):
  hand_written.run("good", memory="3Gi")
  tenants.wait_running("good")
  assert tenants.slice_mib("good") == 3072


@pytest.mark.parametrize("allocation, parts", [
    ({"device": "hami-gpu-7"}, ["GPU hami-gpu-7 is gone from this node", "delete the pod"]),
    ({"pool": "elsewhere"}, ["is allocated from pool elsewhere, this node's is ecs-a10-sh",
                            "delete the pod"]),
    ({"memory": "30Gi"}, ["gives 30.0 GiB of hami-gpu-0, which has only 22.5 GiB",
                          "delete the pod"]),
    ({"memory": "0"}, ["0 bytes", "which cannot be given", "delete the claim"]),
    ({"cores": "101"}, ["101 cores", "which cannot be given", "delete the claim"]),
])
def test_an_allocation_that_cannot_be_true(driver, tenants, hand_written, allocation, parts):
  hand_written.run("bad", **allocation)
  refused(tenants, driver, "bad", *parts)
  tenants.delete_pod("bad")
  tenants.delete_claim("bad")
  tenants.run("good")


@pytest.mark.parametrize("more", [{"memory": "16Gi", "cores": "0"},
                                  {"memory": "1Gi", "cores": "60"}])
def test_a_gpu_that_is_given_twice(driver, tenants, hand_written, more):
  tenants.run("first", memory="10Gi", cores=50)
  hand_written.run("second", **more)
  refused(tenants, driver, "second", "GPU hami-gpu-0 has been given twice",
          f"held by {tenants.name}/first", "delete the pod")
  assert tenants.slice_mib("first") == 10240
  # Its room comes free, so nothing speaks against it any more.
  tenants.delete_pod("first", grace=0)
  tenants.wait_gone("first")
  wait_until(lambda: len(driver.kept()[RECORDS]) == 0, "the first one's record is gone")
  tenants.nudge("second")
  tenants.wait_running("second")


def test_a_claim_that_was_deleted_meanwhile(driver, tenants):
  """And a pod that gets another claim of the same name."""
  with loose(driver) as process:
    tenants.start("waits")
    tenants.wait_refused("waits", DRIVER)
    resource = tenants.cluster.resource
    tenants.delete_claim("waits")
    resource.patch_namespaced_resource_claim("waits", tenants.name,
                                             {"metadata": {"finalizers": None}})
    wait_until(lambda: not resource.list_namespaced_resource_claim(tenants.name).items,
               "the claim is gone")
    process.start()
    process.wait_registered()
    tenants.nudge("waits")
    tenants.wait_refused("waits", "waits", "not found")
    assert all(not names for names in driver.kept().values())
    tenants.create(claim("waits", request(memory="2Gi")))
    tenants.nudge("waits")
    tenants.delete_pod("waits")
    tenants.wait_gone("waits")
    tenants.create(pod("waits"))
    tenants.nudge("waits")
    tenants.wait_running("waits")
    assert tenants.slice_mib("waits") == 2048


@contextlib.contextmanager
def small_disk(cluster, place):
  """A file system of its own on a folder of the node."""

  def tell_containerd():
    """It watches the folder that was there."""
    if place == DOCUMENTS:
      cluster_verb("restart", "--name", cluster.name, "containerd")

  cluster.run("sh", "-c", f"mkdir -p /{place} && mount -t tmpfs -o size=256k small /{place}")
  try:
    tell_containerd()
    yield
  finally:
    cluster.run("umount", "--lazy", f"/{place}")
    tell_containerd()


@pytest.mark.parametrize("place", [RECORDS, SHARES, DOCUMENTS])
def test_a_full_disk(driver, tenants, place):
  cluster = tenants.cluster
  with loose(driver) as process, small_disk(cluster, place):
    process.start()
    process.wait_registered()
    cluster.run("sh", "-c", f"cat /dev/zero > /{place}/filler", check=False)
    tenants.start("first")
    tenants.wait_refused("first", f"claim {tenants.name}/first: ", f"/{place}/",
                         "No space left on device; make room on that disk")
    assert tenants.pod("first").status.phase == "Pending"
    found = cluster.run("sh", "-c", f"cd / && find {RECORDS} {SHARES} {DOCUMENTS} ! -type d").stdout
    assert found.split() == [f"{place}/filler"]
    cluster.run("rm", f"/{place}/filler")
    tenants.nudge("first")
    tenants.wait_running("first")
    assert tenants.slice_mib("first") == 1024
    tenants.delete_pod("first")
    tenants.wait_gone("first")
