# SPDX-License-Identifier: Apache-2.0
"""A cluster with two kubelets: each with its own containerd, folders, network and GPU, so that a
pod runs on one of two real nodes, and on the second when the first is full."""

import pytest
from cluster_harness import Cluster, wait_until
from dra import GPU_MIB, Driver, Tenants, claim, pod, request

pytestmark = pytest.mark.newest_only


class TwoNodes:
  """The cluster, and by name its nodes as clusters that commands can be run on."""

  def __init__(self, cluster):
    self.cluster = cluster
    second = Cluster(cluster.folder.worker(2).name, cluster.version)
    self.nodes = {cluster.node: Driver(cluster), second.node: Driver(second)}

  def published(self):
    """node -> UUIDs of its GPUs, as its driver says."""
    found = {}
    for item in self.nodes[self.cluster.node].slices():
      spec = item["spec"]
      found.setdefault(spec["nodeName"], set()).update(
          device["attributes"]["uuid"]["string"] for device in spec.get("devices") or [])
    return found

  def ready(self):
    """Both have published, and their plugins answer the kubelets."""
    return self.published().keys() == self.nodes.keys() and all(
        condition.status == "True" for item in self.nodes[self.cluster.node].pods()
        for condition in item.status.conditions or [] if condition.type == "Ready")


@pytest.fixture(scope="module")
def two(make_cluster):
  made = TwoNodes(make_cluster("-two", "--kubelets=2"))
  driver = made.nodes[made.cluster.node]
  driver.stop()  # one of a cluster that was kept may be older than the image
  driver.install()
  for other in made.nodes.values():
    other.label("on")
  wait_until(made.ready, "a driver is ready on each node")
  return made


@pytest.fixture
def tenants(two, request):
  made = Tenants(two.cluster, f"two-{request.node.name.replace('_', '-')}"[:60].rstrip("-"))
  yield made
  made.remove()
  for driver in two.nodes.values():
    driver.wait_nothing_kept()


def test_each_node_has_a_gpu_of_its_own(two):
  uuids = two.published()
  assert uuids.keys() == two.nodes.keys()
  first, second = uuids.values()
  assert len(first) == len(second) == 1
  assert first != second


def test_a_pod_runs_on_the_node_that_it_names(two, tenants):
  for number, node in enumerate(two.nodes):
    name = f"pod-{number}"
    tenants.create(claim(name, request(memory="5Gi")),
                   pod(name, nodeSelector={"kubernetes.io/hostname": node}))
  for number, (node, driver) in enumerate(two.nodes.items()):
    name = f"pod-{number}"
    assert tenants.wait_running(name).spec.node_name == node
    assert tenants.slice_mib(name) == 5120
    assert tenants.tenant(name, "alloc", "6Gi", "alloc", "4Gi").splitlines() == [
        "alloc 6Gi CUDA_ERROR_OUT_OF_MEMORY", "alloc 4Gi CUDA_SUCCESS"]
    # The GPU below is this node's, and no other's.
    with tenants.holding(name, "4Gi"):
      used = {each: other.memory_used_mib() for each, other in two.nodes.items()}
      assert used.pop(node) > 4096
      assert set(used.values()) == {0}


def test_the_second_node_takes_what_the_first_has_no_room_for(two, tenants):
  nodes = [tenants.run(name, memory="20Gi").spec.node_name for name in ("one", "two")]
  assert sorted(nodes) == sorted(two.nodes)
  tenants.start("three", memory="20Gi")
  tenants.wait_event("three", "FailedScheduling", "cannot allocate all claims")
  tenants.run("small", memory=f"{GPU_MIB - 20 * 1024}Mi")
  tenants.delete_pod("two", grace=0)
  assert tenants.wait_running("three").spec.node_name == nodes[1]
