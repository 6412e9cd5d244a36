# SPDX-License-Identifier: Apache-2.0
"""The keeper of API-object nodes: as HAMi's device plugin, what it has said by which moment; nodes
like those of a list."""

import argparse
import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "cluster"))

import api_nodes  # noqa: E402
import node_keeper  # noqa: E402

NODE = "node-00000"
LOCK = node_keeper.LOCK


class Server:
  """One pod, one node; what was done to them, in order. The first writes of the node meet
  others'."""

  def __init__(self, conflicts):
    self.conflicts = conflicts
    self.watch = lambda: None  # after a write of the pod
    self.locked_at = []  # whether the lock was there, at each write of the pod
    self.pod = {"metadata": {"name": "p", "namespace": "ns", "uid": "u", "annotations": {
        node_keeper.PHASE: "allocating"}}, "spec": {"nodeName": NODE, "containers": []},
                "status": {"phase": "Pending"}}
    self.node = {"metadata": {"resourceVersion": "1", "annotations": {LOCK: "t,ns,p"}}}

  def call(self, method, path, body=None, kind="", headers=None):
    if method == "GET":
      return 200, self.node
    if path.startswith("/api/v1/nodes/"):
      if self.conflicts:
        self.conflicts -= 1
        return 409, {}
      del self.node["metadata"]["annotations"][LOCK]
      return 200, self.node
    self.locked_at.append((path.rpartition("/")[2], LOCK in self.node["metadata"]["annotations"]))
    self.pod["metadata"]["annotations"].update(body["metadata"].get("annotations", {}))
    self.watch()
    return 200, self.pod


def keeper():
  return node_keeper.Keeper(argparse.Namespace(nodes=1, node_list=None, hami_nodes=1, run_pods=True,
                                               gpus="8", kubeconfig=None))


def work(kept, server):
  while not kept.work.empty():
    step, path, pod = kept.work.get()
    getattr(kept, "do_" + step)(server, path, pod)


def test_a_pod_runs_once_its_nodes_lock_is_free():
  kept, server = keeper(), Server(conflicts=0)

  def other_threads():
    kept.see(server.pod, False)
    work(kept, server)

  server.watch = other_threads
  kept.see(server.pod, False)
  work(kept, server)
  assert server.locked_at == [("p", True), ("status", False)]


def test_a_lock_is_freed_though_others_write_the_node():
  kept, server = keeper(), Server(conflicts=3)
  kept.see(server.pod, False)
  work(kept, server)
  assert LOCK not in server.node["metadata"]["annotations"]
  assert server.locked_at[-1] == ("status", False)


def test_the_lock_of_another_pod_stays():
  kept, server = keeper(), Server(conflicts=0)
  server.node["metadata"]["annotations"][LOCK] = "t,ns,other"
  kept.see(server.pod, False)
  work(kept, server)
  assert server.node["metadata"]["annotations"][LOCK] == "t,ns,other"


def listed(name, **annotations):
  return {"kind": "Node", "metadata": {"name": name, "uid": "u", "resourceVersion": "7",
                                       "labels": {"zone": "z"}, "annotations": annotations},
          "spec": {"podCIDR": "10.0.0.0/24", "unschedulable": True},
          "status": {"capacity": {"cpu": "8"}, "allocatable": {"cpu": "7"},
                     "conditions": [{"type": "Ready", "status": "False"}]}}


def test_a_node_of_a_list_comes_as_it_was_and_ready():
  made = api_nodes.node_like(listed("n1", register="x"), "now")
  assert made["metadata"]["name"] == "n1"
  assert made["metadata"]["annotations"] == {"register": "x"}
  assert made["metadata"]["labels"]["zone"] == "z"
  assert made["metadata"]["labels"]["kubernetes.io/hostname"] == "n1"
  assert "uid" not in made["metadata"] and "resourceVersion" not in made["metadata"]
  assert made["spec"] == {"unschedulable": True}
  assert (made["status"]["capacity"], made["status"]["allocatable"]) == ({"cpu": "8"}, {"cpu": "7"})
  assert [(item["type"], item["status"]) for item in made["status"]["conditions"]] == \
      [("Ready", "True")]


def test_the_keeper_plays_the_plugin_where_a_list_says_nothing_of_ours(tmp_path):
  path = tmp_path / "nodes.json"
  path.write_text(json.dumps({"kind": "List", "items": [
      listed("ours", **{api_nodes.PROTOCOL: api_nodes.OURS}), listed("theirs")]}))
  keeper = node_keeper.Keeper(argparse.Namespace(nodes=0, node_list=path, hami_nodes=0))
  assert keeper.names == ["ours", "theirs"]
  assert keeper.hami == {"theirs"}


@pytest.mark.parametrize(("said", "problem"), [
    ({"kind": "List", "items": []}, "is no List of Nodes"),
    ({"items": [{"kind": "Pod"}]}, "is no List of Nodes"),
    ({"items": [listed("n"), listed("n")]}, "the same name"),
])
def test_a_list_of_something_else_is_refused(tmp_path, said, problem):
  path = tmp_path / "nodes.json"
  path.write_text(json.dumps(said))
  with pytest.raises(ValueError, match=problem):
    api_nodes.read_list(path)


class Writes:
  def __init__(self):
    self.seen = []

  def call(self, method, path, body=None, kind="", headers=None):
    self.seen.append((method, path, body))
    return 200, {}


def node_that_is(status, name=NODE):
  return {"metadata": {"name": name, "uid": "n"},
          "status": {"conditions": [{"type": "MemoryPressure", "status": "Unknown"},
                                    {"type": "Ready", "status": status}]}}


def test_a_node_that_was_declared_dead_is_ready_again():
  kept, writes = keeper(), Writes()
  kept.see_node(node_that_is("True"), False)
  kept.see_node(node_that_is("Unknown", "somebody-elses"), False)
  kept.see_node(node_that_is("Unknown"), True)
  assert kept.work.empty()
  kept.see_node(node_that_is("Unknown"), False)
  work(kept, writes)
  [(method, path, body)] = writes.seen
  assert (method, path) == ("PATCH", f"/api/v1/nodes/{NODE}/status")
  assert body["metadata"]["uid"] == "n"
  assert [(item["type"], item["status"]) for item in body["status"]["conditions"]] == \
      [("Ready", "True")]
