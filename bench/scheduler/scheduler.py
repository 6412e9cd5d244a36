#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What hami-scheduler costs: decisions over HTTP at up to 5 000 nodes of 8 GPUs with 100 000 pods,
with a real API server; and pods through a real kube-scheduler against pods without devices in the
same run. The GPUs are annotations of nodes that are API objects."""

import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parent))

import cluster_load  # noqa: E402
from cluster_part import ClusterPart  # noqa: E402
from filter_part import FilterPart  # noqa: E402

# Nodes, and the placed pods of one row each. 100 nodes have 8 000 slots.
GROUPS = ((100, (0, 4000)), (1000, (0, 10_000)), (5000, (0, 10_000, 100_000)))
QUICK = ((100, (0, 4000)), (1000, (10_000,)))


class Table:
  def __init__(self, version, scheduler_flags):
    self.version = version
    self.scheduler_flags = scheduler_flags
    self.rows = []

  def add(self, name, value, unit, native=None, target="", met=None, hami="", note=""):
    self.rows.append({"name": name, "value": value, "unit": unit, "baseline": native,
                      "target": target, "met": met if target else None, "hami": hami,
                      "note": note})

  def print(self, conditions):
    print(f"hami-scheduler\n{conditions}\n")
    print(f"{'':54} {'value':>10} {'unit':<4} {'plain':>9}  {'target':<20} HAMi v2.10.0; notes")
    for row in self.rows:
      plain = f"{row['baseline']:.2f}" if row["baseline"] is not None else ""
      verdict = "" if row["met"] is None else " met" if row["met"] else " MISSED"
      rest = "; ".join(filter(None, (row["hami"], row["note"])))
      print(f"{row['name']:54} {row['value']:10.2f} {row['unit']:<4} {plain:>9}  "
            f"{row['target'] + verdict:<20} {rest}".rstrip())


def machine():
  model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), platform.machine())
  version = subprocess.run([cluster_load.ROOT / "build" / "bin" / "hami-scheduler", "--version"],
                           capture_output=True, text=True).stdout.strip()
  return f"{os.cpu_count()} cores, {model}, {version}"


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--part", choices=("start", "filter", "cluster", "all"), default="all",
                      help="start: time to the first decision and memory alone, 5 000 nodes")
  parser.add_argument("--quick", action="store_true", help="small sizes, few repetitions")
  parser.add_argument("--version", default="1.36")
  parser.add_argument("--nodes", type=int, default=200, help="of the part with a kube-scheduler")
  parser.add_argument("--scheduler-flag", action="append", default=[])
  parser.add_argument("--json", type=pathlib.Path)
  arguments = parser.parse_args()
  table = Table(arguments.version, arguments.scheduler_flag)
  folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-scheduler-"))
  if arguments.part == "start":
    FilterPart(table, folder, only_start=True).run(QUICK if arguments.quick else GROUPS[-1:])
  if arguments.part in ("filter", "all"):
    FilterPart(table, folder).run(QUICK if arguments.quick else GROUPS)
  if arguments.part in ("cluster", "all"):
    pods = (300,) if arguments.quick else (300, 5000)
    ClusterPart(table, folder, arguments.nodes, pods, 3 if arguments.quick else 7).run()
  conditions = (f"{machine()}; Kubernetes {arguments.version}, etcd and the callers on the same "
                f"cores; deploy/classic/scheduler-config/{arguments.version}.yaml; GPUs simulated")
  table.print(conditions)
  if arguments.json:
    arguments.json.write_text(json.dumps(
        [{**row, "conditions": conditions} for row in table.rows], indent=2) + "\n")
  shutil.rmtree(folder)


if __name__ == "__main__":
  main()
