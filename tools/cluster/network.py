# SPDX-License-Identifier: Apache-2.0
"""The network of a cluster: a namespace of its own for each node with a kubelet, with one bridge
for its pods; a cable from every other to the first, which forwards; no way out.

Every cluster has the same addresses and ports, since none sees another.
"""

import json
import pathlib
import subprocess

BRIDGE = "cni0"
NODE_ADDRESS = "10.244.0.1"  # of the first node, and of the API server
MOST_NODES = 16  # with a network of their own
CLUSTER_NETWORK = "10.244.0.0/16"
SERVICE_NETWORK = "10.96.0.0/16"
# The Service `kubernetes`.
API_SERVICE_ADDRESS = "10.96.0.1"
API_PORT = 6443

# Debian's CNI plugins.
PLUGINS = "/usr/lib/cni"
CNI_FOLDER = pathlib.Path("/etc/cni/net.d")


def node_address(number: int) -> str:
  return f"10.244.{number - 1}.1"


def pod_network(number: int) -> str:
  return f"10.244.{number - 1}.0/24"


def set_up(number: int) -> None:
  """In the new namespace of a node. The default route makes addresses of Services routable, which
  kube-proxy's rules then rewrite."""
  for line in ("link set lo up", f"link add {BRIDGE} type bridge",
               f"address add {node_address(number)}/24 dev {BRIDGE}", f"link set {BRIDGE} up",
               f"route add default dev {BRIDGE}"):
    subprocess.run(["ip", *line.split()], check=True)
  for name, value in (("ipv4/ip_forward", 1), ("bridge/bridge-nf-call-iptables", 1)):
    path = pathlib.Path("/proc/sys/net") / name
    if path.exists():
      path.write_text(f"{value}\n")
  CNI_FOLDER.mkdir(parents=True, exist_ok=True)
  (CNI_FOLDER / "10-pods.conflist").write_text(json.dumps(_pod_connection(number), indent=1))


def connect(first: int, other: int, number: int) -> None:
  """A cable between the networks of two processes, the first node's and another's."""
  name = f"node{number}"

  def ip(pid: int, line: str) -> None:
    subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", *line.split()], check=True)

  ip(first, f"link add {name} type veth peer name uplink netns {other}")
  # Neither end has an address: each asks for the other's by its node's.
  ip(first, f"link set {name} up")
  ip(other, "link set uplink up")
  ip(first, f"route add {pod_network(number)} via {node_address(number)} dev {name} onlink "
     f"src {NODE_ADDRESS}")
  ip(other, f"route add {CLUSTER_NETWORK} via {NODE_ADDRESS} dev uplink onlink "
     f"src {node_address(number)}")


def _pod_connection(number: int) -> dict:
  """CNI's description of how a pod is connected."""
  return {
      "cniVersion": "1.0.0", "name": "pods",
      "plugins": [
          {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True,
           "ipam": {"type": "host-local", "ranges": [[{"subnet": pod_network(number)}]],
                    "routes": [{"dst": "0.0.0.0/0"}]}},
          {"type": "portmap", "capabilities": {"portMappings": True}},
      ],
  }
