# SPDX-License-Identifier: Apache-2.0
"""Two runs of the same arrivals, pod by pod. Pure."""

import collections
import dataclasses

from openb_trace import GPU_MIB, Arrival, Place


@dataclasses.dataclass(frozen=True)
class Kind:
  """Pods of one kind: how many, and how many of them went alike."""
  count: int
  same_fate: int   # placed in both, or in neither
  same_node: int   # or in neither
  same_cards: int  # and the same slices of them


@dataclasses.dataclass(frozen=True)
class Comparison:
  gpu_pods: Kind
  cpu_pods: Kind
  first_difference: int | None  # of a GPU pod: the number of its arrival

  @property
  def is_same(self) -> bool:
    return self.first_difference is None and self.cpu_pods.count == self.cpu_pods.same_node


def compare(arrivals: list[Arrival], one: list[Place], other: list[Place]) -> Comparison:
  pairs = list(zip(arrivals, one, other, strict=True))

  def kind(wants_gpus: bool) -> Kind:
    found = [(a, b) for arrival, a, b in pairs if bool(arrival.gpus) == wants_gpus]
    return Kind(len(found), sum(bool(a.node) == bool(b.node) for a, b in found),
                sum(a.node == b.node for a, b in found), sum(a == b for a, b in found))

  first = next((number for number, (arrival, a, b) in enumerate(pairs)
                if arrival.gpus and a != b), None)
  return Comparison(kind(True), kind(False), first)


def placed(places: list[Place]) -> int:
  return sum(bool(place.node) for place in places)


def allocated(places: list[Place]) -> float:
  """In whole GPUs."""
  return sum(place.gpus for place in places)


def over_committed(places: list[Place]) -> list[str]:
  """Cards that give more than they have. Nobody leaves."""
  memory: collections.Counter = collections.Counter()
  cores: collections.Counter = collections.Counter()
  for place in places:
    for card, mib, share in place.slices:
      memory[card] += mib
      cores[card] += share
  return sorted(card for card in memory if memory[card] > GPU_MIB or cores[card] > 100)
