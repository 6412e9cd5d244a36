# SPDX-License-Identifier: Apache-2.0
"""The cluster itself: what other tests take for granted."""

import kubernetes
import pytest
from cluster_harness import cluster_verb, wait_until

pytestmark = pytest.mark.newest_only


def test_up_again_changes_nothing(cluster):
  before = cluster.init
  said = cluster_verb("up", "--version", cluster.version, "--name", cluster.name).stdout
  assert "is up already" in said
  assert cluster.init == before


def test_up_with_other_settings_is_refused(cluster):
  refused = cluster_verb("up", "--version", cluster.version, "--name", cluster.name,
                "--gpu=none", check=False)
  assert refused.returncode == 1
  assert "not as asked for" in refused.stderr


def test_versions_and_node(cluster):
  info = kubernetes.client.VersionApi(cluster.api).get_code()
  assert info.git_version.startswith(f"v{cluster.version}.")
  node = cluster.core.read_node("ecs-a10-sh")
  assert node.status.node_info.kubelet_version.startswith(f"v{cluster.version}.")
  assert cluster.run("hostname").stdout.strip() == "ecs-a10-sh"


def test_a_pod_with_a_network_of_its_own_runs(namespace):
  namespace.create_pod("own")
  pod = namespace.wait_running("own")
  assert pod.status.pod_ip.startswith("10.244.0.")
  assert pod.status.pod_ip != pod.status.host_ip
  assert pod.status.pod_ip in namespace.exec("own", "ip", "address")


def test_a_service_is_reachable_from_a_pod_and_from_the_node(cluster, namespace):
  namespace.create_pod("server", command=["sh", "-c", "mkdir /tmp/www && echo served > "
                                          "/tmp/www/index.html && exec httpd -f -p 80 -h /tmp/www"])
  namespace.create_pod("client")
  service = cluster.core.create_namespaced_service(namespace.name, {
      "metadata": {"name": "web"},
      "spec": {"selector": {"pod": "server"}, "ports": [{"port": 8080, "targetPort": 80}]}})
  namespace.wait_running("server")
  namespace.wait_running("client")
  url = f"http://{service.spec.cluster_ip}:8080/"
  fetch = ["sh", "-c", f"wget -q -O - {url} || true"]
  assert wait_until(lambda: namespace.exec("client", *fetch), "an answer") == "served\n"
  assert cluster.run("busybox", *fetch).stdout == "served\n"


def test_logs_of_a_container(namespace):
  namespace.create_pod("talker", command=["sh", "-c", "echo what it said; exec sleep infinity"])
  namespace.wait_running("talker")
  assert namespace.logs("talker") == "what it said\n"


def test_exec_into_a_container(namespace):
  namespace.create_pod("shell")
  namespace.wait_running("shell")
  assert namespace.exec("shell", "sh", "-c", "echo $((6 * 7))") == "42\n"


def test_a_pod_is_told_to_end(cluster, namespace):
  namespace.create_pod("short", command=["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; "
                                         "done"])
  namespace.wait_running("short")
  cluster.kubectl("delete", "pod", "-n", namespace.name, "short", "--timeout=60s")
  assert "short" not in cluster.kubectl("get", "pods", "-n", namespace.name, "-o", "name")


@pytest.mark.parametrize("component", ["kubelet", "containerd", "kube-apiserver"])
def test_a_restarted_component_comes_back_and_pods_go_on(cluster, namespace, component):
  namespace.create_pod("steady")
  before = namespace.wait_running("steady").status.container_statuses[0].container_id
  process = cluster.folder.read_process(component)
  cluster_verb("restart", "--name", cluster.name, component)
  assert not process.is_running()
  namespace.create_pod("after")
  namespace.wait_running("after")
  assert namespace.wait_running("steady").status.container_statuses[0].container_id == before


def test_exec_passes_exit_codes_and_signals(cluster):
  assert cluster.run("sh", "-c", "exit 7", check=False).returncode == 7
  going = cluster.start("sh", "-c", "trap 'echo told; exit 3' TERM; echo ready; "
                        "while :; do sleep 0.05; done", stdout=-1)
  assert going.stdout.readline() == "ready\n"
  going.terminate()
  assert going.communicate()[0] == "told\n"
  assert going.returncode == 3


def test_what_shares_devices_is_kept_by_the_api_server(cluster):
  """Where a feature is off, the API server drops its fields without a word."""
  body = {
      "metadata": {"name": "kept-fields"},
      "spec": {
          "driver": "kept.example.com", "nodeName": cluster.node,
          "pool": {"name": "kept", "generation": 1, "resourceSliceCount": 1},
          "devices": [{
              "name": "gpu-0", "allowMultipleAllocations": True,
              "capacity": {"memory": {"value": "24Gi", "requestPolicy": {
                  "default": "1Gi", "validRange": {"min": "1Gi", "step": "1Gi"}}}}}]}}
  cluster.resource.create_resource_slice(body)
  try:
    device = cluster.resource.read_resource_slice("kept-fields").spec.devices[0]
    assert device.allow_multiple_allocations is True
    assert device.capacity["memory"].request_policy.valid_range.min == "1Gi"
  finally:
    cluster.resource.delete_resource_slice("kept-fields")
