// SPDX-License-Identifier: Apache-2.0
//
// A stub for each function of the driver interface. It is weak: a function that exists anywhere in
// the library takes the name. A stub returns CUDA_ERROR_NOT_SUPPORTED, never success.

#include "api/cuda/types.h"

extern "C" __attribute__((visibility("hidden"), used)) CUresult HamiSimNotSupported() {
  return CUDA_ERROR_NOT_SUPPORTED;
}

#if defined(__x86_64__)
#define HAMI_JUMP "jmp "
#elif defined(__aarch64__)
#define HAMI_JUMP "b "
#else
#error "no jump instruction for this architecture"
#endif

#define HAMI_CUDA_ENTRY(symbol, base, version, form)                                    \
  asm(".text\n.weak " #symbol "\n.type " #symbol ",@function\n" #symbol ":\n" HAMI_JUMP \
      "HamiSimNotSupported\n.size " #symbol ",.-" #symbol "\n");
#include "api/cuda/entry_points.def"
