#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps nodes alive that are API objects and nothing else: makes them, renews their Leases, says
that they are ready again where an API server that was away made them seem dead, and says of the
pods on them what a kubelet would say.

A pod that is being deleted goes at once. With --run-pods a bound pod becomes Running, and after the
seconds in its annotation cluster.hami.io/run-seconds Succeeded. On the last --hami-nodes nodes, or
those of --node-list that do not say that their plugin is ours, it plays HAMi's device plugin: a pod
in bind-phase `allocating` gets its devices, the node's lock is released, and only then the pod
runs, as no kubelet starts a container whose Allocate has not returned. It outlives the API server.
Standard library only; one thread renews, two watch, some write.
"""

import argparse
import datetime
import heapq
import http.client
import json
import pathlib
import queue
import ssl
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable

import api_nodes

RENEW_S = 12
WRITERS = 3
RUN_SECONDS = "cluster.hami.io/run-seconds"
LOCK = "hami.io/mutex.lock"
PHASE = "hami.io/bind-phase"
TO_ALLOCATE = "hami.io/vgpu-devices-to-allocate"
# What HAMi's device plugin says is said by its account: a policy lets nobody else.
PLUGIN = {"Impersonate-User": "system:serviceaccount:hami-system:hami-device-plugin",
          "Impersonate-Group": "system:masters"}
MERGE_PATCH = "application/merge-patch+json"


def now_text() -> str:
  return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Api:
  """One connection to the API server of a kubeconfig with a client certificate, made again when
  it breaks. For one thread."""

  def __init__(self, kubeconfig: pathlib.Path, timeout: float = 30):
    config = json.loads(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    self._address = urllib.parse.urlsplit(cluster["server"])
    self._context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    self._context.load_cert_chain(user["client-certificate"], user["client-key"])
    self._timeout = timeout
    self._connection: http.client.HTTPSConnection | None = None

  def open(self, method: str, path: str, body: dict | None = None,
           kind: str = "application/json", headers: dict | None = None) -> \
      http.client.HTTPResponse:
    """The answer, not read yet. OSError and HTTPException: there is none."""
    if self._connection is None:
      self._connection = http.client.HTTPSConnection(
          self._address.hostname, self._address.port, context=self._context,
          timeout=self._timeout)
    try:
      self._connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"Content-Type": kind, **(headers or {})})
      return self._connection.getresponse()
    except (OSError, http.client.HTTPException):
      self.close()
      raise

  def call(self, method: str, path: str, body: dict | None = None,
           kind: str = "application/json", headers: dict | None = None) -> tuple[int, dict]:
    """Tries again until there is an answer other than 429 and 5xx."""
    wait = 0.05
    while True:
      try:
        answer = self.open(method, path, body, kind, headers)
        text = answer.read()
        if answer.status != 429 and answer.status < 500:
          return answer.status, json.loads(text or b"{}")
      except (OSError, http.client.HTTPException, ValueError):
        self.close()
      time.sleep(wait)
      wait = min(2 * wait, 1)

  def close(self) -> None:
    if self._connection is not None:
      self._connection.close()
    self._connection = None


class Keeper:
  def __init__(self, args: argparse.Namespace):
    self.args = args
    self.listed = {node["metadata"]["name"]: node for node in api_nodes.read_list(args.node_list)} \
        if args.node_list else {}
    self.names = list(self.listed) or api_nodes.names(args.nodes)
    self.known = set(self.names)
    self.hami = {name for name, node in self.listed.items() if
                 api_nodes.PROTOCOL not in (node["metadata"].get("annotations") or {})} or \
        set(self.names[len(self.names) - args.hami_nodes:])
    self.work: queue.SimpleQueue = queue.SimpleQueue()
    self.done: dict[str, str] = {}  # what was done last to a pod, by uid
    self.allocating: set[str] = set()  # uids of pods in Allocate
    self.ends: list[tuple[float, str, str]] = []  # when a pod succeeds, its path, its uid
    self.ends_changed = threading.Condition()

  # Nodes.

  def make_node(self, api: Api, name: str) -> None:
    now = now_text()
    lease = api_nodes.lease_body(name, now)
    api.call("POST", f"/apis/coordination.k8s.io/v1/namespaces/{api_nodes.LEASE_NAMESPACE}/leases",
             lease)
    code, said = api.call("POST", "/api/v1/nodes", self.node_body(name, now[:19] + "Z"))
    if code not in (201, 409):
      print(f"node {name}: {code} {said.get('message')}", flush=True)

  def node_body(self, name: str, now: str) -> dict:
    if name in self.listed:
      return api_nodes.node_like(self.listed[name], now)
    protocol = "" if name in self.hami else api_nodes.OURS
    return api_nodes.node_body(name, api_nodes.Gpus.parse(self.args.gpus), protocol, now)

  def renew(self) -> None:
    """Spread over the period, so that nothing comes at once."""
    api = Api(self.args.kubeconfig)
    while True:
      for index, name in enumerate(self.names):
        begun = time.monotonic()
        api.call("PATCH", f"/apis/coordination.k8s.io/v1/namespaces/{api_nodes.LEASE_NAMESPACE}"
                 f"/leases/{name}", {"spec": {"renewTime": now_text()}}, MERGE_PATCH)
        due = RENEW_S * (index + 1) / len(self.names) - RENEW_S * index / len(self.names)
        time.sleep(max(0.0, due - (time.monotonic() - begun)))

  def see_node(self, node: dict, gone: bool) -> None:
    """Whose Lease was not renewed for 40 s is declared dead, until it says otherwise."""
    name = node["metadata"]["name"]
    conditions = node.get("status", {}).get("conditions") or []
    if name in self.known and not gone and \
        any(item["type"] == "Ready" and item["status"] == "Unknown" for item in conditions):
      self.work.put(("revive", name, node))

  def do_revive(self, api: Api, name: str, node: dict) -> None:
    ready = api_nodes.ready_condition(now_text()[:19] + "Z")
    api.call("PATCH", f"/api/v1/nodes/{name}/status", {
        "metadata": {"uid": node["metadata"]["uid"]}, "status": {"conditions": [ready]}},
             MERGE_PATCH)

  # Pods.

  def see(self, pod: dict, gone: bool) -> None:
    """Decides what is to be done, once for each thing."""
    meta, uid = pod["metadata"], pod["metadata"]["uid"]
    if gone:
      self.done.pop(uid, None)
      return
    node = pod["spec"].get("nodeName", "")
    if node not in self.known:
      return
    path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
    annotations = meta.get("annotations") or {}
    phase = pod.get("status", {}).get("phase")
    step = ""
    if meta.get("deletionTimestamp"):
      step = "delete"
    elif uid in self.allocating:
      return  # whose end sees to the rest
    elif node in self.hami and annotations.get(PHASE) == "allocating":
      step = "allocate"
    elif self.args.run_pods and phase == "Pending" and \
        (node not in self.hami or PHASE not in annotations or annotations[PHASE] == "success"):
      step = "run"
    if step and self.done.get(uid) != step:
      self.done[uid] = step
      if step == "allocate":
        self.allocating.add(uid)
      self.work.put((step, path, pod))

  def watch_pods(self) -> None:
    self.watch("/api/v1/pods?fieldSelector=" + urllib.parse.quote("spec.nodeName!="), self.see)

  def watch_nodes(self) -> None:
    self.watch("/api/v1/nodes?", self.see_node)

  def watch(self, path: str, see: Callable[[dict, bool], None]) -> None:
    api = Api(self.args.kubeconfig, timeout=90)
    while True:
      try:
        code, listed = api.call("GET", f"{path}&limit=500")
        version = listed["metadata"]["resourceVersion"]
        while True:
          for item in listed["items"]:
            see(item, False)
          more = listed["metadata"].get("continue")
          if not more:
            break
          code, listed = api.call("GET", f"{path}&limit=500&continue=" + urllib.parse.quote(more))
        while version:
          version = self.watch_from(api, path, see, version)
      except (OSError, http.client.HTTPException, ValueError, KeyError) as problem:
        print(f"{now_text()} {path}: {problem!r}", flush=True)
        api.close()
        time.sleep(0.2)

  def watch_from(self, api: Api, path: str, see: Callable[[dict, bool], None],
                 version: str) -> str:
    """Until the stream ends; from where to go on, "" if that is not known any more."""
    answer = api.open("GET", f"{path}&watch=true&allowWatchBookmarks=true&timeoutSeconds=60"
                      f"&resourceVersion={version}")
    if answer.status != 200:
      answer.read()
      return ""
    for line in answer:
      event = json.loads(line)
      if event["type"] == "ERROR":
        api.close()
        return ""
      version = event["object"]["metadata"]["resourceVersion"]
      if event["type"] != "BOOKMARK":
        see(event["object"], event["type"] == "DELETED")
    return version

  def write(self) -> None:
    api = Api(self.args.kubeconfig)
    while True:
      step, path, pod = self.work.get()
      getattr(self, "do_" + step)(api, path, pod)

  def do_node(self, api: Api, path: str, pod: dict) -> None:
    self.make_node(api, path)

  def do_delete(self, api: Api, path: str, pod: dict) -> None:
    api.call("DELETE", path, {"gracePeriodSeconds": 0,
                              "preconditions": {"uid": pod["metadata"]["uid"]}})

  def do_run(self, api: Api, path: str, pod: dict) -> None:
    now = now_text()[:19] + "Z"
    containers = [{"name": item["name"], "image": item["image"], "imageID": "", "ready": True,
                   "restartCount": 0, "started": True, "state": {"running": {"startedAt": now}}}
                  for item in pod["spec"]["containers"]]
    inits = [{"name": item["name"], "image": item["image"], "imageID": "", "ready": True,
              "restartCount": 0, "state": {"terminated": {"exitCode": 0, "startedAt": now,
                                                          "finishedAt": now}}}
             for item in pod["spec"].get("initContainers", [])]
    status = {"phase": "Running", "startTime": now, "containerStatuses": containers,
              "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now}
                             for kind in ("Initialized", "Ready", "ContainersReady",
                                          "PodScheduled")]}
    if inits:
      status["initContainerStatuses"] = inits
    body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}
    code, said = api.call("PATCH", path + "/status", body, MERGE_PATCH)
    if code not in (200, 404, 409):
      print(f"{path}: {code} {said.get('message')}", flush=True)
    seconds = (pod["metadata"].get("annotations") or {}).get(RUN_SECONDS)
    if seconds:
      with self.ends_changed:
        heapq.heappush(self.ends, (time.monotonic() + float(seconds), path,
                                   pod["metadata"]["uid"]))
        self.ends_changed.notify()

  def do_allocate(self, api: Api, path: str, pod: dict) -> None:
    """HAMi's plugin: takes the devices, then says so, then frees the lock if it is this pod's."""
    meta, node = pod["metadata"], pod["spec"]["nodeName"]
    code, now = api.call("PATCH", path, {"metadata": {"uid": meta["uid"], "annotations": {
        TO_ALLOCATE: ";", PHASE: "success"}}}, MERGE_PATCH, PLUGIN)
    self.free_lock(api, node, f",{meta['namespace']},{meta['name']}")
    self.allocating.discard(meta["uid"])
    if code == 200:
      self.see(now, False)

  def free_lock(self, api: Api, node: str, owner: str) -> None:
    """Again whenever somebody else wrote the node meanwhile."""
    while True:
      _, found = api.call("GET", f"/api/v1/nodes/{node}")
      lock = (found.get("metadata", {}).get("annotations") or {}).get(LOCK, "")
      if not lock.endswith(owner):
        return
      code, _ = api.call("PATCH", f"/api/v1/nodes/{node}", {"metadata": {
          "resourceVersion": found["metadata"]["resourceVersion"],
          "annotations": {LOCK: None}}}, MERGE_PATCH)
      if code != 409:
        return

  def end_pods(self) -> None:
    """Those whose time is over succeed."""
    api = Api(self.args.kubeconfig)
    while True:
      with self.ends_changed:
        while not self.ends or self.ends[0][0] > time.monotonic():
          self.ends_changed.wait(self.ends[0][0] - time.monotonic() if self.ends else None)
        _, path, uid = heapq.heappop(self.ends)
      api.call("PATCH", path + "/status", {"metadata": {"uid": uid}, "status": {
          "phase": "Succeeded"}}, MERGE_PATCH)

  def run(self) -> None:
    for name in self.names:
      self.work.put(("node", name, {}))
    for target in [self.write] * WRITERS + [self.watch_pods, self.watch_nodes, self.end_pods]:
      threading.Thread(target=target, daemon=True).start()
    self.renew()


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--kubeconfig", type=pathlib.Path, required=True)
  parser.add_argument("--nodes", type=int, default=0)
  parser.add_argument("--node-list", type=pathlib.Path, help="Nodes, instead of --nodes alike")
  parser.add_argument("--hami-nodes", type=int, default=0)
  parser.add_argument("--gpus", default="8")
  parser.add_argument("--run-pods", action="store_true")
  sys.setswitchinterval(0.001)
  Keeper(parser.parse_args()).run()
  return 0


if __name__ == "__main__":
  sys.exit(main())
