# SPDX-License-Identifier: Apache-2.0
"""The keys of a cluster: one authority, a certificate for each program, kubeconfig files.

Made by the openssl program into FOLDER/pki. They are worth nothing outside of the cluster.
"""

import json
import pathlib
import shutil
import subprocess

import network
from cluster_folder import ClusterFolder

DAYS = "3650"
# Common name, organisation ("": none). The organisation is the group.
CLIENTS = {
    "admin": ("admin", "system:masters"),
    "apiserver-kubelet": ("kube-apiserver-kubelet-client", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "kubelet": ("system:node:{node}", "system:nodes"),
}
# What a further node has of its own.
WORKER_CLIENTS = ("admin", "kube-proxy", "kubelet")
# Names and addresses under which a server is called.
SERVERS = {
    "apiserver": ("DNS:localhost", "DNS:kubernetes", "DNS:kubernetes.default",
                  "DNS:kubernetes.default.svc", "DNS:kubernetes.default.svc.cluster.local",
                  "IP:127.0.0.1", f"IP:{network.API_SERVICE_ADDRESS}",
                  f"IP:{network.NODE_ADDRESS}"),
    "kubelet-server": ("DNS:{node}", "IP:{address}", "IP:127.0.0.1"),
}


def _openssl(*arguments: str | pathlib.Path) -> None:
  result = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
  if result.returncode:
    raise SystemExit(f"cluster: openssl {arguments[0]}: {result.stderr.strip()}")


def _request(pki: pathlib.Path, name: str, subject: str, *extensions: str) -> None:
  """A new key and a certificate, by the authority unless it is that itself."""
  signer = [] if name == "ca" else ["-CA", pki / "ca.crt", "-CAkey", pki / "ca.key"]
  _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
           "-keyout", pki / f"{name}.key", "-out", pki / f"{name}.crt", "-days", DAYS,
           "-subj", subject, *signer,
           *(part for extension in extensions for part in ("-addext", extension)))


def make(folder: ClusterFolder, node: str) -> None:
  pki = folder / "pki"
  pki.mkdir(mode=0o700, exist_ok=True)
  _request(pki, "ca", "/CN=hami-cluster", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
  _sign(folder, pki, node, 1, tuple(CLIENTS), tuple(SERVERS))
  # Signs service account tokens.
  _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
           "-out", pki / "service-accounts.key")
  _openssl("pkey", "-in", pki / "service-accounts.key", "-pubout",
           "-out", pki / "service-accounts.pub")


def make_for_worker(first: ClusterFolder, folder: ClusterFolder, node: str, number: int) -> None:
  """By the authority of the first node's."""
  pki = folder / "pki"
  pki.mkdir(mode=0o700, exist_ok=True)
  for name in ("ca.crt", "ca.key"):
    shutil.copy(first / "pki" / name, pki / name)
  _sign(folder, pki, node, number, WORKER_CLIENTS, ("kubelet-server",))


def _sign(folder: ClusterFolder, pki: pathlib.Path, node: str, number: int,
          clients: tuple[str, ...], servers: tuple[str, ...]) -> None:
  """Certificates and kubeconfig files."""
  leaf = ("basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature")
  for name in clients:
    common, organisation = CLIENTS[name]
    group = f"/O={organisation}" if organisation else ""
    _request(pki, name, f"{group}/CN={common.format(node=node)}", *leaf,
             "extendedKeyUsage=clientAuth")
  address = network.node_address(number)
  for name in servers:
    _request(pki, name, f"/CN={name}", *leaf, "extendedKeyUsage=serverAuth",
             "subjectAltName=" + ",".join(item.format(node=node, address=address)
                                          for item in SERVERS[name]))
  # Where the API server runs itself, programs reach it without the bridge.
  server = "127.0.0.1" if number == 1 else network.NODE_ADDRESS
  for name in clients:
    target = folder.kubeconfig if name == "admin" else pki / f"{name}.conf"
    target.write_text(json.dumps(_kubeconfig(pki, name, server), indent=1) + "\n")
    target.chmod(0o600)


def _kubeconfig(pki: pathlib.Path, name: str, server: str) -> dict:
  return {
      "apiVersion": "v1", "kind": "Config", "current-context": "cluster",
      "clusters": [{"name": "cluster", "cluster": {
          "certificate-authority": str(pki / "ca.crt"),
          "server": f"https://{server}:{network.API_PORT}"}}],
      "users": [{"name": name, "user": {"client-certificate": str(pki / f"{name}.crt"),
                                        "client-key": str(pki / f"{name}.key")}}],
      "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": name}}],
  }
