// SPDX-License-Identifier: Apache-2.0
//
// Plain and host memory, copies, pointers.

#include <cstring>
#include <vector>

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

CUdeviceptr Allocate(size_t bytes) {
  CUdeviceptr memory = 0;
  OK("cuMemAlloc_v2", &memory, bytes);
  return memory;
}

CASE(memory_bad_arguments, "Driver API, Memory Management, cuMemAlloc: bytesize 0 is invalid") {
  Start();
  CUdeviceptr memory = 0;
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuMemAlloc_v2", &memory, size_t{0});
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuMemAlloc_v2", static_cast<CUdeviceptr*>(nullptr), kMib);
  GIVES(CUDA_SUCCESS, "cuMemFree_v2", CUdeviceptr{0});
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuMemFree_v2", CUdeviceptr{0x1234});
}

CASE(memory_too_much, "Driver API, Memory Management, cuMemAlloc: OUT_OF_MEMORY, nothing taken") {
  Start();
  CUdeviceptr memory = 0;
  const size_t before = FreeBytes();
  GIVES(CUDA_ERROR_OUT_OF_MEMORY, "cuMemAlloc_v2", &memory, before + kMib * 64);
  CHECK(FreeBytes() == before);
}

CASE(memory_granularity, "Driver API, cuMemGetInfo: physical memory, in granules of 2 MiB") {
  Start();
  const size_t before = FreeBytes();
  CUdeviceptr memory = Allocate(3 * kMib);
  CHECK(before - FreeBytes() == 4 * kMib);
  OK("cuMemFree_v2", memory);
  CHECK(FreeBytes() == before);
}

CASE(memory_small, "Driver API, cuMemAlloc: suitably aligned; small ones share a granule") {
  Start();
  const size_t before = FreeBytes();
  std::vector<CUdeviceptr> all;
  for (int i = 0; i < 64; ++i) all.push_back(Allocate(1000));
  CHECK(before - FreeBytes() <= 4 * kMib);
  for (CUdeviceptr memory : all) CHECK(memory % 256 == 0);
  for (CUdeviceptr memory : all) OK("cuMemFree_v2", memory);
  CUdeviceptr freed = all.back();
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuMemFree_v2", freed);
}

CASE(memory_copies, "Driver API, Memory Management, cuMemcpy*, cuMemset*: contents arrive") {
  Start();
  constexpr size_t kBytes = 1 << 16;
  std::vector<char> in(kBytes);
  std::vector<char> out(kBytes);
  for (size_t i = 0; i < kBytes; ++i) in[i] = static_cast<char>(i * 7);
  CUdeviceptr a = Allocate(kBytes);
  CUdeviceptr b = Allocate(kBytes);
  OK("cuMemcpyHtoD_v2", a, static_cast<const void*>(in.data()), kBytes);
  OK("cuMemcpyDtoD_v2", b, a, kBytes);
  OK("cuMemsetD8_v2", b, static_cast<unsigned char>(9), size_t{16});
  OK("cuMemcpyDtoH_v2", static_cast<void*>(out.data()), b, kBytes);
  CHECK(out[0] == 9 && out[15] == 9);
  CHECK(std::memcmp(in.data() + 16, out.data() + 16, kBytes - 16) == 0);
}

CASE(memory_range, "Driver API, Memory Management, cuMemGetAddressRange; cuPointerGetAttribute") {
  Start();
  CUdeviceptr memory = Allocate(3 * kMib);
  CUdeviceptr base = 0;
  size_t bytes = 0;
  unsigned type = 0;
  OK("cuMemGetAddressRange_v2", &base, &bytes, memory + 4096);
  CHECK(base == memory && bytes == 3 * kMib);
  OK("cuPointerGetAttribute", static_cast<void*>(&type), CU_POINTER_ATTRIBUTE_MEMORY_TYPE, memory);
  CHECK(type == 2);  // device
  int local = 0;
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuPointerGetAttribute", static_cast<void*>(&type),
        CU_POINTER_ATTRIBUTE_MEMORY_TYPE, reinterpret_cast<CUdeviceptr>(&local));
}

CASE(memory_host, "Driver API, Memory Management, cuMemHostAlloc, cuMemHostRegister") {
  Start();
  void* memory = nullptr;
  CUdeviceptr device = 0;
  const size_t before = FreeBytes();
  OK("cuMemHostAlloc", &memory, 64 * kMib, 2U);
  std::memset(memory, 1, 64 * kMib);
  CHECK(before - FreeBytes() < 64 * kMib);  // it is the host's
  OK("cuMemHostGetDevicePointer_v2", &device, memory, 0U);
  CHECK(device != 0);
  OK("cuMemFreeHost", memory);
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuMemFreeHost", memory);
  std::vector<char> own(1 << 16);
  OK("cuMemHostRegister_v2", static_cast<void*>(own.data()), own.size(), 0U);
  GIVES(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "cuMemHostRegister_v2",
        static_cast<void*>(own.data()), own.size(), 0U);
  OK("cuMemHostUnregister", static_cast<void*>(own.data()));
  GIVES(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "cuMemHostUnregister",
        static_cast<void*>(own.data()));
}

}  // namespace
}  // namespace hami::conformance
