# SPDX-License-Identifier: Apache-2.0
"""Tests on a real Kubernetes (`./dev cluster`), of the version in HAMI_CLUSTER_VERSION.

The cluster is called test-VERSION, or with HAMI_CLUSTER_NAME in place of "test"; few tests need
another one beside. One that is up already is used and stays; otherwise it is made and removed,
unless HAMI_KEEP_CLUSTER is set. Each test has a namespace of its own.

With `-n 2` tests of one cluster run beside those of another; who shares a cluster runs one after
the other."""

import os
import pathlib
import re
import sys

import pytest
from api_server import build_proxy
from classic import IGNORED, Classic
from cluster_harness import ROOT, Cluster, Namespace, call, cluster_verb
from dra import Driver, Tenants
from xdist.scheduler import LoadScopeScheduling

IMAGE = ROOT / "tools" / "cluster" / "image.py"
VERSION = os.environ.get("HAMI_CLUSTER_VERSION", "1.36")
NAME = os.environ.get("HAMI_CLUSTER_NAME", "test")


def group_of(file):
  """What the tests of a file share with those of other files; its own name: nothing."""
  if file in ("test_classic", "test_failover", "test_simulate", "test_weather"):
    return "classic_cluster"
  if file == "test_webhook" or file.startswith("test_kube_"):
    return "server"
  return file if file in ("test_bare_node", "test_openb", "test_without_cdi") else "cluster"


def pytest_itemcollected(item):
  group = group_of(item.path.stem)
  for name in ("cluster", "classic_cluster", "server"):
    if name in item.fixturenames and group != name:
      raise pytest.UsageError(f"{item.path} uses {name}, which conftest.group_of does not say")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
  class ByGroup(LoadScopeScheduling):
    def _split_scope(self, nodeid):
      return group_of(pathlib.Path(nodeid.partition("::")[0]).stem)

  return ByGroup(config, log)


@pytest.fixture(scope="session")
def version():
  return VERSION


@pytest.fixture(scope="session")
def _root():
  if os.geteuid() != 0:
    pytest.skip("needs root, to make namespaces, mounts and cgroups")


@pytest.fixture(scope="session")
def _images(_root):
  """All of them, as they are built now."""
  assert (ROOT / "build" / "bin" / "hami").exists(), "build/bin/hami is not built"
  call(sys.executable, IMAGE, "--no-import")


@pytest.fixture(scope="session")
def make_cluster(_root, request):
  """make_cluster(KIND, OPTION...): a cluster, removed at the end if it was made here. Without a
  kubelet it needs no images."""
  made = []

  def make(kind, *options):
    if "--kubelets=0" not in options:
      request.getfixturevalue("_images")
    name = f"{NAME}{kind}-{VERSION}"
    said = cluster_verb("up", "--version", VERSION, "--name", name, *options).stdout
    if " is up already:" not in said:
      made.append(name)
    elif "--kubelets=0" not in options:
      cluster_verb("load", "--name", name)
    return Cluster(name, VERSION)

  yield make
  for name in made:
    if not os.environ.get("HAMI_KEEP_CLUSTER"):
      cluster_verb("down", "--name", name)


@pytest.fixture(scope="session")
def cluster(make_cluster):
  """The cluster that tests share."""
  return make_cluster("")


def _namespace_name(request):
  plain = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
  return f"{plain[:40].strip('-')}-{os.urandom(3).hex()}"


@pytest.fixture
def namespace(cluster, request):
  """A namespace that no other test uses."""
  made = Namespace(cluster, _namespace_name(request))
  yield made
  made.remove()


@pytest.fixture(scope="session")
def classic_cluster(make_cluster, tmp_path_factory):
  """Two replicas of hami-scheduler, each behind a proxy; eight nodes with eight GPUs that are API
  objects, the last two with HAMi's device plugin."""
  program = ROOT / "build" / "bin" / "hami-scheduler"
  assert program.exists(), f"{program} is not built"
  folder = tmp_path_factory.getbasetemp().parent / "hami-api-proxy"
  folder.mkdir(exist_ok=True)
  return Classic(make_cluster(
      "-classic", "--kubelets=0", "--nodes=8", "--hami-nodes=2", "--run-pods", "--replicas=2",
      f"--proxy={build_proxy(folder)}", "--audit",
      "--scheduler-flag=--reconcile-interval=2s"))


@pytest.fixture
def classic(classic_cluster):
  """It is whole before each test, whatever the one before did to it."""
  for replica in classic_cluster.replicas:
    classic_cluster.start(replica.proxy)
    classic_cluster.faults(replica)
  classic_cluster.heal()
  return classic_cluster


@pytest.fixture
def bypass(classic, request):
  """The name of a namespace by which the webhook is passed: pods name their scheduler."""
  name = _namespace_name(request)
  classic.make_namespace(name, IGNORED)
  yield name
  classic.remove_namespace(name)


@pytest.fixture
def admitted(classic, request):
  """The name of a namespace whose pods go through the webhook."""
  name = _namespace_name(request)
  classic.make_namespace(name)
  yield name
  classic.remove_namespace(name)


@pytest.fixture(scope="session")
def installed_driver(cluster):
  """The DRA driver, in whatever state the test before left it."""
  installed = Driver(cluster)
  # What runs in a cluster that was up may be older than the image.
  installed.stop()
  installed.install()
  return installed


@pytest.fixture
def driver(installed_driver):
  """The DRA driver, at work. After the test, and after its pods, nothing is left of its claims."""
  installed_driver.wait_ready()
  yield installed_driver
  installed_driver.wait_nothing_kept()


@pytest.fixture
def tenants(driver, request):
  """A namespace for pods with GPUs."""
  made = Tenants(driver.cluster, _namespace_name(request))
  yield made
  made.remove()
