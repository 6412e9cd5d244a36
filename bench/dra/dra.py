#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What DRA mode costs: claims prepared without the kubelet, a pod's way to running with a claim and
without one in the same run, the driver's memory. A real Kubernetes, a simulated GPU."""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "cluster"))

import kubernetes  # noqa: E402
from cluster_harness import Cluster, call, cluster_verb, wait_until  # noqa: E402

NAME = "bench-dra"
DRIVER = "hami-core-gpu.project-hami.io"
SOCKET = f"/var/lib/kubelet/plugins/{DRIVER}/dra.sock"
PREPARE_TARGET_MS = 5.0  # p99, design section 9
RSS_TARGET_MIB = 20
IMAGE_TARGET_MIB = 60


def percentile(values, pct):
  ordered = sorted(values)
  return ordered[min(len(ordered) - 1, int(len(ordered) * pct / 100))]


def claim_body(name):
  return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": name},
          "spec": {"devices": {"requests": [{"name": "gpu", "exactly": {
              "deviceClassName": DRIVER,
              "capacity": {"requests": {"memory": "256Mi", "cores": "1"}}}}]}}}


def pod_body(name, claim):
  container = {"name": "main", "image": "localhost/tenant-debian:dev", "imagePullPolicy": "Never",
               "command": ["sleep", "3600"]}
  spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
  if claim:
    container["resources"] = {"claims": [{"name": "gpu"}]}
    spec["resourceClaims"] = [{"name": "gpu", "resourceClaimName": claim}]
  return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


class Bench:
  def __init__(self, cluster):
    self.cluster = cluster
    self.rows = []

  def add(self, name, value, unit, baseline=None, target=None):
    self.rows.append({"name": name, "value": value, "unit": unit, "baseline": baseline,
                      "target": target})

  def install(self):
    self.cluster.kubectl("label", "node", self.cluster.node, "gpu=on", "--overwrite")
    self.cluster.kubectl("apply", "-f", ROOT / "deploy" / "dra")
    wait_until(lambda: self.cluster.resource.list_resource_slice().items, "the GPU is published")
    wait_until(lambda: (self.cluster.root / SOCKET[1:]).exists(), "the driver serves")

  def allocated_claims(self, count):
    """Claims with an allocation written by hand, so that no scheduler takes part."""
    lines = []
    for index in range(count):
      made = self.cluster.resource.create_namespaced_resource_claim(
          "default", claim_body(f"bench-{index}"))
      self.cluster.resource.patch_namespaced_resource_claim_status(
          made.metadata.name, "default", {"status": {"allocation": {
              "devices": {"results": [{
                  "request": "gpu", "driver": DRIVER, "pool": self.cluster.node,
                  "device": "hami-gpu-0", "shareID": str(uuid.uuid4()),
                  "consumedCapacity": {"memory": "256Mi", "cores": "1"}}]}}}})
      lines.append(f"default {made.metadata.name} {made.metadata.uid}")
    return lines

  def calls(self, count):
    lines = self.allocated_claims(count)
    (self.cluster.root / "run" / "bench-claims").write_text("\n".join(lines) + "\n")
    program = ROOT / "build" / "bin" / "bench" / "dra_calls"
    times = json.loads(self.cluster.run(
        "sh", "-c", f"exec {program} {SOCKET} </run/bench-claims").stdout)
    # To the scheduler they hold the GPU.
    for line in lines:
      self.cluster.resource.delete_namespaced_resource_claim(line.split()[1], "default")
    for operation in ("prepare", "repeat", "unprepare"):
      values = [value / 1000 for value in times[f"{operation}_us"]]
      target = PREPARE_TARGET_MS if operation == "prepare" else None
      self.add(f"{operation}, p50", statistics.median(values), "ms")
      self.add(f"{operation}, p99", percentile(values, 99), "ms", target=target)
      self.add(f"{operation}, worst", max(values), "ms")

  def await_running(self, name, begun):
    """Seconds from `begun` until a watch says that it runs."""
    watch = kubernetes.watch.Watch()
    for event in watch.stream(self.cluster.core.list_namespaced_pod, "default",
                              field_selector=f"metadata.name={name}", timeout_seconds=120):
      if event["object"].status.phase == "Running":
        watch.stop()
        return time.monotonic() - begun
    raise SystemExit(f"bench dra: pod {name} does not run")

  def start(self, name, with_claim):
    if with_claim:
      self.cluster.resource.create_namespaced_resource_claim("default", claim_body(name))
    begun = time.monotonic()
    self.cluster.core.create_namespaced_pod("default", pod_body(name, with_claim and name))
    seconds = self.await_running(name, begun)
    self.cluster.core.delete_namespaced_pod(name, "default", grace_period_seconds=0)
    if with_claim:
      self.cluster.resource.delete_namespaced_resource_claim(name, "default")
    return seconds

  def pods(self, count):
    seconds = {False: [], True: []}
    self.start("warm-up-plain", False)
    self.start("warm-up-claim", True)
    for index in range(count):
      for with_claim in (index % 2 == 0, index % 2 == 1):  # neither is always second
        kind = "claim" if with_claim else "plain"
        seconds[with_claim].append(self.start(f"{kind}-{index}", with_claim))
    for name, figure in (("p50", statistics.median), ("worst", max)):
      self.add(f"pod created to running, {name}", figure(seconds[True]), "s",
               baseline=figure(seconds[False]))

  def size(self):
    pid = self.cluster.run("pidof", "hami-dra-driver").stdout.split()[0]
    status = self.cluster.run("cat", f"/proc/{pid}/status").stdout
    rss = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    self.add("driver, resident memory", int(rss) / 1024, "MiB", target=RSS_TARGET_MIB)
    image = ROOT / ".cache" / "images" / "hami.tar"
    self.add("image", image.stat().st_size / 2**20, "MiB", target=IMAGE_TARGET_MIB)

  def print(self, conditions):
    print(f"DRA mode\n{conditions}\n")
    print(f"{'':40} {'value':>9} {'unit':<4} {'plain pod':>10} {'ratio':>6} {'target':>8}")
    for row in self.rows:
      value, baseline, target = row["value"], row["baseline"], row["target"]
      native = f"{baseline:.2f}" if baseline else ""
      ratio = f"{value / baseline:.2f}" if baseline else ""
      goal = f"<= {target:g}" if target else ""
      print(f"{row['name']:40} {value:9.2f} {row['unit']:<4} {native:>10} {ratio:>6} {goal:>8}")


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--claims", type=int, default=300)
  parser.add_argument("--pods", type=int, default=20)
  parser.add_argument("--version", default="1.36")
  parser.add_argument("--json", type=pathlib.Path)
  arguments = parser.parse_args()
  print("making a cluster ...", file=sys.stderr)
  cluster_verb("up", "--name", NAME, "--version", arguments.version)
  try:
    cluster = Cluster(NAME, arguments.version)
    bench = Bench(cluster)
    bench.install()
    print(f"{arguments.claims} claims ...", file=sys.stderr)
    bench.calls(arguments.claims)
    print(f"{arguments.pods} pods with a claim, as many without ...", file=sys.stderr)
    bench.pods(arguments.pods)
    bench.size()
  finally:
    cluster_verb("down", "--name", NAME)
  version = call(ROOT / "build" / "bin" / "hami-dra-driver", "--version").stdout.strip()
  conditions = (f"{os.cpu_count()} cores, Kubernetes {arguments.version} with all of it on this "
                f"machine, {version}, GPU simulated")
  bench.print(conditions)
  if arguments.json:
    arguments.json.write_text(json.dumps(
        [{**row, "conditions": conditions} for row in bench.rows], indent=2) + "\n")


if __name__ == "__main__":
  main()
