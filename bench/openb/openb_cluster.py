#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev bench openb --cluster`: a trace through a real API server and a stock kube-scheduler with
hami-scheduler beside it, against the simulation of the same arrivals, pod by pod: does the
simulation tell the truth? The nodes are API objects with HAMi's annotations; no GPU is there."""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests" / "cluster"), str(ROOT / "tools" / "cluster")]

import comparison  # noqa: E402
import openb_trace  # noqa: E402
from openb_trace import Arrival, Place  # noqa: E402

NODES = "openb_node_list_gpu_node.csv"
PODS = "openb_pod_list_{}.csv"
NAMESPACE = "trace"
PROGRESS_S = 15
# Who says where pods without GPUs go, and what --cpu-pods of the simulation is then.
CPU_PODS = {"simulation": "policy", "kube-scheduler": "kube-scheduler"}


def parse_arguments() -> argparse.Namespace:
  parser = argparse.ArgumentParser(prog="./dev bench openb --cluster",
                                   description=__doc__.partition(": ")[2])
  parser.add_argument("--cluster", action="store_true", help="this, and not the simulation alone")
  parser.add_argument("--data", type=pathlib.Path,
                      default=os.environ.get("HAMI_OPENB", ROOT.parent / "shared/data/openb"),
                      help="the traces; default: $HAMI_OPENB, else ../shared/data/openb")
  parser.add_argument("--trace", default="default")
  parser.add_argument("--seed", type=int, default=42)
  parser.add_argument("--demand", type=int, default=0, metavar="PCT",
                      help="pods are drawn again until they ask for PCT %% of the GPUs of the "
                           "trace's nodes; default: each comes once")
  parser.add_argument("--nodes", type=int, default=0, metavar="N",
                      help="N of the nodes, evenly from the list")
  parser.add_argument("--pods", type=int, default=0, metavar="N", help="the first N that come")
  parser.add_argument("--policy", default="fragmentation")
  parser.add_argument("--device-policy", default="binpack")
  parser.add_argument("--cpu-pods", choices=CPU_PODS, default="simulation",
                      help="where pods without GPUs go: where the simulation's policy puts "
                           "them, by a node selector; or where kube-scheduler wants")
  parser.add_argument("--window", type=int, default=1, metavar="N",
                      help="so many pods at most are created and not decided")
  parser.add_argument("--version", default="1.36")
  parser.add_argument("--name", default="bench-openb", help="of the cluster")
  parser.add_argument("--json", type=pathlib.Path)
  return parser.parse_args()


def told_bodies(arrivals: list[Arrival], told: list[Place], scheduler: str,
                cpu_pods: str) -> list[dict]:
  """The pods as they are created."""
  pinned = cpu_pods == "simulation"
  return [openb_trace.pod(arrival, scheduler,
                          place.node if pinned and not arrival.gpus else "")
          for arrival, place in zip(arrivals, told, strict=True)]


def play_on_cluster(arguments: argparse.Namespace, node_rows: list[dict], arrivals: list[Arrival],
                    told: list[Place], folder: pathlib.Path) -> tuple[list[Place], float, int]:
  """Where they went, how long it took, and how often a scheduler was started again."""
  # Only here: they need packages that the rest does not.
  import classic
  from cluster_harness import Cluster, cluster_verb
  from real_run import RealRun

  listed = folder / "nodes.json"
  listed.write_text(json.dumps(openb_trace.node_list(node_rows)))
  print(f"a cluster with {len(node_rows)} nodes ...", file=sys.stderr, flush=True)
  try:
    cluster_verb("up", "--name", arguments.name, "--version", arguments.version, "--kubelets=0",
                 f"--node-list={listed}", "--replicas=1",
                 f"--scheduler-flag=--node-scheduler-policy={arguments.policy}",
                 f"--scheduler-flag=--gpu-scheduler-policy={arguments.device_policy}")
    on = classic.Classic(Cluster(arguments.name, arguments.version))
    on.make_namespace(NAMESPACE, classic.IGNORED)
    run = RealRun(on, NAMESPACE, arguments.window)
    bodies = told_bodies(arrivals, told, classic.SCHEDULER, arguments.cpu_pods)
    begun = time.monotonic()
    return run.play(bodies, PROGRESS_S), time.monotonic() - begun, run.restarts
  finally:
    cluster_verb("down", "--name", arguments.name)


def print_table(arguments: argparse.Namespace, gpus: int, arrivals: list[Arrival],
                told: list[Place], real: list[Place], seconds: float, restarts: int) -> dict:
  found = comparison.compare(arrivals, told, real)
  rows = {"simulation": told, "real": real}
  print(f"openb {arguments.trace}, seed {arguments.seed}: {len(arrivals)} pods on {gpus} GPUs, "
        f"Kubernetes {arguments.version}, policy {arguments.policy}, devices "
        f"{arguments.device_policy}, pods without GPUs by {arguments.cpu_pods}\n")
  print("| | pods placed | GPUs allocated | % of GPUs |\n| --- | --- | --- | --- |")
  for name, places in rows.items():
    amount = comparison.allocated(places)
    print(f"| {name} | {comparison.placed(places)} | {amount:.2f} | {amount / gpus * 100:.2f} |")
  print("\n| pods | | same fate | same node | same cards |\n| --- | --- | --- | --- | --- |")
  for name, kind in (("with GPUs", found.gpu_pods), ("without", found.cpu_pods)):
    cells = (f"{part} ({part / kind.count * 100:.2f} %)" if kind.count else "-"
             for part in (kind.same_fate, kind.same_node, kind.same_cards))
    print(f"| {name} | {kind.count} | {' | '.join(cells)} |")
  first = found.first_difference
  print("\nno pod with GPUs went elsewhere" if first is None else
        f"\nfirst pod with GPUs that went elsewhere: number {first}, "
        f"{told[first]} in the simulation, {real[first]} in fact")
  over = comparison.over_committed(real)
  print(f"cards over-committed: {len(over)}; schedulers started again: {restarts}; "
        f"{seconds:.0f} s, {len(arrivals) / seconds:.1f} pods/s")
  return {"trace": arguments.trace, "seed": arguments.seed, "version": arguments.version,
          "nodes": arguments.nodes, "pods": len(arrivals), "gpus": gpus, "seconds": seconds,
          "overCommitted": over, "firstDifference": first, "restarts": restarts,
          "withGpus": vars(found.gpu_pods), "withoutGpus": vars(found.cpu_pods),
          "placed": {name: comparison.placed(places) for name, places in rows.items()},
          "allocated": {name: comparison.allocated(places) for name, places in rows.items()}}


def main() -> int:
  arguments = parse_arguments()
  all_nodes = arguments.data / NODES
  all_pods = arguments.data / PODS.format(arguments.trace)
  if not all_nodes.exists() or not all_pods.exists():
    print(f"openb: no trace {arguments.trace} in {arguments.data}: not run", file=sys.stderr)
    return 1
  with tempfile.TemporaryDirectory(prefix="bench-openb-") as name:
    folder = pathlib.Path(name)
    arrivals = openb_trace.draw(all_nodes, all_pods, arguments.seed, arguments.demand)
    arrivals = arrivals[:arguments.pods or None]
    node_rows = openb_trace.some_of(openb_trace.read_table(all_nodes), arguments.nodes)
    nodes, pods = folder / "nodes.csv", folder / "pods.csv"
    openb_trace.write_table(nodes, node_rows)
    openb_trace.write_table(pods, [arrival.row for arrival in arrivals])
    told = openb_trace.foretold(openb_trace.simulate(
        nodes, pods, f"--policy={arguments.policy}", f"--device-policy={arguments.device_policy}",
        f"--cpu-pods={CPU_PODS[arguments.cpu_pods]}"))
    real, seconds, restarts = play_on_cluster(arguments, node_rows, arrivals, told, folder)
  gpus = sum(int(row["gpu"]) for row in node_rows)
  result = print_table(arguments, gpus, arrivals, told, real, seconds, restarts)
  if arguments.json:
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
  return 1 if result["overCommitted"] else 0


if __name__ == "__main__":
  sys.exit(main())
