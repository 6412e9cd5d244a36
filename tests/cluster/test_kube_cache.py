# SPDX-License-Identifier: Apache-2.0
"""The watch cache of src/kube before a real API server, in bad weather: whatever happens on the
way, in the end it holds exactly what the API server has."""

import os
import random
import time

import kubernetes
import pytest

pytestmark = pytest.mark.newest_only

pytest_plugins = ["kube_fixtures"]
# More of them look longer: HAMI_KUBE_SEEDS="$(seq 100)". Odd seeds read JSON, in pages; even ones
# protobuf, in streams.
SEEDS = [int(seed) for seed in os.environ.get("HAMI_KUBE_SEEDS", "1 2").split()]
CHANGES = 150


STREAMS = {"streaming": 1, "protobuf": 1}


def form(seed: int) -> dict:
  return {} if seed % 2 else STREAMS


def truth(server, name_space: str) -> dict:
  maps = server.core.list_namespaced_config_map(name_space).items
  return {f"{name_space}/{item.metadata.name}": item.metadata.resource_version for item in maps}


def cached(dump: dict) -> dict:
  return {key: item["version"] for key, item in dump["objects"].items()}


def change_something(server, name_space: str, names: list[str], chance: random.Random) -> None:
  name = chance.choice(names)
  body = {"metadata": {"name": name}, "data": {"v": "x" * chance.choice([1, 10, 3000])}}
  body["data"]["n"] = str(chance.random())
  try:
    if chance.random() < 0.35:
      server.core.delete_namespaced_config_map(name, name_space)
    elif chance.random() < 0.5:
      server.core.create_namespaced_config_map(name_space, body)
    else:
      server.core.replace_namespaced_config_map(name, name_space, body)
  except kubernetes.client.ApiException as refused:
    assert refused.status in (404, 409)


def assert_same(server, probe_made, name_space: str) -> dict:
  wanted = truth(server, name_space)
  return probe_made.wait(lambda dump: dump["synced"] and cached(dump) == wanted)


def test_good_weather(server, probe, name_space):
  before = probe(server.kubeconfig, namespace=name_space, page_size=3)
  chance = random.Random(7)
  names = [f"m{i}" for i in range(20)]
  for _ in range(60):
    change_something(server, name_space, names, chance)
  dump = assert_same(server, before, name_space)
  assert dump["stats"]["lists"] == 1
  assert dump["stats"]["failures"] == 0
  # One that comes later reads the same, in pages.
  later = probe(server.kubeconfig, namespace=name_space, page_size=3)
  in_json = assert_same(server, later, name_space)
  # So do streams of protobuf, and what they say is the same too.
  for options in ({"streaming": 1}, {"protobuf": 1, "page_size": 3}, STREAMS):
    another = probe(server.kubeconfig, namespace=name_space, **options)
    other = assert_same(server, another, name_space)
    assert other["objects"] == in_json["objects"]
    stats = other["stats"]
    assert stats["failures"] == 0 and not stats["without_streaming"]
    assert not stats["without_protobuf"]
    assert stats["streaming_lists"] == (1 if "streaming" in options else 0)


def test_streams_follow_changes(server, probe, name_space):
  cache = probe(server.kubeconfig, namespace=name_space, **STREAMS)
  chance = random.Random(8)
  for _ in range(60):
    change_something(server, name_space, [f"m{i}" for i in range(20)], chance)
  dump = assert_same(server, cache, name_space)
  assert dump["stats"]["lists"] == dump["stats"]["streaming_lists"] == 1
  assert dump["stats"]["failures"] == 0


WEATHER = {
    "cuts": {"cut": 0.7, "cut_bytes": 20_000},
    "broken connections": {"conn_end": 0.7, "conn_bytes": 60_000, "drop": 0.1},
    "refusals": {"answer": 0.5, "codes": [410, 429, 500, 503, 504]},
    "expired versions": {"expire": 0.8, "cut_bytes": 10_000},
    "all at once": {"delay": 0.2, "delay_ms": 200, "drop": 0.05, "answer": 0.2,
                    "codes": [410, 429, 500, 503], "cut": 0.3, "cut_bytes": 15_000,
                    "expire": 0.2, "conn_end": 0.3, "conn_bytes": 80_000},
    "frozen connections": {"conn_freeze": 0.5, "conn_bytes": 30_000},
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", WEATHER)
def test_bad_weather(server, proxy, probe, name_space, kind, seed):
  chance = random.Random(seed)
  names = [f"m{i}" for i in range(25)]
  for _ in range(20):
    change_something(server, name_space, names, chance)
  proxy.faults(seed=seed, **WEATHER[kind])
  # The API server's bookmarks come once a minute; a test cannot wait for silence that long.
  cache = probe(proxy.kubeconfig, namespace=name_space, page_size=4, silence_ms=1500, **form(seed))
  for number in range(CHANGES):
    change_something(server, name_space, names, chance)
    if number % 40 == 39:
      proxy.drop()
    time.sleep(chance.random() * 0.02)
  # It converges in this weather too, not only afterwards.
  dump = assert_same(server, cache, name_space)
  counts = proxy.counts()
  assert counts["all dropped"] == 3  # the least that happens; some seeds draw nothing else
  assert "HTTP/1.1" not in counts
  proxy.faults()
  proxy.drop()
  change_something(server, name_space, names, chance)
  assert_same(server, cache, name_space)
  assert dump["stats"]["lists"] >= 1


def test_an_outage_of_the_whole_server(server, proxy, probe, name_space):
  cache = probe(proxy.kubeconfig, namespace=name_space, silence_ms=2000)
  cache.wait(lambda dump: dump["synced"])
  server.core.create_namespaced_config_map(name_space, {"metadata": {"name": "a"}})
  assert_same(server, cache, name_space)
  proxy.faults(drop=1.0)
  proxy.drop()
  server.core.delete_namespaced_config_map("a", name_space)
  server.core.create_namespaced_config_map(name_space, {"metadata": {"name": "b"}})
  before = cache.wait(lambda dump: dump["stats"]["failures"] > 2)
  assert list(cached(before)) == [f"{name_space}/a"], "what was known stays known"
  proxy.faults()
  after = assert_same(server, cache, name_space)
  assert after["stats"]["lists"] == 1, "the watch went on from where it was"


def test_a_restart_of_the_api_server(server, proxy, probe, name_space):
  """What it sent before it has forgotten: it says 410 itself to who missed some of it."""
  chance = random.Random(3)
  names = [f"m{i}" for i in range(15)]
  caches = [probe(config, namespace=name_space, silence_ms=3000)
            for config in (server.kubeconfig, proxy.kubeconfig)]
  for _ in range(30):
    change_something(server, name_space, names, chance)
  for cache in caches:
    assert_same(server, cache, name_space)
  # One of them hears nothing of the next changes.
  proxy.faults(drop=1.0)
  proxy.drop()
  for _ in range(30):
    change_something(server, name_space, names, chance)
  server.stop_api()
  server.start_api()
  for _ in range(30):
    change_something(server, name_space, names, chance)
  proxy.faults()
  near, far = (assert_same(server, cache, name_space) for cache in caches)
  assert near["stats"]["failures"] > 0
  assert far["stats"]["lists"] == 2
