# SPDX-License-Identifier: Apache-2.0
"""An openb trace for a run on a real Kubernetes: what `hami simulate` says of it, and the same
nodes and pods as API objects. No cluster is needed here."""

import csv
import dataclasses
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "cluster"))

import api_nodes  # noqa: E402

HAMI = ROOT / "build" / "bin" / "hami"
# As `hami simulate` reads tables (docs/reference/simulate.md).
GPU_MIB = 10_000
SLOTS = 1000
USE_TYPE = "nvidia.com/use-gputype"
PODS_PER_NODE = 10_000  # a node has no such limit in the simulation


@dataclasses.dataclass(frozen=True)
class Place:
  """Where a pod went: its node and (card, memory in MiB, cores) of each slice, sorted; node "":
  nowhere."""
  node: str = ""
  slices: tuple[tuple[str, int, int], ...] = ()

  @property
  def gpus(self) -> float:
    """In whole cards: of each the larger of its memory's and its cores' share."""
    return sum(max(memory / GPU_MIB, cores / 100) for _, memory, cores in self.slices)


@dataclasses.dataclass(frozen=True)
class Arrival:
  """One pod that comes: its row of the table, under a name that no other has."""
  row: dict[str, str]

  @property
  def name(self) -> str:
    return self.row["name"]

  @property
  def gpus(self) -> int:
    return int(self.row["num_gpu"])


def read_table(path: pathlib.Path) -> list[dict[str, str]]:
  with open(path, newline="") as file:
    return list(csv.DictReader(file))


def write_table(path: pathlib.Path, rows: list[dict[str, str]]) -> None:
  with open(path, "w", newline="") as file:
    writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def some_of(nodes: list[dict[str, str]], count: int) -> list[dict[str, str]]:
  """So many, evenly from the whole list, which is sorted by kind: the mix of models stays."""
  if not 0 < count < len(nodes):
    return nodes
  return [nodes[index * len(nodes) // count] for index in range(count)]


def simulate(nodes: pathlib.Path, pods: pathlib.Path, *options: str) -> dict:
  """What `hami simulate --json` says. Pods without room are no failure."""
  result = subprocess.run([HAMI, "simulate", "--nodes", nodes, "--pods", pods, "--json", *options],
                          capture_output=True, text=True)
  if result.returncode not in (0, 4):
    raise SystemExit(f"bench openb: hami simulate: {result.stderr}")
  return json.loads(result.stdout)


def draw(nodes: pathlib.Path, pods: pathlib.Path, seed: int, demand: int) -> list[Arrival]:
  """The pods in the order of a seed, as `./dev bench openb` draws them: all once, and then again
  at random until they ask for `demand` percent of the GPUs. Each gets a name of its own."""
  said = simulate(nodes, pods, f"--seed={seed}", f"--demand={demand}")
  rows = {row["name"]: row for row in read_table(pods)}
  return [Arrival(rows[pod["name"]] | {"name": f"arrival-{number:05}"})
          for number, pod in enumerate(said["pods"])]


def foretold(said: dict) -> list[Place]:
  """Of each arrival."""
  return [Place(pod["node"], tuple(sorted((item["device"], item["memoryMib"], item["cores"])
                                          for item in pod["devices"]))) for pod in said["pods"]]


# API objects.

def node(row: dict[str, str]) -> dict:
  """What the simulation takes the row for, with the annotation of HAMi's plugin."""
  name, count = row["sn"], int(row["gpu"])
  cards = [{"id": f"{name}-gpu-{index}", "index": index, "count": SLOTS, "devmem": GPU_MIB,
            "devcore": 100, "type": row.get("model", ""), "mode": "hami-core", "health": True}
           for index in range(count)]
  annotations = {api_nodes.PROTOCOL: api_nodes.OURS}
  if cards:
    annotations[api_nodes.REGISTER] = json.dumps(cards, separators=(",", ":"))
  allocatable = {"cpu": f"{row['cpu_milli']}m", "memory": f"{row['memory_mib']}Mi",
                 "pods": str(PODS_PER_NODE)}
  return {"apiVersion": "v1", "kind": "Node",
          "metadata": {"name": name, "annotations": annotations},
          "status": {"capacity": allocatable, "allocatable": allocatable}}


def node_list(rows: list[dict[str, str]]) -> dict:
  return {"apiVersion": "v1", "kind": "List", "items": [node(row) for row in rows]}


def pod(arrival: Arrival, scheduler: str, on: str = "") -> dict:
  """`on`: the one node where it may go."""
  row = arrival.row
  resources = {"requests": {"cpu": f"{row['cpu_milli']}m", "memory": f"{row['memory_mib']}Mi"}}
  metadata: dict = {"name": arrival.name}
  if arrival.gpus:
    milli = int(row["gpu_milli"])
    resources["limits"] = {"nvidia.com/gpu": str(arrival.gpus),
                           "nvidia.com/gpumem": str(milli * GPU_MIB // 1000),
                           "nvidia.com/gpucores": str(milli // 10)}
    if row.get("gpu_spec"):
      metadata["annotations"] = {USE_TYPE: row["gpu_spec"].replace("|", ",")}
  spec = {"schedulerName": scheduler, "terminationGracePeriodSeconds": 1,
          "containers": [{"name": "main", "image": "localhost/none:dev",
                          "imagePullPolicy": "Never", "resources": resources}]}
  if on:
    spec["nodeSelector"] = {"kubernetes.io/hostname": on}
  return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
