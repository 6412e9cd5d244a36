# SPDX-License-Identifier: Apache-2.0
"""Classic mode on a real API server and a stock kube-scheduler: pods are placed, in one write; no
card is given twice; who waits is told why, and is placed when room comes free."""

import contextlib
import random
import re
import threading
import time

import api_nodes
import kubernetes
import pytest
import schedulers
import urllib3
from classic import (
    ALLOCATED,
    ALLOCATION,
    SCHEDULER,
    VGPU_NODE,
    VGPU_TIME,
    cards,
    holds,
    pod_body,
    slices,
)
from cluster_harness import wait_until

WHOLE_MIB = 81920
HAMI_NODE = api_nodes.names(8)[-1]
OUR_NODE = api_nodes.names(8)[0]
SERVICE_ACCOUNT = f"system:serviceaccount:{schedulers.NAMESPACE}:{SCHEDULER}"


def on_node(body, *names):
  body["spec"]["nodeSelector"] = {"kubernetes.io/hostname": names[0]}
  return body


@contextlib.contextmanager
def watching(classic, namespace, name):
  """The states of one pod as a watch sees them, in a list that grows."""
  seen, ready, stop = [], threading.Event(), kubernetes.watch.Watch()
  core = kubernetes.client.CoreV1Api(classic.cluster._client())
  version = core.list_namespaced_pod(namespace).metadata.resource_version

  def follow():
    ready.set()
    # The stream is broken off when the cluster's connection is closed at the end.
    with contextlib.suppress(urllib3.exceptions.HTTPError):
      for event in stop.stream(core.list_namespaced_pod, namespace, resource_version=version,
                               field_selector=f"metadata.name={name}", timeout_seconds=60):
        seen.append(event["object"])

  thread = threading.Thread(target=follow, daemon=True)
  thread.start()
  ready.wait()
  yield seen
  stop.stop()


def test_the_binding_carries_the_decision(classic, bypass):
  before = classic.audit()[1]
  with watching(classic, bypass, "one") as seen:
    classic.create(bypass, on_node(pod_body("one", memory=3000, cores=30), OUR_NODE))
    pod = classic.wait_bound(bypass, "one")
    wait_until(lambda: any(state.spec.node_name for state in seen), "the watch saw the binding")
  annotations = pod.metadata.annotations
  assert annotations[VGPU_NODE] == pod.spec.node_name == OUR_NODE
  assert abs(int(annotations[VGPU_TIME]) - time.time()) < 60
  assert re.fullmatch(r"v1,[0-9a-f]{16}", annotations[ALLOCATION])
  (only,) = slices(annotations[ALLOCATED])
  assert (only.memory, only.cores) == (3000, 30)
  assert only.device in cards(classic.core.read_node(OUR_NODE))
  # No state of the pod has one without the other.
  for state in seen:
    assert bool(state.spec.node_name) == (VGPU_NODE in (state.metadata.annotations or {}))
  def ours():  # but for a status that wakes it, where the node was not known yet when it came
    return [write.subresource for write in classic.audit(before)[0]
            if write.name == "one" and write.resource == "pods" and
            write.user == SERVICE_ACCOUNT and write.subresource != "status"]

  assert wait_until(ours, "the audit log has it") == ["binding"]


def test_a_node_with_hami_s_plugin_is_spoken_to_as_hami_does(classic, bypass):
  """The keeper plays the plugin there: it waits for bind-phase `allocating`, and frees the lock
  before the pod runs."""
  for name in ("first", "second"):
    classic.create(bypass, on_node(pod_body(name, memory=1000, cores=10), HAMI_NODE))
  for name in ("first", "second"):
    pod = wait_until(lambda name=name: next(
        (pod for pod in [classic.pod(bypass, name)] if pod.status.phase == "Running"), None),
                     f"{name} runs")
    annotations = pod.metadata.annotations
    assert annotations["hami.io/bind-phase"] == "success"
    assert int(annotations["hami.io/bind-time"]) > 0
    assert annotations[VGPU_NODE] == pod.metadata.labels[VGPU_NODE] == HAMI_NODE
    assert len(slices(annotations[ALLOCATED])) == 1
  # Not ours; one of a pod that another test deleted before its Allocate lies there until it is
  # taken over.
  lock = classic.core.read_node(HAMI_NODE).metadata.annotations.get("hami.io/mutex.lock", "")
  assert f",{bypass}," not in lock


def test_a_pod_without_devices_is_left_alone(classic, bypass):
  classic.create(bypass, pod_body("plain", count=0))
  pod = classic.wait_bound(bypass, "plain")
  assert not [key for key in pod.metadata.annotations or {} if "hami.io/" in key]


def random_pod(chance, name):
  if chance.random() < 0.3:
    return pod_body(name, count=chance.choice([1, 1, 2, 4, 8]))  # whole cards
  memory = chance.choice([None, 1000, 8000, 20480, 40960, 60000, WHOLE_MIB])
  return pod_body(name, memory=memory, cores=chance.choice([None, 0, 10, 25, 50, 100]),
                  count=chance.choice([1, 1, 1, 2, 3]), containers=chance.choice([1, 1, 2]),
                  run_seconds=chance.choice([None, None, 0.3, 1.5]))


@pytest.mark.newest_only
@pytest.mark.parametrize("seed", range(20))
def test_random_pods_never_share_what_is_not_there(classic, bypass, seed):
  chance = random.Random(seed)
  names = [f"p{index}" for index in range(50)]
  for name in names:
    classic.create(bypass, random_pod(chance, name))
    if chance.random() < 0.1:
      victim = chance.choice(names)
      with contextlib.suppress(kubernetes.client.ApiException):
        classic.core.delete_namespaced_pod(victim, bypass, grace_period_seconds=1)
  bound = 0
  for _ in range(6):
    bound = max(bound, classic.assert_nothing_over_committed())
    time.sleep(0.15)
  assert bound > 10


def test_who_waits_is_told_what_comes_closest(classic, bypass):
  classic.create(bypass, pod_body("huge", memory=WHOLE_MIB + 1))
  for pattern in ("FilteringFailed: .*CardInsufficientMemory",
                  r"FilteringFailed: .*node-0000\d.*81920.*81921"):
    wait_until(lambda pattern=pattern: [event for event in classic.events(bypass, "huge")
                                        if re.match(pattern, event)], f"an Event like {pattern}")
  assert not classic.pod(bypass, "huge").spec.node_name


def fill(classic, namespace, node, prefix="full"):
  """Every card of a node, whole."""
  for index in range(8):
    classic.create(namespace, on_node(pod_body(f"{prefix}{index}", cores=100), node))
  for index in range(8):
    classic.wait_bound(namespace, f"{prefix}{index}")


def test_room_that_comes_free_is_used(classic, bypass):
  fill(classic, bypass, OUR_NODE)
  classic.create(bypass, on_node(pod_body("waits", memory=1000), OUR_NODE))
  wait_until(lambda: classic.events(bypass, "waits"), "it waits")
  time.sleep(3)  # beyond the first back-off, so that nothing but the room makes it go on
  assert not classic.pod(bypass, "waits").spec.node_name
  classic.core.delete_namespaced_pod("full3", bypass, grace_period_seconds=0)
  # Not a measurement: kube-scheduler by itself would look again after five minutes.
  classic.wait_bound(bypass, "waits", patience=20)
  classic.assert_nothing_over_committed()


def test_a_pod_that_ended_gives_its_room(classic, bypass):
  fill(classic, bypass, OUR_NODE)
  classic.core.delete_namespaced_pod("full0", bypass, grace_period_seconds=0)
  classic.create(bypass, on_node(pod_body("short", cores=100, run_seconds=2), OUR_NODE))
  classic.wait_bound(bypass, "short")
  classic.create(bypass, on_node(pod_body("next", cores=100), OUR_NODE))
  classic.wait_bound(bypass, "next", patience=30)
  assert classic.pod(bypass, "short").status.phase == "Succeeded"


def test_the_other_replica_takes_over(classic, bypass):
  first = classic.leader()
  for number in range(5):
    classic.create(bypass, pod_body(f"before{number}", memory=20000))
    classic.wait_bound(bypass, f"before{number}")
  for component in first.components:
    classic.kill(component)
  for number in range(5):
    classic.create(bypass, pod_body(f"after{number}", memory=20000))
  for number in range(5):
    classic.wait_bound(bypass, f"after{number}", patience=30)
  assert classic.leader() != first
  assert classic.assert_nothing_over_committed() >= 10


def test_only_the_leader_binds(classic, bypass):
  """kube-scheduler beside a follower asks nothing; who asks all the same is refused."""
  follower = next(item for item in classic.replicas if item != classic.leader())
  made = classic.create(bypass, pod_body("asked", memory=1000, scheduler="nobody"))
  answer = classic.post(follower.extender, "/bind", {
      "PodName": "asked", "PodNamespace": bypass, "PodUID": made.metadata.uid, "Node": OUR_NODE})
  assert answer["Error"]
  assert not classic.pod(bypass, "asked").spec.node_name


def test_readiness_and_leadership(classic):
  leader = classic.leader()
  for replica in classic.replicas:
    assert classic.get(replica.extender, "/healthz")[0] == 200
    assert classic.get(replica.extender, "/readyz")[0] == 200
    wanted = 200 if replica == leader else 503
    wait_until(lambda replica=replica, wanted=wanted:
               classic.get(replica.extender, "/leaderz")[0] == wanted, f"{replica.host}: {wanted}")


# The webhook, called by a real API server over TLS.


def test_admission_names_the_scheduler(classic, admitted):
  classic.create(admitted, pod_body("gpu", memory=2000, scheduler=None))
  pod = classic.wait_bound(admitted, "gpu")
  assert pod.spec.scheduler_name == SCHEDULER
  assert slices(pod.metadata.annotations[ALLOCATED])[0].memory == 2000
  classic.create(admitted, pod_body("plain", count=0, scheduler=None))
  assert classic.pod(admitted, "plain").spec.scheduler_name == "default-scheduler"


def test_admission_denies_a_privileged_container(classic, admitted):
  body = pod_body("priv", memory=2000, scheduler=None)
  body["spec"]["containers"][0]["securityContext"] = {"privileged": True}
  with pytest.raises(kubernetes.client.ApiException) as refused:
    classic.create(admitted, body)
  assert "privileged" in refused.value.body


FORGED = {VGPU_NODE: OUR_NODE, ALLOCATED: f"{api_nodes.uuid(OUR_NODE, 0)},NVIDIA,81920,100:;",
          ALLOCATION: "v1,0123456789abcdef", VGPU_TIME: "1"}


def tenant(classic, namespace):
  """The API as somebody who may do all in a namespace."""
  classic.core.create_namespaced_service_account(namespace, {"metadata": {"name": "tenant"}})
  kubernetes.client.RbacAuthorizationV1Api(classic.cluster.api).create_namespaced_role_binding(
      namespace, {"metadata": {"name": "tenant"},
                  "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                              "name": "admin"},
                  "subjects": [{"kind": "ServiceAccount", "name": "tenant",
                                "namespace": namespace}]})
  token = classic.core.create_namespaced_service_account_token(
      "tenant", namespace, {"spec": {"expirationSeconds": 3600}}).status.token
  return kubernetes.client.CoreV1Api(classic.cluster.api_with_token(token))


def test_a_decision_cannot_be_forged_at_creation(classic, admitted):
  core = tenant(classic, admitted)
  body = pod_body("forger", memory=1000, scheduler=None, annotations=FORGED)
  try:
    core.create_namespaced_pod(admitted, body)
  except kubernetes.client.ApiException as refused:
    assert refused.status in (403, 422), refused
    return
  pod = classic.wait_bound(admitted, "forger")
  assert pod.metadata.annotations[ALLOCATION] != FORGED[ALLOCATION]
  assert slices(pod.metadata.annotations[ALLOCATED])[0].memory == 1000


def test_a_decision_cannot_be_forged_past_the_webhook(classic, bypass):
  core = tenant(classic, bypass)
  with pytest.raises(kubernetes.client.ApiException) as refused:
    core.create_namespaced_pod(bypass, pod_body("forger", memory=1000, annotations=FORGED))
  assert refused.value.status in (403, 422)


def test_a_decision_cannot_be_changed(classic, bypass):
  core = tenant(classic, bypass)
  core.create_namespaced_pod(bypass, pod_body("holder", memory=50000))
  pod = classic.wait_bound(bypass, "holder")
  for change in ({ALLOCATED: FORGED[ALLOCATED]}, {ALLOCATED: None}, {VGPU_NODE: "node-00001"},
                 {ALLOCATION: FORGED[ALLOCATION]}):
    with pytest.raises(kubernetes.client.ApiException) as refused:
      core.patch_namespaced_pod("holder", bypass, {"metadata": {"annotations": change}})
    assert refused.value.status in (403, 422), change
  # Others can.
  core.patch_namespaced_pod("holder", bypass, {"metadata": {"annotations": {"mine": "1"}}})
  assert classic.pod(bypass, "holder").metadata.annotations[ALLOCATED] == \
      pod.metadata.annotations[ALLOCATED]


# Priorities and quotas.


@pytest.fixture
def priorities(classic):
  api = kubernetes.client.SchedulingV1Api(classic.cluster.api)
  values = {"classic-low": 10, "classic-high": 1000}
  for name, value in values.items():
    with contextlib.suppress(kubernetes.client.ApiException):
      api.create_priority_class({"metadata": {"name": name}, "value": value})
  yield list(values)
  for name in values:
    api.delete_priority_class(name)


def test_a_pod_of_higher_priority_gets_the_room_of_the_fewest(classic, bypass, priorities):
  low, high = priorities
  halves = {f"low3{half}": (3, {"memory": WHOLE_MIB // 2}) for half in "ab"}
  wholes = {f"low{card}": (card, {"cores": 100}) for card in range(8) if card != 3}
  for name, (card, ask) in {**halves, **wholes}.items():
    classic.create(bypass, on_node(pod_body(
        name, priority_class=low, **ask,
        annotations={"nvidia.com/use-gpuuuid": api_nodes.uuid(OUR_NODE, card)}), OUR_NODE))
  wait_until(lambda: all(pod.spec.node_name
                         for pod in classic.core.list_namespaced_pod(bypass).items), "all bound")
  before = {pod.metadata.name for pod in classic.core.list_namespaced_pod(bypass).items}
  classic.create(bypass, on_node(pod_body("vip", cores=100, priority_class=high), OUR_NODE))
  pod = classic.wait_bound(bypass, "vip", patience=60)
  left = {pod.metadata.name for pod in classic.core.list_namespaced_pod(bypass).items}
  gone = before - left
  assert len(gone) == 1, f"one whole card was enough: {gone}"
  assert pod.spec.node_name == OUR_NODE
  classic.assert_nothing_over_committed()


def test_nobody_leaves_a_node_whose_cards_stay_full(classic, bypass, priorities):
  """kube-scheduler's own preemption knows CPU alone: the verb keeps it from evicting in vain."""
  low, high = priorities
  for card in range(8):
    classic.create(bypass, on_node(pod_body(f"card{card}", cores=100, cpu="1", priority_class=high),
                                   OUR_NODE))
    classic.wait_bound(bypass, f"card{card}")
  classic.create(bypass, on_node(pod_body("hog", count=0, cpu="110", priority_class=low), OUR_NODE))
  classic.wait_bound(bypass, "hog")
  classic.create(bypass, on_node(pod_body("vip", cores=100, cpu="30", priority_class=high),
                                 OUR_NODE))
  wait_until(lambda: [event for event in classic.events(bypass, "vip")
                      if "Insufficient cpu" in event], "it lacks CPU")
  time.sleep(3)
  hog = classic.pod(bypass, "hog")
  assert hog.spec.node_name and not hog.metadata.deletion_timestamp
  # Once a card is free, it is the CPU alone that it lacks.
  classic.core.delete_namespaced_pod("card5", bypass, grace_period_seconds=0)
  assert classic.wait_bound(bypass, "vip", patience=60).spec.node_name == OUR_NODE
  assert "hog" not in {pod.metadata.name for pod in classic.core.list_namespaced_pod(bypass).items}


def test_a_pod_of_the_same_priority_waits(classic, bypass, priorities):
  fill(classic, bypass, OUR_NODE)
  classic.create(bypass, on_node(pod_body("equal", cores=100), OUR_NODE))
  wait_until(lambda: classic.events(bypass, "equal"), "it was tried")
  time.sleep(3)
  assert len(classic.core.list_namespaced_pod(bypass).items) == 9
  assert not classic.pod(bypass, "equal").spec.node_name


def test_a_quota_of_the_namespace_holds(classic, bypass):
  classic.core.create_namespaced_resource_quota(bypass, {
      "metadata": {"name": "memory"}, "spec": {"hard": {"limits.nvidia.com/gpumem": "10000"}}})
  time.sleep(1)  # the watch of quotas; no decision follows from its being late
  classic.create(bypass, pod_body("fits", memory=6000))
  classic.wait_bound(bypass, "fits")
  classic.create(bypass, pod_body("beyond", memory=6000))
  wait_until(lambda: [event for event in classic.events(bypass, "beyond")
                      if "ResourceQuotaNotFit" in event], "an Event that names the quota")
  classic.core.delete_namespaced_pod("fits", bypass, grace_period_seconds=0)
  classic.wait_bound(bypass, "beyond", patience=30)


def test_admission_denies_what_no_quota_allows(classic, admitted):
  classic.core.create_namespaced_resource_quota(admitted, {
      "metadata": {"name": "memory"}, "spec": {"hard": {"limits.nvidia.com/gpumem": "10000"}}})

  def refusal():
    try:
      made = classic.create(admitted, pod_body("over-", memory=20000, scheduler=None))
      classic.core.delete_namespaced_pod(made.metadata.name, admitted, grace_period_seconds=0)
      return None
    except kubernetes.client.ApiException as refused:
      return refused

  refused = wait_until(refusal, "the webhook knows the quota")
  assert "quota" in refused.body


def test_a_pod_bound_by_somebody_else_counts(classic, bypass):
  """As a HAMi scheduler beside ours binds: patch, then bind."""
  peer = classic.peer()
  for card in range(8):
    name = f"peer{card}"
    classic.create(bypass, pod_body(name, cores=100, scheduler="a-hami-peer"))
    peer.patch_namespaced_pod(name, bypass, {"metadata": {
        "labels": {VGPU_NODE: HAMI_NODE},
        "annotations": {
            VGPU_NODE: HAMI_NODE, VGPU_TIME: str(int(time.time())),
            ALLOCATED: f"{api_nodes.uuid(HAMI_NODE, card)},NVIDIA,{WHOLE_MIB},100:;",
            "hami.io/vgpu-devices-to-allocate":
                f"{api_nodes.uuid(HAMI_NODE, card)},NVIDIA,{WHOLE_MIB},100:;",
            "hami.io/bind-phase": "allocating", "hami.io/bind-time": str(int(time.time()))}}})
    peer.create_namespaced_binding(bypass, {
        "metadata": {"name": name}, "target": {"kind": "Node", "name": HAMI_NODE}},
        _preload_content=False)
  time.sleep(1)
  classic.create(bypass, on_node(pod_body("ours", memory=1), HAMI_NODE))
  wait_until(lambda: [event for event in classic.events(bypass, "ours")
                      if event.startswith("FilteringFailed")], "there is no room")
  assert classic.assert_nothing_over_committed() >= 8
  classic.core.delete_namespaced_pod("peer5", bypass, grace_period_seconds=0)
  pod = classic.wait_bound(bypass, "ours", patience=30)
  assert holds(pod)[0].device == api_nodes.uuid(HAMI_NODE, 5)
