// SPDX-License-Identifier: Apache-2.0
//
// The forms in which hami smi prints: each takes what was read and writes to stdout.

#pragma once

#include <stddef.h>

#include "smi/gpu.h"
#include "smi/options.h"
#include "smi/slices.h"

namespace hami::smi {

// What one round shows: the selected GPUs of a system with `total` of them.
struct View {
  const Nvml& nvml;
  const Options& options;
  const System& system;
  const Gpu* gpus;
  uint32_t count;
  uint32_t total;
  const Slices& slices;
};

void PrintTable(const View& view);
void PrintList(const View& view);
void PrintJson(const View& view);

// --query-gpu and --query-compute-apps. The exit code: an unknown field is a usage error.
[[nodiscard]] int PrintQuery(const View& view);
void PrintQueryHelp(Mode mode);

}  // namespace hami::smi
