# SPDX-License-Identifier: Apache-2.0
"""The network of a cluster: a namespace of its own, one bridge, no way out.

Every cluster has the same addresses and ports, since none sees another.
"""

import json
import pathlib
import subprocess

BRIDGE = "cni0"
NODE_ADDRESS = "10.244.0.1"
POD_NETWORK = "10.244.0.0/24"
CLUSTER_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
# The Service `kubernetes`.
API_SERVICE_ADDRESS = "10.96.0.1"
API_PORT = 6443

# Debian's CNI plugins.
PLUGINS = "/usr/lib/cni"
CNI_FOLDER = pathlib.Path("/etc/cni/net.d")


def set_up() -> None:
  """In the new namespace. The default route makes addresses of Services routable, which
  kube-proxy's rules then rewrite."""
  for line in ("link set lo up", f"link add {BRIDGE} type bridge",
               f"address add {NODE_ADDRESS}/24 dev {BRIDGE}", f"link set {BRIDGE} up",
               f"route add default dev {BRIDGE}"):
    subprocess.run(["ip", *line.split()], check=True)
  for name, value in (("ipv4/ip_forward", 1), ("bridge/bridge-nf-call-iptables", 1)):
    path = pathlib.Path("/proc/sys/net") / name
    if path.exists():
      path.write_text(f"{value}\n")
  CNI_FOLDER.mkdir(parents=True, exist_ok=True)
  (CNI_FOLDER / "10-pods.conflist").write_text(json.dumps(pod_network(), indent=1))


def pod_network() -> dict:
  """CNI's description of how a pod is connected."""
  return {
      "cniVersion": "1.0.0", "name": "pods",
      "plugins": [
          {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True,
           "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_NETWORK}]],
                    "routes": [{"dst": "0.0.0.0/0"}]}},
          {"type": "portmap", "capabilities": {"portMappings": True}},
      ],
  }
