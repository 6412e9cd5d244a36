// SPDX-License-Identifier: Apache-2.0

#include "smi/nvml.h"

#include <dlfcn.h>
#include <stdio.h>

#include "api/nvml/simulation.h"
#include "smi/smi.h"

// These moved from libdl to libc in glibc 2.34; the old version names work in both, and the
// executable names libdl as needed (CMakeLists.txt).
#if defined(HAMI_SMI_PIN_SYMBOLS)
#if defined(__x86_64__)
#define HAMI_SMI_OLD_GLIBC "GLIBC_2.2.5"
#else
#define HAMI_SMI_OLD_GLIBC "GLIBC_2.17"
#endif
__asm__(".symver dlopen,dlopen@" HAMI_SMI_OLD_GLIBC);
__asm__(".symver dlsym,dlsym@" HAMI_SMI_OLD_GLIBC);
__asm__(".symver dlerror,dlerror@" HAMI_SMI_OLD_GLIBC);
#endif

namespace hami::smi {
namespace {

constexpr char kLibrary[] = "libnvidia-ml.so.1";

template <typename Function>
void Find(void* library, const char* name, Function* out) {
  *out = reinterpret_cast<Function>(dlsym(library, name));
}

void ExplainMissing(const char* detail) {
  fprintf(stderr,
          "No NVIDIA driver is to be found here: %s\n"
          "On a machine with a GPU, install the driver; in a container, run it with the NVIDIA\n"
          "runtime. To try HAMi without a GPU, simulate one: eval \"$(hami sim env)\"\n",
          detail);
}

}  // namespace

int Nvml::Open() {
  void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* detail = dlerror();
    ExplainMissing(detail != nullptr ? detail : kLibrary);
    return kExitNoDriver;
  }
#define HAMI_SMI_CALL(name) Find(library, #name, &calls_.name);
#include "smi/calls.def"
#undef HAMI_SMI_CALL
  const char* (*describe)() = nullptr;
  Find(library, HAMI_SIMULATION_SYMBOL, &describe);
  if (describe != nullptr) simulation_ = describe();

  const nvmlReturn_t result = Call(calls_.nvmlInit_v2);
  if (result == NVML_SUCCESS) return kExitOk;
  if (result == NVML_ERROR_DRIVER_NOT_LOADED || result == NVML_ERROR_FUNCTION_NOT_FOUND) {
    ExplainMissing(ErrorText(result));
    return kExitNoDriver;
  }
  fprintf(stderr, "NVML does not start: %s\n", ErrorText(result));
  return result <= NVML_ERROR_GPU_IS_LOST ? static_cast<int>(result) : kExitUnknown;
}

void Nvml::Close() { static_cast<void>(Call(calls_.nvmlShutdown)); }

const char* Nvml::ErrorText(nvmlReturn_t result) const {
  return calls_.nvmlErrorString == nullptr ? "unknown error" : calls_.nvmlErrorString(result);
}

}  // namespace hami::smi
