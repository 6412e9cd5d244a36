// SPDX-License-Identifier: Apache-2.0

#include "tests/tenant/driver.h"

#include <dlfcn.h>

#include <cstdlib>
#include <iostream>

namespace hami::tenant {
namespace {

template <typename Function>
void Find(void* handle, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(handle, name));
  if (*function == nullptr) {
    std::cerr << "tenant: the driver has no " << name << '\n';
    std::exit(1);
  }
}

}  // namespace

Driver Driver::Open() {
  void* handle = dlopen("libcuda.so.1", RTLD_NOW);
  if (handle == nullptr) {
    std::cerr << "tenant: " << dlerror() << '\n';
    std::exit(1);
  }
  Driver driver = {};
  Find(handle, "cuInit", &driver.init);
  Find(handle, "cuDriverGetVersion", &driver.version);
  Find(handle, "cuDeviceGetCount", &driver.device_count);
  Find(handle, "cuDeviceGet", &driver.device_get);
  Find(handle, "cuDeviceGetName", &driver.device_name);
  Find(handle, "cuDeviceTotalMem_v2", &driver.total_mem);
  Find(handle, "cuMemGetInfo_v2", &driver.mem_info);
  Find(handle, "cuDevicePrimaryCtxRetain", &driver.retain);
  Find(handle, "cuCtxSetCurrent", &driver.set_current);
  Find(handle, "cuCtxSynchronize", &driver.synchronize);
  Find(handle, "cuMemAlloc_v2", &driver.alloc);
  Find(handle, "cuMemFree_v2", &driver.free);
  Find(handle, "cuModuleLoadData", &driver.module_load);
  Find(handle, "cuModuleGetFunction", &driver.module_function);
  Find(handle, "cuLaunchKernel", &driver.launch);
  Find(handle, "cuStreamCreate", &driver.stream_create);
  Find(handle, "cuStreamSynchronize", &driver.stream_synchronize);
  Find(handle, "cuEventCreate", &driver.event_create);
  Find(handle, "cuEventRecord", &driver.event_record);
  Find(handle, "cuEventQuery", &driver.event_query);
  Find(handle, "cuEventSynchronize", &driver.event_synchronize);
  Find(handle, "cuEventElapsedTime", &driver.event_elapsed);
  Find(handle, "cuStreamBeginCapture_v2", &driver.begin_capture);
  Find(handle, "cuStreamEndCapture", &driver.end_capture);
  Find(handle, "cuGraphInstantiateWithFlags", &driver.graph_instantiate);
  Find(handle, "cuGraphDestroy", &driver.graph_destroy);
  Find(handle, "cuGraphLaunch", &driver.graph_launch);
  Find(handle, "cuGetErrorName", &driver.error_name);
  return driver;
}

std::string Driver::NameOf(CUresult result) const {
  const char* name = nullptr;
  if (error_name(result, &name) == CUDA_SUCCESS && name != nullptr) return name;
  return "CUDA error " + std::to_string(static_cast<int>(result));
}

void Driver::Must(CUresult result, const char* what) const {
  if (result == CUDA_SUCCESS) return;
  std::cerr << "tenant: " << what << ": " << NameOf(result) << '\n';
  std::exit(1);
}

}  // namespace hami::tenant
