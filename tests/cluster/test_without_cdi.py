# SPDX-License-Identifier: Apache-2.0
"""A container runtime that reads no CDI documents would start pods without their GPU, so the driver
refuses to work there."""

import pytest
from cluster_harness import wait_until
from dra import Driver

pytestmark = pytest.mark.newest_only


def test_what_to_change_is_said(make_cluster):
  driver = Driver(make_cluster("-nocdi", "--without-cdi"))
  driver.stop()
  driver.install()
  cluster = driver.cluster

  def event():
    found = cluster.core.list_event_for_all_namespaces(
        field_selector=f"involvedObject.kind=Node,involvedObject.name={cluster.node},"
        "reason=GpuDriverCannotWork").items
    return found[0].message if found else None

  message = wait_until(event, "an event of the node")
  assert "containerd does not read CDI documents in /var/run/cdi" in message
  assert "add it to cdi_spec_dirs" in message and "restart it" in message
  ended = wait_until(
      lambda: [status.last_state.terminated for item in driver.pods()
               for status in item.status.container_statuses or [] if status.last_state.terminated],
      "the driver has ended")
  assert ended[0].exit_code == 1
  assert driver.slices() == []
