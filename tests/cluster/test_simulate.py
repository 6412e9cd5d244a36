# SPDX-License-Identifier: Apache-2.0
"""`hami simulate --from-cluster` on a real API server: what it says of pods is what the scheduler
then does with them, card by card; who may not look is told what to grant."""

import json

import pytest
import yaml
from api_nodes import names, uuid
from classic import holds, pod_body
from cluster_harness import ROOT, wait_until

pytestmark = pytest.mark.newest_only

HAMI = ROOT / "build" / "bin" / "hami"
# hami-scheduler's own defaults, with which the cluster's replicas run.
POLICIES = ("--policy", "binpack", "--device-policy", "spread")
WHOLE_MIB = 81920
NODES = names(8)
NO_ROOM = 4  # exit code


class Simulate:
  """The program on the cluster's network, as its administrator unless an option says otherwise."""

  def __init__(self, classic, folder):
    self.classic = classic
    self.folder = folder

  def run(self, *options):
    return self.classic.cluster.run(HAMI, "simulate", "--from-cluster", *POLICIES, *options,
                                    check=False)

  def say(self, *options, pods=None):
    """Exit code, and what it says to a program. `pods`: bodies, which it reads from a file."""
    if pods is not None:
      path = self.folder / "pods.yaml"
      path.write_text(yaml.safe_dump_all(pods))
      options += ("--pods", str(path))
    result = self.run("--json", *options)
    assert result.stderr == "", result.stderr
    return result.returncode, json.loads(result.stdout)


@pytest.fixture
def simulate(classic, tmp_path):
  return Simulate(classic, tmp_path)


def place_of(pod):
  """Of a pod of the cluster: node and (container, card, memory, cores) of each slice."""
  return pod.spec.node_name, sorted(
      (item.container, item.device, item.memory, item.cores) for item in holds(pod))


def foretold(pod):
  """The same of a pod of the simulation."""
  return pod["node"], sorted((item["container"], item["device"], item["memoryMib"], item["cores"])
                             for item in pod["devices"])


def on_node(body, name):
  body["spec"]["nodeSelector"] = {"kubernetes.io/hostname": name}
  return body


def fill_unevenly(classic, namespace):
  """Every node but the last holds something, each another amount: no two are equally good."""
  for index, node in enumerate(NODES[:-1]):
    classic.create(namespace, on_node(
        pod_body(f"holds-{index}", memory=4000 * (index + 1), cores=5 * (index + 1),
                 count=1 + index % 3), node))
  for index in range(len(NODES) - 1):
    classic.wait_bound(namespace, f"holds-{index}")


def wait_decided(classic, namespace, name):
  """A pod that is on a node, or that the scheduler has refused."""

  def decided():
    pod = classic.pod(namespace, name)
    refused = any(item.type == "PodScheduled" and item.reason == "Unschedulable"
                  for item in pod.status.conditions or [])
    return pod if pod.spec.node_name or refused else None

  return wait_until(decided, f"{name} is decided")


def wanted_pods():
  """Each by another rule: slices, several cards, a whole one, one that is named, two containers, a
  whole node, and what no card has."""
  return [
      pod_body("slice", memory=3000, cores=10),
      pod_body("cards", memory=20000, cores=30, count=4),
      pod_body("whole"),
      pod_body("named", memory=10000,
               annotations={"nvidia.com/use-gpuuuid": uuid(NODES[2], 5)}),
      pod_body("twice", memory=30000, cores=40, containers=2),
      pod_body("node", count=8, cores=100),
      pod_body("spread", memory=1000,
               annotations={"hami.io/node-scheduler-policy": "spread",
                            "hami.io/gpu-scheduler-policy": "binpack"}),
      pod_body("huge", memory=WHOLE_MIB + 1),
      pod_body("last", memory=50000, cores=60),
  ]


def test_what_it_says_is_what_the_scheduler_does(classic, bypass, simulate):
  fill_unevenly(classic, bypass)
  pods = wanted_pods()
  for body in pods:
    body["metadata"]["namespace"] = bypass
  code, said = simulate.say(pods=pods)
  assert code == NO_ROOM
  assert [pod["name"] for pod in said["pods"]] == [body["metadata"]["name"] for body in pods]
  for body, pod in zip(pods, said["pods"], strict=True):
    name = body["metadata"]["name"]
    classic.create(bypass, body)
    real = wait_decided(classic, bypass, name)
    if pod["fate"] == "placed":
      assert place_of(real) == foretold(pod), name
      assert pod["devices"], name
    else:
      assert (name, pod["fate"]) == ("huge", "no-room")
      assert real.spec.node_name is None
      # In the same words.
      assert "8 CardInsufficientMemory" in pod["reason"]
      told = wait_until(lambda: "\n".join(
          text for text in classic.events(bypass, "huge") if "FilteringFailed" in text), "an Event")
      assert "8 nodes CardInsufficientMemory" in told
  # Now that all of it runs, what is in use is what was foretold; the huge one waits.
  code, again = simulate.say()
  assert (code, [pod["name"] for pod in again["pods"]]) == (NO_ROOM, ["huge"])
  assert again["end"]["allocated"] == pytest.approx(said["end"]["allocated"])


def test_what_the_cluster_holds_is_counted(classic, bypass, simulate):
  """A card that is held is not given again, and one that was given back is."""
  whole = [pod_body(f"node-{index}", count=8, cores=100) for index in range(len(NODES))]
  code, said = simulate.say(pods=whole)
  assert (code, said["placed"]) == (0, len(NODES))
  classic.create(bypass, on_node(pod_body("holds", memory=1), NODES[3]))
  classic.wait_bound(bypass, "holds")
  code, said = simulate.say(pods=whole)
  assert (code, said["placed"], said["noRoom"]) == (NO_ROOM, len(NODES) - 1, 1)
  assert NODES[3] not in {pod["node"] for pod in said["pods"]}
  classic.core.delete_namespaced_pod("holds", bypass, grace_period_seconds=0)
  wait_until(lambda: simulate.say(pods=whole)[0] == 0, "the card is free again")


def test_pods_that_wait_in_the_cluster_are_placed(classic, bypass, simulate):
  """Those of a scheduler that does not run yet: it says where ours would put them."""
  fill_unevenly(classic, bypass)
  classic.create(bypass, pod_body("waits", memory=3000, cores=10, scheduler="comes-later"))
  code, said = simulate.say()
  assert code == 0
  [pod] = [pod for pod in said["pods"] if pod["namespace"] == bypass]
  assert (pod["name"], pod["fate"]) == ("waits", "placed")
  classic.create(bypass, pod_body("comes", memory=3000, cores=10))
  assert place_of(classic.wait_bound(bypass, "comes")) == foretold(pod)


@pytest.fixture
def make_user(classic, bypass):
  """make_user(RESOURCE...): a service account that may list these of the whole cluster; its name
  for RBAC and its kubeconfig."""
  kubectl = classic.cluster.kubectl
  made = ["clusterrole/hami-simulate", "clusterrolebinding/hami-simulate"]

  def make(*resources):
    kubectl("create", "serviceaccount", "-n", bypass, "user")
    if resources:
      kubectl("create", "clusterrole", bypass, "--verb=list", f"--resource={','.join(resources)}")
      kubectl("create", "clusterrolebinding", bypass, f"--clusterrole={bypass}",
              f"--serviceaccount={bypass}:user")
      made.extend([f"clusterrole/{bypass}", f"clusterrolebinding/{bypass}"])
    token = kubectl("create", "token", "-n", bypass, "user").strip()
    config = json.loads(classic.cluster.folder.kubeconfig.read_text())
    config["users"] = [{"name": config["contexts"][0]["context"]["user"],
                        "user": {"token": token}}]
    path = classic.cluster.root / "run" / f"{bypass}.conf"
    path.write_text(json.dumps(config))
    return f"system:serviceaccount:{bypass}:user", f"/run/{bypass}.conf"

  yield make
  kubectl("delete", "--ignore-not-found", *made)


@pytest.mark.parametrize(("may", "missing"), [((), "nodes"), (("nodes",), "pods")])
def test_who_may_not_look_is_told_what_to_grant(classic, simulate, make_user, may, missing):
  user, kubeconfig = make_user(*may)
  result = simulate.run("--kubeconfig", kubeconfig)
  assert (result.returncode, result.stdout) == (1, "")
  assert f'{missing} is forbidden: User "{user}" cannot list resource "{missing}"' in result.stderr
  # What it says to do is enough, as it stands there.
  commands = [line.split()[1:] for line in result.stderr.splitlines()
              if line.lstrip().startswith("kubectl ")]
  assert len(commands) == 2, result.stderr
  for command in commands:
    classic.cluster.kubectl(*command)
  result = simulate.run("--kubeconfig", kubeconfig)
  assert (result.returncode, result.stderr) == (0, "")
  assert "quotas are not looked at" not in result.stdout


def test_without_the_right_to_see_quotas(classic, simulate, make_user):
  """Most of an answer is better than none; it says what is missing."""
  _, kubeconfig = make_user("nodes", "pods")
  result = simulate.run("--kubeconfig", kubeconfig)
  assert (result.returncode, result.stderr) == (0, "")
  assert "quotas are not looked at" in result.stdout
  assert "resourcequotas is forbidden" in result.stdout
