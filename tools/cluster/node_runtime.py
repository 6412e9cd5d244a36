# SPDX-License-Identifier: Apache-2.0
"""containerd of a cluster's node: its configuration and the paths that others need."""

import network
from cluster_folder import ClusterFolder, Settings

SOCKET = "/run/containerd/containerd.sock"
CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")
PAUSE_IMAGE = "localhost/pause:dev"


def write_config(folder: ClusterFolder, settings: Settings) -> None:
  """restrict_oom_score_adj: without CAP_SYS_RESOURCE a sandbox could not be started. The
  snapshotters that are switched off look for what a node of this kind does not have."""
  # containerd 2.4 has no switch for CDI any more: what it is not told to read it does not know.
  folders = ", ".join(f'"{path}"' for path in CDI_FOLDERS if settings.cdi)
  (folder / "conf" / "containerd.toml").write_text(f"""\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.differ.v1.erofs",
]

[grpc]
address = "{SOCKET}"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
cdi_spec_dirs = [{folders}]
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{network.PLUGINS}"]
conf_dir = "{network.CNI_FOLDER}"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "/usr/sbin/runc"
SystemdCgroup = false
""")
