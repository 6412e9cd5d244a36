# SPDX-License-Identifier: Apache-2.0
"""Replicas of the classic control plane: each a hami-scheduler, and beside it a stock
kube-scheduler with the configuration that we ship.

They are programs of the cluster as the others are, not pods: no image has to be made anew after
each build, and a test can end any of them. What they may do is what deploy/classic allows their
service account, whose tokens they have. Each replica has a host name of its own, which is the
beginning of its kube-scheduler's identity in the Lease.
"""

import dataclasses
import json
import pathlib
import re

import go_modules
import network
from cluster_folder import ClusterFolder, Settings

DEPLOY = go_modules.ROOT / "deploy" / "classic"
BUILD = go_modules.ROOT / "build" / "bin"
NAMESPACE = "hami-system"
NAME = "hami-scheduler"  # of the profile, the lease and the service account
# What the API server needs to know of us. Workloads are not among them: the replicas are these.
KINDS = ("Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding",
         "PriorityClass", "ConfigMap", "Secret", "Service", "EndpointSlice",
         "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
         "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
WEBHOOK_PORT = "webhook"  # its name in the Service
TOKEN_LIFE = "48h"


@dataclasses.dataclass(frozen=True)
class Replica:
  """Addresses are in the cluster's network."""
  number: int

  @property
  def host(self) -> str:
    return f"{NAME}-{self.number}"

  @property
  def components(self) -> tuple[str, str]:
    return (f"{NAME}-{self.number}", f"kube-scheduler-{self.number}")

  @property
  def proxy(self) -> str:
    return f"api-proxy-{self.number}"

  @property
  def extender(self) -> str:
    return f"127.0.0.1:{18080 + self.number}"

  @property
  def metrics(self) -> str:
    return f"127.0.0.1:{19395 + self.number}"

  @property
  def webhook_port(self) -> int:
    return 18443 + self.number

  @property
  def scheduler_port(self) -> int:
    return 12590 + self.number

  @property
  def proxy_port(self) -> int:
    return 16443 + self.number

  @property
  def proxy_control(self) -> str:
    return f"127.0.0.1:{17443 + self.number}"


def replicas(settings: Settings) -> list[Replica]:
  return [Replica(number) for number in range(settings.replicas)]


def objects(documents: list[dict], settings: Settings) -> list[dict]:
  """Those of the manifests that a cluster without our pods needs. The Service of the webhook leads
  to the replicas."""
  found = [item for item in documents if item["kind"] in KINDS]
  for item in [item for item in found if item["kind"] == "Service"]:
    del item["spec"]["selector"]
    found += [endpoints(item, replica) for replica in replicas(settings)]
  return sorted(found, key=lambda item: KINDS.index(item["kind"]))


def endpoints(service: dict, replica: Replica) -> dict:
  """One replica behind the webhook's port of a Service."""
  meta = service["metadata"]
  return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
          "metadata": {"name": replica.host, "namespace": meta["namespace"],
                       "labels": {"kubernetes.io/service-name": meta["name"],
                                  "endpointslice.kubernetes.io/managed-by": "hami-cluster"}},
          "endpoints": [{"addresses": [network.NODE_ADDRESS], "conditions": {"ready": True}}],
          "ports": [{"name": WEBHOOK_PORT, "protocol": "TCP", "port": replica.webhook_port}]}


def scheduler_config(version: str, replica: Replica, kubeconfig: pathlib.Path) -> str:
  """The file that we ship for this version, with the address of this replica's extender and its
  credentials, and nothing else changed."""
  text = (DEPLOY / "scheduler-config" / f"{version}.yaml").read_text()
  for pattern, replacement in (
      (r"urlPrefix: .*", f"urlPrefix: http://{replica.extender}"),
      (r"clientConnection:\n", f"clientConnection:\n  kubeconfig: {kubeconfig}\n")):
    text, count = re.subn(pattern, replacement, text)
    if count != 1:
      raise SystemExit(f"cluster: the scheduler configuration of {version} has {count} times "
                       f"'{pattern}'")
  return text


def write_kubeconfig(folder: ClusterFolder, replica: Replica, token: str, proxy: bool) -> \
    pathlib.Path:
  port = replica.proxy_port if proxy else network.API_PORT
  # A file, as in a pod: tests replace it.
  token_file = folder / "pki" / f"{replica.host}.token"
  token_file.write_text(token)
  path = folder / "pki" / f"{replica.host}.conf"
  path.write_text(json.dumps({
      "apiVersion": "v1", "kind": "Config", "current-context": "cluster",
      "clusters": [{"name": "cluster", "cluster": {
          "certificate-authority": str(folder / "pki" / "ca.crt"),
          "server": f"https://127.0.0.1:{port}"}}],
      "users": [{"name": NAME, "user": {"tokenFile": str(token_file)}}],
      "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": NAME}}],
  }, indent=1))
  path.chmod(0o600)
  return path


def _with_host_name(replica: Replica, command: list[str]) -> list[str]:
  return ["unshare", "--uts", "--", "sh", "-c", 'hostname "$0" && exec "$@"', replica.host,
          *command]


def commands(folder: ClusterFolder, settings: Settings, gate_flags: list[str]) -> \
    dict[str, list[str]]:
  """Of all replicas. Their kubeconfig files come later: tokens need an API server."""
  found = {}
  kube_scheduler = go_modules.KUBERNETES_VERSIONS[settings.version].binaries / "kube-scheduler"
  pki = folder / "pki"
  for replica in replicas(settings):
    kubeconfig = pki / f"{replica.host}.conf"
    if settings.proxy:
      found[replica.proxy] = [
          settings.proxy, "-forever", "-upstream", f"https://127.0.0.1:{network.API_PORT}",
          "-ca", str(pki / "ca.crt"), "-cert", str(pki / "admin.crt"), "-key",
          str(pki / "admin.key"), "-server-cert", str(pki / "apiserver.crt"), "-server-key",
          str(pki / "apiserver.key"), "-listen", f"127.0.0.1:{replica.proxy_port}",
          "-control", replica.proxy_control]
    ours, stock = replica.components
    config = folder / "conf" / f"{stock}.yaml"
    config.write_text(scheduler_config(settings.version, replica, kubeconfig))
    found[ours] = _with_host_name(replica, [
        str(BUILD / NAME), f"--kubeconfig={kubeconfig}", f"--http_bind={replica.extender}",
        f"--metrics-bind-address={replica.metrics}", f"--scheduler-name={NAME}",
        "--leader-elect", f"--leader-elect-resource-name={NAME}",
        f"--leader-elect-resource-namespace={NAMESPACE}", f"--pod-namespace={NAMESPACE}",
        f"--webhook-bind=0.0.0.0:{replica.webhook_port}", "--webhook-secret=hami-scheduler-tls",
        f"--webhook-service={NAME}", "--webhook-configuration=hami-webhook",
        *settings.scheduler_flags])
    found[stock] = _with_host_name(replica, [
        str(kube_scheduler), f"--config={config}", f"--secure-port={replica.scheduler_port}",
        "--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics", *gate_flags])
  return found


def install(folder: ClusterFolder, settings: Settings, kubectl) -> None:
  """Before the replicas start. `kubectl(*arguments)` runs it inside and returns what it says."""
  said = kubectl("create", "--dry-run=client", "-o", "json", "-k", str(DEPLOY))
  path = folder / "conf" / "classic.json"
  path.write_text(json.dumps({"apiVersion": "v1", "kind": "List",
                              "items": objects(_stream(said), settings)}, indent=1))
  kubectl("apply", "-f", str(path))
  token = kubectl("create", "token", NAME, "-n", NAMESPACE, f"--duration={TOKEN_LIFE}").strip()
  for replica in replicas(settings):
    write_kubeconfig(folder, replica, token, bool(settings.proxy))


def _stream(text: str) -> list[dict]:
  """JSON documents one after the other, Lists opened."""
  decoder, found, place = json.JSONDecoder(), [], 0
  while place < len(text):
    if text[place].isspace():
      place += 1
      continue
    value, place = decoder.raw_decode(text, place)
    found += value["items"] if value["kind"] == "List" else [value]
  return found


