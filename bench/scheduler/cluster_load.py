# SPDX-License-Identifier: Apache-2.0
"""What `./dev bench scheduler` puts into an API server: nodes, pods that are placed already, pods
that are to be placed; and what it reads out of it afterwards."""

import collections
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "cluster"))
sys.path.append(str(ROOT / "tools" / "cluster"))

import api_nodes  # noqa: E402

CALLS = ROOT / "build" / "bin" / "bench" / "scheduler_calls"
GPUS = api_nodes.Gpus()
NAMESPACE = "bench"
SCHEDULER = "hami-scheduler"
# What a placed pod holds, and what pods ask for in turn: (GPUs, MiB, cores of each).
PLACED = (8000, 10)
# Half of a card: the rest is for those that are placed by the benchmark.
PLACED_PER_CARD = 5
ASKS = ((1, 4000, 5), (1, 8000, 20), (2, 10_000, 10), (1, 20_000, 30), (4, 2000, 5))


def spread_over(count, nodes):
  """(node, card) of each placed pod: one more on every card in turn. Where all cards have
  PLACED_PER_CARD, the others hold no device: card is None."""
  cards, names = nodes * GPUS.count, api_nodes.names(nodes)
  for index in range(count):
    card = index % cards
    yield names[card % nodes], card // nodes if index < cards * PLACED_PER_CARD else None


def container(limits):
  """As heavy as a training job's: forty variables."""
  return {"name": "main", "image": "registry.example/train:7", "imagePullPolicy": "Never",
          "resources": {"limits": {"cpu": "100m", "memory": "64Mi", **limits},
                        "requests": {"cpu": "100m", "memory": "64Mi"}},
          "env": [{"name": f"VARIABLE_{index}", "value": f"some value of medium length {index}"}
                  for index in range(40)]}


def pod(name, limits, scheduler=SCHEDULER, annotations=None, node=None):
  metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": "train"}}
  if annotations:
    metadata["annotations"] = annotations
  spec = {"containers": [container(limits)], "schedulerName": scheduler,
          "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
  if node:
    spec["nodeName"] = node
  return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def gpu_limits(ask):
  count, memory, cores = ask
  return {"nvidia.com/gpu": str(count), "nvidia.com/gpumem": str(memory),
          "nvidia.com/gpucores": str(cores)}


def decision(index, node, cards, memory, cores):
  """The annotations of a pod that holds so much of each of these cards."""
  held = "".join(f"{api_nodes.uuid(node, card)},NVIDIA,{memory},{cores}:" for card in cards) + ";"
  return {"hami.io/vgpu-node": node, "hami.io/vgpu-time": "1700000000",
          "hami.io/allocation": f"v1,{index:016x}", "hami.io/vgpu-devices-allocated": held,
          "hami.io/vgpu-devices-to-allocate": held}


def placed_pod(index, node, card):
  memory, cores = PLACED
  return pod(f"placed-{index:06}", gpu_limits((1, memory, cores)), node=node,
             annotations=decision(index, node, [card], memory, cores))


def whole_node_pod(name, node):
  ask = (GPUS.count, GPUS.memory_mib, 100)
  return pod(name, gpu_limits(ask), node=node,
             annotations=decision(0, node, range(GPUS.count), GPUS.memory_mib, 100))


class Caller:
  """scheduler_calls, which a prefix may lead into other namespaces."""

  def __init__(self, folder, prefix=(), name="call"):
    self.folder = folder
    self.prefix = list(prefix)
    self.name = name

  def named(self, name):
    """Another, which may call at the same time: files of its own."""
    return Caller(self.folder, self.prefix, name)

  def post(self, address, path, bodies, suffix="", callers=1, seconds=None, answers=None, tls=()):
    """`bodies`: texts of one line, or an iterable of objects. Every body once, or for seconds."""
    lines, end = (self.folder / f"{self.name}.{part}" for part in ("bodies", "suffix"))
    with open(lines, "w") as file:
      for body in bodies:
        file.write(body if isinstance(body, str) else json.dumps(body, separators=(",", ":")))
        file.write("\n")
    end.write_text(suffix)
    command = [*self.prefix, CALLS, "--address", address, "--path", path, "--bodies", lines,
               "--suffix", end, "--callers", callers, *tls]
    command += ["--once"] if seconds is None else ["--seconds", seconds]
    if answers:
      command += ["--answers", answers]
    said = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if said.returncode:
      raise SystemExit(f"bench scheduler: {said.stderr[-2000:]}")
    result = json.loads(said.stdout)
    if result["refused"] and seconds is None:
      print(f"bench scheduler: {result['refused']} of {result['calls']} to {path} refused: "
            f"{said.stderr[-400:]}", file=sys.stderr)
    return result


def use_of(pods):
  """uuid -> [slots, MiB, cores] that placed pods hold."""
  used = collections.defaultdict(lambda: [0, 0, 0])
  for item in pods:
    text = (item["metadata"].get("annotations") or {}).get("hami.io/vgpu-devices-allocated", "")
    if not item["spec"].get("nodeName"):
      continue
    for device in filter(None, text.replace(";", ":").split(":")):
      uuid, _, memory, cores = device.split(",")[:4]
      for index, amount in enumerate((1, int(memory), int(cores))):
        used[uuid][index] += amount
  return used


def over_committed(pods):
  """Cards on which more is held than there is."""
  capacity = (api_nodes.SPLIT, GPUS.memory_mib, 100)
  return [uuid for uuid, amounts in use_of(pods).items()
          if any(amount > has for amount, has in zip(amounts, capacity, strict=True))]
