# SPDX-License-Identifier: Apache-2.0
"""The parts of `./dev bench scheduler` that judge: its sum of what cards hold, what it puts on them
itself, and its table."""

import collections
import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench" / "scheduler"), str(ROOT / "tools" / "cluster")]

import api_nodes  # noqa: E402
import cluster_load  # noqa: E402
import store  # noqa: E402
import table  # noqa: E402


def on_card(name, memory, cores, node="node-00000", card=0):
  return cluster_load.pod(name, {}, node=node, annotations=cluster_load.decision(
      1, node, [card], memory, cores))


def test_a_full_card_is_not_over_committed():
  pods = [on_card(str(index), 8192, 10) for index in range(10)]
  assert cluster_load.over_committed(pods) == []


@pytest.mark.parametrize("more", [(0, 0), (81920, 0), (0, 100)])
def test_a_slot_or_memory_or_cores_too_many_are_found(more):
  pods = [on_card(str(index), 8192, 10) for index in range(9)] + [on_card("a", 8192, 10)]
  pods.append(on_card("one-too-many", *more))
  assert cluster_load.over_committed(pods) == [api_nodes.uuid("node-00000", 0)]


def test_pods_on_no_node_hold_nothing():
  pods = [on_card("a", 81920, 100), on_card("b", 81920, 100)]
  del pods[1]["spec"]["nodeName"]
  assert cluster_load.over_committed(pods) == []


@pytest.mark.parametrize(("count", "nodes"), [(4000, 100), (10_000, 100), (10_000, 1000)])
def test_what_is_placed_beforehand_fits(count, nodes):
  """Also with what the benchmark binds later: half of each card stays free."""
  cards = collections.Counter()
  for node, card in cluster_load.spread_over(count, nodes):
    if card is not None:
      cards[node, card] += 1
  assert max(cards.values()) <= cluster_load.PLACED_PER_CARD <= api_nodes.SPLIT // 2
  assert sum(cards.values()) == min(count, nodes * 8 * cluster_load.PLACED_PER_CARD)


def test_what_comes_on_top_of_bound_pods_is_seen():
  """Rows that place pods under those of the row before, as this benchmark once did."""
  bound = [on_card(f"ask-{index}", 8000, 20) for index in range(5)]
  placed = [cluster_load.placed_pod(index, "node-00000", 0) for index in range(5)]
  assert cluster_load.over_committed(placed) == []
  assert cluster_load.over_committed(bound + placed) == [api_nodes.uuid("node-00000", 0)]


def test_copies_keep_their_length():
  assert store.replaced(b"\x0a\x06node-1", {b"node-1": b"node-2"}) == b"\x0a\x06node-2"
  with pytest.raises(ValueError, match="different lengths"):
    store.replaced(b"\x0a\x06node-1", {b"node-1": b"node-10"})
  with pytest.raises(ValueError, match="has no"):
    store.replaced(b"\x0a\x06node-1", {b"pod-01": b"pod-02"})


def rows(nodes, placed, p50):
  made = table.Table("1.36", [], "somewhere")
  for callers in (1, 8):
    for column, unit in table.COLUMNS:
      name = f"{table.filter_text(nodes, placed, callers)}, {column}"
      made.add(name, p50, unit, target="< 1" if column == "p99" else "", met=p50 < 1)
  return made


def test_parts_come_together_in_one_table(tmp_path, capsys):
  path = tmp_path / "rows.json"
  rows(100, 0, 0.2).merge_into(path)
  rows(1000, 0, 0.5).merge_into(path)
  again = rows(1000, 0, 0.4)
  again.merge_into(path)
  assert len(json.loads(path.read_text())) == 20
  assert again.sizes() == [(100, 0, 1), (100, 0, 8), (1000, 0, 1), (1000, 0, 8)]
  (step,) = again.growth()
  assert step[:3] == ("nodes", (100, 0), (1000, 0))
  assert step[3]["p50"] == pytest.approx(2)
  again.print()
  said = capsys.readouterr().out
  assert "nodes: 100 nodes, 0 pods -> 1000 nodes, 0 pods" in said
  assert "x 2.00" in said
