# SPDX-License-Identifier: Apache-2.0
"""The part of `./dev bench scheduler` that calls the extender itself, with an API server and etcd
beside it and no kube-scheduler: /filter with the names of all nodes, then /bind of what was chosen,
then a look at the API objects."""

import contextlib
import http.client
import json
import pathlib
import ssl
import subprocess
import sys
import time
import urllib.parse

import cluster_load
from cluster_load import ASKS, NAMESPACE, ROOT

sys.path.append(str(ROOT / "tools" / "cluster"))

import api_nodes  # noqa: E402
from api_server import ApiServer, free_port  # noqa: E402

SCHEDULER = ROOT / "build" / "bin" / "hami-scheduler"
READY_S = 300
TICKS = 100  # of /proc/PID/stat, per second
PENDING = 800
SECONDS = 6
# By (nodes, placed pods): HAMi v2.10.0's figures for one caller, then for eight: median, p99, CPU
# per decision in ms; design.md section 9.
HAMI = {
    (100, 4000): ("75 / 106 ms, 111 ms of CPU", ""),
    (1000, 10_000): ("215 / 325 ms, 361 ms of CPU", ""),
    (5000, 100_000): ("4.5 / 8.2 s, 6.3 s of CPU, 5.6 GB", "52 s, 15 GB"),
}
TARGET_US = {(100, 4000): 300, (1000, 10_000): 500, (5000, 100_000): 1000}
TARGET_8_US = 5000


class Process:
  """A program whose time and memory are read from /proc."""

  def __init__(self, command, log):
    with open(log, "ab") as file:
      self.child = subprocess.Popen(list(map(str, command)), stdout=file, stderr=file)
    self.pid = self.child.pid

  def cpu_s(self):
    text = pathlib.Path(f"/proc/{self.pid}/stat").read_text()
    fields = text[text.rindex(")") + 2:].split()
    return (int(fields[11]) + int(fields[12])) / TICKS

  def memory_mib(self, what="VmRSS"):
    for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
      if line.startswith(what):
        return int(line.split()[1]) / 1024
    return 0.0

  def stop(self):
    self.child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
      self.child.wait(10)
    self.child.kill()
    self.child.wait()


class FilterPart:
  def __init__(self, table, folder, seconds=SECONDS, only_start=False):
    self.table = table
    self.folder = folder
    self.seconds = seconds
    self.only_start = only_start
    self.caller = cluster_load.Caller(folder)
    self.server = None

  # The API server's content.

  def tls(self):
    pki = self.server.pki
    return ["--tls", "--ca", pki / "ca.crt", "--cert", pki / "admin.crt", "--key",
            pki / "admin.key"]

  def create(self, path, bodies, callers=4):
    address = urllib.parse.urlsplit(self.server.url).netloc
    return self.caller.post(address, path, bodies, callers=callers, tls=self.tls())

  def connection(self):
    pki = self.server.pki
    context = ssl.create_default_context(cafile=pki / "ca.crt")
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    return http.client.HTTPSConnection(urllib.parse.urlsplit(self.server.url).netloc,
                                       context=context, timeout=120)

  def remove_pending(self):
    """Those that were asked for, bound by now: what is placed next knows nothing of them."""
    connection = self.connection()
    for pod in self.pending:
      connection.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}",
                         json.dumps({"gracePeriodSeconds": 0}),
                         {"Content-Type": "application/json"})
      connection.getresponse().read()

  def raw(self, path):
    """A GET of a list, decoded, in pages."""
    connection = self.connection()
    items, more = [], ""
    while True:
      connection.request("GET", path + f"?limit=2000&continue={urllib.parse.quote(more)}")
      page = json.loads(connection.getresponse().read())
      items += page["items"]
      more = page["metadata"].get("continue", "")
      if not more:
        return items

  def plain_list_s(self):
    """Reading all pods and nodes as anybody would, without looking at them: pages of 500."""
    connection = self.connection()
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

  # hami-scheduler.

  def start(self, body):
    """Until it is ready, and has decided once: about the /filter of `body`."""
    extender, metrics = free_port(), free_port()
    begun = time.monotonic()
    process = Process([SCHEDULER, f"--kubeconfig={self.server.kubeconfig}",
                       f"--http_bind=127.0.0.1:{extender}",
                       f"--metrics-bind-address=127.0.0.1:{metrics}",
                       f"--scheduler-name={cluster_load.SCHEDULER}", *self.table.scheduler_flags],
                      self.folder / "hami-scheduler.log")
    address = f"127.0.0.1:{extender}"
    while True:
      with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection(address, timeout=5)
        connection.request("GET", "/readyz")
        if connection.getresponse().status == 200 and self.decides(address, body):
          return process, address, time.monotonic() - begun
      if process.child.poll() is not None or time.monotonic() - begun > READY_S:
        raise SystemExit(f"bench scheduler: not ready; see {self.folder}/hami-scheduler.log")
      time.sleep(0.01)

  def decides(self, address, body):
    """False in the moment in which it is ready and does not lead yet."""
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("POST", "/filter", body, {"Content-Type": "application/json"})
    return bool(json.loads(connection.getresponse().read()).get("NodeNames"))

  def bodies(self):
    """/filter's, as kube-scheduler sends them: without managedFields."""
    lines = []
    for pod in self.pending:
      pod["metadata"].pop("managedFields", None)
      lines.append('{"Pod":' + json.dumps(pod, separators=(",", ":")) + ',"Nodes":null,')
    return lines

  def bind_what_was_chosen(self, address, answers):
    """Every pod that got a node by its last /filter. How many were bound, how many refused."""
    binds, refused = [], 0
    for pod, answer in zip(self.pending, answers.read_text().splitlines(), strict=True):
      names = json.loads(answer).get("NodeNames") if answer.strip() else None
      if names:
        meta = pod["metadata"]
        binds.append({"PodName": meta["name"], "PodNamespace": NAMESPACE, "PodUID": meta["uid"],
                      "Node": names[0]})
    bound = self.folder / "bound"
    self.caller.post(address, "/bind", binds, callers=8, answers=bound)
    for answer in bound.read_text().splitlines():
      refused += bool(json.loads(answer).get("Error"))
    return len(binds), refused

  def measure_start(self, nodes, placed, body):
    """The started process; its rows of time and memory are in the table."""
    size = f"{nodes} nodes, {placed} pods"
    list_s = self.plain_list_s()
    process, address, start_s = self.start(body)
    self.table.add(f"start to first decision, {size}", start_s, "s", native=list_s,
                   target=f"<= {1.2 * list_s:.2f}", met=start_s <= 1.2 * list_s,
                   hami="39 s" if placed == 100_000 else "",
                   note=f"{process.cpu_s():.2f} s of CPU")
    self.table.add(f"memory at start, {size}", process.memory_mib(), "MiB",
                   target="<= 400" if placed == 100_000 else "",
                   met=process.memory_mib() <= 400,
                   note=f"{process.memory_mib('VmHWM'):.0f} at most",
                   hami="3 GB" if placed == 100_000 else "")
    return process, address

  def measure(self, nodes, placed):
    size = f"{nodes} nodes, {placed} pods"
    print(f"{size} ...", file=sys.stderr)
    suffix = '"NodeNames":' + json.dumps(api_nodes.names(nodes)) + "}"
    lines = self.bodies()
    process, address = self.measure_start(nodes, placed, lines[0] + suffix)
    if self.only_start:
      process.stop()
      return
    try:
      at_start = process.memory_mib()
      # Warm: connections, caches, the first page faults.
      self.caller.post(address, "/filter", lines[:50], suffix=suffix)
      for callers in (1, 8):
        self.filter_row(process, address, lines, suffix, callers, nodes, placed)
      answers = self.folder / "answers"
      self.caller.post(address, "/filter", lines, suffix=suffix, callers=8, answers=answers)
      chosen, refused = self.bind_what_was_chosen(address, answers)
      broken = cluster_load.over_committed(self.raw("/api/v1/pods"))
      self.table.add(f"over-committed cards, {size}, {chosen} bound", len(broken), "",
                     target="0", met=not broken, note=f"{refused} binds refused" if refused else "")
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
    who = f"/filter, {nodes} nodes, {placed} pods, {callers} caller" + "s" * (callers > 1)
    self.table.add(f"{who}, p50", result["p50_us"] / 1000, "ms")
    self.table.add(f"{who}, p99", result["p99_us"] / 1000, "ms",
                   target=f"< {target / 1000:g}" if target else "",
                   met=target is None or result["p99_us"] < target, hami=peer)
    self.table.add(f"{who}, worst", result["max_us"] / 1000, "ms")
    self.table.add(f"{who}, decisions", result["calls"] / result["seconds"], "/s",
                   note=f"{result['refused']} refused" if result["refused"] else "")
    self.table.add(f"{who}, CPU each", cpu_us / 1000, "ms")

  def run(self, groups):
    """`groups`: (nodes, (placed pods, ...)) each with an API server of its own."""
    for nodes, steps in groups:
      folder = self.folder / f"api-{nodes}"
      folder.mkdir()
      self.server = ApiServer(folder, self.table.version)
      try:
        self.fill(nodes, steps)
      finally:
        self.server.stop()

  def fill(self, nodes, steps):
    self.create("/api/v1/namespaces", [{"metadata": {"name": NAMESPACE}}], callers=1)
    # No controller makes it here, and without it pods are refused.
    self.create(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
                [{"metadata": {"name": "default"}}], callers=1)
    self.create("/api/v1/nodes", (api_nodes.node_body(name, cluster_load.GPUS)
                                  for name in api_nodes.names(nodes)))
    there = 0
    made = 0
    for placed in steps:
      where = list(cluster_load.spread_over(placed, nodes))[there:]
      if where:
        self.create(f"/api/v1/namespaces/{NAMESPACE}/pods",
                    (cluster_load.placed_pod(there + index, node, card)
                     for index, (node, card) in enumerate(where)))
      there = placed
      # New ones each time: those of the step before are bound.
      names = [f"ask-{made + index}" for index in range(PENDING)]
      made += PENDING
      self.create(f"/api/v1/namespaces/{NAMESPACE}/pods",
                  (cluster_load.pod(name, cluster_load.gpu_limits(ASKS[index % len(ASKS)]))
                   for index, name in enumerate(names)))
      wanted = set(names)
      self.pending = [pod for pod in self.raw(f"/api/v1/namespaces/{NAMESPACE}/pods")
                      if pod["metadata"]["name"] in wanted]
      self.measure(nodes, placed)
      self.remove_pending()
