// SPDX-License-Identifier: Apache-2.0

#define ASK Ask_wrapper
#include "tests/component/preload/lookup/asker.inc"

// A wrapper around the driver, as profilers and test doubles are: defines a driver function itself.
extern "C" __attribute__((visibility("default"))) int cuMemAlloc_v2(unsigned long long*,
                                                                    unsigned long) {
  return 4711;
}
