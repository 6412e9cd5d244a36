# SPDX-License-Identifier: Apache-2.0
"""An API server alone, etcd behind it, on loopback ports of their own; and the proxy before it that
makes bad weather (tests/fakes/api_proxy). For tests that need Kubernetes' API and no node."""

import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

import kubernetes
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools" / "cluster"
PROXY = ROOT / "tests" / "fakes" / "api_proxy"
sys.path.insert(0, str(TOOLS))

import go_modules  # noqa: E402
import go_toolchain  # noqa: E402

START_SECONDS = 90
# Client name, organisation ("": none), names of a server ("": a client).
CERTIFICATES = {
    "admin": ("admin", "system:masters", ""),
    "apiserver": ("apiserver", "", "DNS:localhost,IP:127.0.0.1"),
    "proxy": ("proxy", "", "DNS:localhost,IP:127.0.0.1"),
}


def _openssl(*arguments) -> None:
  subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_certificates(folder: pathlib.Path) -> None:
  """An authority, and what it signs."""
  def request(name: str, subject: str, *extensions: str) -> None:
    signer = [] if name == "ca" else ["-CA", folder / "ca.crt", "-CAkey", folder / "ca.key"]
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt", "-days", "30",
             "-subj", subject, *signer,
             *(part for extension in extensions for part in ("-addext", extension)))

  folder.mkdir()
  request("ca", "/CN=test-authority", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
  for name, (common, organisation, names) in CERTIFICATES.items():
    group = f"/O={organisation}" if organisation else ""
    usage = ("extendedKeyUsage=serverAuth", f"subjectAltName={names}") if names \
        else ("extendedKeyUsage=clientAuth",)
    request(name, f"{group}/CN={common}", "basicConstraints=critical,CA:FALSE", *usage)
  _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
           "-out", folder / "accounts.key")
  _openssl("pkey", "-in", folder / "accounts.key", "-pubout", "-out", folder / "accounts.pub")


def free_port() -> int:
  with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    return listener.getsockname()[1]


def kubeconfig(server: str, pki: pathlib.Path, user: dict) -> dict:
  return {"apiVersion": "v1", "kind": "Config", "current-context": "test",
          "clusters": [{"name": "test", "cluster": {
              "server": server, "certificate-authority": str(pki / "ca.crt")}}],
          "users": [{"name": "test", "user": user}],
          "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}]}


class ApiServer:
  """`url`, `pki`, and clients of the real server, without the proxy."""

  def __init__(self, folder: pathlib.Path, version: str):
    self.folder = folder
    self.pki = folder / "pki"
    self._processes: list[subprocess.Popen] = []
    self._version = version
    make_certificates(self.pki)
    etcd, peer, port = free_port(), free_port(), free_port()
    self.etcd = f"127.0.0.1:{etcd}"
    self.url = f"https://127.0.0.1:{port}"
    self._start("etcd", [
        go_modules.ETCD.binaries / "etcd", "--name=node", f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{etcd}",
        f"--advertise-client-urls=http://127.0.0.1:{etcd}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=node=http://127.0.0.1:{peer}", "--unsafe-no-fsync",
        "--log-level=warn"])
    self.binaries = go_modules.KUBERNETES_VERSIONS[version].binaries
    self._api_command = [
        self.binaries / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}",
        "--bind-address=127.0.0.1", f"--secure-port={port}", "--advertise-address=127.0.0.1",
        # Nothing here is a Service, and a loopback address may not be the end of one.
        "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16",
        f"--tls-cert-file={self.pki / 'apiserver.crt'}",
        f"--tls-private-key-file={self.pki / 'apiserver.key'}",
        f"--client-ca-file={self.pki / 'ca.crt'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={self.pki / 'accounts.key'}",
        f"--service-account-key-file={self.pki / 'accounts.pub'}",
        "--authorization-mode=RBAC", "--allow-privileged=true", f"--cert-dir={folder}"]
    self._start("kube-apiserver", self._api_command)
    self.admin_user = {"client-certificate": str(self.pki / "admin.crt"),
                       "client-key": str(self.pki / "admin.key")}
    config = kubeconfig(self.url, self.pki, self.admin_user)
    self.kubeconfig = folder / "admin.conf"
    self.kubeconfig.write_text(json.dumps(config))
    self.client = kubernetes.config.new_client_from_config_dict(config)
    self.core = kubernetes.client.CoreV1Api(self.client)
    self._wait()

  def _start(self, name: str, command: list) -> None:
    with open(self.folder / f"{name}.log", "ab") as log:
      self._processes.append(subprocess.Popen(list(map(str, command)), stdout=log, stderr=log))

  def stop_api(self) -> None:
    """As an update of the control plane does it; etcd stays."""
    process = self._processes.pop()
    process.terminate()
    process.wait()

  def start_api(self) -> None:
    self._start("kube-apiserver", self._api_command)
    self._wait()

  def _wait(self) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
      with contextlib.suppress(Exception):
        self.core.read_namespace("default")
        return
      for process in self._processes:
        assert process.poll() is None, f"{process.args[0]} ended: see {self.folder}"
      assert time.monotonic() < give_up, f"the API server does not answer: see {self.folder}"
      time.sleep(0.2)

  def stop(self) -> None:
    for process in reversed(self._processes):
      process.kill()
      process.wait()


class ApiProxy:
  """`url` is the API server's, in the weather that `faults` makes."""

  def __init__(self, program: pathlib.Path, server: ApiServer):
    pki = server.pki
    self._process = subprocess.Popen(
        [program, "-upstream", server.url, "-ca", pki / "ca.crt",
         "-cert", pki / "admin.crt", "-key", pki / "admin.key",
         "-server-cert", pki / "proxy.crt", "-server-key", pki / "proxy.key"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    addresses = json.loads(self._process.stdout.readline())
    self.url = f"https://{addresses['address']}"
    self._control = f"http://{addresses['control']}"
    self.kubeconfig = server.folder / f"proxy-{self._process.pid}.conf"
    self.kubeconfig.write_text(json.dumps(kubeconfig(self.url, pki, {})))

  def _call(self, method: str, path: str, body: dict | None = None) -> bytes:
    request = urllib.request.Request(self._control + path, method=method,
                                     data=json.dumps(body or {}).encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
      return answer.read()

  def faults(self, **faults) -> None:
    """Replaces all settings; see Faults in tests/fakes/api_proxy/weather.go."""
    self._call("POST", "/faults", faults)

  def drop(self) -> None:
    """Ends all connections."""
    self._call("POST", "/drop")

  def counts(self) -> dict[str, int]:
    return json.loads(self._call("GET", "/counts"))

  def stop(self) -> None:
    self._process.stdin.close()
    self._process.wait()
    self._process.stdout.close()


def needed_modules(version: str) -> list:
  return [go_modules.ETCD, go_modules.KUBERNETES_VERSIONS[version]]


@contextlib.contextmanager
def running_server(folder: pathlib.Path, version: str):
  for item in needed_modules(version):
    if not (item.binaries / "stamp").exists():
      pytest.skip(f"{item.binaries.name} is not built: ./dev cluster build --version {version}")
  server = ApiServer(folder, version)
  try:
    yield server
  finally:
    server.stop()


def build_proxy(folder: pathlib.Path) -> pathlib.Path:
  program = folder / "api_proxy"
  subprocess.run([go_toolchain.find_go(), "build", "-buildvcs=false", "-o", program, "."],
                 cwd=PROXY, check=True)
  return program
