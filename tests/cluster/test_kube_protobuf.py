# SPDX-License-Identifier: Apache-2.0
"""What the API server says in protobuf is, to src/domain, what it says in JSON."""

import kubernetes
import pytest

pytest_plugins = ["kube_fixtures"]

PLAIN = {"containers": [{"name": "c", "image": "i"}]}
LARGE = {
    "schedulerName": "hami-scheduler", "nodeName": "", "restartPolicy": "Never",
    "overhead": {"cpu": "250m", "memory": "120Mi"}, "runtimeClassName": "vm",
    "schedulingGates": [{"name": "example.com/wait"}],
    "initContainers": [
        {"name": "fetch", "image": "i",
         "resources": {"limits": {"nvidia.com/gpu": "1", "nvidia.com/gpumem": "1000"}}},
        {"name": "proxy", "image": "i", "restartPolicy": "Always",
         "resources": {"requests": {"cpu": "0.1", "memory": "64Mi"}}}],
    "containers": [
        {"name": "web", "image": "i", "env": [{"name": "A", "value": "\u00e9"}]},
        {"name": "train", "image": "i", "securityContext": {"privileged": True},
         "resources": {"limits": {"nvidia.com/gpu": 2, "nvidia.com/gpucores": "3e1"}}}],
}
STATUS = {
    "phase": "Running", "nominatedNodeName": "node-2",
    "initContainerStatuses": [
        {"name": "fetch", "image": "i", "imageID": "", "ready": True, "restartCount": 1,
         "state": {"terminated": {"exitCode": 0}}, "lastState": {"terminated": {"exitCode": 3}}},
        {"name": "proxy", "image": "i", "imageID": "", "ready": True, "restartCount": 0,
         "state": {"running": {"startedAt": "2026-08-21T10:00:05Z"}}}],
}
ANNOTATIONS = {"hami.io/vgpu-devices-allocated": ";GPU-a,NVIDIA,2000,0:;", "empty": "",
               "kubectl.kubernetes.io/last-applied-configuration": "{}"}


def make_pod(server, name_space: str, name: str, spec: dict) -> None:
  server.core.create_namespaced_pod(name_space, {
      "metadata": {"name": name, "annotations": ANNOTATIONS, "finalizers": ["example.com/stay"],
                   "labels": {"scheduling.x-k8s.io/pod-group": "gang"}},
      "spec": {**spec, "serviceAccountName": "default"}})


@pytest.fixture(scope="module")
def classes(server):
  kubernetes.client.NodeV1Api(server.client).create_runtime_class({
      "metadata": {"name": "vm"}, "handler": "vm", "overhead": {"podFixed": LARGE["overhead"]}})
  kubernetes.client.SchedulingV1Api(server.client).create_priority_class({
      "metadata": {"name": "low"}, "value": -7, "preemptionPolicy": "Never"})


@pytest.fixture
def pods(server, name_space, classes):
  """A namespace with pods of all sorts; also one that is being deleted, and one of low priority."""
  server.core.create_namespaced_service_account(name_space, {"metadata": {"name": "default"}})
  make_pod(server, name_space, "plain", PLAIN)
  make_pod(server, name_space, "large", LARGE)
  make_pod(server, name_space, "low", {**PLAIN, "priorityClassName": "low"})
  make_pod(server, name_space, "ending", {**PLAIN, "nodeName": "node-1"})
  server.core.patch_namespaced_pod_status("large", name_space, {"status": STATUS})
  server.core.delete_namespaced_pod("ending", name_space)
  yield name_space
  for name in ("plain", "large", "low", "ending"):
    server.core.patch_namespaced_pod(name, name_space, {"metadata": {"finalizers": None}})
    server.core.delete_namespaced_pod(name, name_space, grace_period_seconds=0)


def test_pods_are_the_same(server, probe, pods):
  answer = probe(server.kubeconfig, resource="pods").do("same")
  assert answer["different"] == []
  assert answer["objects"] >= 4


def test_nodes_are_the_same(server, probe):
  for number in range(3):
    name = f"same-{number}"
    server.core.create_node({
        "metadata": {"name": name, "labels": {"gpu": "on"}, "annotations": ANNOTATIONS},
        "spec": {"unschedulable": number == 1, "podCIDR": f"10.0.{number}.0/24"}})
    server.core.patch_node_status(name, {"status": {
        "capacity": {"cpu": "64", "memory": "528214456Ki", "nvidia.com/gpu": "80"},
        "allocatable": {"cpu": "63500m", "memory": "520Gi", "nvidia.com/gpu": "80"},
        "conditions": [{"type": "MemoryPressure", "status": "False"},
                       {"type": "Ready", "status": "Unknown" if number == 2 else "True"}]}})
  answer = probe(server.kubeconfig, resource="nodes").do("same")
  assert answer["different"] == []
  assert answer["objects"] >= 3
  for number in range(3):
    server.core.delete_node(f"same-{number}")


def test_a_strategic_patch_merges_lists_by_name(server, probe, pods):
  client = probe(server.kubeconfig, resource="pods")
  changed = client.do("strategic", f"{pods}/plain", body={
      "spec": {"containers": [{"name": "c", "image": "other"}]}})
  assert [c["image"] for c in changed["spec"]["containers"]] == ["other"]
  changed = client.do("strategic", f"{pods}/large", body={
      "spec": {"containers": [{"name": "web", "image": "newer"}]}})
  assert [c["name"] for c in changed["spec"]["containers"]] == ["web", "train"]
