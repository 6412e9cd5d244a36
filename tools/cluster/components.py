# SPDX-License-Identifier: Apache-2.0
"""The programs of a cluster: how each is called and configured.

Configuration files are JSON, which all of them read as YAML.
"""

import json
import pathlib
import shutil
import sys

import api_nodes
import go_modules
import network
import node_runtime
import schedulers
from cluster_folder import ClusterFolder, Settings

ETCD_ADDRESS = "http://127.0.0.1:2379"
# Far above what tests need: nothing here is to be slowed down by a client's own limit.
CLIENT_QPS = 500
CLIENT_BURST = 1000
KEEPER = "node-keeper"
# What sharing of devices needs, where it is not on by itself.
GATES_BY_VERSION = {
    "1.34": {"DRAConsumableCapacity": True, "DRAPartitionableDevices": True},
    "1.35": {"DRAConsumableCapacity": True, "DRAPartitionableDevices": True},
    "1.36": {},
}


def feature_gates(settings: Settings) -> dict[str, bool]:
  return {**GATES_BY_VERSION[settings.version], **settings.feature_gates}


def search_path() -> str:
  """PATH inside: our own binaries first, then the host's."""
  own = [item.binaries for item in (go_modules.CONTAINERD, go_modules.ETCD,
                                    go_modules.KUBERNETES_VERSIONS[go_modules.NEWEST])]
  return ":".join([*map(str, own), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])


def environment() -> dict[str, str]:
  return {"PATH": search_path(), "HOME": "/root", "LANG": "C.UTF-8"}


def kubectl() -> str:
  return str(go_modules.KUBERNETES_VERSIONS[go_modules.NEWEST].binaries / "kubectl")


def _write(folder: ClusterFolder, name: str, value: dict) -> str:
  path = folder / "conf" / f"{name}.json"
  path.write_text(json.dumps(value, indent=1) + "\n")
  return str(path)


def _client(folder: ClusterFolder, name: str) -> dict:
  return {"kubeconfig": str(folder / "pki" / f"{name}.conf"), "qps": CLIENT_QPS,
          "burst": CLIENT_BURST}


def _scheduler_config(folder: ClusterFolder) -> dict:
  return {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
          "leaderElection": {"leaderElect": False},
          "clientConnection": _client(folder, "kube-scheduler")}


def _copy_of_list(folder: ClusterFolder) -> pathlib.Path:
  """What the keeper reads: the original may go."""
  return folder / "conf" / "nodes.json"


def _proxy_node(folder: ClusterFolder, settings: Settings) -> str:
  if settings.kubelets:
    return settings.node
  if settings.node_list:
    return api_nodes.read_list(_copy_of_list(folder))[0]["metadata"]["name"]
  return api_nodes.names(1)[0]


def _proxy_config(folder: ClusterFolder, settings: Settings) -> dict:
  # Zeros: limits of connection tracking belong to the host.
  return {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
          "mode": "iptables", "clusterCIDR": network.CLUSTER_NETWORK,
          "hostnameOverride": _proxy_node(folder, settings),
          "clientConnection": _client(folder, "kube-proxy"),
          "iptables": {"minSyncPeriod": "0s"},
          "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s",
                        "tcpCloseWaitTimeout": "0s"}}


def _kubelet_config(folder: ClusterFolder, settings: Settings) -> dict:
  """Evicts nothing and deletes no image: the disk is the host's, and how full it is says nothing
  about the cluster."""
  pki = folder / "pki"
  return {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
          "containerRuntimeEndpoint": f"unix://{node_runtime.SOCKET}",
          "cgroupDriver": "cgroupfs", "failCgroupV1": False, "failSwapOn": False,
          "clusterDomain": "cluster.local", "readOnlyPort": 0, "maxPods": 200,
          "authentication": {"anonymous": {"enabled": False},
                             "x509": {"clientCAFile": str(pki / "ca.crt")}},
          "tlsCertFile": str(pki / "kubelet-server.crt"),
          "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
          "evictionHard": {"memory.available": "0%", "nodefs.available": "0%",
                           "nodefs.inodesFree": "0%", "imagefs.available": "0%",
                           "imagefs.inodesFree": "0%"},
          "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
          "kubeAPIQPS": CLIENT_QPS, "kubeAPIBurst": CLIENT_BURST,
          "featureGates": feature_gates(settings)}


def _audit_flags(folder: ClusterFolder) -> list[str]:
  """One line of JSON for each write that has been answered, into log/audit."""
  policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [{"level": "None", "verbs": ["get", "list", "watch"]},
                      {"level": "None", "resources": [{"group": "coordination.k8s.io"}]},
                      {"level": "Metadata"}]}
  return [f"--audit-policy-file={_write(folder, 'audit', policy)}",
          f"--audit-log-path={folder / 'log' / 'audit'}"]


def _proxy(folder: ClusterFolder, settings: Settings) -> list[str]:
  newest = go_modules.KUBERNETES_VERSIONS[go_modules.NEWEST].binaries
  return [str(newest / "kube-proxy"),
          f"--config={_write(folder, 'kube-proxy', _proxy_config(folder, settings))}"]


def make_for_node(folder: ClusterFolder, settings: Settings) -> dict[str, list[str]]:
  """As `make`, of the programs that every node with a kubelet has; none but these has a further
  node."""
  (folder / "conf").mkdir(exist_ok=True)
  node_runtime.write_config(folder, settings)
  binaries = go_modules.KUBERNETES_VERSIONS[settings.version].binaries
  return {
      "containerd": [
          str(go_modules.CONTAINERD.binaries / "containerd"),
          f"--config={folder / 'conf' / 'containerd.toml'}"],
      "kube-proxy": _proxy(folder, settings),
      "kubelet": [
          str(binaries / "kubelet"), f"--kubeconfig={folder / 'pki' / 'kubelet.conf'}",
          f"--config={_write(folder, 'kubelet', _kubelet_config(folder, settings))}",
          f"--hostname-override={settings.node}",
          f"--node-ip={network.node_address(settings.number)}", "--root-dir=/var/lib/kubelet"],
  }


def make(folder: ClusterFolder, settings: Settings) -> dict[str, list[str]]:
  """Writes the configuration files and returns the command of each program. Only for programs
  that do not run yet: kube-proxy ends when its file is written."""
  (folder / "conf").mkdir(exist_ok=True)
  if settings.node_list:
    shutil.copy(settings.node_list, _copy_of_list(folder))
  binaries = go_modules.KUBERNETES_VERSIONS[settings.version].binaries
  pki = folder / "pki"
  gates = ",".join(f"{name}={str(on).lower()}" for name, on in feature_gates(settings).items())
  gate_flags = [f"--feature-gates={gates}"] if gates else []
  limits = [f"--kube-api-qps={CLIENT_QPS}", f"--kube-api-burst={CLIENT_BURST}"]
  found = {
      "etcd": [
          str(go_modules.ETCD.binaries / "etcd"), "--name=node", "--data-dir=/var/lib/etcd",
          f"--listen-client-urls={ETCD_ADDRESS}", f"--advertise-client-urls={ETCD_ADDRESS}",
          "--listen-peer-urls=http://127.0.0.1:2380",
          "--initial-advertise-peer-urls=http://127.0.0.1:2380",
          "--initial-cluster=node=http://127.0.0.1:2380",
          # What a crash of the machine would lose is of no worth.
          "--unsafe-no-fsync", "--log-level=warn"],
      "kube-apiserver": [
          str(binaries / "kube-apiserver"), f"--etcd-servers={ETCD_ADDRESS}",
          "--bind-address=0.0.0.0", f"--secure-port={network.API_PORT}",
          # A loopback address would be refused as the end of the Service `kubernetes`.
          f"--advertise-address={network.NODE_ADDRESS}",
          f"--service-cluster-ip-range={network.SERVICE_NETWORK}",
          f"--tls-cert-file={pki / 'apiserver.crt'}",
          f"--tls-private-key-file={pki / 'apiserver.key'}",
          f"--client-ca-file={pki / 'ca.crt'}",
          "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
          f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
          f"--service-account-key-file={pki / 'service-accounts.pub'}",
          f"--kubelet-certificate-authority={pki / 'ca.crt'}",
          f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
          f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
          "--kubelet-preferred-address-types=InternalIP",
          "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
          "--allow-privileged", *(_audit_flags(folder) if settings.audit else []), *gate_flags],
      "kube-controller-manager": [
          str(binaries / "kube-controller-manager"),
          f"--kubeconfig={pki / 'kube-controller-manager.conf'}", "--leader-elect=false",
          "--use-service-account-credentials", f"--root-ca-file={pki / 'ca.crt'}",
          f"--service-account-private-key-file={pki / 'service-accounts.key'}",
          f"--cluster-cidr={network.CLUSTER_NETWORK}", *limits, *gate_flags],
      "kube-scheduler": [
          str(binaries / "kube-scheduler"),
          f"--config={_write(folder, 'kube-scheduler', _scheduler_config(folder))}",
          *gate_flags],
      "kube-proxy": _proxy(folder, settings),
  }
  if settings.kubelets:
    found |= make_for_node(folder, settings)
  if settings.nodes > settings.kubelets:
    found[KEEPER] = [
        sys.executable, str(go_modules.HERE / "node_keeper.py"),
        f"--kubeconfig={folder.kubeconfig}", f"--nodes={settings.nodes - settings.kubelets}",
        f"--hami-nodes={settings.hami_nodes}", f"--gpus={settings.node_gpus}",
        *([f"--node-list={_copy_of_list(folder)}"] if settings.node_list else []),
        *(["--run-pods"] if settings.run_pods else [])]
  return {**found, **schedulers.commands(folder, settings, gate_flags)}
