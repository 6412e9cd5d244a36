# SPDX-License-Identifier: Apache-2.0
"""Classic mode in bad weather: pods come and go while the API server, the network, the nodes, other
writers or the replicas misbehave. No card is given twice at any moment; afterwards every pod that
is still wanted is bound, nothing is reserved, and nothing has drifted.

One seed, one kind of weather, drawn in turn: HAMI_WEATHER_SEEDS="$(seq 0 99)" looks longer.
`soak` runs every kind with every seed."""

import contextlib
import os
import random
import threading
import time

import api_nodes
import kubernetes
import pytest
import urllib3
from classic import ALLOCATED, VGPU_NODE, holds, pod_body
from cluster_harness import wait_until

pytestmark = pytest.mark.newest_only

SEEDS = [int(seed) for seed in
         os.environ.get("HAMI_WEATHER_SEEDS", " ".join(map(str, range(20)))).split()]
NODES = api_nodes.names(8)
STORM_S = 8
PODS = 60  # at most at once: all of them fit, so that none has a reason to stay unbound

# The API server is being restarted, or has an opinion.
AWAY = (kubernetes.client.ApiException, urllib3.exceptions.HTTPError, OSError)


class Storm:
  """What happens to the control plane during a run. `act` is called again and again until the
  storm is over, `calm` once then."""

  def __init__(self, classic, namespace, chance):
    self.classic = classic
    self.namespace = namespace
    self.chance = chance

  def begin(self):
    pass

  def act(self):
    time.sleep(0.2)

  def calm(self):
    for replica in self.classic.replicas:
      self.classic.faults(replica)


class Faults(Storm):
  """The proxies before the replicas do it."""
  settings: dict = {}

  def begin(self):
    for replica in self.classic.replicas:
      self.classic.faults(replica, seed=self.chance.randrange(2**31), **self.settings)


class SlowServer(Faults):
  settings = {"delay": 0.5, "delay_ms": 1500}


class Refusals(Faults):
  settings = {"answer": 0.3, "codes": [409, 429, 500, 503]}


class CutAnswers(Faults):
  """Lists, watches and answers to writes, at any byte."""
  settings = {"cut": 0.4, "cut_bytes": 30_000, "expire": 0.2}

  def act(self):
    time.sleep(1.5)
    for replica in self.classic.replicas:
      self.classic.drop(replica)


class LostAnswers(Faults):
  """The write was done, and nobody says so."""
  settings = {"lose": 0.4, "only": "POST .*/binding|PATCH|DELETE"}


class LateBinds(Faults):
  """Past the end of the Lease of who sent them."""
  settings = {"delay": 0.5, "delay_ms": 5000, "only": "POST .*/binding"}

  def act(self):
    time.sleep(1)
    leader = self.classic.leader()
    if leader and self.chance.random() < 0.3:
      self.classic.kill(leader.components[1])
      time.sleep(2)
      self.classic.start(leader.components[1])


class CutOffLeader(Storm):
  """It lives, and reaches nobody, for longer than its Lease."""

  def act(self):
    leader = self.classic.leader()
    if not leader:
      return time.sleep(0.2)
    self.classic.faults(leader, drop=1.0)
    self.classic.drop(leader)
    time.sleep(5)
    self.classic.faults(leader)
    # kube-scheduler ends when it loses its Lease; a kubelet starts it again.
    self.classic.start(leader.components[1])
    return time.sleep(1)


class Deaths(Storm):
  """SIGKILL of any program of any replica at any moment."""

  def act(self):
    component = self.chance.choice([name for replica in self.classic.replicas
                                    for name in replica.components])
    time.sleep(self.chance.random() * 0.7)
    self.classic.kill(component)
    time.sleep(self.chance.random() * 0.7)
    for replica in self.classic.replicas:
      for name in replica.components:
        self.classic.start(name)


class RestartedServer(Storm):
  def act(self):
    self.classic.restart_api_server()
    time.sleep(4)


class Nodes(Storm):
  """They go, with pods on them, and come back."""

  def act(self):
    name = self.chance.choice(NODES[:6])
    self.classic.core.delete_node(name)
    time.sleep(self.chance.random())
    with contextlib.suppress(kubernetes.client.ApiException):
      self.classic.core.create_node(api_nodes.node_body(name, api_nodes.Gpus()))
    time.sleep(0.5)

  def calm(self):
    super().calm()
    there = {node.metadata.name for node in self.classic.core.list_node().items}
    for name in set(NODES) - there:
      self.classic.core.create_node(api_nodes.node_body(
          name, api_nodes.Gpus(), "" if name in NODES[6:] else api_nodes.OURS))


class Forgers(Storm):
  """Annotations on pods that nobody decided on, and texts that are none; by one whom the policy
  lets write them, on pods that are on no node and never will be."""

  def begin(self):
    self.peer = self.classic.peer()

  def act(self):
    texts = [
        f"{api_nodes.uuid(NODES[0], 0)},NVIDIA,81920,100:;", "GPU-none,NVIDIA,1,1:;", ";;;;;",
        "a,b,c,d:;", ",,,", "x" * 60_000, "GPU-1,NVIDIA,99999999999999,5:;",
        f"{api_nodes.uuid(NODES[1], 1)},NVIDIA,-5,-5:;", "GPU-1,NVIDIA", "\u00e4",
    ]
    name = f"forged-{self.chance.randrange(10**6)}"
    self.peer.create_namespaced_pod(self.namespace, pod_body(
        name, memory=1000, scheduler="nobody", annotations={
            VGPU_NODE: self.chance.choice([*NODES, "no-such-node", "x" * 70]),
            ALLOCATED: self.chance.choice(texts), "hami.io/vgpu-time": "soon",
            "hami.io/vgpu-mig-allocations": "[{]"}))
    time.sleep(0.2)


class DeletedAtOnce(Faults):
  """Pods vanish between filter and bind."""
  settings = {"delay": 1.0, "delay_ms": 400, "only": "POST .*/binding"}

  def act(self):
    name = f"gone-{self.chance.randrange(10**6)}"
    self.classic.create(self.namespace, pod_body(name, memory=5000))
    time.sleep(self.chance.random() * 0.5)
    with contextlib.suppress(kubernetes.client.ApiException):
      self.classic.core.delete_namespaced_pod(name, self.namespace, grace_period_seconds=0)


class BigPods(Storm):
  """Nearly as big as an object may be."""

  def act(self):
    body = pod_body(f"big-{self.chance.randrange(10**6)}", memory=100)
    body["spec"]["containers"][0]["env"] = [
        {"name": f"V{index}", "value": "x" * 100_000} for index in range(9)]
    body["metadata"]["annotations"] = {"big": "y" * 190_000}
    made = self.classic.create(self.namespace, body)
    time.sleep(0.5)
    self.classic.core.delete_namespaced_pod(made.metadata.name, self.namespace,
                                            grace_period_seconds=0)


class Everything(Faults):
  settings = {"delay": 0.2, "delay_ms": 600, "drop": 0.03, "answer": 0.1,
              "codes": [409, 429, 500, 503], "cut": 0.1, "cut_bytes": 20_000, "lose": 0.05}

  def act(self):
    Deaths.act(self)


KINDS = [SlowServer, Refusals, CutAnswers, LostAnswers, LateBinds, CutOffLeader, Deaths,
         RestartedServer, Nodes, Forgers, DeletedAtOnce, BigPods, Everything]


class Churn:
  """A user who creates pods and takes some away, also while the API server is away."""

  def __init__(self, classic, namespace, chance):
    self.classic = classic
    self.namespace = namespace
    self.chance = chance
    self.logs = classic.log_ends()
    self.wanted = set()
    self.tried = 0
    self.made = 0

  def step(self):
    with contextlib.suppress(*AWAY):
      if self.wanted and (len(self.wanted) >= PODS or self.chance.random() < 0.3):
        name = self.chance.choice(sorted(self.wanted))
        self.classic.core.delete_namespaced_pod(
            name, self.namespace, grace_period_seconds=self.chance.choice([0, 1]))
        self.wanted.discard(name)
      else:
        name = f"p{self.tried}"
        self.tried += 1
        self.classic.create(self.namespace, pod_body(
            name, memory=self.chance.choice([500, 4000, 10_000, 30_000]),
            cores=self.chance.choice([None, 5, 20]),
            run_seconds=self.chance.choice([None, None, 0.5])))
        self.wanted.add(name)
        self.made += 1


def run(classic, namespace, kind, seed):
  chance = random.Random(f"{kind.__name__} {seed}")
  storm = kind(classic, namespace, chance)
  churn = Churn(classic, namespace, random.Random(seed))
  over = threading.Event()
  problems = []

  def blow():
    try:
      while not over.is_set():
        storm.act()
    except BaseException as problem:  # told by the test, in its thread
      problems.append(repr(problem))

  storm.begin()
  thread = threading.Thread(target=blow)
  thread.start()
  end = time.monotonic() + STORM_S
  step = 0
  # Where the API server is away for most of the time, it takes longer until something has happened.
  while (now := time.monotonic()) < end or (churn.made <= 10 and now < end + 8 * STORM_S):
    churn.step()
    step += 1
    if step % 15 == 0:
      with contextlib.suppress(*AWAY):
        classic.assert_nothing_over_committed()
    time.sleep(churn.chance.random() * 0.1)
  over.set()
  thread.join()
  assert not problems, problems
  storm.calm()
  classic.heal()
  return churn


def assert_calm(classic, namespace, churn):
  """What must hold once the storm is over."""
  classic.assert_nothing_over_committed()

  def unbound():
    pods = classic.core.list_namespaced_pod(namespace).items
    return [pod.metadata.name for pod in pods
            if pod.metadata.name in churn.wanted and not pod.spec.node_name]

  wait_until(lambda: not unbound(), "every pod that is wanted is bound")
  classic.assert_nothing_over_committed()
  for pod in classic.core.list_namespaced_pod(namespace).items:
    if pod.metadata.name in churn.wanted and pod.status.phase not in ("Succeeded", "Failed"):
      assert holds(pod), f"{pod.metadata.name} is bound and holds nothing: {pod.metadata}"
  assert_books_agree(classic)
  classic.core.delete_collection_namespaced_pod(namespace, grace_period_seconds=0)
  wait_until(lambda: not classic.core.list_namespaced_pod(namespace).items, "pods are gone")
  assert_books_agree(classic)
  assert not classic.logged(DRIFTED, churn.logs)


# Of every comparison, where the metric has only the last.
DRIFTED = "pods were held otherwise than the API says"
ALWAYS_0 = ("hami_scheduler_reservations", "hami_scheduler_drift_pods",
            "hami_scheduler_overcommitted_devices")


def assert_books_agree(classic):
  """What each replica counts is what the API says; nothing is reserved, nothing drifted."""

  def differences():
    used, _ = classic.use()
    wanted = {uuid: amounts for uuid, amounts in used.items() if any(amounts)}
    found = []
    for replica in classic.replicas:
      metrics = classic.metrics(replica)
      counted = classic.counted(metrics)
      if counted != wanted:
        found.append((replica.host, "counts", counted, "of", wanted))
      assert set(ALWAYS_0) <= {name.partition("{")[0] for name in metrics}
      found += [(replica.host, name, value) for name, value in metrics.items()
                if name.partition("{")[0] in ALWAYS_0 and value]
    compared = [name for name in classic.metrics(classic.leader())
                if name.startswith("hami_scheduler_reconciliations_total")]
    return found or ([] if compared else ["the leader has compared nothing yet"])

  end = time.monotonic() + 60
  while (found := differences()) and time.monotonic() < end:
    time.sleep(0.3)
  assert not found, found


@pytest.mark.parametrize("seed", SEEDS)
def test_weather(classic, bypass, seed):
  kind = KINDS[seed % len(KINDS)]
  churn = run(classic, bypass, kind, seed)
  assert churn.made > 10
  assert_calm(classic, bypass, churn)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_all_weathers(classic, bypass, kind, seed):
  assert_calm(classic, bypass, run(classic, bypass, kind, seed))


def many_at_once(classic, namespace, count):
  """More than fit in the end wait; none is lost, and no card holds too much meanwhile."""
  def make(numbers):
    core = kubernetes.client.CoreV1Api(classic.cluster._client())
    for number in numbers:
      core.create_namespaced_pod(namespace, pod_body(
          f"m{number}", memory=10_000, cores=5, run_seconds=0.2 if number % 2 else None))

  threads = [threading.Thread(target=make, args=(range(start, count, 4),)) for start in range(4)]
  for thread in threads:
    thread.start()
  fits = 8 * 8 * 8  # eight of 10 000 MiB per card, eight cards, eight nodes

  def done():
    classic.assert_nothing_over_committed()
    pods = classic.core.list_namespaced_pod(namespace).items
    bound = sum(1 for pod in pods if pod.spec.node_name)
    lasting = sum(1 for pod in pods if pod.spec.node_name and pod.status.phase == "Running")
    return bound == count or lasting >= fits

  for thread in threads:
    thread.join()
  wait_until(done, "all that fit are bound", patience=120 + count / 10)
  assert_books_agree(classic)


def test_many_pods_at_once(classic, bypass):
  many_at_once(classic, bypass, 500)


@pytest.mark.soak
def test_very_many_pods_at_once(classic, bypass):
  many_at_once(classic, bypass, 10_000)
