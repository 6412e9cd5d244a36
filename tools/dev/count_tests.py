#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the test cases of the reports that ./dev test left, and says what failed or was skipped.

The folder holds `builds/PRESET` and `fuzz/TARGET` (an exit code each) and one folder per run:
ctest's `programs.xml`
with GoogleTest's reports in `cases/`, or `pytest.xml`. A GoogleTest program counts by its cases;
one that ended badly without a failed case (a crash, a sanitizer's report at exit) is one failure
more, so that nothing red is ever counted green. The last line is "N passed, N failed, N skipped".
"""

import argparse
import collections
import dataclasses
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


# Folders of exit codes, and how the logs of what they count begin.
STEPS = {"builds": "build", "fuzz": "fuzz"}


@dataclasses.dataclass
class Count:
  passed: int = 0
  failed: list[str] = dataclasses.field(default_factory=list)
  skipped: list[tuple[str, str]] = dataclasses.field(default_factory=list)  # name, reason


def first_line(text: str | None) -> str:
  lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
  return lines[0] if lines else "no reason given"


def add_cases(count: Count, path: pathlib.Path, prefix: str) -> int:
  """The cases of one GoogleTest or pytest report; returns how many of them failed."""
  failed = 0
  for case in ElementTree.parse(path).getroot().iter("testcase"):
    name = f"{prefix}: {case.get('classname', '')}.{case.get('name')}"
    skip = case.find("skipped")
    failures = [item for tag in ("failure", "error") for item in case.iter(tag)]
    if failures:
      message = failures[0].get("message") or failures[0].text
      count.failed.append(name + "\n    " + " ".join((message or "").split())[:200])
      failed += 1
    elif skip is not None:
      count.skipped.append((name, first_line(skip.get("message") or skip.text)))
    elif case.get("status") == "notrun":
      count.skipped.append((name, "disabled in the source"))
    else:
      count.passed += 1
  return failed


def skip_reason(test: ElementTree.Element) -> str:
  """A check that skips itself says why in its last line."""
  lines = (test.findtext("system-out") or "").strip().splitlines()
  return lines[-1].strip() if lines else "no reason given"


def add_programs(count: Count, folder: pathlib.Path) -> None:
  """ctest's report: one entry per program; GoogleTest's own reports count inside it."""
  run = folder.name
  for test in ElementTree.parse(folder / "programs.xml").getroot().iter("testcase"):
    name = test.get("name", "")
    status = test.get("status")
    cases = folder / "cases" / f"{name}.xml"
    if status == "run" or status == "fail":
      failed = 0
      counted = False
      if cases.exists() and cases.stat().st_size:
        try:
          failed = add_cases(count, cases, f"{run} {name}")
          counted = True
        except ElementTree.ParseError:
          pass  # cut short by a crash; ctest has it as failed, and so do we
      if status == "fail" and not failed:
        count.failed.append(f"{run} {name}: ended badly outside its cases" if counted
                            else f"{run} {name}")
      elif status == "run" and not counted:
        count.passed += 1
    elif status == "notrun" and test.find("skipped") is not None and \
        "SKIP" in (test.find("skipped").get("message") or ""):
      count.skipped.append((f"{run} {name}", skip_reason(test)))
    elif status == "disabled":
      count.skipped.append((f"{run} {name}", "disabled in CMake"))
    else:
      count.failed.append(f"{run} {name}: did not run")


def count_reports(folder: pathlib.Path) -> Count:
  count = Count()
  for entry in sorted(folder.iterdir()):
    if entry.name in STEPS:
      for step in sorted(entry.iterdir()):
        if step.read_text().strip() == "0":
          count.passed += 1
        else:
          kind = STEPS[entry.name]
          count.failed.append(f"{kind} {step.name} (.cache/log/{kind}-{step.name}.log)")
      continue
    if (entry / "no-report").exists():
      count.failed.append(f"{entry.name}: left no report (.cache/log/test-{entry.name}.log)")
    if (entry / "programs.xml").exists():
      add_programs(count, entry)
    if (entry / "pytest.xml").exists():
      add_cases(count, entry / "pytest.xml", entry.name)
  return count


def main() -> int:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("folder", type=pathlib.Path, help=".cache/test")
  count = count_reports(parser.parse_args().folder)
  reasons = collections.defaultdict(list)
  for name, reason in count.skipped:
    reasons[reason].append(name)
  for reason, names in reasons.items():
    print(f"skipped: {reason}")
    for name in names:
      print(f"  {name}")
  if count.failed:
    print("failed (output in .cache/log/test-*.log):")
    for name in count.failed:
      print(f"  {name}")
  print(f"{count.passed} passed, {len(count.failed)} failed, {len(count.skipped)} skipped")
  # Nothing passed means that nothing was tested: a pattern without a match is an error too.
  return 1 if count.failed or not count.passed else 0


if __name__ == "__main__":
  sys.exit(main())
