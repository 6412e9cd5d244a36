# SPDX-License-Identifier: Apache-2.0
"""`./dev bench openb --cluster` on a small trace: the real scheduler puts every pod where the
simulation of the same arrivals puts it, card by card."""

import json
import random
import sys

import pytest
from classic import IGNORED, SCHEDULER, Classic
from cluster_harness import ROOT

sys.path.append(str(ROOT / "bench" / "openb"))

import comparison  # noqa: E402
import openb_trace  # noqa: E402
from real_run import RealRun  # noqa: E402

pytestmark = pytest.mark.newest_only

NODES, PODS = 60, 300
# Models, and GPUs of a node with them, as openb has them.
MODELS = (("P100", 2), ("T4", 4), ("V100M32", 8), ("G2", 8), ("G3", 8), ("", 0))
SHARES = (100, 250, 460, 500, 500, 810, 1000, 1000, 1000)
POLICY, DEVICE_POLICY = "fragmentation", "binpack"
NAMESPACE = "openb"


def node_rows():
  rows = []
  for number in range(NODES):
    model, gpus = MODELS[number % len(MODELS)]
    rows.append({"sn": f"openb-node-{number:04}", "cpu_milli": str(96_000 if gpus else 32_000),
                 "memory_mib": "393216", "gpu": str(gpus), "model": model})
  return rows


def pod_rows(chance):
  """Enough for all GPUs, so that not all find room: mostly shares and single GPUs, some of several,
  some that want one of two models, some without GPUs."""
  rows = []
  for number in range(PODS):
    gpus = chance.choice((0, *[1] * 12, 2, 2, 4))
    milli = chance.choice(SHARES) if gpus == 1 else 1000 * bool(gpus)
    models = chance.choice(("", "", "", "", "P100|T4", "V100M32")) if gpus == 1 else ""
    rows.append({"name": f"openb-pod-{number:04}", "cpu_milli": str(chance.randrange(1, 12) * 1000),
                 "memory_mib": str(chance.randrange(1, 64) * 1024), "num_gpu": str(gpus),
                 "gpu_milli": str(milli), "gpu_spec": models})
  return rows


@pytest.fixture
def openb(make_cluster, tmp_path_factory):
  """A cluster with these nodes, whose scheduler has seen no pod: its policy learns from them."""
  # The same file each time: a cluster that is kept was made from it.
  listed = tmp_path_factory.getbasetemp().parent / "hami-openb-nodes.json"
  listed.write_text(json.dumps(openb_trace.node_list(node_rows())))
  made = Classic(make_cluster(
      "-openb", "--kubelets=0", f"--node-list={listed}", "--replicas=1",
      *(f"--scheduler-flag=--{name}={word}" for name, word in (
          ("node-scheduler-policy", POLICY), ("gpu-scheduler-policy", DEVICE_POLICY)))))
  for component in made.replicas[0].components:
    made.kill(component)
  made.heal()
  made.make_namespace(NAMESPACE, IGNORED)
  yield made
  made.remove_namespace(NAMESPACE)


def test_the_simulation_tells_the_truth(openb, tmp_path):
  nodes, pods = tmp_path / "nodes.csv", tmp_path / "pods.csv"
  openb_trace.write_table(nodes, node_rows())
  openb_trace.write_table(pods, pod_rows(random.Random(7)))
  arrivals = openb_trace.draw(nodes, pods, seed=42, demand=0)
  openb_trace.write_table(pods, [arrival.row for arrival in arrivals])
  told = openb_trace.foretold(openb_trace.simulate(
      nodes, pods, f"--policy={POLICY}", f"--device-policy={DEVICE_POLICY}"))
  # Some find no room, or nothing would be shown of that.
  assert PODS * 0.8 < comparison.placed(told) < PODS
  bodies = [openb_trace.pod(arrival, SCHEDULER, "" if arrival.gpus else place.node)
            for arrival, place in zip(arrivals, told, strict=True)]
  real = RealRun(openb, NAMESPACE).play(bodies)
  differences = [f"{arrival.name}: {there}, but {here} in the simulation"
                 for arrival, here, there in zip(arrivals, told, real, strict=True)
                 if here != there]
  assert not differences
  assert comparison.over_committed(real) == []
  openb.assert_nothing_over_committed()
