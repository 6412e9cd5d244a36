# SPDX-License-Identifier: Apache-2.0
"""`hami explain` on a real API server: what it says is so, and its advice helps."""

import contextlib
import json

import pytest
from cluster_harness import ROOT, wait_until
from dra import (DRIVER, GPU_MIB, Driver, Tenants, claim, container, different_gpus, pod,
                 request)

pytestmark = pytest.mark.newest_only

HAMI = ROOT / "build" / "bin" / "hami"
FAKE = "explain.example.com"


class Explain:
  """`hami explain` on the node, as the cluster's administrator unless options say otherwise."""

  def __init__(self, tenants):
    self.tenants = tenants

  def run(self, kind, name, *options):
    return self.tenants.cluster.run(HAMI, "explain", kind, f"{self.tenants.name}/{name}", *options,
                                    check=False)

  def text(self, kind, name, *options):
    result = self.run(kind, name, *options)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.replace(f"{self.tenants.name}/", "")

  def claim(self, name, *options):
    """What it says about one claim, to a program."""
    result = self.run("claim", name, "--json", *options)
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)["claims"][0]


@pytest.fixture
def explain(tenants):
  return Explain(tenants)


def wait_unschedulable(tenants, name):
  """The scheduler's message."""

  def message():
    conditions = tenants.pod(name).status.conditions or []
    return next((condition.message for condition in conditions
                 if condition.type == "PodScheduled" and condition.status == "False"), None)

  return wait_until(message, f"pod {name} is unschedulable")


def test_a_claim_that_has_its_device(tenants, explain):
  tenants.run("half", memory="10Gi", cores=50)
  node = tenants.cluster.node
  assert explain.text("claim", "half") == (
      f"Claim half has its device on node {node}.\n\n"
      f"Device   hami-gpu-0 (NVIDIA A10) on node {node}, with cores 50, memory 10Gi\n"
      "Pods     half (Running)\n")


def test_a_claim_that_waits_for_room(tenants, explain):
  tenants.run("half", memory="10Gi", cores=50)
  tenants.start("big", memory="12Gi", cores=60)
  message = wait_unschedulable(tenants, "big")
  device = f"hami-gpu-0 (NVIDIA A10) on node {tenants.cluster.node}"
  assert explain.text("claim", "big") == (
      "Claim big waits: no device has enough room now.\n\n"
      f"Asked    gpu: 1 device of class {DRIVER}, cores 60, memory 12Gi\n"
      f"Nearest  {device}\n"
      "           cores   asked 60    free 50 of 100           short by 10\n"
      f"           memory  asked 12Gi  free {GPU_MIB - 10240}Mi of {GPU_MIB}Mi  enough\n"
      "Held by  half: cores 50, memory 10Gi; pod half (Running)\n"
      "Pods     big (Pending)\n"
      f"           Unschedulable: {message}\n\n"
      "What to do (one of these)\n"
      f"- Ask for at most cores 50: {device} has that now. (A claim cannot be changed: delete and "
      "create it, or change its template and delete the pod.)\n"
      "- Wait until half (pod half) ends, or end it.\n"
      "- Add a node with a free device.\n")
  assert explain.claim("big")["verdict"] == "no-room"


def test_asking_for_what_is_left_helps(tenants, explain):
  tenants.run("half", memory="10Gi", cores=50)
  tenants.start("big", memory="20Gi", cores=60)
  wait_unschedulable(tenants, "big")
  [unserved] = explain.claim("big")["unserved"]
  tenants.delete_pod("big")
  assert unserved["atMost"] == {"cores": 50, "memory": (GPU_MIB - 10240) << 20}
  tenants.run("less", **unserved["atMost"])
  tenants.start("more", memory="1Mi", cores=1)
  wait_unschedulable(tenants, "more")
  [unserved] = explain.claim("more")["unserved"]
  assert unserved["atMost"] == {}  # nothing is left
  holders = [holder["claim"] for holder in unserved["nearest"]["heldBy"]]
  assert sorted(holders) == [f"{tenants.name}/half", f"{tenants.name}/less"]


def test_ending_who_holds_it_helps(tenants, explain):
  tenants.run("half", memory="10Gi", cores=50)
  tenants.start("big", memory="20Gi", cores=60)
  wait_unschedulable(tenants, "big")
  assert "- Wait until half (pod half) ends, or end it.\n" in explain.text("claim", "big")
  tenants.delete_pod("half")
  tenants.wait_running("big")
  assert explain.claim("big")["verdict"] == "allocated"


def test_a_claim_that_never_fits(tenants, explain):
  tenants.start("huge", memory="40Gi")
  wait_unschedulable(tenants, "huge")
  text = explain.text("claim", "huge")
  assert text.startswith("Claim huge waits: it asks for more than any device ever has.\n")
  assert f"- Ask for at most memory {GPU_MIB}Mi: " in text


def test_two_gpus_of_a_node_with_one(tenants, explain):
  tenants.create(claim("pair", request("a", memory="1Gi"), request("b", memory="1Gi"),
                       constraints=different_gpus()),
                 pod("pair", container(claims=["gpu"])))
  wait_unschedulable(tenants, "pair")
  said = explain.claim("pair")
  assert said["verdict"] == "never-fits"
  assert said["advice"] == ["Ask for fewer devices, or add a node that has as many."]
  assert [unserved["request"] for unserved in said["unserved"]] == ["b"]


def test_a_claim_that_no_pod_uses(tenants, explain):
  tenants.create(claim("idle"))
  text = explain.text("claim", "idle")
  assert text.startswith(
      f"Claim idle waits for a pod. It would fit now on node {tenants.cluster.node}.\n")
  assert "- No pod uses this claim yet." in text


def test_a_pod_that_waits_for_something_else(tenants, explain):
  tenants.create(claim("picky"), pod("picky", nodeSelector={"disk": "none"}))
  message = wait_unschedulable(tenants, "picky")
  text = explain.text("pod", "picky")
  assert text.startswith("Pod picky uses one claim.\n\nPod      picky (Pending)\n"
                         f"           Unschedulable: {message}\n\n"
                         "Claim picky waits, though there is room for it on node")
  assert f'- class {DRIVER}: device.driver == "{DRIVER}" &&' in text


def test_a_pod_whose_image_is_not_there(tenants, explain):
  tenants.create(claim("typo"), pod("typo", container(image="no-such-image")))

  def stuck():
    [found] = explain.claim("typo")["pods"]
    return found["containers"]

  [found] = wait_until(stuck, "the container is stuck")
  assert found["reason"] == "ErrImageNeverPull"
  text = explain.text("claim", "typo")
  assert "Its pod typo does not run yet.\n" in text
  assert '           container main: ErrImageNeverPull: Container image "localhost/no-such' in text


def test_a_class_that_does_not_exist(tenants, explain):
  tenants.create(claim("other", request(device_class="gpu.example.org")), pod("other"))
  wait_unschedulable(tenants, "other")
  text = explain.text("claim", "other")
  assert text.startswith('Claim other waits: there is no DeviceClass "gpu.example.org".\n')
  assert f"- Name a class that exists: {DRIVER}. " in text


def test_a_claim_that_does_not_exist(tenants, explain):
  tenants.create(claim("train-gpu"), pod("train", claims={"gpu": "trian-gpu"}))
  result = explain.run("claim", "trian-gpu")
  assert result.returncode == 1
  assert "\n\nExisting train-gpu\nPods     train (Pending)\n" in result.stdout
  assert "The pods above wait until it is there." in result.stdout


def test_templates(tenants, explain):
  """The template itself, the pod's claim, and one of a template that is not there."""
  spec = claim("half", request(memory="1Gi"))["spec"]
  tenants.cluster.resource.create_namespaced_resource_claim_template(
      tenants.name, {"metadata": {"name": "half"}, "spec": {"spec": spec}})
  made = pod("made", claims={})
  made["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "half"}]
  lost = pod("lost", claims={})
  lost["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "no-such"}]
  tenants.create(made, lost)
  tenants.wait_running("made")
  result = explain.run("claim", "half")
  assert result.returncode == 1
  assert "it is a ResourceClaimTemplate.\n\nClaims   made-gpu-" in result.stdout
  assert "has its device on node" in explain.text("pod", "made")
  tenants.wait_event("lost", "FailedResourceClaimCreation", "no-such")
  text = explain.text("pod", "lost")
  assert 'The claim of entry "gpu" has not been made yet from the ResourceClaimTemplate' in text
  assert "           FailedResourceClaimCreation" in text


def test_a_node_without_the_driver(tenants, driver, explain):
  tenants.create(claim("early"))
  driver.label("off")
  try:
    wait_until(lambda: not driver.slices(), "nothing is published")
    text = explain.text("claim", "early")
    assert text.startswith(f"Claim early waits: no node publishes a device of driver {DRIVER}.\n")
    assert (f"kubectl label node NAME gpu=on (nodes: {tenants.cluster.node})\n") in text
  finally:
    driver.label("on")
    driver.wait_ready()


def test_a_cluster_without_the_feature_gate(make_cluster):
  cluster = make_cluster("explain-gate", "--feature-gate", "DRAConsumableCapacity=false")
  driver = Driver(cluster)
  driver.install()
  driver.wait_ready()
  tenants = Tenants(cluster, "gate")
  explain = Explain(tenants)
  tenants.run("first")
  assert "DRAConsumableCapacity is off" in explain.text("claim", "first")
  tenants.start("second")
  wait_unschedulable(tenants, "second")
  text = explain.text("claim", "second")
  assert "waits: this cluster gives whole devices only, and all of them are held.\n" in text
  assert "in use, and cannot be shared\n" in text
  assert "- Turn on the feature gate DRAConsumableCapacity on" in text


@contextlib.contextmanager
def fake_driver(cluster, **device):
  """A class of its own and a device on a node that there is not."""
  pool = {"name": "elsewhere", "generation": 1, "resourceSliceCount": device.pop("slices", 1)}
  cluster.resource.create_device_class({"metadata": {"name": FAKE}, "spec": {"selectors": [
      {"cel": {"expression": f'device.driver == "{FAKE}"'}}]}})
  cluster.resource.create_resource_slice({
      "metadata": {"name": FAKE},
      "spec": {"driver": FAKE, "nodeName": "elsewhere", "pool": pool,
               "devices": [{"name": "thing", **device}]}})
  try:
    yield
  finally:
    cluster.resource.delete_resource_slice(FAKE)
    cluster.resource.delete_device_class(FAKE)


@pytest.mark.parametrize(("slices", "verdict"), [(1, "fits"), (2, "incomplete")])
def test_devices_of_another_driver(tenants, explain, slices, verdict):
  tenants.create(claim("thing", request(device_class=FAKE)))
  with fake_driver(tenants.cluster, slices=slices):
    said = explain.claim("thing")
  assert said["verdict"] == verdict
  assert said["requests"][0]["driver"] == FAKE
  assert explain.claim("thing")["verdict"] == "class-missing"


@pytest.fixture
def make_user(tenants):
  """make_user(RESOURCE...): a service account that sees its namespace and may list these resources
  of the cluster; the path of its kubeconfig on the node."""
  cluster, name = tenants.cluster, tenants.name
  made = []

  def make(*resources):
    account = f"--serviceaccount={name}:user"
    cluster.kubectl("create", "serviceaccount", "-n", name, "user")
    cluster.kubectl("create", "rolebinding", "-n", name, "user", "--clusterrole=view", account)
    if resources:
      made.extend([f"clusterrolebinding/{name}", f"clusterrole/{name}"])
      cluster.kubectl("create", "clusterrole", name, "--verb=list",
                      f"--resource={','.join(resources)}")
      cluster.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", account)
    token = cluster.kubectl("create", "token", "-n", name, "user").strip()
    return put_kubeconfig(tenants, users=[{"name": "admin", "user": {"token": token}}])

  yield make
  if made:
    cluster.kubectl("delete", *made)


def put_kubeconfig(tenants, **change):
  """The administrator's, with changes, on the node."""
  config = json.loads(tenants.cluster.folder.kubeconfig.read_text())
  path = f"/run/{tenants.name}.conf"
  (tenants.cluster.root / path.lstrip("/")).write_text(json.dumps(config | change))
  return path


def test_without_the_right_to_see_devices(tenants, explain, make_user):
  tenants.start("big", memory="40Gi")
  message = wait_unschedulable(tenants, "big")
  path = make_user()
  said = explain.claim("big", "--kubeconfig", path)
  assert said["verdict"] == "unreadable"
  assert any("ResourceSlices could not be read" in note for note in said["notes"])
  [seen] = said["pods"]
  assert message in [condition["message"] for condition in seen["conditions"]]
  # Nor another namespace's claims.
  result = tenants.cluster.run(HAMI, "explain", "claim", "kube-system/x", "--kubeconfig", path,
                               check=False)
  assert (result.returncode, result.stdout) == (1, "")
  assert "Ask an administrator for that right.\n" in result.stderr


def test_without_the_right_to_see_other_namespaces(tenants, explain, make_user):
  tenants.create(claim("small"))
  path = make_user("resourceslices", "deviceclasses")
  said = explain.claim("small", "--kubeconfig", path)
  assert (said["verdict"], said["upperBounds"]) == ("fits", True)


def test_from_inside_a_pod(tenants, make_user):
  """With the pod's own account and namespace, and the program in our image."""
  tenants.create(claim("small"))
  make_user("resourceslices", "deviceclasses")
  asking = container(claims=(), command=["/usr/bin/hami", "explain", "claim", "small"])
  asking["image"] = "localhost/hami:dev"
  tenants.create(pod("asking", asking, claims={}, serviceAccountName="user"))
  wait_until(lambda: tenants.pod("asking").status.phase == "Succeeded", "the pod has asked")
  assert f"Claim {tenants.name}/small waits for a pod. It would fit now" in tenants.logs("asking")


@pytest.mark.parametrize(("change", "answer"), [
    ({"server": "https://127.0.0.1:6444"}, "Is the API server up, and reachable from here?"),
    ({"certificate-authority": "/etc/ssl/certs/ca-certificates.crt"},
     "Compare certificate-authority-data in the kubeconfig"),
])
def test_no_answer(tenants, explain, change, answer):
  config = json.loads(tenants.cluster.folder.kubeconfig.read_text())
  server = config["clusters"][0]["cluster"] | change
  path = put_kubeconfig(tenants, clusters=[{"name": "cluster", "cluster": server}])
  result = explain.run("claim", "any", "--kubeconfig", path)
  assert (result.returncode, result.stdout) == (1, "")
  assert answer in result.stderr


def test_wrong_usage(cluster):
  result = cluster.run(HAMI, "explain", "node", "n1", check=False)
  assert result.returncode == 2
  assert "See hami explain --help." in result.stderr
