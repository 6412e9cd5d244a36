// SPDX-License-Identifier: Apache-2.0
//
// Every name that the driver's library exports exists. Those that no other file of this library
// defines end here, weakly, and answer NVML_ERROR_NOT_SUPPORTED: never a success that means
// nothing.

#include "api/nvml/types.h"

// Prototypes differ, and none is needed: arguments are not read.
#define HAMI_NVML_ENTRY(symbol, branch)                                           \
  extern "C" __attribute__((weak, visibility("default"))) nvmlReturn_t symbol() { \
    return NVML_ERROR_NOT_SUPPORTED;                                              \
  }
#include "api/nvml/entry_points.def"
#undef HAMI_NVML_ENTRY
