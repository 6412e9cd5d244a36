// SPDX-License-Identifier: Apache-2.0
//
// What part of each GPU this process was granted, and what enforces it (docs/glossary.md: rung).
// Read from the share directories (api/share) and from whether the enforcing library is in this
// very process: a limits file alone bounds nothing.

#pragma once

#include <stdint.h>

namespace hami::smi {

struct Slice {
  const char* rung;     // "preload" or "none"
  bool memory_limited;  // false: the whole device's memory
  uint64_t memory_bytes;
  uint32_t cores_pct;  // 0: no compute limit
  const char* fault;   // nullptr, or why the limits cannot be read
};

class Slices {
 public:
  Slices();
  Slice Of(const char* uuid) const;

 private:
  bool library_loaded_;
};

}  // namespace hami::smi
