# SPDX-License-Identifier: Apache-2.0
"""Our leader election and a stock kube-scheduler's stand for the same Lease."""

import subprocess
import time

import kubernetes
import pytest
from api_server import free_port

pytest_plugins = ["kube_fixtures"]
pytestmark = pytest.mark.newest_only

LEASE_S = 4
PATIENCE_S = 60


class Scheduler:
  """kube-scheduler with an identity that begins with the name of this machine."""

  def __init__(self, server, name_space: str):
    self._log = open(server.folder / f"scheduler-{name_space}.log", "ab")  # noqa: SIM115
    self._process = subprocess.Popen([
        server.binaries / "kube-scheduler", f"--kubeconfig={server.kubeconfig}",
        "--leader-elect=true",
        "--leader-elect-resource-name=shared", f"--leader-elect-resource-namespace={name_space}",
        f"--leader-elect-lease-duration={LEASE_S}s", "--leader-elect-renew-deadline=3s",
        "--leader-elect-retry-period=500ms", "--bind-address=127.0.0.1",
        f"--secure-port={free_port()}", f"--cert-dir={server.folder}",
        "--authentication-tolerate-lookup-failure=true"], stdout=self._log, stderr=self._log)

  def kill(self) -> None:
    if self._process.poll() is None:
      self._process.kill()
    self._process.wait()
    self._log.close()


@pytest.fixture
def scheduler(server, name_space):
  made = []

  def start():
    made.append(Scheduler(server, name_space))
    return made[-1]

  yield start
  for item in made:
    item.kill()


def wait(what, seconds: float = PATIENCE_S):
  give_up = time.monotonic() + seconds
  while not (value := what()):
    assert time.monotonic() < give_up, "never"
    time.sleep(0.05)
  return value


def test_the_lease_changes_hands(server, probe, name_space, scheduler):
  leases = kubernetes.client.CoordinationV1Api(server.client)

  def spec():
    try:
      return leases.read_namespaced_lease("shared", name_space).spec
    except kubernetes.client.ApiException as missing:
      assert missing.status == 404
      return None

  theirs = scheduler()
  wait(lambda: spec() and spec().holder_identity)
  first = spec()

  # Ours looks on while theirs renews, for longer than the lease.
  ours = probe(server.kubeconfig)
  ours.do("stand", f"{name_space}/shared", "ours-1")
  wait(lambda: ours.ask("lead")["holder"] == first.holder_identity)
  until = time.monotonic() + 2 * LEASE_S
  while time.monotonic() < until:
    assert not ours.ask("lead")["leads"]
    time.sleep(0.2)
  assert spec().holder_identity == first.holder_identity

  # It dies. Ours takes the lease, not before it has run out.
  last = spec().renew_time
  theirs.kill()
  wait(lambda: ours.ask("lead")["leads"])
  taken = spec()
  assert taken.holder_identity == "ours-1"
  assert taken.lease_transitions == first.lease_transitions + 1
  assert (taken.acquire_time - last).total_seconds() >= LEASE_S - 1

  # Theirs comes back and looks on, for longer than the lease.
  scheduler()
  until = time.monotonic() + 2 * LEASE_S
  while time.monotonic() < until:
    assert ours.ask("lead")["leads"]
    time.sleep(0.2)
  assert spec().holder_identity == "ours-1"
  assert spec().renew_time > taken.renew_time

  # What is given back is taken at once.
  assert ours.do("release") == {}
  assert not ours.ask("lead")["leads"]
  wait(lambda: spec().holder_identity not in ("ours-1", None, ""), seconds=LEASE_S - 1)
  assert spec().lease_transitions == taken.lease_transitions + 1
