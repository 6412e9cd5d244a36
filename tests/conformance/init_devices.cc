// SPDX-License-Identifier: Apache-2.0
//
// Initialisation, versions, errors, devices, function look-up.

#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

CASE(init_before_use, "Driver API, Initialization: cuInit must be called before any other") {
  int count = 0;
  CUcontext context = nullptr;
  GIVES(CUDA_ERROR_NOT_INITIALIZED, "cuDeviceGetCount", &count);
  GIVES(CUDA_ERROR_NOT_INITIALIZED, "cuCtxGetCurrent", &context);
  int version = 0;
  OK("cuDriverGetVersion", &version);
}

CASE(init_flags, "Driver API, Initialization, cuInit: Flags must be 0") {
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuInit", 1U);
  Start();
  OK("cuInit", 0U);  // again
}

CASE(init_forked_child, "Driver API, cuInit; Programming Guide: no use in a forked child") {
  Start();
  const pid_t pid = fork();
  if (pid == 0) {
    int count = 0;
    _exit(Cu("cuDeviceGetCount", &count) == CUDA_SUCCESS && Cu("cuCtxSynchronize") == CUDA_SUCCESS);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  OK("cuCtxSynchronize");
}

CASE(errors_names, "Driver API, Error Handling, cuGetErrorName, cuGetErrorString") {
  const char* text = nullptr;
  OK("cuGetErrorName", CUDA_ERROR_OUT_OF_MEMORY, &text);
  CHECK(std::strcmp(text, "CUDA_ERROR_OUT_OF_MEMORY") == 0);
  OK("cuGetErrorString", CUDA_ERROR_OUT_OF_MEMORY, &text);
  CHECK(text != nullptr && *text != 0);
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuGetErrorName", static_cast<CUresult>(987654), &text);
  CHECK(text == nullptr);
}

CASE(devices_range, "Driver API, Device Management, cuDeviceGet: ordinal in [0, count-1]") {
  Start();
  int count = 0;
  CUdevice device = -1;
  OK("cuDeviceGetCount", &count);
  CHECK(count >= 1);
  OK("cuDeviceGet", &device, count - 1);
  GIVES(CUDA_ERROR_INVALID_DEVICE, "cuDeviceGet", &device, count);
  GIVES(CUDA_ERROR_INVALID_DEVICE, "cuDeviceGet", &device, -1);
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuDeviceGet", static_cast<CUdevice*>(nullptr), 0);
}

CASE(devices_bus_id, "Driver API, Device Management, cuDeviceGetPCIBusId, cuDeviceGetByPCIBusId") {
  Start();
  char text[32] = {};
  CUdevice device = -1;
  OK("cuDeviceGetPCIBusId", static_cast<char*>(text), 32, CUdevice{0});
  CHECK(std::strlen(text) == 12);  // domain:bus:device.function
  OK("cuDeviceGetByPCIBusId", &device, static_cast<const char*>(text));
  CHECK(device == 0);
}

CASE(devices_attributes, "Driver API, Device Management, cuDeviceGetAttribute") {
  Start();
  int value = 0;
  CHECK(Attribute(10) == 32);   // warp size
  CHECK(Attribute(1) == 1024);  // threads per block
  CHECK(Attribute(16) > 0);     // multiprocessors
  CHECK(Attribute(41) == 1);    // unified addressing
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuDeviceGetAttribute", &value, 99999, CUdevice{0});
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuDeviceGetAttribute", &value, 0, CUdevice{0});
}

CASE(devices_total_memory, "Driver API, cuDeviceTotalMem, cuMemGetInfo: free is within total") {
  Start();
  size_t device_total = 0;
  size_t free = 0;
  size_t total = 0;
  OK("cuDeviceTotalMem_v2", &device_total, CUdevice{0});
  OK("cuMemGetInfo_v2", static_cast<size_t*>(nullptr), static_cast<size_t*>(nullptr));
  OK("cuMemGetInfo_v2", &free, &total);
  CHECK(total == device_total);
  CHECK(free < total);  // this context costs something
}

CASE(proc_address_found, "Driver API, Driver Entry Point Access, cuGetProcAddress") {
  Start();
  void* function = nullptr;
  int status = -1;
  OK("cuGetProcAddress_v2", "cuMemAlloc", &function, 12000, cuuint64_t{0}, &status);
  CHECK(function != nullptr && status == CU_GET_PROC_ADDRESS_SUCCESS);
  CUdeviceptr memory = 0;
  const auto allocate = reinterpret_cast<CUresult (*)(CUdeviceptr*, size_t)>(function);
  CHECK(allocate(&memory, size_t{5} << 30) == CUDA_SUCCESS);  // 64-bit: the newer variant
  OK("cuMemFree_v2", memory);
}

CASE(proc_address_missing, "Driver API, Driver Entry Point Access: SYMBOL_NOT_FOUND, VERSION") {
  Start();
  void* function = nullptr;
  int status = -1;
  // Drivers differ in what the call returns; the status says why.
  const CUresult missing =
      Cu("cuGetProcAddress_v2", "cuNoSuchThing", &function, 12000, cuuint64_t{0}, &status);
  CHECK(missing == CUDA_SUCCESS || missing == CUDA_ERROR_NOT_FOUND);
  CHECK(status == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND && function == nullptr);
  const CUresult old =
      Cu("cuGetProcAddress_v2", "cuMemAllocAsync", &function, 10000, cuuint64_t{0}, &status);
  CHECK(old == CUDA_SUCCESS || old == CUDA_ERROR_NOT_FOUND);
  CHECK(status == CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT && function == nullptr);
}

}  // namespace
}  // namespace hami::conformance
