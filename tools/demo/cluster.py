#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The published HAMi DRA guide, walked on a real Kubernetes: each command as one would type it, and
what it says.

A pod sees and can use exactly its slice of a GPU; a second one shares that GPU; a third does not
fit and is told why; the driver is killed under them and nothing changes. The GPU is simulated, all
else is real. The exit code is 1 if something is not as it should be.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = (sys.executable, str(ROOT / "tools/cluster/cluster.py"))
GUIDE = pathlib.Path("tools/demo/guide")
DRIVER = "ds/hami-dra-driver-kubelet-plugin"
PATIENCE_S = 120
KERNEL_US = 1000
TOLERATED_POINTS = 5.0  # of compute, in a few seconds; docs/results/cores.md has the exact figures


class DemoError(Exception):
  pass


class Walk:
  def __init__(self, name: str, seconds: float) -> None:
    self.name = name
    self.seconds = seconds
    self.held = True

  # ---- what is printed --------------------------------------------------------------------------

  def title(self, text: str) -> None:
    print(f"\n== {text}\n", flush=True)

  def expect(self, holds: bool, text: str) -> None:
    print(f"-> {text}" if holds else f"-> NOT AS IT SHOULD BE: {text}", flush=True)
    self.held = self.held and bool(holds)

  # ---- commands ---------------------------------------------------------------------------------

  def inside(self, *command: str) -> list[str]:
    return [*CLUSTER, "exec", "--name", self.name, "--", *command]

  def kubectl(self, arguments: str) -> str:
    done = subprocess.run([*CLUSTER, "kubectl", "--name", self.name, *shlex.split(arguments)],
                          capture_output=True, text=True, cwd=ROOT, stdin=subprocess.DEVNULL)
    if done.returncode:
      raise DemoError(f"kubectl {arguments}: {(done.stdout + done.stderr).strip()}")
    return done.stdout

  def type(self, arguments: str, show=None, tolerate: bool = False) -> str:
    """Types a kubectl command: prints it and what it said, or what `show` makes of that."""
    print(f"$ kubectl {arguments}")
    try:
      said = self.kubectl(arguments)
    except DemoError as error:
      if not tolerate:
        raise
      said = str(error).split(": ", 1)[1]
    print((show(said) if show else said).rstrip() + "\n", flush=True)
    return said

  def hami(self, arguments: str) -> str:
    print(f"$ hami {arguments}")
    done = subprocess.run(self.inside(str(ROOT / "build/bin/hami"), *shlex.split(arguments)),
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    print((done.stdout + done.stderr).rstrip() + "\n", flush=True)
    if done.returncode:
      raise DemoError(f"hami {arguments} ended with {done.returncode}")
    return done.stdout

  def wait(self, what: str, condition) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
      if time.monotonic() > end:
        raise DemoError(f"not within {PATIENCE_S} s: {what}")
      time.sleep(0.1)

  def get(self, what: str) -> dict:
    return json.loads(self.kubectl(f"get {what} -o json"))

  def phase(self, pod: str) -> str:
    return self.get(f"pod {pod}")["status"].get("phase", "")

  def await_running(self, pod: str) -> None:
    self.wait(f"pod {pod} runs", lambda: self.phase(pod) == "Running")

  # ---- compute ----------------------------------------------------------------------------------

  def start_spin(self, pod: str) -> subprocess.Popen:
    """Kernels back to back in a pod. `tenant` is this repository's test program."""
    command = f"exec {pod} -- tenant spin {KERNEL_US} {self.seconds:g}"
    print(f"$ kubectl {command}", flush=True)
    return subprocess.Popen([*CLUSTER, "kubectl", "--name", self.name, *shlex.split(command)],
                            stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)

  def achieved(self, spins: dict[str, tuple[subprocess.Popen, int]]) -> None:
    """What each got of the GPU's time, by the simulated GPU's clock."""
    for pod, (spin, asked) in spins.items():
      said = spin.communicate()[0]
      found = re.search(r"busy_pct=([\d.]+)", said)
      if spin.returncode or not found:
        raise DemoError(f"tenant spin in {pod} ended with {spin.returncode}: {said}")
      got = float(found[1])
      self.expect(abs(got - asked) <= TOLERATED_POINTS,
                  f"{pod} asked for {asked} % of the GPU's time and got {got:.1f} % (simulated)")

  # ---- the walk ---------------------------------------------------------------------------------

  def install(self) -> None:
    self.title("A node with a GPU, and the driver")
    self.type("get nodes")
    node = self.get("nodes")["items"][0]["metadata"]["name"]
    self.type(f"label node {node} gpu=on --overwrite")
    self.type("apply -f deploy/dra")
    self.type(f"-n hami-system rollout status {DRIVER} --timeout {PATIENCE_S}s")
    self.type("-n hami-system get pods")
    self.wait("the GPU is published", lambda: self.get("resourceslices")["items"])

  def look_around(self) -> None:
    self.title("What the node publishes")
    self.type("get resourceslice")
    self.type("get resourceslice -o yaml", self.only_spec)
    self.type("get deviceclass")

  @staticmethod
  def only_spec(text: str) -> str:
    """Of a list of one the spec: the rest is the server's."""
    lines = text.splitlines()
    begin = next(i for i, line in enumerate(lines) if line == "  spec:")
    end = next(i for i in range(begin + 1, len(lines)) if not lines[i].startswith("   "))
    return "\n".join(["  ...", *lines[begin:end]])

  def first_pod(self) -> None:
    self.title("A claim for 10 GiB and half of the time, and a pod that uses it")
    self.type(f"apply -f {GUIDE}/native.yaml")
    self.await_running("gpu-test-dra-native")
    self.type("get pod gpu-test-dra-native")
    self.type("get resourceclaim")
    self.type("get resourceclaim gpu-half-claim -o jsonpath='{.status.allocation.devices}'",
              lambda text: json.dumps(json.loads(text), indent=2))
    smi = self.type("exec gpu-test-dra-native -- nvidia-smi")
    self.expect("/ 10240MiB" in smi, "nvidia-smi shows a GPU of 10240 MiB")
    self.expect("imulated" in smi, "and says that this GPU is simulated")
    refused = self.type("exec gpu-test-dra-native -- tenant alloc 11Gi", tolerate=True)
    self.expect("CUDA_ERROR_OUT_OF_MEMORY" in refused, "11 GiB are refused")
    given = self.type("exec gpu-test-dra-native -- tenant alloc 9Gi", tolerate=True)
    self.expect("alloc 9Gi CUDA_SUCCESS" in given, "9 GiB are given")
    self.achieved({"gpu-test-dra-native": (self.start_spin("gpu-test-dra-native"), 50)})

  def second_pod(self) -> None:
    self.title("A second pod on the same GPU: 8 GiB, 30 % of the time")
    self.type(f"apply -f {GUIDE}/second.yaml")
    self.await_running("gpu-second")
    smi = self.type("exec gpu-second -- nvidia-smi --query-gpu=uuid,memory.total --format=csv")
    first = self.kubectl("exec gpu-test-dra-native -- nvidia-smi --query-gpu=uuid --format=csv")
    self.expect("8192 MiB" in smi, "it sees 8192 MiB")
    self.expect(first.splitlines()[-1] in smi, "of the same GPU")
    self.achieved({pod: (self.start_spin(pod), cores)
                   for pod, cores in (("gpu-test-dra-native", 50), ("gpu-second", 30))})

  def third_pod(self) -> None:
    self.title("A third does not fit, and is told why")
    self.type(f"apply -f {GUIDE}/third.yaml")
    self.wait("the scheduler says no", lambda: any(
        condition["type"] == "PodScheduled" and condition["status"] == "False"
        for condition in self.get("pod gpu-third")["status"].get("conditions", [])))
    self.type("get pods")
    said = self.hami("explain claim gpu-third-claim")
    self.expect("hami-gpu-0" in said, "the nearest device is named, and what it lacks")

  def kill_driver(self) -> None:
    self.title("The driver is killed under them")
    spins = {pod: (self.start_spin(pod), cores)
             for pod, cores in (("gpu-test-dra-native", 50), ("gpu-second", 30))}
    slices = self.get("resourceslices")["items"][0]["metadata"]
    pid = subprocess.run(self.inside("pidof", "hami-dra-driver"), capture_output=True,
                         text=True).stdout.split()[0]
    print(f"$ kill -9 {pid}    # hami-dra-driver", flush=True)
    subprocess.run(self.inside("kill", f"-{int(signal.SIGKILL)}", pid), check=True)
    self.wait("the driver is there again", lambda: any(
        status["restartCount"] > 0 and status["ready"]
        for pod in self.get("pods -n hami-system")["items"]
        for status in pod["status"].get("containerStatuses", [])))
    self.type("-n hami-system get pods")
    self.achieved(spins)
    self.type("get pods")
    after = self.get("resourceslices")["items"][0]["metadata"]
    self.expect(after["uid"] == slices["uid"] and
                after["resourceVersion"] == slices["resourceVersion"],
                "the ResourceSlice was not touched")
    smi = self.kubectl("exec gpu-test-dra-native -- nvidia-smi")
    self.expect("/ 10240MiB" in smi, "the first pod sees its 10240 MiB as before")

  def make_room(self) -> None:
    self.title("Room comes free")
    self.type("delete pod gpu-second")
    self.type("delete resourceclaim gpu-second-claim")
    self.await_running("gpu-third")
    self.type("get pods")
    smi = self.kubectl("exec gpu-third -- nvidia-smi")
    self.expect("/ 10240MiB" in smi, "the third pod runs, in 10240 MiB")

  def run(self) -> bool:
    self.install()
    self.look_around()
    self.first_pod()
    self.second_pod()
    self.third_pod()
    self.kill_driver()
    self.make_room()
    return self.held


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--name", default="demo", help="of the cluster, which is made and removed")
  parser.add_argument("--version", default="1.36", help="of Kubernetes")
  parser.add_argument("--seconds", type=float, default=5, help="length of each compute measurement")
  parser.add_argument("--keep", action="store_true", help="leave the cluster up, to look around")
  arguments = parser.parse_args()
  begun = time.monotonic()
  up = subprocess.run([*CLUSTER, "up", "--name", arguments.name, "--version", arguments.version],
                      stdin=subprocess.DEVNULL)
  held = False
  try:
    if up.returncode:
      raise DemoError("the cluster does not come up")
    held = Walk(arguments.name, arguments.seconds).run()
  except DemoError as error:
    print(f"demo: {error}", file=sys.stderr)
  finally:
    sys.stdout.flush()
    if arguments.keep:
      print(f"\nThe cluster stays up: ./dev cluster kubectl --name {arguments.name} get pods -A")
    else:
      subprocess.run([*CLUSTER, "down", "--name", arguments.name], stdin=subprocess.DEVNULL)
  seconds = time.monotonic() - begun
  print(f"\nThe walk took {seconds:.0f} s, Kubernetes {arguments.version}, {os.cpu_count()} cores, "
        f"GPU simulated: {'everything was as it should be' if held else 'SOMETHING WAS WRONG'}.")
  return 0 if held else 1


if __name__ == "__main__":
  sys.exit(main())
