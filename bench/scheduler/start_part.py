# SPDX-License-Identifier: Apache-2.0
"""The part of `./dev bench scheduler` that starts the program beside an API server that is full
already: how long until it has decided about its first pod, and what memory it has then."""

import contextlib
import http.client
import json
import time

from filter_part import READY_S, FilterPart, start_scheduler
from table import size_text

import api_nodes


def decides(address, body):
  """False in the moment in which it is ready and does not lead yet."""
  connection = http.client.HTTPConnection(address, timeout=60)
  connection.request("POST", "/filter", body, {"Content-Type": "application/json"})
  return bool(json.loads(connection.getresponse().read()).get("NodeNames"))


class StartPart(FilterPart):
  def measure(self, nodes, placed):
    size = size_text(nodes, placed)
    body = self.bodies()[0] + '"NodeNames":' + json.dumps(api_nodes.names(nodes)) + "}"
    list_s = self.plain_list_s()
    begun = time.monotonic()
    process, address, _, _ = start_scheduler(self.content.server, self.folder,
                                             self.table.scheduler_flags)
    try:
      while time.monotonic() - begun < READY_S:
        with contextlib.suppress(OSError, http.client.HTTPException):
          if decides(address, body):
            break
        time.sleep(0.005)
      start_s = time.monotonic() - begun
      self.table.add(f"start to first decision, {size}", start_s, "s", native=list_s,
                     target=f"<= {1.2 * list_s:.2f}", met=start_s <= 1.2 * list_s,
                     hami="39 s" if placed == 100_000 else "",
                     note=f"{process.cpu_s():.2f} s of CPU")
      memory = process.memory_mib()
      self.table.add(f"memory at start, {size}", memory, "MiB",
                     target="<= 400" if placed == 100_000 else "", met=memory <= 400,
                     note=f"{process.memory_mib('VmHWM'):.0f} at most",
                     hami="3 GB" if placed == 100_000 else "")
    finally:
      process.stop()
