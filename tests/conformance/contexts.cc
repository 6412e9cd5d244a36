// SPDX-License-Identifier: Apache-2.0
//
// Contexts: the primary one, explicit ones, the thread's stack, what they cost.

#include <thread>

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

CASE(contexts_needed, "Driver API, Context Management: most calls need a current context") {
  GIVES(CUDA_SUCCESS, "cuInit", 0U);
  CUdeviceptr memory = 0;
  GIVES(CUDA_ERROR_INVALID_CONTEXT, "cuMemAlloc_v2", &memory, kMib);
  GIVES(CUDA_ERROR_INVALID_CONTEXT, "cuCtxSynchronize");
}

CASE(contexts_not_for_freeing, "numba-cuda frees at its end, when no context is current") {
  Start();
  CUdeviceptr memory = 0;
  void* host = nullptr;
  CUcontext popped = nullptr;
  OK("cuMemAlloc_v2", &memory, 64 * kMib);
  OK("cuMemAllocHost_v2", &host, kMib);
  const size_t before = FreeBytes();
  OK("cuCtxPopCurrent_v2", &popped);
  OK("cuMemFree_v2", memory);
  OK("cuMemFreeHost", host);
  OK("cuCtxPushCurrent_v2", popped);
  CHECK(FreeBytes() >= before + 64 * kMib);
}

CASE(contexts_primary_count, "Driver API, Primary Context Management: references are counted") {
  CUcontext first = Start();
  CUcontext second = nullptr;
  unsigned flags = 0;
  int active = 0;
  OK("cuDevicePrimaryCtxRetain", &second, CUdevice{0});
  CHECK(first == second);
  OK("cuDevicePrimaryCtxRelease_v2", CUdevice{0});
  OK("cuDevicePrimaryCtxGetState", CUdevice{0}, &flags, &active);
  CHECK(active == 1);
  OK("cuDevicePrimaryCtxRelease_v2", CUdevice{0});
  OK("cuDevicePrimaryCtxGetState", CUdevice{0}, &flags, &active);
  CHECK(active == 0);
  GIVES(CUDA_ERROR_INVALID_CONTEXT, "cuDevicePrimaryCtxRelease_v2", CUdevice{0});
}

CASE(contexts_stack, "Driver API, Context Management, cuCtxCreate, cuCtxPushCurrent, Pop") {
  CUcontext primary = Start();
  CUcontext made = nullptr;
  CUcontext current = nullptr;
  OK("cuCtxCreate_v2", &made, 0U, CUdevice{0});  // becomes current
  OK("cuCtxGetCurrent", &current);
  CHECK(current == made);
  OK("cuCtxPopCurrent_v2", &current);
  CHECK(current == made);
  OK("cuCtxGetCurrent", &current);
  CHECK(current == primary);
  OK("cuCtxPushCurrent_v2", made);
  OK("cuCtxDestroy_v2", made);  // pops it
  OK("cuCtxGetCurrent", &current);
  CHECK(current == primary);
  OK("cuCtxPopCurrent_v2", &current);
  GIVES(CUDA_ERROR_INVALID_CONTEXT, "cuCtxPopCurrent_v2", &current);
}

CASE(contexts_of_thread, "Driver API, Context Management: the current context is a thread's") {
  Start();
  std::thread([] {
    CUcontext current = reinterpret_cast<CUcontext>(1);
    OK("cuCtxGetCurrent", &current);
    CHECK(current == nullptr);
  }).join();
}

CASE(contexts_cost, "Programming Guide, Context: each has its resources; gone when destroyed") {
  Start();
  const size_t before = FreeBytes();
  CUcontext made = nullptr;
  CUdeviceptr memory = 0;
  OK("cuCtxCreate_v2", &made, 0U, CUdevice{0});
  const size_t with_context = FreeBytes();
  CHECK(before - with_context >= 2 * kMib && before > with_context);
  OK("cuMemAlloc_v2", &memory, 64 * kMib);
  CHECK(with_context - FreeBytes() == 64 * kMib);
  OK("cuCtxDestroy_v2", made);
  CHECK(FreeBytes() >= with_context + 64 * kMib);  // its memory went with it
}

CASE(contexts_limits, "Driver API, Context Management, cuCtxGetLimit, cuCtxSetLimit") {
  Start();
  size_t bytes = 0;
  OK("cuCtxSetLimit", 0, size_t{4096});
  OK("cuCtxGetLimit", &bytes, 0);
  CHECK(bytes >= 4096);
  GIVES(CUDA_ERROR_UNSUPPORTED_LIMIT, "cuCtxGetLimit", &bytes, 77);
}

CASE(contexts_stack_memory,
     "Driver API, cuCtxSetLimit: the stack takes effect immediately; for all resident threads") {
  Start();
  const size_t threads = static_cast<size_t>(Attribute(16)) * static_cast<size_t>(Attribute(39));
  size_t bytes = 0;
  OK("cuCtxGetLimit", &bytes, 0);
  const size_t before = FreeBytes();
  OK("cuCtxSetLimit", 0, bytes + 4096);
  CHECK(before - FreeBytes() >= threads * 4096);
  OK("cuCtxSetLimit", 0, bytes);
  GIVES(CUDA_ERROR_UNSUPPORTED_LIMIT, "cuCtxSetLimit", 77, size_t{1});
}

CASE(contexts_limits_of_each, "Driver API, cuCtxSetLimit: a limit is the current context's") {
  Start();
  CUcontext made = nullptr;
  size_t first = 0;
  size_t second = 0;
  const size_t before = FreeBytes();
  OK("cuCtxGetLimit", &first, 2);
  OK("cuCtxCreate_v2", &made, 0U, CUdevice{0});
  OK("cuCtxSetLimit", 2, first + 64 * kMib);
  OK("cuCtxGetLimit", &second, 2);
  CHECK(second >= first + 64 * kMib);
  OK("cuCtxDestroy_v2", made);
  OK("cuCtxGetLimit", &second, 2);
  CHECK(second == first);
  CHECK(FreeBytes() == before);  // what it took went with the context
}

}  // namespace
}  // namespace hami::conformance
