# SPDX-License-Identifier: Apache-2.0
"""The client of src/kube before a real API server: every verb, every refusal by its reason, tokens
that are renewed, and that nothing is done twice that must be done once."""

import json
import time

import kubernetes
import pytest
from api_server import kubeconfig

pytestmark = pytest.mark.newest_only

pytest_plugins = ["kube_fixtures"]


def config_map(name: str, **data: str) -> dict:
  return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def refusal(answer: dict) -> tuple[str, str]:
  return answer.get("error", "none"), answer.get("reason", "none")


@pytest.fixture
def client(server, probe):
  return probe(server.kubeconfig)


def test_verbs(client, server, name_space):
  key = f"{name_space}/a"
  made = client.do("create", name_space, body=config_map("a", v="1"))
  assert made["metadata"]["uid"]
  assert client.do("get", key) == made

  made["data"]["v"] = "2"
  updated = client.do("update", key, body=made)
  assert updated["data"] == {"v": "2"}
  merged = client.do("merge", key, body={"data": {"v": None, "w": "3"}})
  assert merged["data"] == {"w": "3"}
  patched = client.do("json", key, body=[{"op": "test", "path": "/data/w", "value": "3"},
                                         {"op": "add", "path": "/data/x", "value": "4"}])
  assert patched["data"] == {"w": "3", "x": "4"}

  assert client.do("delete", key, made["metadata"]["uid"], "") == {}
  assert refusal(client.do("get", key)) == ("NOT_FOUND", "NotFound")


def test_refusals_keep_their_reason(client, name_space):
  key = f"{name_space}/a"
  made = client.do("create", name_space, body=config_map("a", v="1"))
  uid, version = made["metadata"]["uid"], made["metadata"]["resourceVersion"]
  assert refusal(client.do("create", name_space, body=config_map("a"))) == \
      ("ALREADY_EXISTS", "AlreadyExists")
  client.do("merge", key, body={"data": {"v": "2"}})
  assert refusal(client.do("update", key, body=made)) == ("ABORTED", "Conflict")
  assert refusal(client.do("delete", key, "another-uid", "")) == ("ABORTED", "Conflict")
  assert refusal(client.do("delete", key, uid, version)) == ("ABORTED", "Conflict")
  assert refusal(client.do("delete", f"{name_space}/none", "", "")) == ("NOT_FOUND", "NotFound")
  assert refusal(client.do("json", key, body=[{"op": "test", "path": "/data/v", "value": "9"}])) \
      == ("INVALID_ARGUMENT", "Invalid")
  assert refusal(client.do("create", name_space, body=config_map("NO!"))) == \
      ("INVALID_ARGUMENT", "Invalid")
  assert refusal(client.do("create", name_space, body={"kind": "Pod", "apiVersion": "v1"})) == \
      ("INVALID_ARGUMENT", "BadRequest")
  assert refusal(client.do("create", "no-such-namespace", body=config_map("a"))) == \
      ("NOT_FOUND", "NotFound")
  assert refusal(client.do("get", "a/..")) == ("INVALID_ARGUMENT", "")


def test_status_is_a_subresource(server, probe, name_space):
  claims = probe(server.kubeconfig, resource="resourceclaims", group="resource.k8s.io")
  claim = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim",
           "metadata": {"name": "c"}, "spec": {"devices": {}}}
  made = claims.do("create", name_space, body=claim)
  made["metadata"]["labels"] = {"ignored": "here"}
  made["status"] = {"reservedFor": [{"resource": "pods", "name": "p", "uid": "u"}]}
  # A reservation without an allocation is refused, so this reached the status' own rules.
  answer = claims.do("status", f"{name_space}/c", body=made)
  assert refusal(answer) == ("INVALID_ARGUMENT", "Invalid")
  assert "status.reservedFor" in answer["message"]
  made["status"] = {}
  assert "labels" not in claims.do("status", f"{name_space}/c", body=made)["metadata"]


def test_what_the_server_is_and_serves(server, probe):
  info = kubernetes.client.VersionApi(server.client).get_code()
  client = probe(server.kubeconfig, resource="resourceslices", group="resource.k8s.io")
  version = client.do("version")
  assert f"{version['major']}.{version['minor']}" == f"{info.major}.{info.minor}"
  assert client.do("served") == {"served": True}
  for options in ({"resource": "strangers"}, {"resource": "pods", "group": "none.example"},
                  {"resource": "resourceslices", "group": "resource.k8s.io", "version": "v9"}):
    stranger = probe(server.kubeconfig, **options)
    assert stranger.do("served") == {"served": False}
    assert refusal(stranger.do("get", "a")) == ("UNIMPLEMENTED", "NotServed")
    assert not stranger.dump()["synced"]


def test_events_are_counted(client, server, name_space):
  for number in range(1, 5):
    stats = client.do("event", "ConfigMap", f"{name_space}/a", "some-uid", "it happened")
    assert stats == {"created": 1, "updated": number - 1, "dropped": 0}
  client.do("event", "ConfigMap", f"{name_space}/a", "some-uid", "something else")
  events = server.core.list_namespaced_event(name_space).items
  assert sorted((event.message, event.count, event.type, event.reason) for event in events) == [
      ("it happened", 4, "Warning", "Probed"), ("something else", 1, "Warning", "Probed")]
  assert events[0].involved_object.uid == "some-uid"
  # An object of the cluster.
  assert client.do("event", "Node", "n1", "node-uid", "here")["dropped"] == 0
  found = server.core.list_namespaced_event("default", field_selector="involvedObject.name=n1")
  assert [event.message for event in found.items] == ["here"]
  # Where nobody can write.
  assert client.do("event", "ConfigMap", "no-such-namespace/a", "u", "x")["dropped"] == 1


def test_nothing_is_done_twice(server, proxy, probe, name_space):
  """The API server does what it is asked, and the connection ends before it can say so."""
  client = probe(proxy.kubeconfig)
  tries = 20
  proxy.faults(seed=1, lose=0.5)
  answers = [client.do("create", name_space,
                       body={**config_map(""), "metadata": {"generateName": "g-"}})
             for _ in range(tries)]
  failed = [answer for answer in answers if "error" in answer]
  assert len(server.core.list_namespaced_config_map(name_space).items) == tries
  assert failed and len(failed) < tries
  assert {refusal(answer) for answer in failed} == {("UNAVAILABLE", "")}


def test_what_was_not_done_is_done_again(server, proxy, probe, name_space):
  client = probe(proxy.kubeconfig)
  client.do("create", name_space, body=config_map("a", v="0"))
  # Six tries: that all of them meet a fault must be rare, whatever else passes the proxy.
  proxy.faults(seed=1, answer=0.2, codes=[429])
  for number in range(20):
    assert "error" not in client.do("create", name_space, body=config_map(f"n{number}"))
  # What may be done twice survives everything.
  proxy.faults(seed=2, answer=0.15, codes=[429, 503, 504], lose=0.1, drop=0.1, cut=0.1,
               cut_bytes=100)
  for number in range(12):
    answer = client.do("merge", f"{name_space}/a", body={"data": {"v": str(number)}})
    assert answer["data"]["v"] == str(number)
    assert client.do("get", f"{name_space}/a")["data"]["v"] == str(number)


def test_strangers_are_refused(server, probe, name_space):
  server.core.create_namespaced_service_account(name_space, {"metadata": {"name": "nobody"}})
  token = server.core.create_namespaced_service_account_token("nobody", name_space, {}).status.token
  config = server.folder / f"nobody-{name_space}.conf"
  for secret, expected in ((token, ("PERMISSION_DENIED", "Forbidden")),
                           ("wrong", ("UNAUTHENTICATED", "Unauthorized"))):
    config.write_text(json.dumps(kubeconfig(server.url, server.pki, {"token": secret})))
    answer = probe(config).do("get", f"{name_space}/a")
    assert refusal(answer) == expected
    assert secret not in answer["message"]


def test_a_server_that_is_not_trusted(server, proxy, probe, name_space):
  config = json.loads(server.kubeconfig.read_text())
  cluster = config["clusters"][0]["cluster"]
  other = server.folder / f"other-{name_space}.conf"
  del cluster["certificate-authority"]
  other.write_text(json.dumps(config))
  assert refusal(probe(other).do("get", "a/b")) == ("FAILED_PRECONDITION", "")
  cluster["insecure-skip-tls-verify"] = True
  other.write_text(json.dumps(config))
  assert refusal(probe(other).do("get", "a/b")) == ("NOT_FOUND", "NotFound")


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
  cache.wait(lambda dump: f"{name_space}/a" in dump["objects"])

  fresh = token_file.with_suffix(".new")
  fresh.write_text(token_of("second"))
  fresh.rename(token_file)
  core.delete_namespaced_secret("first", name_space)
  # The API server remembers for some seconds that the old one was good.
  time.sleep(11)
  proxy.drop()
  core.create_namespaced_config_map(name_space, {"metadata": {"name": "b"}})
  cache.wait(lambda dump: f"{name_space}/b" in dump["objects"])
  assert cache.do("get", f"{name_space}/b")["metadata"]["name"] == "b"
