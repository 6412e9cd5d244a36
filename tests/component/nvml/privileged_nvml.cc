// SPDX-License-Identifier: Apache-2.0
//
// A libnvidia-ml.so.1 that does for its caller what the vendor's does for root: each function of
// refused.def succeeds if its arguments arrive as refused_ask gives them, and is counted.

#include <cstdint>

#include "api/nvml/types.h"

extern "C" {

int privileged_calls = 0;

// Every driver has it: by it the library finds a driver in the global scope.
const char* nvmlErrorString(nvmlReturn_t) { return ""; }

#define HAMI_REFUSED(symbol)                                                                       \
  nvmlReturn_t symbol(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {    \
    ++privileged_calls;                                                                            \
    const bool whole =                                                                             \
        a == ~uint64_t{1} && b == 2 && c == ~uint64_t{3} && d == 4 && e == 5 && f == ~uint64_t{6}; \
    return whole ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;                                     \
  }
#include "preload/refused.def"

}  // extern "C"
