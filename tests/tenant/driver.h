// SPDX-License-Identifier: Apache-2.0
//
// The CUDA driver interface as an application finds it: by dlopen and dlsym at run time. What
// tests, benchmarks and the demo use to stand for an application; it knows nothing of the library
// that may be preloaded into it.

#pragma once

#include <string>

#include "api/cuda/functions.h"

namespace hami::tenant {

// Functions that only this program needs, with their driver signatures.
using StreamCreateFunction = CUresult(CUstream*, unsigned int);
using StreamFunction = CUresult(CUstream);
using ModuleGetFunction = CUresult(CUfunction*, CUmodule, const char*);
using DeviceGetNameFunction = CUresult(char*, int, CUdevice);
using CtxSetCurrentFunction = CUresult(CUcontext);
using NoArgumentFunction = CUresult();
using GraphInstantiateFunction = CUresult(CUgraphExec*, CUgraph, unsigned long long);
using GraphDestroyFunction = CUresult(CUgraph);
using ErrorNameFunction = CUresult(CUresult, const char**);

struct Driver {
  decltype(&::cuInit) init;
  decltype(&::cuDriverGetVersion) version;
  decltype(&::cuDeviceGetCount) device_count;
  decltype(&::cuDeviceGet) device_get;
  DeviceGetNameFunction* device_name;
  decltype(&::cuDeviceTotalMem_v2) total_mem;
  decltype(&::cuMemGetInfo_v2) mem_info;
  decltype(&::cuDevicePrimaryCtxRetain) retain;
  CtxSetCurrentFunction* set_current;
  NoArgumentFunction* synchronize;
  decltype(&::cuMemAlloc_v2) alloc;
  decltype(&::cuMemFree_v2) free;
  decltype(&::cuModuleLoadData) module_load;
  ModuleGetFunction* module_function;
  decltype(&::cuLaunchKernel) launch;
  StreamCreateFunction* stream_create;
  StreamFunction* stream_synchronize;
  decltype(&::cuEventCreate) event_create;
  decltype(&::cuEventRecord) event_record;
  decltype(&::cuEventQuery) event_query;
  CUresult (*event_synchronize)(CUevent);
  decltype(&::cuEventElapsedTime) event_elapsed;
  decltype(&::cuStreamBeginCapture_v2) begin_capture;
  decltype(&::cuStreamEndCapture) end_capture;
  GraphInstantiateFunction* graph_instantiate;
  GraphDestroyFunction* graph_destroy;
  decltype(&::cuGraphLaunch) graph_launch;
  ErrorNameFunction* error_name;

  // Looks everything up; exits with a message if the driver or a function is missing.
  static Driver Open();

  // "CUDA_SUCCESS", "CUDA_ERROR_OUT_OF_MEMORY" ...
  std::string NameOf(CUresult result) const;

  // Exits with a message naming `what` unless the result is success.
  void Must(CUresult result, const char* what) const;
};

}  // namespace hami::tenant
