# SPDX-License-Identifier: Apache-2.0
"""What the API shows of a node follows the node, whatever others do to it. The same for every
version of Kubernetes."""

import time

import kubernetes
import pytest
from cluster_harness import wait_until
from dra import DRIVER, DRIVER_NAMESPACE, raw

pytestmark = pytest.mark.newest_only
# The kubelet wipes the slices of a driver that is gone after 30 s. What is faster is ours.
SOON_S = 10


def seconds_until(condition, what):
  begun = time.monotonic()
  wait_until(condition, what)
  return time.monotonic() - begun


def test_a_node_that_loses_its_label(driver, tenants):
  tenants.run("tenant")
  driver.label(None)
  try:
    assert seconds_until(lambda: not driver.slices(), "slices are withdrawn") < SOON_S
    wait_until(lambda: not driver.pods(), "the driver's pod is gone")
    # Who has a slice keeps it.
    assert tenants.tenant("tenant", "alloc", "2Gi") == "alloc 2Gi CUDA_ERROR_OUT_OF_MEMORY\n"
    tenants.start("late")
    tenants.wait_event("late", "FailedScheduling", "cannot allocate all claims")
  finally:
    driver.label("on")
  driver.wait_ready()
  tenants.wait_running("late")
  assert tenants.slice_mib("tenant") == tenants.slice_mib("late") == 1024


def test_a_slice_that_others_delete(driver):
  [before] = driver.slices()
  driver.cluster.resource.delete_resource_slice(before["metadata"]["name"])

  def another():
    return [found["metadata"]["uid"] for found in driver.slices()] not in \
        ([], [before["metadata"]["uid"]])

  assert seconds_until(another, "the slice is there again") < SOON_S
  [after] = driver.slices()
  assert after["spec"] == before["spec"]


def test_a_slice_that_others_change(driver):
  [before] = driver.slices()
  changed = driver.cluster.resource.read_resource_slice(before["metadata"]["name"])
  changed.spec.devices[0].capacity["memory"].value = "46056Mi"
  changed.spec.devices[0].capacity["memory"].request_policy = None
  driver.cluster.resource.replace_resource_slice(changed.metadata.name, changed)
  devices = before["spec"]["devices"]
  assert seconds_until(lambda: driver.slices()[0]["spec"]["devices"] == devices,
                       "the slice is as it was") < SOON_S
  [after] = driver.slices()
  assert after["spec"]["pool"]["generation"] > before["spec"]["pool"]["generation"]


def test_a_slice_that_others_add(driver):
  """In the driver's name, of a GPU that is not there; it hides what was published before."""
  [before] = driver.slices()
  spec = before["spec"]
  generation = spec["pool"]["generation"] + 7
  driver.cluster.resource.create_resource_slice({
      "metadata": {"name": "added"},
      "spec": {**spec, "devices": [{**spec["devices"][0], "name": "hami-gpu-7"}],
               "pool": {**spec["pool"], "generation": generation}}})
  assert seconds_until(lambda: driver.published() == ["hami-gpu-0"], "the GPU's slice") < SOON_S
  [after] = driver.slices()
  assert after["spec"]["devices"] == spec["devices"]
  assert after["spec"]["pool"]["generation"] > generation


def test_a_gpu_driver_that_goes_and_comes(driver, tenants):
  tenants.run("tenant")
  with driver.without_gpu_driver():
    wait_until(lambda: driver.published() == [], "no GPU is published")
    driver.wait_said("no GPU driver; waiting for it", "no NVIDIA driver on this machine")
    assert driver.metrics()["hami_dra_driver_found"] == 0
    assert driver.page("readyz")[0] == 200  # a node may be without
    node_events = raw(driver.cluster.core.list_event_for_all_namespaces,
                      field_selector="involvedObject.kind=Node,reason=GpuDriverMissing")["items"]
    assert node_events
  driver.wait_published()
  assert driver.metrics()["hami_dra_driver_found"] == 1
  # Its program and its slice are as they were.
  assert driver.metrics()["hami_dra_prepared_claims"] == 1
  assert tenants.slice_mib("tenant") == 1024


def test_another_gpu_driver_in_its_place(driver):
  """Its library lies at the same path. What a process has loaded, it cannot load again."""
  before = driver.pod().status.container_statuses[0]
  driver.take_gpu_driver_away()
  try:
    driver.put_gpu_driver(count=2)
    driver.wait_published()
    driver.wait_ready()
    after = driver.pod().status.container_statuses[0]
    assert after.restart_count == before.restart_count + 1
    assert after.last_state.terminated.exit_code == 0
  finally:
    driver.bring_gpu_driver_back()
    driver.restart()


def test_uninstalled_and_installed_again(driver, tenants):
  tenants.run("tenant")
  driver.uninstall()
  try:
    wait_until(lambda: not driver.slices(), "the kubelet has taken the slices away")
    assert tenants.tenant("tenant", "alloc", "2Gi") == "alloc 2Gi CUDA_ERROR_OUT_OF_MEMORY\n"
    # It cannot end without a driver: its claim is still prepared.
    tenants.delete_pod("tenant")
    tenants.wait_event("tenant", "Killing")
  finally:
    driver.install()
  driver.wait_ready()
  tenants.wait_gone("tenant")
  driver.wait_nothing_kept()


# Who may write slices.


@pytest.fixture
def as_driver(driver):
  """as_driver(bound): the API with the driver's rights, with a token that names its node or not."""

  def make(bound):
    metadata = driver.pod().metadata
    spec = {"spec": {"audiences": [], "boundObjectRef": {
        "apiVersion": "v1", "kind": "Pod", "name": metadata.name, "uid": metadata.uid}
                     if bound else None}}
    token = driver.cluster.core.create_namespaced_service_account_token(
        "hami-dra-driver", DRIVER_NAMESPACE, spec).status.token
    return kubernetes.client.ResourceV1Api(driver.cluster.api_with_token(token))

  return make


@pytest.fixture
def other_nodes_slice(driver):
  driver.cluster.resource.create_resource_slice(slice_of("other-node"))
  yield "slice-of-other-node"
  driver.cluster.resource.delete_resource_slice("slice-of-other-node")


def slice_of(node):
  return {"metadata": {"name": f"slice-of-{node}"},
          "spec": {"driver": DRIVER, "nodeName": node, "devices": [],
                   "pool": {"name": node, "generation": 1, "resourceSliceCount": 1}}}


def refused(call, *arguments):
  with pytest.raises(kubernetes.client.ApiException) as problem:
    call(*arguments)
  assert problem.value.status in (403, 422)
  return problem.value.body


def test_the_driver_writes_slices_of_its_node(driver, as_driver):
  created = as_driver(bound=True).create_resource_slice(slice_of(driver.cluster.node))
  # The driver does not want it.
  wait_until(lambda: created.metadata.name not in
             [item["metadata"]["name"] for item in driver.slices()], "the slice is gone")


def test_the_driver_writes_no_slices_of_other_nodes(driver, as_driver, other_nodes_slice):
  api = as_driver(bound=True)
  said = (f"hami-dra-driver of node '{driver.cluster.node}' may not write a ResourceSlice of node "
          "'other-node'")
  assert said in refused(api.create_resource_slice, {
      **slice_of("other-node"), "metadata": {"name": "another"}})
  assert said in refused(api.delete_resource_slice, other_nodes_slice)
  found = api.read_resource_slice(other_nodes_slice)
  found.spec.pool.generation = 2
  assert said in refused(api.replace_resource_slice, other_nodes_slice, found)


def test_a_token_without_a_node_writes_no_slices(driver, as_driver):
  api = as_driver(bound=False)
  assert "names no node" in refused(api.create_resource_slice, slice_of(driver.cluster.node))
  assert "names no node" in refused(api.delete_resource_slice,
                                    driver.slices()[0]["metadata"]["name"])


def test_the_driver_changes_no_claims(as_driver, tenants):
  tenants.run("tenant")
  api = as_driver(bound=True)
  assert "cannot patch resource" in refused(
      api.patch_namespaced_resource_claim_status, "tenant", tenants.name,
      {"status": {"allocation": None}})
  assert "cannot delete resource" in refused(
      api.delete_namespaced_resource_claim, "tenant", tenants.name)
