# SPDX-License-Identifier: Apache-2.0
"""The watch cache of src/kube before a real API server, in bad weather: whatever happens on the
way, in the end it holds exactly what the API server has."""

import json
import os
import random
import subprocess
import time

import kubernetes
import pytest
from api_server import ROOT, ApiProxy, build_proxy, kubeconfig, running_server

PROBE = ROOT / "build" / "tests" / "kube_cache_probe"
PROBE = PROBE if "HAMI_BUILD" not in os.environ else \
    PROBE.__class__(os.environ["HAMI_BUILD"]) / "tests" / "kube_cache_probe"
VERSION = os.environ.get("HAMI_CLUSTER_VERSION", "1.36")
SEEDS = [int(seed) for seed in os.environ.get("HAMI_KUBE_SEEDS", "1 2 3 4 5 6").split()]
CHANGES = int(os.environ.get("HAMI_KUBE_CHANGES", "150"))
CONVERGE_SECONDS = int(os.environ.get("HAMI_KUBE_PATIENCE", "60"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
  with running_server(tmp_path_factory.mktemp("api"), VERSION) as made:
    yield made


@pytest.fixture(scope="module")
def proxy_program(tmp_path_factory):
  return build_proxy(tmp_path_factory.mktemp("proxy"))


@pytest.fixture
def proxy(server, proxy_program):
  made = ApiProxy(proxy_program, server)
  yield made
  made.stop()


@pytest.fixture
def name_space(server):
  name = f"cache-{os.urandom(4).hex()}"
  server.core.create_namespace({"metadata": {"name": name}})
  yield name
  server.core.delete_namespace(name)


class Probe:
  """kube_cache_probe as a child."""

  def __init__(self, config, resource="configmaps", **options):
    assert PROBE.exists(), f"{PROBE} is not built"
    arguments = [f for name, value in options.items()
                 for f in ("--" + name.replace("_", "-"), str(value))]
    self._process = subprocess.Popen(
        [PROBE, "--kubeconfig", config, "--resource", resource, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

  def ask(self, line: str) -> dict:
    self._process.stdin.write(line + "\n")
    self._process.stdin.flush()
    return json.loads(self._process.stdout.readline())

  def dump(self) -> dict:
    return self.ask("dump")

  def wait(self, what, seconds=CONVERGE_SECONDS) -> dict:
    """The first dump for which what(dump) holds."""
    give_up = time.monotonic() + seconds
    while True:
      dump = self.dump()
      if what(dump):
        return dump
      assert time.monotonic() < give_up, f"never: {json.dumps(dump)[:2000]}"
      time.sleep(0.05)

  def stop(self) -> int:
    self._process.stdin.close()
    self._process.stdout.read()
    return self._process.wait(timeout=30)


@pytest.fixture
def probe():
  made = []

  def make(*arguments, **options):
    made.append(Probe(*arguments, **options))
    return made[-1]

  yield make
  for item in made:
    assert item.stop() == 0


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


def assert_same(server, probe_made, name_space: str, seconds=CONVERGE_SECONDS) -> dict:
  wanted = truth(server, name_space)
  return probe_made.wait(lambda dump: dump["synced"] and cached(dump) == wanted, seconds)


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
  assert_same(server, probe(server.kubeconfig, namespace=name_space, page_size=3), name_space)


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
  cache = probe(proxy.kubeconfig, namespace=name_space, page_size=4, silence_ms=1500)
  for number in range(CHANGES):
    change_something(server, name_space, names, chance)
    if number % 40 == 39:
      proxy.drop()
    time.sleep(chance.random() * 0.02)
  # It converges in this weather too, not only afterwards.
  dump = assert_same(server, cache, name_space)
  counts = proxy.counts()
  assert set(counts) - {"HTTP/2.0"}, "no fault was made"
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


def test_a_refusal_has_its_reason(server, probe, name_space):
  cache = probe(server.kubeconfig, namespace=name_space)
  missing = cache.ask(f"get {name_space}/none")
  assert missing["error"] == "NOT_FOUND"
  assert missing["reason"] == "NotFound"
  assert '"none" not found' in missing["message"]


def test_a_type_that_is_not_served(server, probe):
  stranger = probe(server.kubeconfig, resource="strangers", group="none.example", version="v1")
  assert stranger.ask("get a/b")["reason"] == "NotServed"
  assert not stranger.dump()["synced"]


def test_a_renewed_token_is_used_before_the_old_one_expires(server, proxy, probe, name_space):
  """A token in a file, renewed there, as a pod's is; the old one is then taken away."""
  core = server.core
  core.create_namespaced_service_account(name_space, {"metadata": {"name": "reader"}})
  rbac = kubernetes.client.RbacAuthorizationV1Api(server.client)
  rbac.create_namespaced_role(name_space, {
      "metadata": {"name": "reader"},
      "rules": [{"apiGroups": [""], "resources": ["configmaps"],
                 "verbs": ["get", "list", "watch"]}]})
  rbac.create_namespaced_role_binding(name_space, {
      "metadata": {"name": "reader"},
      "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
      "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": name_space}]})

  def token_of(holder: str) -> str:
    """Good for as long as the secret exists."""
    core.create_namespaced_secret(name_space, {"metadata": {"name": holder}})
    request = {"spec": {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": holder}}}
    return core.create_namespaced_service_account_token("reader", name_space, request).status.token

  token_file = server.folder / f"token-{name_space}"
  token_file.write_text(token_of("first") + "\n")
  config = server.folder / f"token-{name_space}.conf"
  config.write_text(json.dumps(kubeconfig(proxy.url, server.pki, {"tokenFile": str(token_file)})))
  cache = probe(config, namespace=name_space)
  core.create_namespaced_config_map(name_space, {"metadata": {"name": "a"}})
  assert_same(server, cache, name_space)

  fresh = token_file.with_suffix(".new")
  fresh.write_text(token_of("second"))
  fresh.rename(token_file)
  core.delete_namespaced_secret("first", name_space)
  # The API server remembers for some seconds that the old one was good.
  time.sleep(11)
  proxy.drop()
  core.create_namespaced_config_map(name_space, {"metadata": {"name": "b"}})
  assert_same(server, cache, name_space)
  assert cache.ask(f"get {name_space}/b")["metadata"]["name"] == "b"
