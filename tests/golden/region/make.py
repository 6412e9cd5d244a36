#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints hami_v1_2.txt: the bytes of a region of HAMi-core's layout v1.2 that are not zero, from
the offsets of its shared_region_t and not from our header."""

import struct

FILE_BYTES = 2008953
SLOT, SLOT_BYTES = 1856, 1960
MIB = 1 << 20
UUIDS = ("GPU-11111111-2222-3333-4444-555555555555", "GPU-66666666-7777-8888-9999-aaaaaaaaaaaa")


def main():
  region = bytearray(FILE_BYTES)

  def put(offset, kind, *values):
    struct.pack_into("<" + kind, region, offset, *values)

  put(0, "iIIi", 19920718, 1, 2, 0)  # initialized_flag, major, minor, sm_init_flag
  put(56, "Q", len(UUIDS))  # device_num
  for index, uuid in enumerate(UUIDS):
    put(64 + 96 * index, "40s", uuid.encode())
    put(1600 + 8 * index, "Q", (4096 + index) * MIB)  # limit
    put(1728 + 8 * index, "Q", 30 + index)  # sm_limit
  put(SLOT, "ii", 4711, 815)  # procs[0].pid, hostpid
  # used[0], used[1]: context, module, data, offset, total
  put(SLOT + 8, "5Q", 254 * MIB, 3 * MIB, 1024 * MIB, 0, 1281 * MIB)
  put(SLOT + 8 + 64, "5Q", 0, 0, 2 * MIB, 0, 2 * MIB)
  put(SLOT + 1928, "i", 1)  # status
  put(2008896, "iiii", 1, 1, 2, 1)  # proc_num, utilization_switch, recent_kernel, priority

  print(FILE_BYTES)
  for line in range(0, FILE_BYTES, 16):
    piece = region[line:line + 16]
    if any(piece):
      print(line, piece.hex())


if __name__ == "__main__":
  main()
