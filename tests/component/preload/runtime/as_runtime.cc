// SPDX-License-Identifier: Apache-2.0
//
// Finds the driver as NVIDIA's runtime library does: by dlsym only cuDriverGetVersion and
// cuGetProcAddress_v2, and everything else, cuGetProcAddress included, from what that gives, with
// the runtime's version and stream flag. Prints what it sees; arguments: bytes to allocate, each in
// turn. Exit code 1 if something cannot be found.

#include <dlfcn.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "api/cuda/functions.h"

namespace {

decltype(&::cuGetProcAddress_v2) get_proc_address = nullptr;
int driver_version = 0;

using CtxSetCurrent = CUresult(CUcontext);

template <typename Function>
Function* Get(const char* name, int version, cuuint64_t flags) {
  void* found = nullptr;
  CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  const CUresult result = get_proc_address(name, &found, version, flags, &status);
  if (result != CUDA_SUCCESS || found == nullptr || status != CU_GET_PROC_ADDRESS_SUCCESS) {
    std::cerr << "no " << name << ": result " << result << ", status " << status << '\n';
    std::exit(1);
  }
  return reinterpret_cast<Function*>(found);
}

void Must(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return;
  std::cerr << what << ": " << result << '\n';
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) {
    std::cerr << dlerror() << '\n';
    return 1;
  }
  const auto get_version =
      reinterpret_cast<decltype(&::cuDriverGetVersion)>(dlsym(driver, "cuDriverGetVersion"));
  get_proc_address =
      reinterpret_cast<decltype(&::cuGetProcAddress_v2)>(dlsym(driver, "cuGetProcAddress_v2"));
  if (get_version == nullptr || get_proc_address == nullptr) return 1;
  Must(get_version(&driver_version), "cuDriverGetVersion");
  constexpr cuuint64_t kThread = CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
  constexpr cuuint64_t kLegacy = CU_GET_PROC_ADDRESS_LEGACY_STREAM;
  // What looks functions up from here on came out of a look-up itself.
  get_proc_address = Get<decltype(::cuGetProcAddress_v2)>("cuGetProcAddress", 12000, kThread);

  Must(Get<decltype(::cuInit)>("cuInit", 2000, kThread)(0), "cuInit");
  CUcontext context = nullptr;
  Must(Get<decltype(::cuDevicePrimaryCtxRetain)>("cuDevicePrimaryCtxRetain", 7000, kThread)(
           &context, 0),
       "cuDevicePrimaryCtxRetain");
  Must(Get<CtxSetCurrent>("cuCtxSetCurrent", 4000, kThread)(context), "cuCtxSetCurrent");
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  Must(Get<decltype(::cuMemGetInfo_v2)>("cuMemGetInfo", 3020, kThread)(&free_bytes, &total_bytes),
       "cuMemGetInfo");
  std::cout << "total_mib=" << (total_bytes >> 20) << '\n';
  auto* alloc = Get<decltype(::cuMemAlloc_v2)>("cuMemAlloc", 3020, kLegacy);
  auto* alloc_async = Get<decltype(::cuMemAllocAsync_ptsz)>("cuMemAllocAsync", 11020, kThread);
  for (int i = 1; i < argc; ++i) {
    CUdeviceptr pointer = 0;
    std::cout << "alloc " << argv[i] << ' ' << alloc(&pointer, std::stoull(argv[i])) << '\n';
    pointer = 0;
    std::cout << "async " << argv[i] << ' ' << alloc_async(&pointer, std::stoull(argv[i]), nullptr)
              << '\n';
  }
  return 0;
}
