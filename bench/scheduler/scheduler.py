#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What hami-scheduler costs: decisions over HTTP at up to 5 000 nodes of 8 GPUs with 100 000 pods,
with a real API server; and pods through a real kube-scheduler against pods without devices in the
same run. The GPUs are annotations of nodes that are API objects. Each part takes less than ten
minutes; with --into their rows come together in one file and one table."""

import argparse
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parent))

import cluster_load  # noqa: E402
from attempt_part import AttemptPart  # noqa: E402
from cluster_part import ClusterPart  # noqa: E402
from filter_part import FilterPart  # noqa: E402
from start_part import StartPart  # noqa: E402
from table import Table  # noqa: E402

# Nodes, and all pods that are on nodes, of one row each.
FILTER = {100: (0, 4000, 10_000), 1000: (0, 10_000, 100_000), 5000: (0, 10_000, 100_000)}
QUICK = {100: (0, 4000), 1000: (10_000,)}
ATTEMPT_NODES = 5000
CLUSTER = ("pods-300", "pods-300-default", "pods-5000", "pods-5000-default", "waits", "webhook")
PODS_A_NODE = 60  # its eight cards take eight pods each of these, on average
PARTS = (*(f"filter-{nodes}" for nodes in FILTER), "start", "attempt", *CLUSTER)
GROUPS = {"filter": PARTS[:3], "cluster": CLUSTER, "all": PARTS}


def machine():
  model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), platform.machine())
  version = subprocess.run([cluster_load.ROOT / "build" / "bin" / "hami-scheduler", "--version"],
                           capture_output=True, text=True).stdout.strip()
  return f"{os.cpu_count()} cores, {model}, {version}"


def chosen_parts(arguments):
  parts = []
  for name in arguments.part or ["all"]:
    parts += GROUPS.get(name, (name,))
  if arguments.quick:
    left_out = ("filter-5000", "pods-5000", "pods-5000-default")
    parts = [name for name in parts if name not in left_out or name in (arguments.part or [])]
  return list(dict.fromkeys(parts))


def run_part(name, table, folder, arguments):
  kind, _, size = name.partition("-")
  if kind == "filter":
    steps = (QUICK if arguments.quick else FILTER).get(int(size), FILTER[int(size)])
    FilterPart(table, folder, seconds=2 if arguments.quick else 6).run(int(size), steps)
  elif kind == "start":
    nodes, steps = (1000, (10_000,)) if arguments.quick else (5000, (0, 10_000, 100_000))
    StartPart(table, folder, seconds=0).run(nodes, steps)
  elif kind == "attempt":
    nodes, repeats = (1000, 30) if arguments.quick else (ATTEMPT_NODES, 200)
    AttemptPart(table, folder, nodes, repeats).run()


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--part", action="append", choices=(*GROUPS, *PARTS),
                      help="may be given several times; all without it")
  parser.add_argument("--quick", action="store_true", help="small sizes, few repetitions")
  parser.add_argument("--version", default="1.36")
  parser.add_argument("--nodes", type=int, default=200, help="of the parts with a whole cluster")
  parser.add_argument("--scheduler-flag", action="append", default=[])
  parser.add_argument("--into", type=pathlib.Path, metavar="FILE",
                      help="adds the rows to those in FILE and prints them all")
  parser.add_argument("--show", type=pathlib.Path, metavar="FILE",
                      help="prints the rows in FILE and measures nothing")
  parser.add_argument("--json", type=pathlib.Path)
  arguments = parser.parse_args()
  if arguments.show:
    table = Table(arguments.version, [])
    table.merge_into(arguments.show)
    return table.print()
  conditions = (f"{machine()}; Kubernetes {arguments.version}, etcd and the callers on the same "
                f"cores; deploy/classic/scheduler-config/{arguments.version}.yaml; GPUs simulated")
  table = Table(arguments.version, arguments.scheduler_flag, conditions)
  folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-scheduler-"))
  parts = chosen_parts(arguments)
  most = max((int(name.split("-")[1]) for name in parts if name.startswith("pods-")), default=0)
  if most > arguments.nodes * PODS_A_NODE:
    parser.error(f"{most} pods do not fit on --nodes {arguments.nodes}; "
                 f"at least {-(-most // PODS_A_NODE)}")
  for name in parts:
    run_part(name, table, folder, arguments)
  if cluster_parts := [name for name in parts if name in CLUSTER]:
    ClusterPart(table, folder, arguments.nodes, 3 if arguments.quick else 7).run(cluster_parts)
  if arguments.json:
    table.write(arguments.json)
  if arguments.into:
    table.merge_into(arguments.into)
  table.print()
  shutil.rmtree(folder)
  return None


if __name__ == "__main__":
  main()
