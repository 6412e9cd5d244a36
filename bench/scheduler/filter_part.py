# SPDX-License-Identifier: Apache-2.0
"""The part of `./dev bench scheduler` that calls the extender itself, with an API server and etcd
beside it and no kube-scheduler: /filter with the names of all nodes, then /bind of what was chosen
while more is being chosen, then a look at the API objects."""

import contextlib
import http.client
import json
import statistics
import sys
import threading
import time
import urllib.parse

import cluster_load
from api_content import PODS, ApiContent
from cluster_load import ASKS, NAMESPACE, ROOT
from process import Process
from table import filter_text, size_text

import api_nodes
from api_server import ApiServer, free_port

SCHEDULER = ROOT / "build" / "bin" / "hami-scheduler"
READY_S = 300
PENDING = 800
SCRAPES = 10
# By (nodes, placed pods): HAMi v2.10.0's figures for one caller, then for eight: median, p99, CPU
# per decision in ms; design.md section 9.
HAMI = {
    (100, 4000): ("75 / 106 ms, 111 ms of CPU", ""),
    (1000, 10_000): ("215 / 325 ms, 361 ms of CPU", ""),
    (5000, 100_000): ("4.5 / 8.2 s, 6.3 s of CPU, 5.6 GB", "52 s, 15 GB"),
}
TARGET_US = {(100, 4000): 300, (1000, 10_000): 500, (5000, 100_000): 1000}
TARGET_8_US = 5000


def wait_ready(process, address, log):
  begun = time.monotonic()
  while True:
    with contextlib.suppress(OSError, http.client.HTTPException):
      connection = http.client.HTTPConnection(address, timeout=5)
      connection.request("GET", "/readyz")
      if connection.getresponse().status == 200:
        return
    if process.child.poll() is not None or time.monotonic() - begun > READY_S:
      raise SystemExit(f"bench scheduler: not ready; see {log}")
    time.sleep(0.01)


def start_scheduler(server, folder, flags):
  """The process once it is ready, its address, that of its metrics, and seconds until then."""
  extender, metrics = (f"127.0.0.1:{free_port()}" for _ in range(2))
  log = folder / "hami-scheduler.log"
  begun = time.monotonic()
  process = Process([SCHEDULER, f"--kubeconfig={server.kubeconfig}", f"--http_bind={extender}",
                     f"--metrics-bind-address={metrics}",
                     f"--scheduler-name={cluster_load.SCHEDULER}", *flags], log)
  wait_ready(process, extender, log)
  return process, extender, metrics, time.monotonic() - begun


class FilterPart:
  def __init__(self, table, folder, seconds):
    self.table = table
    self.folder = folder
    self.seconds = seconds
    self.caller = cluster_load.Caller(folder)
    self.made = 0

  def run(self, nodes, steps):
    """`steps`: how many pods are on nodes, for one row each."""
    folder = self.folder / f"api-{nodes}"
    folder.mkdir()
    server = ApiServer(folder, self.table.version)
    try:
      self.content = ApiContent(server, self.caller)
      self.content.make_nodes(nodes)
      there = 0
      for placed in steps:
        print(f"{size_text(nodes, placed)} ...", file=sys.stderr)
        self.content.place(there, list(cluster_load.spread_over(placed, nodes))[there:])
        there = placed
        self.make_pending()
        self.measure(nodes, placed)
        # Bound by now, and what is placed next knows nothing of them: it would come on top.
        self.content.remove([pod["metadata"]["name"] for pod in self.pending])
    finally:
      server.stop()

  def make_pending(self):
    """New ones each time: those of the step before are bound."""
    names = [f"ask-{self.made + index}" for index in range(PENDING)]
    self.made += PENDING
    self.content.create(PODS, (
        cluster_load.pod(name, cluster_load.gpu_limits(ASKS[index % len(ASKS)]))
        for index, name in enumerate(names)))
    wanted = set(names)
    self.pending = [pod for pod in self.pending_pods() if pod["metadata"]["name"] in wanted]

  def pending_pods(self):
    connection = self.content.connection()
    connection.request("GET", PODS + "?fieldSelector=" + urllib.parse.quote("spec.nodeName="))
    return json.loads(connection.getresponse().read())["items"]

  def plain_list_s(self):
    """Reading all pods and nodes as anybody would, without looking at them: pages of 500."""
    connection = self.content.connection()
    begun = time.monotonic()
    for path in ("/api/v1/nodes", "/api/v1/pods"):
      more = ""
      while True:
        connection.request("GET", path + f"?limit=500&continue={urllib.parse.quote(more)}")
        text = connection.getresponse().read()
        end = text.find(b'"continue":"', 0, 400)
        if end < 0:
          break
        more = text[end + 12:text.index(b'"', end + 12)].decode()
    return time.monotonic() - begun

  def bodies(self):
    """/filter's, as kube-scheduler sends them: without managedFields."""
    lines = []
    for pod in self.pending:
      pod["metadata"].pop("managedFields", None)
      lines.append('{"Pod":' + json.dumps(pod, separators=(",", ":")) + ',"Nodes":null,')
    return lines

  def measure(self, nodes, placed):
    size = size_text(nodes, placed)
    list_s = self.plain_list_s()
    process, address, metrics, start_s = start_scheduler(self.content.server, self.folder,
                                                         self.table.scheduler_flags)
    try:
      self.table.add(f"start, {size}", start_s, "s", native=list_s,
                     target=f"<= {1.2 * list_s:.2f}", met=start_s <= 1.2 * list_s,
                     hami="39 s" if placed == 100_000 else "")
      at_start = process.memory_mib()
      suffix = '"NodeNames":' + json.dumps(api_nodes.names(nodes)) + "}"
      lines = self.bodies()
      # Warm: connections, caches, the first page faults.
      self.caller.post(address, "/filter", lines[:50], suffix=suffix)
      for callers in (1, 8):
        self.filter_row(process, address, lines, suffix, callers, nodes, placed)
      self.scrape_rows(process, metrics, address, lines, suffix, size)
      self.over_commit_row(address, lines, suffix, size)
      self.table.add(f"memory, {size}", process.memory_mib(), "MiB",
                     target="<= 400" if placed == 100_000 else "",
                     met=process.memory_mib() <= 400, note=f"{at_start:.0f} at start, "
                     f"{process.memory_mib('VmHWM'):.0f} at most",
                     hami="5.6 to 15 GB" if placed == 100_000 else "")
    finally:
      process.stop()

  def filter_row(self, process, address, lines, suffix, callers, nodes, placed):
    before = process.cpu_s()
    result = self.caller.post(address, "/filter", lines, suffix=suffix, callers=callers,
                              seconds=self.seconds)
    cpu_us = (process.cpu_s() - before) / result["calls"] * 1e6
    target = TARGET_8_US if callers == 8 else TARGET_US.get((nodes, placed))
    peer = HAMI.get((nodes, placed), ("", ""))[callers == 8]
    who = filter_text(nodes, placed, callers)
    self.table.add(f"{who}, p50", result["p50_us"] / 1000, "ms")
    self.table.add(f"{who}, p99", result["p99_us"] / 1000, "ms",
                   target=f"< {target / 1000:g}" if target else "",
                   met=target is None or result["p99_us"] < target, hami=peer)
    self.table.add(f"{who}, worst", result["max_us"] / 1000, "ms")
    self.table.add(f"{who}, decisions", result["calls"] / result["seconds"], "/s",
                   note=f"{result['refused']} refused" if result["refused"] else "")
    self.table.add(f"{who}, CPU each", cpu_us / 1000, "ms")

  def scrape_rows(self, process, metrics, address, lines, suffix, size):
    """Prometheus: what a scrape takes, and what it does to decisions beside it."""
    connection = http.client.HTTPConnection(metrics)
    times = []

    def scrape():
      begun = time.monotonic()
      connection.request("GET", "/metrics")
      text = connection.getresponse().read()
      times.append(time.monotonic() - begun)
      return text

    before = process.cpu_s()
    for _ in range(SCRAPES):
      text = scrape()
    cpu_s = (process.cpu_s() - before) / SCRAPES
    self.table.add(f"scrape, {size}, median", statistics.median(times) * 1000, "ms",
                   note=f"{len(text) / 2**20:.1f} MiB")
    self.table.add(f"scrape, {size}, CPU each", cpu_s * 1000, "ms")
    over = threading.Event()

    def every_second():
      while not over.wait(1):
        scrape()

    thread = threading.Thread(target=every_second)
    thread.start()
    result = self.caller.post(address, "/filter", lines, suffix=suffix, seconds=self.seconds)
    over.set()
    thread.join()
    self.table.add(f"decision while scraped, {size}, p99", result["p99_us"] / 1000, "ms")
    self.table.add(f"decision while scraped, {size}, worst", result["max_us"] / 1000, "ms")

  # Over-commitment.

  def over_commit_row(self, address, lines, suffix, size):
    """All pods get a node by eight callers, and are bound there by eight others: the first half
    while the second is being chosen. Then the API objects are added up."""
    middle = len(lines) // 2
    chosen = self.choose(address, lines[:middle], self.pending[:middle], suffix, "first")
    second = []
    choosing = threading.Thread(target=lambda: second.extend(self.choose(
        address, lines[middle:], self.pending[middle:], suffix, "second")))
    choosing.start()
    refused = self.bind(address, chosen, "first")
    choosing.join()
    refused += self.bind(address, second, "second")
    pods = self.content.raw("/api/v1/pods")
    broken = cluster_load.over_committed(pods)
    bound = len(chosen) + len(second) - refused
    held = sum(bool(pod["spec"].get("nodeName")) and pod["metadata"]["name"].startswith("ask-")
               for pod in pods)
    if held < bound:
      raise SystemExit(f"bench scheduler: {bound} pods were bound, and {held} are on nodes")
    self.table.add(f"over-committed cards, {size}, {bound} bound", len(broken), "", target="0",
                   met=not broken, note=f"{refused} binds refused" if refused else "")

  def choose(self, address, lines, pods, suffix, name):
    """/bind's bodies for those that got a node."""
    answers = self.folder / f"answers-{name}"
    self.caller.named(name).post(address, "/filter", lines, suffix=suffix, callers=8,
                                 answers=answers)
    binds = []
    for pod, answer in zip(pods, answers.read_text().splitlines(), strict=True):
      names = json.loads(answer).get("NodeNames") if answer.strip() else None
      if names:
        meta = pod["metadata"]
        binds.append({"PodName": meta["name"], "PodNamespace": NAMESPACE, "PodUID": meta["uid"],
                      "Node": names[0]})
    return binds

  def bind(self, address, binds, name):
    """How many were refused."""
    if not binds:
      return 0
    bound = self.folder / f"bound-{name}"
    self.caller.named(f"bind-{name}").post(address, "/bind", binds, callers=8, answers=bound)
    return sum(bool(json.loads(answer).get("Error")) for answer in bound.read_text().splitlines())
