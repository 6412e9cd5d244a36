# SPDX-License-Identifier: Apache-2.0
"""The part of `./dev bench scheduler` that takes kube-scheduler's own figure: how long one attempt
to place a pod took it, binding included, where one of many nodes fits; with devices and without.

Pods come one at a time, so the sum of kube-scheduler's histogram grows by exactly one attempt: its
buckets, each twice as wide as the one before, play no part. An API server, etcd, one
kube-scheduler, one hami-scheduler; nodes are API objects."""

import http.client
import re
import ssl
import statistics
import sys
import time
import types

import cluster_load
from api_content import PODS, ApiContent
from filter_part import start_scheduler
from process import Process

import api_nodes
import go_modules
import schedulers
from api_server import ApiServer, free_port

PATIENCE_S = 60
# kind -> (what is asked, whether the pod names its node, words)
KINDS = {
    "plain": ({}, True, "without devices"),
    "gpu": (cluster_load.gpu_limits((1, 4000, 5)), True, "kube-scheduler's filters leave one node"),
    "gpu-all": (cluster_load.gpu_limits((1, 4000, 5)), False, "only the extender knows which node"),
}
TARGET_MS = 2


class AttemptPart:
  def __init__(self, table, folder, nodes, repeats):
    self.table = table
    self.folder = folder
    self.nodes = nodes
    self.repeats = repeats
    self.made = 0

  def run(self):
    print(f"attempts, {self.nodes} nodes ...", file=sys.stderr)
    folder = self.folder / "api-attempt"
    folder.mkdir()
    server = ApiServer(folder, self.table.version)
    running = []
    try:
      self.content = ApiContent(server, cluster_load.Caller(folder))
      self.content.make_nodes(self.nodes)
      # All but one: no card of theirs has room.
      self.free_node = api_nodes.names(self.nodes)[self.nodes // 2]
      self.content.fill_nodes([name for name in api_nodes.names(self.nodes)
                               if name != self.free_node])
      process, extender, metrics, _ = start_scheduler(server, folder, self.table.scheduler_flags)
      running.append(process)
      self.extender_metrics = metrics
      running.append(self.start_kube_scheduler(server, folder, extender))
      self.measure()
    finally:
      for process in running:
        process.stop()
      server.stop()

  def start_kube_scheduler(self, server, folder, extender):
    """With the configuration that we ship; without an election, as nobody else is there."""
    self.port = free_port()
    config = folder / "kube-scheduler.yaml"
    text = schedulers.scheduler_config(self.table.version,
                                       types.SimpleNamespace(extender=extender),
                                       server.kubeconfig)
    config.write_text(re.sub(r"leaderElect: true", "leaderElect: false", text))
    program = go_modules.KUBERNETES_VERSIONS[self.table.version].binaries / "kube-scheduler"
    return Process([program, f"--config={config}", f"--secure-port={self.port}",
                    "--authorization-always-allow-paths=/metrics"], folder / "kube-scheduler.log")

  def attempts(self):
    """(seconds in all, how many) attempts ended with a binding, by kube-scheduler's histogram."""
    connection = http.client.HTTPSConnection("127.0.0.1", self.port,
                                             context=ssl._create_unverified_context())
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    found = {"sum": 0.0, "count": 0.0}
    for line in text.splitlines():
      match = re.match(r"scheduler_scheduling_attempt_duration_seconds_(sum|count)\{(.*)\} (\S+)",
                       line)
      if match and 'result="scheduled"' in match[2] and schedulers.NAME in match[2]:
        found[match[1]] += float(match[3])
    return found["sum"], found["count"]

  def one_attempt_ms(self, kind):
    limits, names_node, _ = KINDS[kind]
    body = cluster_load.pod(f"{kind}-{self.made}", limits)
    self.made += 1
    if names_node:
      body["spec"]["nodeSelector"] = {"kubernetes.io/hostname": self.free_node}
    seconds, count = self.attempts()
    name = self.content.call("POST", PODS, body)["metadata"]["name"]
    end = time.monotonic() + PATIENCE_S
    while True:
      time.sleep(0.03)
      seconds_now, count_now = self.attempts()
      if count_now > count:
        break
      if time.monotonic() > end:
        raise SystemExit(f"bench scheduler: {name} is not placed: "
                         f"{self.content.call('GET', f'{PODS}/{name}')['status']}")
    self.content.remove([name])
    return (seconds_now - seconds) / (count_now - count) * 1000

  def measure(self):
    times = {kind: [] for kind in KINDS}
    self.wait_for_scheduler()
    for number in range(self.repeats + 3):
      for kind in KINDS:
        took_ms = self.one_attempt_ms(kind)
        if number >= 3:  # the first ones warm up
          times[kind].append(took_ms)
    plain = times.pop("plain")
    for kind, ours in times.items():
      who = f"attempt, {self.nodes} nodes of which one fits, {KINDS[kind][2]}"
      for name, figure in (("mean", statistics.fmean), ("p50", statistics.median),
                           ("p99", lambda values: sorted(values)[int(len(values) * 0.99)]),
                           ("worst", max)):
        value, native = figure(ours), figure(plain)
        target = f"<= plain + {TARGET_MS}" if name == "p99" else ""
        self.table.add(f"{who}, {name}", value, "ms", native=native, target=target,
                       met=value <= native + TARGET_MS)
    for verb, mean_ms, count in self.extender_means():
      self.table.add(f"{verb} in the extender, {self.nodes} nodes, mean", mean_ms, "ms",
                     note=f"of {count:.0f}, by hami_scheduler_extender_seconds")

  def wait_for_scheduler(self):
    end = time.monotonic() + PATIENCE_S
    while True:
      try:
        return self.attempts()
      except OSError:
        if time.monotonic() > end:
          raise
        time.sleep(0.1)

  def extender_means(self):
    connection = http.client.HTTPConnection(self.extender_metrics)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    for verb in ("filter", "bind"):
      found = {kind: float(re.search(
          rf'hami_scheduler_extender_seconds_{kind}\{{verb="{verb}"\}} (\S+)', text)[1])
               for kind in ("sum", "count")}
      if found["count"]:
        yield verb, found["sum"] / found["count"] * 1000, found["count"]


