# SPDX-License-Identifier: Apache-2.0
"""Who leads when the leader dies, or sleeps, or the API server does (docs/adr/0021). How long it
takes is for `./dev bench scheduler --part waits`."""

import signal
import time

import pytest
import schedulers
from classic import SCHEDULER, pod_body
from cluster_harness import wait_until

pytestmark = pytest.mark.newest_only

RELEASED = 'hami_scheduler_lease_releases_total{result="released"}'
PODS = 5


def lease(classic):
  return classic.coordination.read_namespaced_lease(SCHEDULER, schedulers.NAMESPACE).spec


def processes(classic, replica):
  return [classic.cluster.folder.read_process(component) for component in replica.components]


def place(classic, namespace, prefix):
  for number in range(PODS):
    classic.create(namespace, pod_body(f"{prefix}-{number}", memory=20000))
  return [classic.wait_bound(namespace, f"{prefix}-{number}", patience=30)
          for number in range(PODS)]


def test_a_dead_leaders_lease_is_released(classic, bypass):
  released = 0
  for number in range(3):  # where the machine is too busy to look, the Lease just runs out
    leader = classic.leader()
    (other,) = [replica for replica in classic.replicas if replica != leader]
    before = classic.metrics(other)[RELEASED]
    for component in leader.components:
      classic.kill(component)
    place(classic, bypass, f"after-{number}")
    assert classic.leader() == other
    released += classic.metrics(other)[RELEASED] - before
    classic.heal()
  assert released >= 1
  assert classic.assert_nothing_over_committed() >= 3 * PODS


def test_a_leader_that_slept_binds_nothing_afterwards(classic, bypass):
  """Paused in the middle of its work, for longer than its Lease."""
  leader = classic.leader()
  asleep = processes(classic, leader)
  for number in range(PODS):
    classic.create(bypass, pod_body(f"during-{number}", memory=20000))
  for process in asleep:
    process.end(signal.SIGSTOP, 0)
  try:
    place(classic, bypass, "while-asleep")
    assert classic.leader() != leader
    for number in range(PODS):
      classic.wait_bound(bypass, f"during-{number}", patience=30)
  finally:
    for process in asleep:
      process.end(signal.SIGCONT, 0)
  # Its kube-scheduler ends, as it lost its Lease, and is started again.
  wait_until(lambda: not classic.is_running(leader.components[1]), "the old kube-scheduler ends")
  assert classic.get(leader.extender, "/leaderz")[0] == 503
  classic.heal()
  place(classic, bypass, "later")
  assert classic.assert_nothing_over_committed() >= 3 * PODS


def test_an_api_server_that_stalls_costs_nobody_the_lead(classic, bypass):
  before = lease(classic)
  server = classic.cluster.folder.read_process("kube-apiserver")
  for number in range(3):
    server.end(signal.SIGSTOP, 0)
    time.sleep(2)  # the stall that is promised, not a wait for something
    server.end(signal.SIGCONT, 0)
    place(classic, bypass, f"after-{number}")
  after = lease(classic)
  assert after.lease_transitions == before.lease_transitions
  assert after.holder_identity == before.holder_identity
  assert classic.assert_nothing_over_committed() >= 3 * PODS
