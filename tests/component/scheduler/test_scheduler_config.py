# SPDX-License-Identifier: Apache-2.0
"""The KubeSchedulerConfiguration that we ship, one for each version of Kubernetes that ./dev
cluster knows: every resource of every vendor is left to us, and we are asked about every node."""

import os
import pathlib
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("HAMI_BUILD", ROOT / "build"))
CONFIGS = ROOT / "deploy" / "classic" / "scheduler-config"
sys.path.append(str(ROOT / "tools" / "cluster"))

import go_modules  # noqa: E402

VERSIONS = sorted(go_modules.KUBERNETES_VERSIONS)


def printed(*options):
  said = subprocess.run([BUILD / "bin" / "hami-scheduler", "--print-managed-resources", *options],
                        capture_output=True, text=True)
  assert said.returncode == 0, said.stderr
  return said.stdout


def read(version):
  return yaml.safe_load((CONFIGS / f"{version}.yaml").read_text())


@pytest.fixture(params=VERSIONS)
def config(request):
  return read(request.param)


def test_there_is_one_for_each_version():
  assert sorted(path.stem for path in CONFIGS.glob("*.yaml")) == VERSIONS


def test_they_differ_in_remarks_only():
  assert [read(version) for version in VERSIONS] == [read(VERSIONS[0])] * len(VERSIONS)


def test_every_resource_is_left_to_us(config):
  (extender,) = config["extenders"]
  wanted = yaml.safe_load(printed())
  assert {"name": "nvidia.com/gpumem", "ignoredByScheduler": True} in wanted
  assert extender["managedResources"] == wanted


def test_all_nodes_are_seen_and_we_are_asked(config):
  assert config["percentageOfNodesToScore"] == 100
  assert "percentageOfNodesToScore" not in config["profiles"][0]
  (extender,) = config["extenders"]
  assert extender["urlPrefix"].startswith("http://127.0.0.1:")
  assert [extender[verb + "Verb"] for verb in ("filter", "prioritize", "preempt", "bind")] == \
      ["filter", "prioritize", "preempt", "bind"]
  assert extender["nodeCacheCapable"] and not extender["ignorable"]


def test_a_leader_gives_up_before_its_lease_ends(config):
  lease = config["leaderElection"]
  assert lease["leaderElect"]
  # Whole seconds: the Lease has no others.
  assert lease["leaseDuration"].endswith("s") and lease["leaseDuration"][:-1].isdigit()
  duration = int(lease["leaseDuration"][:-1]) * 1000
  deadline, retry = (int(lease[name].removesuffix("ms"))
                     for name in ("renewDeadline", "retryPeriod"))
  assert 2000 < deadline < duration
  assert 1.2 * retry < deadline


def test_a_lock_is_waited_for_less_long_than_kube_scheduler_waits(config):
  (extender,) = config["extenders"]
  (scheduler,) = (container for document in
                  yaml.safe_load_all((CONFIGS.parent / "30-scheduler.yaml").read_text())
                  if document["kind"] == "Deployment"
                  for container in document["spec"]["template"]["spec"]["containers"]
                  if container["name"] == "hami-scheduler")
  (retry,) = (argument.partition("=")[2] for argument in scheduler["args"]
              if argument.startswith("--node-lock-retry-timeout="))
  # What is left is for the writes that follow.
  assert int(retry.removesuffix("s")) + 2 <= int(extender["httpTimeout"].removesuffix("s"))


def test_renamed_resources_are_printed(tmp_path):
  path = tmp_path / "device-config.yaml"
  path.write_text("nvidia:\n  resourceCountName: example.com/gpu\n")
  names = [item["name"] for item in yaml.safe_load(printed(f"--device-config-file={path}"))]
  assert "example.com/gpu" in names
  assert "nvidia.com/gpu" not in names
