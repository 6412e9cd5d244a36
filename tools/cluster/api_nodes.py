# SPDX-License-Identifier: Apache-2.0
"""Nodes that are API objects and nothing else: what the keeper creates, tests and benchmarks too.

Their GPUs stand in the annotation by which HAMi's NVIDIA plugin announces them. They are all alike,
or each as a list says.
"""

import dataclasses
import json
import pathlib

import network

LEASE_NAMESPACE = "kube-node-lease"
# Longer than three renewals, shorter than the patience of the controller manager (50 s).
LEASE_SECONDS = 40
REGISTER = "hami.io/node-nvidia-register"
PROTOCOL = "hami.io/allocation-protocol"
OURS = "binding/v1"
# Containers per GPU (deviceSplitCount).
SPLIT = 10


@dataclasses.dataclass(frozen=True)
class Gpus:
  """What each node has."""
  count: int = 8
  model: str = "NVIDIA A100-SXM4-80GB"
  memory_mib: int = 81920

  @classmethod
  def parse(cls, text: str) -> "Gpus":
    """COUNT[:MEMORY_MIB[:MODEL]]"""
    count, _, rest = text.partition(":")
    memory, _, model = rest.partition(":")
    return cls(int(count), model or cls.model, int(memory) if memory else cls.memory_mib)


def names(count: int) -> list[str]:
  return [f"node-{index:05}" for index in range(count)]


def uuid(node: str, card: int) -> str:
  """Of one card; the same for the same node in every cluster."""
  number = int(node.rpartition("-")[2]) if node.rpartition("-")[2].isdigit() else sum(node.encode())
  return f"GPU-{number:08x}-0000-4000-8000-{card:012x}"


def register(node: str, gpus: Gpus) -> str:
  """As the plugin writes it: index and NUMA node 0 are left out."""
  cards = []
  for index in range(gpus.count):
    card = {"id": uuid(node, index), "count": SPLIT, "devmem": gpus.memory_mib, "devcore": 100,
            "type": gpus.model, "mode": "hami-core", "health": True}
    if index:
      card["index"] = index
    if index >= gpus.count / 2 and gpus.count > 1:
      card["numa"] = 1
    cards.append(card)
  return json.dumps(cards, separators=(",", ":"))


def ready_condition(now: str | None = None) -> dict:
  ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kept"}
  if now:
    ready["lastHeartbeatTime"] = ready["lastTransitionTime"] = now
  return ready


def node_body(name: str, gpus: Gpus, protocol: str = OURS, now: str | None = None) -> dict:
  """`protocol` "": the node's plugin is HAMi's. A Node keeps the status that it is created with."""
  annotations = {REGISTER: register(name, gpus)} if gpus.count else {}
  if protocol:
    annotations[PROTOCOL] = protocol
  resources = {"cpu": "128", "memory": "1Ti", "pods": "1000", "ephemeral-storage": "4Ti"}
  if gpus.count:
    resources["nvidia.com/gpu"] = str(gpus.count * SPLIT)
  return {"apiVersion": "v1", "kind": "Node",
          "metadata": {"name": name, "annotations": annotations,
                       "labels": {"kubernetes.io/hostname": name, "gpu": "on",
                                  "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                                  "hami.io/api-object": "true"}},
          "status": {"addresses": [{"type": "InternalIP", "address": network.NODE_ADDRESS}],
                     "capacity": resources, "allocatable": resources,
                     "conditions": [ready_condition(now)]}}


def read_list(path: pathlib.Path) -> list[dict]:
  """Nodes as `kubectl get nodes -o json` prints them; a ValueError says what is wrong."""
  said = json.loads(path.read_text())
  nodes = said.get("items") if isinstance(said, dict) else None
  if not nodes or any(node.get("kind") != "Node" for node in nodes):
    raise ValueError("is no List of Nodes, as `kubectl get nodes -o json` prints it")
  if len({node["metadata"]["name"] for node in nodes}) != len(nodes):
    raise ValueError("two Nodes have the same name")
  return nodes


def node_like(node: dict, now: str) -> dict:
  """A new one with the name, labels, annotations, spec and capacity of another, and ready."""
  meta, status = node["metadata"], node.get("status", {})
  allocatable = status.get("allocatable") or status.get("capacity", {})
  body = node_body(meta["name"], Gpus(0), "", now)
  body["metadata"]["labels"].update(meta.get("labels") or {})
  body["metadata"]["annotations"] = meta.get("annotations") or {}
  body["spec"] = {key: value for key, value in (node.get("spec") or {}).items()
                  if key in ("taints", "unschedulable")}
  body["status"].update(capacity=status.get("capacity") or allocatable, allocatable=allocatable)
  return body


def lease_body(name: str, now: str) -> dict:
  return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
          "metadata": {"name": name, "namespace": LEASE_NAMESPACE},
          "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS,
                   "renewTime": now}}
