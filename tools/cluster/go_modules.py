# SPDX-License-Identifier: Apache-2.0
"""The Go programs of a cluster: which module at which version, which commands of it.

Each is built in a wrapper module of its own under tools/cluster/go, whose go.mod and go.sum are
kept in the repository, so that what is built is pinned down to every dependency.
regen_go_modules.py writes them from this table; build_go.py builds them.
"""

import dataclasses
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
WRAPPERS = HERE / "go"
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "cluster"

KUBERNETES = "k8s.io/kubernetes"
NODE_AND_CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")


@dataclasses.dataclass(frozen=True)
class GoModule:
  """`name` is the wrapper's folder; `commands` are packages inside the module, "" its root."""
  name: str
  module: str
  version: str
  commands: tuple[str, ...]
  stamps: tuple[str, ...] = ()  # variables set by the linker, {version} {major} {minor} filled in
  inlines: bool = True  # without, compiling is faster and what is compiled slower

  @property
  def wrapper(self) -> pathlib.Path:
    return WRAPPERS / self.name

  @property
  def binaries(self) -> pathlib.Path:
    return CACHE / "bin" / f"{self.component}-{self.version.lstrip('v')}"

  @property
  def component(self) -> str:
    return self.module.split("/")[1] if self.module.startswith("go.etcd.io/") \
        else self.name.split("-")[0]

  @property
  def packages(self) -> list[str]:
    return [f"{self.module}/{command}" if command else self.module for command in self.commands]

  @property
  def compiler_flags(self) -> str:
    # The linker would leave out DWARF (-w).
    return "-dwarf=false" + ("" if self.inlines else " -l")

  @property
  def linker_flags(self) -> str:
    major, minor = self.version.lstrip("v").split(".")[:2]
    return " ".join(["-s", "-w"] + [
        "-X " + stamp.format(version=self.version, major=major, minor=minor)
        for stamp in self.stamps])


def _kubernetes(version: str, extra: tuple[str, ...] = (), inlines: bool = True) -> GoModule:
  # Without these stamps the programs report v0.0.0, and every check of a version fails.
  stamps = tuple(f"{package}.{stamp}"
                 for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
                 for stamp in ("gitVersion={version}", "gitMajor={major}", "gitMinor={minor}",
                               "gitTreeState=clean"))
  return GoModule(
      name="kubernetes-" + version.lstrip("v").rsplit(".", 1)[0], module=KUBERNETES,
      version=version, stamps=stamps, inlines=inlines,
      commands=tuple(f"cmd/{name}" for name in NODE_AND_CONTROL_PLANE + extra))


# kubectl and kube-proxy of the newest serve every version. On the older ones nothing is measured.
KUBERNETES_VERSIONS = {
    "1.36": _kubernetes("v1.36.3", ("kubectl", "kube-proxy")),
    "1.35": _kubernetes("v1.35.4", inlines=False),
    "1.34": _kubernetes("v1.34.4", inlines=False),
}
NEWEST = "1.36"

ETCD = GoModule("etcd", "go.etcd.io/etcd/server/v3", "v3.7.3", ("",))
CONTAINERD = GoModule(
    "containerd", "github.com/containerd/containerd/v2", "v2.4.2",
    ("cmd/containerd", "cmd/containerd-shim-runc-v2", "cmd/ctr"),
    ("github.com/containerd/containerd/v2/version.Version={version}",))

ALL = (KUBERNETES_VERSIONS["1.36"], ETCD, CONTAINERD,
       KUBERNETES_VERSIONS["1.35"], KUBERNETES_VERSIONS["1.34"])
