# SPDX-License-Identifier: Apache-2.0
"""What `./dev bench openb --cluster` makes of a trace, and how it compares two runs."""

import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "bench" / "openb"))

import comparison  # noqa: E402
import openb_trace  # noqa: E402
from openb_trace import Arrival, Place  # noqa: E402

NODE = {"sn": "n1", "cpu_milli": "64000", "memory_mib": "262144", "gpu": "2", "model": "P100"}


def arrival(name, gpus=1, milli=1000, spec=""):
  return Arrival({"name": name, "cpu_milli": "4000", "memory_mib": "1024", "num_gpu": str(gpus),
                  "gpu_milli": str(milli), "gpu_spec": spec})


def on(node, *slices):
  return Place(node, tuple(slices))


HALF = ("n1-gpu-0", 5000, 50)
WHOLE = ("n1-gpu-1", 10_000, 100)


def test_a_node_announces_the_cards_that_the_simulation_gives_it():
  made = openb_trace.node(NODE)
  assert made["status"]["allocatable"] == {"cpu": "64000m", "memory": "262144Mi", "pods": "10000"}
  cards = json.loads(made["metadata"]["annotations"]["hami.io/node-nvidia-register"])
  assert [(card["id"], card["index"], card["devmem"], card["devcore"], card["type"])
          for card in cards] == [("n1-gpu-0", 0, 10_000, 100, "P100"),
                                 ("n1-gpu-1", 1, 10_000, 100, "P100")]
  assert "hami.io/node-nvidia-register" not in \
      openb_trace.node(NODE | {"gpu": "0"})["metadata"]["annotations"]


def test_a_pod_asks_for_what_its_row_says():
  made = openb_trace.pod(arrival("p", milli=460, spec="V100M16|V100M32"), "hami-scheduler")
  resources = made["spec"]["containers"][0]["resources"]
  assert resources == {"requests": {"cpu": "4000m", "memory": "1024Mi"},
                       "limits": {"nvidia.com/gpu": "1", "nvidia.com/gpumem": "4600",
                                  "nvidia.com/gpucores": "46"}}
  assert made["metadata"]["annotations"] == {"nvidia.com/use-gputype": "V100M16,V100M32"}
  assert "nodeSelector" not in made["spec"]
  plain = openb_trace.pod(arrival("q", gpus=0, milli=0), "hami-scheduler", on="n1")
  assert "limits" not in plain["spec"]["containers"][0]["resources"]
  assert plain["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "n1"}


def test_fewer_nodes_are_taken_from_everywhere():
  rows = [{"sn": str(number)} for number in range(10)]
  assert [row["sn"] for row in openb_trace.some_of(rows, 4)] == ["0", "2", "5", "7"]
  assert openb_trace.some_of(rows, 0) == openb_trace.some_of(rows, 12) == rows


def test_what_differs_is_counted_by_kind():
  arrivals = [arrival("a"), arrival("b"), arrival("c"), arrival("d", gpus=0), arrival("e")]
  told = [on("n1", HALF), on("n1", WHOLE), Place(), on("n1"), Place()]
  real = [on("n1", HALF), on("n1", ("n1-gpu-0", 10_000, 100)), Place(), on("n2"), on("n1", HALF)]
  found = comparison.compare(arrivals, told, real)
  assert vars(found.gpu_pods) == {"count": 4, "same_fate": 3, "same_node": 3, "same_cards": 2}
  assert vars(found.cpu_pods) == {"count": 1, "same_fate": 1, "same_node": 0, "same_cards": 0}
  assert found.first_difference == 1
  assert not found.is_same
  assert comparison.compare(arrivals, told, told).is_same


def test_an_amount_is_the_larger_share():
  assert on("n1", ("g", 2500, 10), ("h", 1000, 60)).gpus == pytest.approx(0.85)
  assert comparison.allocated([on("n1", HALF), Place(), on("n1", WHOLE)]) == pytest.approx(1.5)
  assert comparison.placed([on("n1"), Place()]) == 1


def test_a_card_that_is_given_twice_is_found():
  def over(*slices):
    return comparison.over_committed([on("n1", item) for item in slices])

  assert over(HALF, HALF, WHOLE) == []
  assert over(HALF, ("n1-gpu-0", 5001, 1)) == ["n1-gpu-0"]
  assert over(HALF, ("n1-gpu-0", 1, 51)) == ["n1-gpu-0"]
