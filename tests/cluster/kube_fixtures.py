# SPDX-License-Identifier: Apache-2.0
"""Fixtures of test_kube_*.py: an API server alone, the proxy before it, and kube_cache_probe, which
is src/kube's client as a program (tests/component/kube)."""

import json
import os
import pathlib
import subprocess
import time

import pytest
from api_server import ROOT, ApiProxy, build_proxy, running_server

PROBE = pathlib.Path(os.environ.get("HAMI_BUILD", ROOT / "build")) / "tests" / "kube_cache_probe"
VERSION = os.environ.get("HAMI_CLUSTER_VERSION", "1.36")
PATIENCE_S = int(os.environ.get("HAMI_KUBE_PATIENCE", "60"))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
  with running_server(tmp_path_factory.mktemp("api"), VERSION) as made:
    yield made


@pytest.fixture(scope="session")
def proxy_program(tmp_path_factory):
  return build_proxy(tmp_path_factory.mktemp("proxy"))


@pytest.fixture
def proxy(server, proxy_program):
  made = ApiProxy(proxy_program, server)
  yield made
  made.stop()


@pytest.fixture
def name_space(server):
  """Of this test alone. Nobody empties it: there is no controller."""
  name = f"kube-{os.urandom(4).hex()}"
  server.core.create_namespace({"metadata": {"name": name}})
  yield name
  server.core.delete_namespace(name)


class Probe:
  """kube_cache_probe as a child; ask() and do() take its commands."""

  def __init__(self, config, resource="configmaps", **options):
    assert PROBE.exists(), f"{PROBE} is not built"
    arguments = [word for name, value in options.items()
                 for word in ("--" + name.replace("_", "-"), str(value))]
    self._process = subprocess.Popen(
        [PROBE, "--kubeconfig", config, "--resource", resource, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

  def ask(self, line: str) -> dict:
    self._process.stdin.write(line + "\n")
    self._process.stdin.flush()
    return json.loads(self._process.stdout.readline())

  def do(self, command: str, *words: str, body: dict | list | None = None) -> dict:
    """An answer; "-" stands for an empty word."""
    line = " ".join([command, *(word or "-" for word in words)])
    return self.ask(line if body is None else f"{line} {json.dumps(body)}")

  def dump(self) -> dict:
    return self.ask("dump")

  def wait(self, what, seconds=PATIENCE_S) -> dict:
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
