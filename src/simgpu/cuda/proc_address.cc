// SPDX-License-Identifier: Apache-2.0
//
// cuGetProcAddress: the newest variant of a function that is not newer than the caller's CUDA
// version and the driver's, in the stream form that the flags ask for (CUDA manual, "Driver Entry
// Point Access").
//
// The real driver gives out other addresses than those that it exports for some functions, so a
// program must not compare them. With proc_address_aliases in the machine's configuration every
// function has a second address here, a jump to the first.
//
// This file sees the functions as plain symbols, so it includes no prototypes.

#include <string.h>

#include "simgpu/cuda/core.h"

#define HAMI_CUDA_ENTRY(symbol, base, version, form) extern "C" void symbol();
#include "api/cuda/entry_points.def"
#undef HAMI_CUDA_ENTRY

#if defined(__x86_64__)
#define HAMI_JUMP "jmp "
#elif defined(__aarch64__)
#define HAMI_JUMP "b "
#endif
#define HAMI_CUDA_ENTRY(symbol, base, version, form)                                          \
  extern "C" __attribute__((visibility("hidden"))) void hami_alias_##symbol();                \
  asm(".text\n.hidden hami_alias_" #symbol "\n.globl hami_alias_" #symbol                     \
      "\n.type hami_alias_" #symbol ",@function\nhami_alias_" #symbol ":\n" HAMI_JUMP #symbol \
      "\n");
#include "api/cuda/entry_points.def"
#undef HAMI_CUDA_ENTRY

namespace hami::simgpu::cuda {
namespace {

enum class Form : uint8_t { none, ptds, ptsz };

struct Name {
  const char* base;
  int version;
  Form form;
  void (*exported)();
  void (*alias)();
};

const Name kNames[] = {
#define HAMI_CUDA_ENTRY(symbol, base, version, form) \
  {#base, version, Form::form, symbol, hami_alias_##symbol},
#include "api/cuda/entry_points.def"
#undef HAMI_CUDA_ENTRY
};

constexpr cuuint64_t kFlags =
    CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;

// With the per-thread flag a function that has such a form is found in it, the others as they are.
const Name* Choose(const char* base, int version, bool per_thread, bool* exists) {
  const Name* best = nullptr;
  const Name* best_thread = nullptr;
  const int driver = GlanceAtMachine().cuda_version;
  *exists = false;
  for (const Name& name : kNames) {
    if (strcmp(name.base, base) != 0 || (driver != 0 && name.version > driver)) continue;
    *exists = true;
    if (name.version > version) continue;
    const Name** slot = name.form == Form::none ? &best : &best_thread;
    if (*slot == nullptr || (*slot)->version < name.version) *slot = &name;
  }
  if (!per_thread || best_thread == nullptr) return best;
  // A per-thread form of an older variant does not replace a newer variant.
  return best != nullptr && best->version > best_thread->version ? best : best_thread;
}

CUresult Look(const char* symbol, void** function, int version, cuuint64_t flags, bool per_thread,
              CUdriverProcAddressQueryResult* status) {
  if (symbol == nullptr || function == nullptr || (flags & ~kFlags) != 0 || flags == kFlags) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  if ((flags & CU_GET_PROC_ADDRESS_LEGACY_STREAM) != 0) per_thread = false;
  if ((flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) != 0) per_thread = true;
  bool exists = false;
  const Name* found = Choose(symbol, version, per_thread, &exists);
  if (status != nullptr) {
    *status = found != nullptr ? CU_GET_PROC_ADDRESS_SUCCESS
              : exists         ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                               : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  }
  if (found == nullptr) {
    *function = nullptr;
    return CUDA_ERROR_NOT_FOUND;
  }
  const bool alias = GlanceAtMachine().proc_address_aliases;
  *function = reinterpret_cast<void*>(alias ? found->alias : found->exported);
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace hami::simgpu::cuda

// Under other names in C++, because the plain declarations above have taken the real ones.
#define HAMI_SIM_AS(name) asm(name) __attribute__((visibility("default")))

namespace hami::simgpu::cuda {
CUresult GetProcAddress(const char*, void**, int, cuuint64_t) HAMI_SIM_AS("cuGetProcAddress");
CUresult GetProcAddressThread(const char*, void**, int, cuuint64_t)
    HAMI_SIM_AS("cuGetProcAddress_ptsz");
CUresult GetProcAddress2(const char*, void**, int, cuuint64_t, CUdriverProcAddressQueryResult*)
    HAMI_SIM_AS("cuGetProcAddress_v2");
CUresult GetProcAddress2Thread(const char*, void**, int, cuuint64_t,
                               CUdriverProcAddressQueryResult*)
    HAMI_SIM_AS("cuGetProcAddress_v2_ptsz");

CUresult GetProcAddress(const char* symbol, void** function, int version, cuuint64_t flags) {
  return Look(symbol, function, version, flags, false, nullptr);
}
CUresult GetProcAddressThread(const char* symbol, void** function, int version, cuuint64_t flags) {
  return Look(symbol, function, version, flags, true, nullptr);
}
CUresult GetProcAddress2(const char* symbol, void** function, int version, cuuint64_t flags,
                         CUdriverProcAddressQueryResult* status) {
  return Look(symbol, function, version, flags, false, status);
}
CUresult GetProcAddress2Thread(const char* symbol, void** function, int version, cuuint64_t flags,
                               CUdriverProcAddressQueryResult* status) {
  return Look(symbol, function, version, flags, true, status);
}
}  // namespace hami::simgpu::cuda
