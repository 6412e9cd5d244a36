# SPDX-License-Identifier: Apache-2.0
"""Pods offered to a real kube-scheduler with hami-scheduler beside it, in order, and where it put
each. One watch tells; a pod that finds no room is deleted, as the trace's pods do not wait."""

import collections
import http.client
import json
import queue
import ssl
import sys
import threading
import time
import urllib.parse

from openb_trace import Place

import classic
from cluster_harness import network_of

HEAL_S = 10  # without a decision, after which who has ended is started again
PATIENCE_S = 120  # for one decision


class RealRun:
  """`window`: so many pods at most are created and not yet decided. kube-scheduler decides one
  after the other in the order in which they came, so every window gives each pod the same
  predecessors; but of pods that ask for no GPU hami-scheduler learns by its watch, and with a
  window of 1 it has heard of each before the next comes. A kube-scheduler that has lost its Lease
  ends, as it does on a machine that is too busy, and is started again, as a kubelet would:
  `restarts` says how often."""

  def __init__(self, run_on: classic.Classic, namespace: str, window: int = 1):
    self.restarts = 0
    self._classic = run_on
    self._cluster = run_on.cluster
    self._pods = f"/api/v1/namespaces/{namespace}/pods"
    self._window = window
    self._calls = self._connect()
    self._told: queue.SimpleQueue = queue.SimpleQueue()
    version = self._call("GET", self._pods + "?limit=1")["metadata"]["resourceVersion"]
    self._stream = self._connect()
    self._stream.request("GET", f"{self._pods}?watch=true&timeoutSeconds=86400"
                         f"&resourceVersion={version}")
    answer = self._stream.getresponse()
    threading.Thread(target=self._follow, args=(answer,), daemon=True).start()

  def _connect(self) -> http.client.HTTPSConnection:
    api = self._cluster.api.configuration
    context = ssl.create_default_context(cafile=api.ssl_ca_cert)
    context.load_cert_chain(api.cert_file, api.key_file)
    address = urllib.parse.urlsplit(api.host)
    connection = http.client.HTTPSConnection(address.hostname, address.port, context=context)
    with network_of(self._cluster.init.pid):
      connection.connect()
    return connection

  def _call(self, method: str, path: str, body: dict | None = None) -> dict:
    self._calls.request(method, path, json.dumps(body) if body is not None else None,
                        {"Content-Type": "application/json"})
    answer = self._calls.getresponse()
    text = answer.read()
    if answer.status >= 300:
      raise SystemExit(f"bench openb: {method} {path}: {answer.status} {text[:400]!r}")
    return json.loads(text)

  def _follow(self, answer: http.client.HTTPResponse) -> None:
    """(name, Place) of each pod, once; None when the stream ends."""
    known = set()
    for line in answer:
      event = json.loads(line)
      pod = event["object"]
      name = pod.get("metadata", {}).get("name")
      place = None if event["type"] in ("DELETED", "ERROR") else place_of(pod)
      if place is not None and name not in known:
        known.add(name)
        self._told.put((name, place))
    self._told.put(None)

  def play(self, pods: list[dict], progress_s: float = 0) -> list[Place]:
    """Where each went. With `progress_s` a line on standard error every so many seconds."""
    places: dict[str, Place] = {}
    waiting: collections.Counter = collections.Counter()
    begun = said = time.monotonic()
    for number, body in enumerate(pods):
      while len(waiting) >= self._window:
        self._take(waiting, places)
      waiting[body["metadata"]["name"]] += 1
      self._call("POST", self._pods, body)
      if progress_s and time.monotonic() - said >= progress_s:
        said = time.monotonic()
        nowhere = sum(not place.node for place in places.values())
        print(f"  {number} of {len(pods)} pods, {number / (said - begun):.1f} /s, {nowhere} "
              "without room", file=sys.stderr, flush=True)
    while waiting:
      self._take(waiting, places)
    return [places[body["metadata"]["name"]] for body in pods]

  def _take(self, waiting: collections.Counter, places: dict[str, Place]) -> None:
    """One more that is decided."""
    end = time.monotonic() + PATIENCE_S
    while True:
      try:
        told = self._told.get(timeout=HEAL_S)
        break
      except queue.Empty:
        if time.monotonic() > end:
          raise SystemExit(f"bench openb: not decided within {PATIENCE_S} s: "
                           f"{', '.join(waiting)}") from None
        self._heal()
    if told is None:
      raise SystemExit("bench openb: the watch of the pods has ended")
    name, place = told
    del waiting[name]
    places[name] = place
    if not place.node:
      self._call("DELETE", f"{self._pods}/{name}", {"gracePeriodSeconds": 0})


  def _heal(self) -> None:
    for replica in self._classic.replicas:
      for component in replica.components:
        if not self._classic.is_running(component):
          self.restarts += 1
          print(f"  {component} has ended and is started again", file=sys.stderr, flush=True)
          self._classic.start(component)


def place_of(pod: dict) -> Place | None:
  """None: it is not decided yet."""
  node = pod["spec"].get("nodeName")
  if node:
    text = (pod["metadata"].get("annotations") or {}).get(classic.ALLOCATED, "")
    return Place(node, tuple(sorted((item.device, item.memory, item.cores)
                                    for item in classic.slices(text))))
  for condition in pod.get("status", {}).get("conditions", []):
    if condition["type"] == "PodScheduled" and condition["reason"] == "Unschedulable":
      return Place()
  return None
