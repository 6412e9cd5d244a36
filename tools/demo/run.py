#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two tenants share one GPU: 10 GiB with half of its time, 8 GiB with a quarter.

Each one's view, an allocation over the limit while the neighbour works on, compute achieved against
asked, a tenant killed with -9 and its memory back. Uses the GPU of this machine, or a simulated one
where there is none, and says which. Figures, not pass or fail; the exit code is 1 only if a limit
did not hold or the demo could not run.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time

from tenants import DemoError, Job, Tenant, number, temporary_folder

NO_DRIVER = 3  # exit codes of `hami run`
NO_ROOM = 4
KERNEL_US = 1000
WARM_UP_S = 0.5
SLICES = {"ada": ("10Gi", 50), "bob": ("8Gi", 25)}


class Demo:
  def __init__(self, build: pathlib.Path, seconds: float, folder: pathlib.Path) -> None:
    self.hami = build / "bin/hami"
    self.tenant_program = str(build / "bin/tenant")
    self.our_smi = str(build / "bin/nvidia-smi")
    self.seconds = seconds
    self.folder = folder
    self.simulation: list[str] = []  # ["--sim"] or nothing
    self.gpu_name = ""
    self.gpu_mib = 0
    self.conditions = ""
    self.records: list[dict] = []
    self.held = True  # no limit was broken so far
    self.tenants: dict[str, Tenant] = {}

  # ---- what is printed and kept ---------------------------------------------------------------

  def record(self, name: str, value: float | str, unit: str, baseline: float | None = None) -> None:
    self.records.append({"name": name, "value": value, "unit": unit, "baseline": baseline,
                         "conditions": self.conditions})

  def expect(self, holds: bool, text: str) -> None:
    say(f"  {text}" if holds else f"  NOT AS IT SHOULD BE: {text}")
    self.held = self.held and holds

  # ---- steps ----------------------------------------------------------------------------------

  def find_gpu(self, force_simulation: bool) -> None:
    def look(*command: str) -> subprocess.CompletedProcess:
      return subprocess.run([*command, self.our_smi, "--json"], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL)

    run = [str(self.hami), "run", "--quiet"]
    done = None if force_simulation else look(*run, "--gpumem", "256Mi", "--")
    if done is None or done.returncode == NO_DRIVER:
      self.simulation = ["--sim"]
      # A state of its own: the demo shares nothing with the simulations of this machine.
      os.environ["HAMI_STATE_DIR"] = str(self.folder / "state")
      done = look(*run, "--sim", "--gpumem", "100%", "--")
    elif done.returncode == 0:
      done = look()  # the whole device, not a slice
    if done.returncode:
      raise DemoError(f"`hami run` ended with {done.returncode}: {done.stderr.strip()}")
    view = json.loads(done.stdout)
    self.gpu_name = view["gpus"][0]["name"]
    self.gpu_mib = view["gpus"][0]["memory_total_mib"]
    simulated = view["simulated"] is not None
    kind = "SIMULATED GPU: no GPU is used" if simulated else "real GPU"
    self.conditions = (f"{'simulated' if simulated else 'real'} {self.gpu_name}, driver "
                       f"{view['driver_version']}, {os.cpu_count()} cores, {platform.machine()}, "
                       f"{version_of(self.hami)}")
    say(f"\n{kind} ({self.gpu_name}, driver {view['driver_version']})")
    if simulated:
      say("Views, refusals and accounting are the library's own; times are the simulation's.")

  def open_tenant(self, name: str, memory: str, cores: int) -> Tenant:
    options = [*self.simulation, "--gpu", "0", "--gpumem", memory, "--gpucores", str(cores)]
    self.tenants[name] = Tenant(self.hami, options, name, self.folder)
    return self.tenants[name]

  def view(self, tenant: Tenant) -> dict:
    code, text = tenant.run(f"{self.our_smi} --json")
    if code:
      raise DemoError(f"nvidia-smi of {tenant.name} ended with {code}: {text}")
    return json.loads(text)["gpus"][0]

  def show_views(self) -> None:
    # The vendor's own program on a real GPU; it does not run on a simulated one.
    vendors = None if self.simulation else shutil.which("nvidia-smi")
    for name, (memory, cores) in SLICES.items():
      heading(f"{name}: hami run --gpumem {memory} --gpucores {cores}, nvidia-smi inside")
      _, text = self.tenants[name].run(vendors or self.our_smi)
      say(indent(text))
      total = self.view(self.tenants[name])["memory_total_mib"]
      asked = int(memory.removesuffix("Gi")) * 1024
      self.expect(total == asked, f"{name} sees {total} MiB of memory, asked for {asked}")
      self.record(f"{name}: memory seen", total, "MiB", asked)

  def refuse(self) -> dict[str, Job]:
    heading("An allocation over the limit")
    ada, bob = self.tenants["ada"], self.tenants["bob"]
    jobs = {"bob": bob.start([self.tenant_program, "alloc", "6Gi", "prepare", "say", "ready",
                              "wait", *self.spin_words(2), "wait"])}
    jobs["bob"].wait_for("ready")
    jobs["bob"].go_on()
    jobs["ada"] = ada.start([self.tenant_program, "alloc", "7Gi", "alloc", "4Gi", "say", "ready",
                             "wait"])
    jobs["ada"].wait_for("ready")
    first, second = (jobs["ada"].wait_for("alloc", n) for n in (1, 2))
    self.expect(first.endswith("SUCCESS"), f"ada, limit 10Gi: {first}")
    self.expect(second.endswith("OUT_OF_MEMORY"), f"ada, limit 10Gi: {second}")
    busy = number(jobs["bob"].wait_for("spin", 2), "busy_pct")
    self.expect(busy > 0, f"bob computed meanwhile: {busy:.1f} % of the GPU")
    for name, job in jobs.items():
      shown = self.view(self.tenants[name])
      limit = shown["memory_total_mib"]
      used = shown["memory_used_mib"]
      self.expect(used <= limit, f"{name} uses {used} of {limit} MiB")
      self.record(f"{name}: memory in use", used, "MiB", limit)
    self.record("allocation over the limit", second.split()[-1], "result")
    jobs["ada"].go_on()
    return jobs

  def spin_words(self, seconds: float) -> list[str]:
    return ["spin", str(KERNEL_US), str(WARM_UP_S), "spin", str(KERNEL_US), str(seconds)]

  def busy_pct(self, names: list[str]) -> dict[str, float]:
    """The share of the GPU's time that each one gets when all of them want all of it."""
    words = ["prepare", "say", "ready", "wait", *self.spin_words(self.seconds)]
    jobs = {}
    for name in names:  # one by one: each measures its kernel alone
      jobs[name] = self.tenants[name].start([self.tenant_program, *words])
      jobs[name].wait_for("ready")
    for job in jobs.values():
      job.go_on()
    return {name: number(job.wait_for("spin", 2), "busy_pct") for name, job in jobs.items()}

  def compute(self) -> None:
    heading(f"Compute: kernels of {KERNEL_US} us back to back, {self.seconds:g} s each")
    self.open_tenant("free", "1Gi", 0)
    native = self.busy_pct(["free"])["free"]
    self.tenants.pop("free").close()
    say(f"  without a compute limit, alone     {native:5.1f} % of the GPU")
    self.record("no compute limit, alone", round(native, 1), "%")
    together = None
    for name, (_, asked) in SLICES.items():
      alone = self.busy_pct([name])[name]
      say(f"  {name}: asked {asked} %, alone           {alone:5.1f} %")
      self.record(f"{name}: compute alone", round(alone, 1), "%", asked)
    together = self.busy_pct(list(SLICES))
    for name, (_, asked) in SLICES.items():
      say(f"  {name}: asked {asked} %, both busy       {together[name]:5.1f} %")
      self.record(f"{name}: compute beside the other", round(together[name], 1), "%", asked)

  def probe_room(self, memory: str) -> int:
    done = subprocess.run(
        [str(self.hami), "run", "--quiet", *self.simulation, "--gpu", "0", "--gpumem", memory,
         "--", "true"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode

  def kill(self) -> None:
    heading("bob is killed with -9")
    ada, bob = self.tenants["ada"], self.tenants["bob"]
    holder = ada.start([self.tenant_program, "alloc", "7Gi", "say", "ready", "wait"])
    holder.wait_for("ready")
    before = self.view(bob)["memory_used_mib"]
    pid = self.bob_job.pid
    began = time.monotonic()
    bob.run(f"kill -9 {pid}")
    after, took_ms = self.wait_for_memory(bob, began)
    self.expect(after < 64, f"its program held {before} MiB: {after} MiB {took_ms:.0f} ms later")
    self.record("memory of a killed program", after, "MiB", before)
    self.record("until it was back, one look included", round(took_ms, 1), "ms")
    neighbour = self.view(ada)["memory_used_mib"]
    self.expect(neighbour >= 7 * 1024, f"ada, beside it, still holds {neighbour} MiB")

    # Fits beside ada alone, not beside both.
    room = f"{self.gpu_mib - 14 * 1024}Mi"
    refused = self.probe_room(room)
    self.expect(refused == NO_ROOM, f"while bob's slice is booked, {room} more is refused "
                f"(exit code {refused})")
    bob.kill()
    began = time.monotonic()
    while (code := self.probe_room(room)) == NO_ROOM and time.monotonic() < began + 15:
      time.sleep(0.05)
    self.expect(code == 0, f"after kill -9 of `hami run` itself, {room} fits again")
    self.record("slice of a killed `hami run` booked again after",
                round((time.monotonic() - began) * 1000), "ms")
    holder.go_on()

  def wait_for_memory(self, tenant: Tenant, began: float) -> tuple[int, float]:
    while True:
      used = self.view(tenant)["memory_used_mib"]
      took_s = time.monotonic() - began
      if used < 64 or took_s > 15:
        return used, took_s * 1000

  def run(self, force_simulation: bool) -> None:
    self.find_gpu(force_simulation)
    try:
      for name, (memory, cores) in SLICES.items():
        self.open_tenant(name, memory, cores)
      self.show_views()
      self.bob_job = self.refuse()["bob"]
      self.compute()
      self.kill()
    finally:
      for tenant in self.tenants.values():
        tenant.close()


def version_of(hami: pathlib.Path) -> str:
  done = subprocess.run([str(hami), "--version"], capture_output=True, text=True)
  return done.stdout.splitlines()[0] if done.stdout else "hami, version unknown"


def say(text: str) -> None:
  print(text, flush=True)


def heading(text: str) -> None:
  say(f"\n{text}")


def indent(text: str) -> str:
  return "\n".join("  " + line for line in text.splitlines())


def print_table(records: list[dict], conditions: str) -> None:
  say(f"\n{conditions}\n")
  say(f"  {'':46} {'value':>22} {'unit':6} {'asked or before':>15}")
  for record in records:
    baseline = "-" if record["baseline"] is None else f"{record['baseline']:g}"
    value = record["value"]
    shown = f"{value:g}" if isinstance(value, (int, float)) and value < 1e5 else str(value)
    say(f"  {record['name']:46} {shown:>22} {record['unit']:6} {baseline:>15}")


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
  parser.add_argument("--json", metavar="FILE", help="writes the table as records (-: stdout)")
  parser.add_argument("--sim", action="store_true", help="a simulated GPU even where a real one is")
  parser.add_argument("--seconds", type=float, default=4, help="of each compute figure (4)")
  args = parser.parse_args()
  build = args.build.resolve()
  for name in ("bin/hami", "bin/tenant", "bin/nvidia-smi", "lib/libvgpu.so"):
    if not (build / name).exists():
      print(f"demo: {build / name} is missing; ./dev demo builds it", file=sys.stderr)
      return 1
  # A shell with `hami sim env` would otherwise count as a driver.
  for variable in ("HAMI_SIM", "LD_LIBRARY_PATH", "LD_PRELOAD"):
    os.environ.pop(variable, None)
  with temporary_folder() as folder:
    demo = Demo(build, args.seconds, pathlib.Path(folder))
    try:
      demo.run(args.sim)
    except DemoError as error:
      print(f"demo: {error}", file=sys.stderr)
      return 1
  print_table(demo.records, demo.conditions)
  if args.json:
    text = json.dumps(demo.records, indent=2) + "\n"
    if args.json == "-":
      print(text, end="")
    else:
      pathlib.Path(args.json).write_text(text)
  if not demo.held:
    print("demo: something did not hold, see above", file=sys.stderr)
  return 0 if demo.held else 1


if __name__ == "__main__":
  sys.exit(main())
