# SPDX-License-Identifier: Apache-2.0
"""The webhook and the policy of deploy/classic before a real API server: what a user's pod becomes,
what is denied and with which words, who may write decisions, and how the certificate comes about
and is renewed. The webhook is webhook_server (tests/component/webhook), found by URL instead of a
Service, because there is no node."""

import base64
import copy
import json
import os
import pathlib
import subprocess
import time

import kubernetes
import pytest
import yaml
from api_server import ROOT

pytest_plugins = ["kube_fixtures"]

SERVER = pathlib.Path(os.environ.get("HAMI_BUILD", ROOT / "build")) / "tests" / "webhook_server"
MANIFESTS = ROOT / "deploy" / "classic"
SYSTEM = "hami-system"
OURS = f"system:serviceaccount:{SYSTEM}:hami-scheduler"
PATIENCE_S = 60
GPU = {"nvidia.com/gpu": "1", "nvidia.com/gpumem": "3000"}


def documents(name: str) -> list[dict]:
  return [entry for entry in yaml.safe_load_all((MANIFESTS / name).read_text()) if entry]


def wait_until(what, seconds: float = PATIENCE_S):
  give_up = time.monotonic() + seconds
  while True:
    found = what()
    if found:
      return found
    assert time.monotonic() < give_up, "never"
    time.sleep(0.05)


class Webhook:
  """webhook_server as the ServiceAccount of the manifests, with its rights alone."""

  def __init__(self, kubeconfig: pathlib.Path, *arguments: str):
    assert SERVER.exists(), f"{SERVER} is not built"
    self._process = subprocess.Popen(
        [SERVER, "--kubeconfig", kubeconfig, "--pod-namespace", SYSTEM, "--webhook-bind",
         "127.0.0.1:0", "--webhook-service", "none", "--webhook-host", "127.0.0.1", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    self.port = int(self._process.stdout.readline().split()[1])

  def wait_ready(self) -> None:
    assert self._process.stdout.readline() == "ready\n"

  def metric(self, name: str) -> float:
    self._process.stdin.write("\n")
    self._process.stdin.flush()
    value = 0.0
    for line in iter(self._process.stdout.readline, "end\n"):
      if line.startswith(name + " "):
        value = float(line.split()[1])
    return value

  def stop(self) -> None:
    self._process.stdin.close()
    assert self._process.wait(timeout=30) == 0


def certificate(server, name: str, *groups: str) -> dict:
  """A user of that name, by a certificate."""
  folder = server.folder
  subject = "".join(f"/O={group}" for group in groups) + f"/CN={name}"
  stem = f"user-{os.urandom(4).hex()}"
  subprocess.run(
      ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
       "-keyout", folder / f"{stem}.key", "-out", folder / f"{stem}.crt", "-days", "3", "-subj",
       subject, "-CA", server.pki / "ca.crt", "-CAkey", server.pki / "ca.key", "-addext",
       "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=clientAuth"],
      check=True, capture_output=True)
  return {"client-certificate": str(folder / f"{stem}.crt"),
          "client-key": str(folder / f"{stem}.key")}


@pytest.fixture(scope="module")
def system(server):
  """The manifests as they are, but for the webhook's address; and a kubeconfig of its account."""
  names = ["00-namespace.yaml", "10-rbac.yaml", "20-device-config.yaml",
           "50-allocations-policy.yaml"]
  for entry in [entry for name in names for entry in documents(name)]:
    kubernetes.utils.create_from_dict(server.client, entry)
  secret = next(entry for entry in documents("40-webhook.yaml") if entry["kind"] == "Secret")
  server.core.create_namespaced_secret(SYSTEM, secret)
  token = server.core.create_namespaced_service_account_token(
      "hami-scheduler", SYSTEM, {"spec": {}}).status.token
  config = json.loads(server.kubeconfig.read_text())
  config["users"][0]["user"] = {"token": token}
  path = server.folder / "hami-scheduler.conf"
  path.write_text(json.dumps(config))
  yield path
  # The server is everybody's: other tests write what the policy denies.
  api = kubernetes.client.AdmissionregistrationV1Api(server.client)
  for entry in documents("50-allocations-policy.yaml"):
    name = entry["metadata"]["name"]
    if entry["kind"] == "ValidatingAdmissionPolicy":
      api.delete_validating_admission_policy(name)
    elif entry["kind"] == "ValidatingAdmissionPolicyBinding":
      api.delete_validating_admission_policy_binding(name)
  forged = pod(metadata={"annotations": {"hami.io/vgpu-node": "n1"}},
               serviceAccountName="hami-scheduler")
  wait_until(lambda: is_taken(server, SYSTEM, forged))


def is_taken(server, name_space: str, body: dict) -> bool:
  try:
    server.core.create_namespaced_pod(name_space, body, dry_run="All")
  except kubernetes.client.ApiException:
    return False
  return True


def configure(server, port: int) -> None:
  """The MutatingWebhookConfiguration of the manifests, with this address."""
  made = next(entry for entry in documents("40-webhook.yaml")
              if entry["kind"] == "MutatingWebhookConfiguration")
  made["webhooks"][0]["clientConfig"] = {"url": f"https://127.0.0.1:{port}/webhook"}
  api = kubernetes.client.AdmissionregistrationV1Api(server.client)
  api.create_mutating_webhook_configuration(made)


def bundle(server) -> str:
  api = kubernetes.client.AdmissionregistrationV1Api(server.client)
  made = api.read_mutating_webhook_configuration("hami-webhook")
  return made.webhooks[0].client_config.ca_bundle or ""


@pytest.fixture(scope="module")
def webhook(server, system):
  made = Webhook(system)
  configure(server, made.port)
  made.wait_ready()
  wait_until(lambda: bundle(server))
  yield made
  made.stop()
  # With nobody behind the name the server would refuse pods.
  kubernetes.client.AdmissionregistrationV1Api(server.client).delete_mutating_webhook_configuration(
      "hami-webhook")


def pod(limits: dict | None = None, **more) -> dict:
  container = {"name": "main", "image": "registry.example/app:1",
               "resources": {"limits": limits} if limits else {}}
  made = {"apiVersion": "v1", "kind": "Pod",
          "metadata": {"generateName": "pod-", **more.pop("metadata", {})},
          "spec": {"containers": [{**container, **more.pop("container", {})}],
                   "automountServiceAccountToken": False, **more}}
  return made


@pytest.fixture
def team(server, webhook, name_space):
  """A namespace with its service account, which no controller makes here. The webhook answers."""
  server.core.create_namespaced_service_account(name_space, {"metadata": {"name": "default"}})
  wait_until(lambda: accepts(server, name_space))
  return name_space


def accepts(server, name_space: str) -> bool:
  """The API server has the configuration and its authorities: a GPU pod goes through it."""
  try:
    made = server.core.create_namespaced_pod(name_space, pod(GPU), dry_run="All")
  except kubernetes.client.ApiException:
    return False
  return made.spec.scheduler_name == "hami-scheduler"


def create(client, name_space: str, body: dict, **options) -> dict:
  core = kubernetes.client.CoreV1Api(client)
  return json.loads(core.create_namespaced_pod(name_space, body, _preload_content=False,
                                               **options).data)


def denial(call, *arguments, **options) -> tuple[int, str]:
  with pytest.raises(kubernetes.client.ApiException) as caught:
    call(*arguments, **options)
  return caught.value.status, json.loads(caught.value.body)["message"]


@pytest.fixture
def alice(server, team):
  """A user with the rights of a namespace's editor, and more than is wise: she may bind pods."""
  rbac = kubernetes.client.RbacAuthorizationV1Api(server.client)
  rbac.create_namespaced_role(team, {
      "metadata": {"name": "alice"},
      "rules": [{"apiGroups": [""], "verbs": ["*"],
                 "resources": ["pods", "pods/status", "pods/binding", "bindings"]}]})
  rbac.create_namespaced_role_binding(team, {
      "metadata": {"name": "alice"},
      "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "alice"},
      "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}]})
  config = json.loads(server.kubeconfig.read_text())
  config["users"][0]["user"] = certificate(server, "alice")
  return kubernetes.config.new_client_from_config_dict(config)


def test_a_gpu_pod_is_completed_and_nothing_else_changes(server, team):
  made = create(server.client, team, pod({"nvidia.com/gpu": "1"}))
  assert made["spec"]["schedulerName"] == "hami-scheduler"
  limits = made["spec"]["containers"][0]["resources"]["limits"]
  assert limits == {"nvidia.com/gpu": "1", "nvidia.com/gpucores": "100"}
  assert made["spec"]["containers"][0]["resources"]["requests"] == limits
  plain = create(server.client, team, pod())
  for part in (made, plain):
    part["spec"]["schedulerName"] = part["spec"]["containers"][0]["resources"] = ""
  assert made["spec"] == plain["spec"]


def test_memory_alone_asks_for_one_gpu_also_in_requests_alone(server, team):
  made = create(server.client, team, pod({"nvidia.com/gpumem": "3000"}))
  assert made["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
  asked = pod(container={"resources": {"requests": GPU}})
  made = create(server.client, team, asked)
  # As the API server writes quantities.
  assert made["spec"]["containers"][0]["resources"]["limits"] == {**GPU, "nvidia.com/gpumem": "3k"}


def test_a_pod_that_does_not_concern_us_is_not_sent_to_us(server, team, webhook):
  """The match conditions: such a pod does not even wait for a webhook that is away."""
  counted = 'hami_webhook_reviews_total{path="webhook",result="allowed"}'
  before = webhook.metric(counted)
  made = create(server.client, team, pod({"cpu": "1", "example.com/nic": "1"}))
  assert made["spec"]["schedulerName"] == "default-scheduler"
  assert webhook.metric(counted) == before
  create(server.client, team, pod(metadata={"annotations": {"hami.io/any": "x"}}))
  assert webhook.metric(counted) == before + 1


@pytest.mark.parametrize("where", ["limits", "requests", "init"])
def test_every_place_of_a_resource_is_seen(server, team, where):
  asked = pod()
  if where == "init":
    asked["spec"]["initContainers"] = [{"name": "init", "image": "x", "resources": {"limits": GPU}}]
  else:
    asked["spec"]["containers"][0]["resources"] = {where: GPU}
  assert create(server.client, team, asked)["spec"]["schedulerName"] == "hami-scheduler"


@pytest.mark.parametrize(("change", "words"), [
    ({"container": {"securityContext": {"privileged": True},
                    "resources": {"limits": GPU}}}, "container main is privileged"),
    ({"limits": GPU, "nodeName": "n1"}, "kubernetes.io/hostname: n1"),
    ({"limits": {"nvidia.com/gpu": "1", "nvidia.com/gpumem-percentage": "101"}},
     "nvidia.com/gpumem-percentage"),
])
def test_denials_say_what_to_write(server, team, change, words):
  status, message = denial(server.core.create_namespaced_pod, team, pod(**change))
  assert status in (403, 422)
  assert 'admission webhook "vgpu.hami.io" denied the request' in message
  assert words in message


def test_a_dry_run_is_the_real_thing(server, team):
  made = create(server.client, team, pod(GPU), dry_run="All")
  assert made["spec"]["schedulerName"] == "hami-scheduler"
  assert server.core.list_namespaced_pod(team).items == []


def test_forged_decisions_are_left_out_with_a_warning(server, alice, team):
  keys = {"hami.io/vgpu-node": "n1", "hami.io/vgpu-devices-allocated": "GPU-a,NVIDIA,1,1:;",
          "AWS_NEURON_IDS": "0", "predicate-time": "1", "huawei.com/Ascend910B3": "[]"}
  core = kubernetes.client.CoreV1Api(alice)
  for key, value in keys.items():
    answer = core.create_namespaced_pod(
        team, pod(metadata={"annotations": {key: value, "mine": "x"}}), _preload_content=False)
    assert json.loads(answer.data)["metadata"]["annotations"] == {"mine": "x"}, key
    assert key in answer.headers["Warning"]
  labelled = core.create_namespaced_pod(
      team, pod(metadata={"labels": {"hami.io/vgpu-node": "n1"}}), _preload_content=False)
  assert not json.loads(labelled.data)["metadata"].get("labels")


def test_nobody_writes_decisions_around_the_webhook(server, alice, team):
  """Also not with the label that keeps the webhook away, by an update, of the status, a binding."""
  core = kubernetes.client.CoreV1Api(alice)
  forged = {"annotations": {"hami.io/vgpu-devices-allocated": "GPU-a,NVIDIA,1,1:;"}}
  ignored = pod(metadata={"labels": {"hami.io/webhook": "ignore"}, **forged})
  status, message = denial(core.create_namespaced_pod, team, ignored)
  assert status == 403
  assert "hami.io/vgpu-devices-allocated says which devices a pod was given" in message

  name = create(alice, team, pod())["metadata"]["name"]
  for call in (core.patch_namespaced_pod, core.patch_namespaced_pod_status):
    assert denial(call, name, team, {"metadata": forged})[0] == 403
    call(name, team, {"metadata": {"annotations": {"mine": "x"}}})
  label = {"metadata": {"labels": {"hami.io/vgpu-node": "n1"}}}
  assert "hami.io/vgpu-node" in denial(core.patch_namespaced_pod, name, team, label)[1]
  binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, **forged},
             "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"}}
  bind = {"_preload_content": False}  # the answer is no Binding, which the client cannot read
  assert denial(core.create_namespaced_pod_binding, name, team, binding, **bind)[0] == 403
  assert denial(core.create_namespaced_binding, team, binding, **bind)[0] == 403

  # Ours may; and what was written nobody takes away.
  account = json.loads((server.folder / "hami-scheduler.conf").read_text())
  ours = kubernetes.config.new_client_from_config_dict(account)
  kubernetes.client.CoreV1Api(ours).create_namespaced_pod_binding(name, team, binding, **bind)
  bound = core.read_namespaced_pod(name, team)
  assert bound.spec.node_name == "n1"
  assert bound.metadata.annotations["hami.io/vgpu-devices-allocated"]
  taken = {"metadata": {"annotations": {"hami.io/vgpu-devices-allocated": None}}}
  assert denial(core.patch_namespaced_pod, name, team, taken)[0] == 403
  core.patch_namespaced_pod(name, team, {"metadata": {"labels": {"mine": "x"}}})


def test_a_pod_of_a_mebibyte_is_decided(server, team):
  big = pod(GPU, metadata={"annotations": {"note": "x" * 200_000}})
  big["spec"]["containers"][0]["env"] = [{"name": f"V{i}", "value": "y" * 1000} for i in range(700)]
  made = create(server.client, team, big)
  assert made["spec"]["schedulerName"] == "hami-scheduler"


def test_the_certificate_is_made_once_for_all_and_renewed(server, team, system, webhook):
  """A second replica serves the same one; a Secret without it gets another, and all follow."""
  second = Webhook(system)
  second.wait_ready()
  expiry = "hami_webhook_certificate_expiry_timestamp_seconds"
  assert second.metric(expiry) == webhook.metric(expiry) > time.time() + 80 * 24 * 3600
  secret = server.core.read_namespaced_secret("hami-scheduler-tls", SYSTEM)
  assert base64.b64decode(bundle(server)) == base64.b64decode(secret.data["ca.crt"])
  assert secret.metadata.labels is None

  before = copy.copy(secret.data)
  server.core.patch_namespaced_secret("hami-scheduler-tls", SYSTEM, {"data": {"tls.key": None}})
  wait_until(lambda: server.core.read_namespaced_secret(
      "hami-scheduler-tls", SYSTEM).data.get("tls.crt") not in ("", before["tls.crt"]))
  wait_until(lambda: second.metric(expiry) == webhook.metric(expiry))
  wait_until(lambda: accepts(server, team))
  second.stop()


def test_the_account_has_no_more_rights_than_it_needs(server, system):
  """Of secrets and webhook configurations: these two alone."""
  ours = kubernetes.config.new_client_from_config_dict(json.loads(system.read_text()))
  core = kubernetes.client.CoreV1Api(ours)
  core.read_namespaced_secret("hami-scheduler-tls", SYSTEM)
  assert denial(core.read_namespaced_secret, "other", SYSTEM)[0] == 403
  assert denial(core.list_namespaced_secret, SYSTEM)[0] == 403
  assert denial(core.delete_namespaced_secret, "hami-scheduler-tls", SYSTEM)[0] == 403
  hooks = kubernetes.client.AdmissionregistrationV1Api(ours)
  assert denial(hooks.list_mutating_webhook_configuration)[0] == 403
  assert denial(hooks.read_mutating_webhook_configuration, "other")[0] == 403
