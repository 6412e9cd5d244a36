# SPDX-License-Identifier: Apache-2.0
"""The rows of `./dev bench scheduler`: kept in a file from one part to the next, and printed as one
table, which also says how each figure of /filter grows."""

import json

# What is measured of /filter, in the order of the columns.
COLUMNS = (("p50", "ms"), ("p99", "ms"), ("worst", "ms"), ("decisions", "/s"), ("CPU each", "ms"))
GROWS = ("p50", "p99", "CPU each")


def size_text(nodes, placed):
  return f"{nodes} nodes, {placed} pods"


def filter_text(nodes, placed, callers):
  return f"/filter, {size_text(nodes, placed)}, {callers} caller" + "s" * (callers > 1)


class Table:
  def __init__(self, version, scheduler_flags, conditions=""):
    self.version = version
    self.scheduler_flags = scheduler_flags
    self.conditions = conditions
    self.rows = []

  def add(self, name, value, unit, native=None, target="", met=None, hami="", note=""):
    self.rows.append({"name": name, "value": value, "unit": unit, "baseline": native,
                      "target": target, "met": met if target else None, "hami": hami,
                      "note": note, "conditions": self.conditions})

  # A file of rows, to which parts add.

  def write(self, path):
    path.write_text(json.dumps(self.rows, indent=2) + "\n")

  def merge_into(self, path):
    """Rows of the file that were measured again are replaced; the others stay."""
    rows = json.loads(path.read_text()) if path.exists() else []
    new = {row["name"]: row for row in self.rows}
    self.rows = [new.pop(row["name"], row) for row in rows] + \
        [row for row in self.rows if row["name"] in new]
    self.write(path)

  # Printing.

  def print(self):
    found = sorted({row["conditions"] for row in self.rows})
    print("hami-scheduler")
    for conditions in found:
      print(conditions)
    self._print_decisions()
    self._print_growth()
    print(f"\n{'':54} {'value':>10} {'unit':<4} {'plain':>9}  {'target':<20} HAMi v2.10.0; notes")
    for row in self.rows:
      if row["name"].startswith("/filter, "):
        continue
      plain = f"{row['baseline']:.2f}" if row["baseline"] is not None else ""
      rest = "; ".join(filter(None, (row["hami"], row["note"])))
      print(f"{row['name']:54} {row['value']:10.2f} {row['unit']:<4} {plain:>9}  "
            f"{row['target'] + verdict(row):<20} {rest}".rstrip())

  def sizes(self):
    """(nodes, pods, callers) of what is known of /filter, smallest first."""
    found = set()
    for row in self.rows:
      if row["name"].startswith("/filter, "):
        words = row["name"].split(", ")
        found.add(tuple(int(word.split()[0]) for word in words[1:4]))
    return sorted(found)

  def find(self, nodes, placed, callers, column):
    name = f"{filter_text(nodes, placed, callers)}, {column}"
    return next((row for row in self.rows if row["name"] == name), None)

  def _print_decisions(self):
    if not self.sizes():
      return
    print(f"\n{'/filter over HTTP with all names':34}" +
          "".join(f"{f'{name}, {unit}':>14}" for name, unit in COLUMNS) + "  p99 target")
    for nodes, placed, callers in self.sizes():
      cells = [self.find(nodes, placed, callers, name) for name, _ in COLUMNS]
      p99 = cells[1]
      print(f"{filter_text(nodes, placed, callers)[9:]:34}" +
            "".join(f"{cell['value']:14.3f}" if cell else f"{'-':>14}" for cell in cells) +
            f"  {p99['target'] + verdict(p99)} {p99['hami'] and 'HAMi ' + p99['hami']}".rstrip())

  def growth(self):
    """(what grew, from, to, columns -> times): steps in nodes at the same pods, and in pods at the
    same nodes, by one caller."""
    sizes = [(nodes, placed) for nodes, placed, callers in self.sizes() if callers == 1]
    found = []
    for kind in (0, 1):
      for before in sizes:
        after = next((size for size in sizes if size[kind] > before[kind] and
                      size[1 - kind] == before[1 - kind]), None)
        if not after:
          continue
        times = {}
        for column in GROWS:
          low, high = (self.find(*size, 1, column) for size in (before, after))
          if low and high and low["value"] > 0:
            times[column] = high["value"] / low["value"]
        found.append((("nodes", "pods")[kind], before, after, times))
    return found

  def _print_growth(self):
    steps = self.growth()
    if not steps:
      return
    print("\n" + f"{'growth, 1 caller':60}" + "".join(f"{name:>10}" for name in GROWS))
    for what, before, after, times in steps:
      step = f"{what}: {size_text(*before)} -> {size_text(*after)}"
      print(f"{step:60}" + "".join(
          f"{f'x {times[name]:.2f}' if name in times else '-':>10}" for name in GROWS))


def verdict(row):
  return "" if row["met"] is None else " met" if row["met"] else " MISSED"
