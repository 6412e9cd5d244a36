# SPDX-License-Identifier: Apache-2.0
"""Who is not held by the limits, or goes round them, is seen: a line of the log, a figure, an event
of the claim."""

import pytest
from cluster_harness import wait_until
from dra import SHARES, claim, container, pod, request

pytestmark = pytest.mark.newest_only


def wait_claim_event(tenants, name, reason):
  """The message of an event of a claim."""

  def found():
    events = tenants.cluster.core.list_namespaced_event(
        tenants.name, field_selector=f"involvedObject.kind=ResourceClaim,"
        f"involvedObject.name={name},reason={reason}").items
    return events[0].message if events else None

  return wait_until(found, f"an event {reason} of claim {name}")


def test_an_image_with_musl(driver, tenants):
  before = driver.metrics()["hami_dra_unlimited_containers_total"]
  tenants.create(claim("musl", request(memory="1Gi")),
                 pod("musl", container(image="tenant-musl")))
  tenants.wait_running("musl")
  message = wait_claim_event(tenants, "musl", "LimitsNotActive")
  [status] = tenants.pod("musl").status.container_statuses
  assert status.container_id.removeprefix("containerd://") in message
  assert "use an image with glibc" in message
  driver.wait_said("a container has no limits", f"{tenants.name}/musl")
  assert driver.metrics()["hami_dra_unlimited_containers_total"] == before + 1
  # Told once.
  [uid] = driver.kept()[SHARES]
  assert not list((driver.cluster.root / SHARES / uid / "hook").iterdir())


def test_a_program_without_the_library(driver, tenants):
  """Of a pod that may undo mounts."""
  before = driver.metrics()["hami_dra_escapes_total"]
  tenants.create(claim("thief", request(memory="1Gi")), pod("thief", container(
      securityContext={"capabilities": {"add": ["SYS_ADMIN"]}})))
  tenants.wait_running("thief")
  tenants.inside("thief", "umount", "/etc/ld.so.preload")
  with tenants.holding("thief", "4Gi"):
    message = wait_claim_event(tenants, "thief", "LimitExceeded")
    assert "goes round the limit" in message and "of 1.0 GiB are in use" in message
    driver.wait_said("goes round its limit", f"{tenants.name}/thief")
    message = wait_claim_event(tenants, "thief", "LimitsNotActive")
    assert "uses the GPU without limits (started without the library)" in message
    driver.wait_said("limits are not active for a process", f"{tenants.name}/thief")
    assert driver.metrics()["hami_dra_escapes_total"] == before + 1
