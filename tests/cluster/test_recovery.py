# SPDX-License-Identifier: Apache-2.0
"""The driver, the kubelet and containerd die, and what is on disk is lost: afterwards every pod
has its own slice, and nothing is kept for those that are gone.

What happens when is drawn by chance, the same at each run. A claim that the kubelet could not
prepare is tried again with the next change of its pod, and by itself only after 60 to 90 s; so
tests change pods for that."""

import itertools
import random
import signal
import time

import pytest
from cluster_harness import cluster_verb, wait_until
from dra import DOCUMENTS, DRIVER, RECORDS, SHARES, claim, pod, request
from loose_driver import loose

pytestmark = pytest.mark.newest_only


class Crowd:
  """Pods that come and go, each with a slice of another size; all fit at once."""

  MOST = 8

  def __init__(self, tenants, chance):
    self.tenants = tenants
    self.chance = chance
    self.sizes = {}  # of those that are not deleted
    self.made = 0

  def add(self, **spec):
    self.made += 1
    name = f"tenant-{self.made}"
    self.sizes[name] = 512 + 16 * (self.made % 100)
    self.tenants.create(claim(name, request(memory=f"{self.sizes[name]}Mi", cores=5)),
                        pod(name, **spec))
    return name

  def drop(self):
    name = self.chance.choice(sorted(self.sizes))
    del self.sizes[name]
    steps = [lambda: self.tenants.delete_pod(name, grace=self.chance.choice([None, 0])),
             lambda: self.tenants.delete_claim(name)]
    self.chance.shuffle(steps)
    for step in steps:
      step()

  def step(self):
    if self.sizes and (len(self.sizes) == self.MOST or self.chance.random() < 0.45):
      self.drop()
    else:
      self.add()

  def nudge(self):
    for name in self.sizes:
      self.tenants.nudge(name)

  def all_have_their_slices(self):
    """The kubelet forgets a driver for a moment when it has registered anew, so once is not
    enough."""
    looks = itertools.count()

    def all_run():
      waiting = [name for name in self.sizes if self.tenants.pod(name).status.phase != "Running"]
      if waiting and next(looks) % 20 == 0:
        self.nudge()
      return not waiting

    wait_until(all_run, f"all of {sorted(self.sizes)} run")
    for name in self.sizes:
      self.tenants.wait_running(name)
    assert {name: self.tenants.slice_mib(name) for name in self.sizes} == self.sizes


  def wait_nothing_else_kept(self, driver):
    """Those that are left have a record, a share and a document, those that went have none."""
    uids = sorted(self.tenants.claim(name)["metadata"]["uid"] for name in self.sizes)
    wanted = {RECORDS: [f"{uid}.json" for uid in uids], SHARES: uids,
              DOCUMENTS: [f"k8s.{DRIVER}-claim_{uid}.json" for uid in uids]}
    wait_until(lambda: driver.kept() == wanted, f"nothing is kept but for {uids}")


@pytest.mark.parametrize("kills", [8, pytest.param(50, marks=pytest.mark.soak)])
def test_the_driver_is_killed_at_any_moment(driver, tenants, kills):
  chance = random.Random(kills)
  crowd = Crowd(tenants, chance)
  with loose(driver) as process:
    for _ in range(kills):
      process.start()
      if chance.random() < 0.7:
        process.wait_registered()
        # Most die with work at hand: while the kubelet asks for one pod after the other.
        asked = time.monotonic()
        while not process.has_worked() and time.monotonic() < asked + 5:
          crowd.step()
          crowd.nudge()
      dies = time.monotonic() + chance.uniform(0, 0.8)
      while time.monotonic() < dies:
        crowd.step()
      process.kill()
      crowd.step()
    assert process.said().count("prepared claim=") > kills
    assert process.said().count("claims recovered claims=0 ") < kills / 2
    process.start()
    process.wait_registered()
    crowd.all_have_their_slices()
  assert len(driver.slices()) == 1
  crowd.wait_nothing_else_kept(driver)


@pytest.mark.parametrize("component", ["kubelet", "containerd"])
def test_a_component_is_restarted(driver, tenants, component):
  for name in ("first", "second"):
    tenants.run(name)
  slices = driver.slices()
  with tenants.holding("first", "512Mi"):
    cluster_verb("restart", "--name", driver.cluster.name, component)
    tenants.start("late")
    # The kubelet deletes slices when it starts.
    if component == "kubelet":
      wait_until(lambda: driver.published() == ["hami-gpu-0"] and driver.slices() != slices,
                 "the slices are there again")
    tenants.wait_running("late")
  tenants.delete_pod("second")
  tenants.wait_gone("second")
  assert tenants.slice_mib("first") == tenants.slice_mib("late") == 1024
  assert len(driver.kept()[RECORDS]) == 2


@pytest.mark.parametrize("pods", [12, pytest.param(100, marks=pytest.mark.soak)])
def test_pods_and_claims_are_deleted_at_any_moment(driver, tenants, pods):
  crowd = Crowd(tenants, random.Random(pods))
  for _ in range(pods):
    crowd.add()
    while crowd.sizes and (len(crowd.sizes) > 4 or crowd.chance.random() < 0.5):
      time.sleep(crowd.chance.uniform(0, 0.4))  # the moment of its end
      crowd.drop()
  crowd.all_have_their_slices()
  crowd.wait_nothing_else_kept(driver)


def test_records_are_cut(driver, tenants):
  chance = random.Random(1)
  crowd = Crowd(tenants, chance)
  for _ in range(6):
    crowd.add()
  crowd.all_have_their_slices()
  with loose(driver, "--sweep-seconds=1") as process:
    records = sorted((driver.cluster.root / RECORDS).iterdir())
    whole = {path: path.read_bytes() for path in records}
    for path, size in zip(records, (0, 1, None, None, None)):
      text = whole[path]
      path.write_bytes(text[:chance.randrange(2, len(text) - 1) if size is None else size])
    # One of a claim that nobody knows.
    (records[0].parent / "00000000-0000-0000-0000-000000000000.json").write_bytes(b"hami-cl")
    # One pod goes meanwhile, whose record cannot be read.
    gone = next(name for name in crowd.sizes
                if tenants.claim(name)["metadata"]["uid"] == records[2].stem)
    tenants.delete_pod(gone)
    del crowd.sizes[gone]
    del whole[records[2]]
    process.start()
    process.wait_registered()
    wait_until(lambda: {path: path.read_bytes() for path in records[0].parent.iterdir()} == whole,
               "the records are whole again")
    crowd.all_have_their_slices()
    crowd.add()
    crowd.all_have_their_slices()
    crowd.wait_nothing_else_kept(driver)


def test_shares_and_documents_are_lost(driver, tenants):
  """While the driver runs; containers that start later need them."""
  crowd = Crowd(tenants, random.Random(2))
  with loose(driver, "--sweep-seconds=1") as process:
    process.start()
    process.wait_registered()
    for _ in range(3):
      crowd.add(restartPolicy="Always")
    crowd.all_have_their_slices()
    kept = driver.kept()
    driver.cluster.run("sh", "-c", "rm -rf /run/hami/* /var/run/cdi/*")
    wait_until(lambda: driver.kept() == kept, "shares and documents are there again")
    for name in crowd.sizes:
      tenants.kill_containers(name)
      wait_until(lambda name=name: tenants.pod(name).status.container_statuses[0].restart_count,
                 "the container was started again")
    crowd.all_have_their_slices()


def test_the_node_is_rebooted(driver, tenants):
  """All processes end, /run is empty; what is below /var/lib is as it was."""
  crowd = Crowd(tenants, random.Random(3))
  for _ in range(3):
    crowd.add(restartPolicy="Always")
  crowd.all_have_their_slices()
  gone = crowd.add(restartPolicy="Always")
  tenants.wait_running(gone)
  cluster = driver.cluster
  cluster.folder.read_process("kubelet").end(signal.SIGKILL, 60)
  cluster.run("sh", "-c", "ctr -n k8s.io tasks list -q | xargs -n 1 ctr -n k8s.io tasks kill -a "
              "-s SIGKILL && rm -rf /run/hami /run/cdi")
  # Deleted while the node is down.
  tenants.delete_pod(gone)
  del crowd.sizes[gone]
  cluster_verb("restart", "--name", cluster.name, "kubelet")
  wait_until(lambda: driver.pod() and driver.page("readyz")[0] == 200, "the driver is ready")
  driver.wait_published()
  tenants.wait_gone(gone)
  crowd.all_have_their_slices()
  crowd.wait_nothing_else_kept(driver)
