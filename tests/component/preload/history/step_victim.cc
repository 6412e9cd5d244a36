// SPDX-License-Identifier: Apache-2.0
//
// step_victim CALL [fork]: a CUDA program that is stepped through one driver call. It prepares what
// the call needs (and forks a child that lives on until it is killed), says "ready CHILD" and
// waits for a byte. The call is made between two SIGUSR1, for whoever traces; then "done RESULT".

#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include "api/cuda/functions.h"

namespace {

constexpr size_t kMiB = size_t{1} << 20;

void* driver_handle = nullptr;

void* Look(const char* name) {
  void* found = dlsym(driver_handle, name);
  if (found == nullptr) {
    std::cerr << "step_victim: no " << name << std::endl;
    std::exit(1);
  }
  return found;
}

#define DRIVER(name) (reinterpret_cast<decltype(&::name)>(Look(#name)))

void Need(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return;
  std::cerr << "step_victim: " << what << ": " << result << std::endl;
  std::exit(1);
}

struct Step {
  std::function<void()> prepare;
  std::function<CUresult()> call;
};

// Looks every function up before it is stepped: that is not the call.
std::map<std::string, Step> Steps() {
  static CUdeviceptr pointer = 0;
  static CUcontext context = nullptr;
  static CUmemGenericAllocationHandle handle = 0;
  static CUmemoryPool pool = nullptr;
  static CUmemAllocationProp props = {};
  props.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.location.type = CU_MEM_LOCATION_TYPE_DEVICE;

  auto* retain = DRIVER(cuDevicePrimaryCtxRetain);
  auto* release = DRIVER(cuDevicePrimaryCtxRelease_v2);
  auto* alloc = DRIVER(cuMemAlloc_v2);
  auto* free = DRIVER(cuMemFree_v2);
  auto* managed = DRIVER(cuMemAllocManaged);
  auto* create_context = DRIVER(cuCtxCreate_v2);
  auto* destroy_context = DRIVER(cuCtxDestroy_v2);
  auto* async = DRIVER(cuMemAllocAsync);
  auto* free_async = DRIVER(cuMemFreeAsync);
  auto* trim = DRIVER(cuMemPoolTrimTo);
  auto* create = DRIVER(cuMemCreate);
  auto* release_handle = DRIVER(cuMemRelease);

  const auto nothing = [] {};
  return {
      {"alloc", {nothing, [=] { return alloc(&pointer, 20 * kMiB); }}},
      {"alloc-small", {nothing, [=] { return alloc(&pointer, 100); }}},
      {"alloc-refused", {nothing, [=] { return alloc(&pointer, 4096 * kMiB); }}},
      {"free", {[=] { Need(alloc(&pointer, 20 * kMiB), "alloc"); }, [=] { return free(pointer); }}},
      {"managed", {nothing, [=] { return managed(&pointer, 3 * kMiB, 1); }}},
      {"context", {nothing, [=] { return create_context(&context, 0, 0); }}},
      {"destroy-context",
       {[=] { Need(create_context(&context, 0, 0), "context"); },
        [=] { return destroy_context(context); }}},
      {"retain", {[=] { Need(release(0), "release"); }, [=] { return retain(&context, 0); }}},
      {"release", {nothing, [=] { return release(0); }}},
      {"async", {nothing, [=] { return async(&pointer, 20 * kMiB, nullptr); }}},
      {"trim",
       {[=] {
          Need(async(&pointer, 20 * kMiB, nullptr), "async");
          Need(free_async(pointer, nullptr), "free async");
          Need(DRIVER(cuDeviceGetDefaultMemPool)(&pool, 0), "pool");
        },
        [=] { return trim(pool, 0); }}},
      {"create", {nothing, [=] { return create(&handle, 20 * kMiB, &props, 0); }}},
      {"release-handle",
       {[=] { Need(create(&handle, 20 * kMiB, &props, 0), "create"); },
        [=] { return release_handle(handle); }}},
  };
}

// A context, and everything that is done at a first time is done. The look at the memory reaps what
// earlier victims left.
void Start() {
  Need(DRIVER(cuInit)(0), "init");
  CUcontext context = nullptr;
  Need(DRIVER(cuDevicePrimaryCtxRetain)(&context, 0), "retain");
  auto* set_current = reinterpret_cast<CUresult (*)(CUcontext)>(Look("cuCtxSetCurrent"));
  Need(set_current(context), "set current");
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  Need(DRIVER(cuMemGetInfo_v2)(&free_bytes, &total_bytes), "info");
  CUdeviceptr pointer = 0;
  Need(DRIVER(cuMemAlloc_v2)(&pointer, 100), "alloc");
  Need(DRIVER(cuMemFree_v2)(pointer), "free");
}

pid_t ForkOneThatLivesOn() {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  alarm(60);  // longer than any test looks at it
  while (true) pause();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 1;
  driver_handle = dlopen("libcuda.so.1", RTLD_NOW);
  if (driver_handle == nullptr) return 1;
  const std::map<std::string, Step> steps = Steps();
  const Step& step = steps.at(argv[1]);
  Start();
  step.prepare();
  const pid_t child = argc > 2 ? ForkOneThatLivesOn() : 0;
  std::cout << "ready " << child << std::endl;
  char byte;
  if (read(STDIN_FILENO, &byte, 1) != 1) return 0;
  raise(SIGUSR1);
  const CUresult result = step.call();
  raise(SIGUSR1);
  std::cout << "done " << static_cast<int>(result) << std::endl;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}
