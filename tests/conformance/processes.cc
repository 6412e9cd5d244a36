// SPDX-License-Identifier: Apache-2.0
//
// Two processes on a device: what they share, and what is left when one is killed.

#include <time.h>

#include "tests/conformance/cases.h"

namespace hami::conformance {
namespace {

CASE(processes_death_frees, "Programming Guide, Context; CUDA: a process' resources end with it") {
  Start();
  const size_t before = FreeBytes();
  Neighbour neighbour("hold");
  const size_t taken = before - FreeBytes();
  CHECK(taken > 256 * kMib);  // its memory and its context
  neighbour.Kill();
  // A real driver tidies up in the background.
  for (int i = 0; i < 200 && FreeBytes() < before; ++i) {
    const timespec pause = {0, 50'000'000};
    nanosleep(&pause, nullptr);
  }
  CHECK(FreeBytes() == before);
}

CASE(processes_take_turns, "Programming Guide: contexts of processes without MPS are time-sliced") {
  Start();
  const Spinner spinner;
  CUstream stream = NewStream(1);
  CUevent start = NewEvent();
  CUevent end = NewEvent();
  float alone = 0;
  float shared = 0;
  for (float* result : {&alone, &shared}) {
    if (result == &shared) {
      static Neighbour neighbour("spin");
    }
    OK("cuEventRecord", start, stream);
    for (int i = 0; i < 10; ++i) spinner.Launch(stream, 20);
    OK("cuEventRecord", end, stream);
    OK("cuEventSynchronize", end);
    *result = Milliseconds(start, end);
  }
  CHECK(shared > 1.4F * alone);  // the neighbour's slices lie within
}

struct NvmlProcess {  // nvmlProcessInfo_t of _v3
  unsigned pid;
  unsigned long long used;
  unsigned gpu_instance;
  unsigned compute_instance;
};

CASE(processes_in_nvml, "NVML API, nvmlDeviceGetComputeRunningProcesses: who has a context") {
  void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
  if (library == nullptr) Skip("no libnvidia-ml.so.1");
  const auto init = reinterpret_cast<int (*)()>(dlsym(library, "nvmlInit_v2"));
  const auto device_at =
      reinterpret_cast<int (*)(unsigned, void**)>(dlsym(library, "nvmlDeviceGetHandleByIndex_v2"));
  const auto processes = reinterpret_cast<int (*)(void*, unsigned*, NvmlProcess*)>(
      dlsym(library, "nvmlDeviceGetComputeRunningProcesses_v3"));
  if (init == nullptr || device_at == nullptr || processes == nullptr) Skip("an old NVML");
  void* device = nullptr;
  CHECK(init() == 0 && device_at(0, &device) == 0);
  const auto count = [&] {
    NvmlProcess found[64];
    unsigned number = 64;
    CHECK(processes(device, &number, found) == 0);
    return number;
  };
  const unsigned before = count();
  Neighbour neighbour("hold");
  CHECK(count() == before + 1);
  neighbour.Kill();
  for (int i = 0; i < 200 && count() > before; ++i) {
    const timespec pause = {0, 50'000'000};
    nanosleep(&pause, nullptr);
  }
  CHECK(count() == before);
}

}  // namespace
}  // namespace hami::conformance
