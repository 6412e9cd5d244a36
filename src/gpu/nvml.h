// SPDX-License-Identifier: Apache-2.0
//
// libnvidia-ml.so.1, found at run time: a machine without a driver is a normal case here. The
// functions are a typed table; the type of each entry is that of its prototype in api/nvml.
//
// Invariant: between a successful Load and the destructor the library is initialised once. NVML is
// thread-safe, and so is a const Nvml.

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/nvml/functions.h"
#include "base/result.h"

namespace hami::gpu {

// Where to look for the driver's libraries.
struct DriverLocation {
  // The file system that has the driver: "/", or a mount of the host's root in a container.
  std::string root = "/";
  // A folder that holds libcuda.so.1 and libnvidia-ml.so.1 (a simulation's); searched alone.
  std::string library_folder;
};

// Every driver since 440 has the first group; an entry of the second is null where it is missing.
#define HAMI_GPU_NVML_REQUIRED(X)  \
  X(nvmlInit_v2)                   \
  X(nvmlShutdown)                  \
  X(nvmlErrorString)               \
  X(nvmlSystemGetDriverVersion)    \
  X(nvmlDeviceGetCount_v2)         \
  X(nvmlDeviceGetHandleByIndex_v2) \
  X(nvmlDeviceGetUUID)             \
  X(nvmlDeviceGetName)             \
  X(nvmlDeviceGetMemoryInfo)
#define HAMI_GPU_NVML_OPTIONAL(X)               \
  X(nvmlSystemGetCudaDriverVersion_v2)          \
  X(nvmlDeviceGetPciInfo_v3)                    \
  X(nvmlDeviceGetMinorNumber)                   \
  X(nvmlDeviceGetBrand)                         \
  X(nvmlDeviceGetCudaComputeCapability)         \
  X(nvmlDeviceGetMemoryInfo_v2)                 \
  X(nvmlDeviceGetUtilizationRates)              \
  X(nvmlDeviceGetProcessUtilization)            \
  X(nvmlDeviceGetComputeRunningProcesses)       \
  X(nvmlDeviceGetComputeRunningProcesses_v2)    \
  X(nvmlDeviceGetComputeRunningProcesses_v3)    \
  X(nvmlDeviceGetGraphicsRunningProcesses)      \
  X(nvmlDeviceGetGraphicsRunningProcesses_v2)   \
  X(nvmlDeviceGetGraphicsRunningProcesses_v3)   \
  X(nvmlDeviceGetMPSComputeRunningProcesses)    \
  X(nvmlDeviceGetMPSComputeRunningProcesses_v2) \
  X(nvmlDeviceGetMPSComputeRunningProcesses_v3)

struct NvmlFunctions {
#define HAMI_GPU_FIELD(symbol) decltype(&::symbol) symbol = nullptr;
  HAMI_GPU_NVML_REQUIRED(HAMI_GPU_FIELD)
  HAMI_GPU_NVML_OPTIONAL(HAMI_GPU_FIELD)
#undef HAMI_GPU_FIELD
};

class Nvml {
 public:
  // If somebody has installed the simulated driver in the root (run/hami-sim/state), HAMI_SIM is
  // set in this process' environment unless it is set already, because that is how its library
  // finds its state. Nothing real is replaced by it; callers say what simulation() says. Not while
  // another thread reads or writes the environment.
  // kUnavailable: no library, or no driver behind it. kPermissionDenied: the device files are not
  // accessible. kFailedPrecondition: library and kernel module do not match.
  static Result<std::unique_ptr<Nvml>> Load(const DriverLocation& location);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  const NvmlFunctions* operator->() const { return &functions_; }

  // An Error for a result that is not NVML_SUCCESS: "<what>: <the driver's words>".
  Error Failure(nvmlReturn_t result, std::string_view what) const;

  // The file that was loaded, and the folder it lies in.
  const std::string& library_path() const { return library_path_; }
  std::string library_folder() const;

  // What the library says of itself if it is simulated (api/nvml/simulation.h), else empty.
  const std::string& simulation() const { return simulation_; }

 private:
  Nvml() = default;
  Status Resolve();

  void* handle_ = nullptr;
  bool initialised_ = false;
  NvmlFunctions functions_;
  std::string library_path_;
  std::string simulation_;
};

// Candidates for a driver library, best first. With root "/" and no folder that is the bare name,
// which the dynamic linker looks up (LD_LIBRARY_PATH, cache).
std::vector<std::string> LibraryCandidates(const DriverLocation& location, std::string_view name);

}  // namespace hami::gpu
