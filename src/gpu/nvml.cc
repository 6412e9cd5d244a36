// SPDX-License-Identifier: Apache-2.0

#include "gpu/nvml.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>
#include <stdlib.h>

#include <array>

#include "api/nvml/simulation.h"
#include "base/file.h"
#include "gpu/driver_files.h"

namespace hami::gpu {
namespace {

constexpr std::string_view kLibrary = "libnvidia-ml.so.1";

// Where distributions and the container toolkit put the driver's libraries, and a simulation its
// own.
constexpr std::array<std::string_view, 8> kLibraryFolders = {
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "usr/local/nvidia/lib64",
    "run/nvidia/driver/usr/lib/x86_64-linux-gnu",
    "home/kubernetes/bin/nvidia/lib64",
    "run/hami-sim/lib"};

Error InitFailure(const NvmlFunctions& functions, nvmlReturn_t result, const std::string& path) {
  const std::string words = functions.nvmlErrorString(result);
  switch (result) {
    case NVML_ERROR_DRIVER_NOT_LOADED:
    case NVML_ERROR_LIBRARY_NOT_FOUND:
    case NVML_ERROR_GPU_NOT_FOUND:
      return {Code::kUnavailable,
              fmt::format("{} is installed, but no NVIDIA driver is loaded ({})", path, words)};
    case NVML_ERROR_NO_PERMISSION:
      return {Code::kPermissionDenied,
              fmt::format("the NVIDIA driver refuses this user ({}); check the permissions of "
                          "/dev/nvidiactl and /dev/nvidia*",
                          words)};
    case NVML_ERROR_LIB_RM_VERSION_MISMATCH:
      return {
          Code::kFailedPrecondition,
          fmt::format("{} and the loaded kernel module are of different versions ({}); load the "
                      "matching module or reboot",
                      path, words)};
    default:
      return {Code::kInternal, fmt::format("initialise {}: {}", path, words)};
  }
}

// A simulated driver that is installed in a root finds its state there, not below ours.
void PointToSimulation(const DriverLocation& location) {
  if (!location.library_folder.empty()) return;
  const std::string folder = FindSimulation(location.root);
  if (!folder.empty()) setenv(kSimulationVariable, folder.c_str(), /*overwrite=*/0);
}

}  // namespace

std::vector<std::string> LibraryCandidates(const DriverLocation& location, std::string_view name) {
  if (!location.library_folder.empty()) return {base::JoinPath(location.library_folder, name)};
  if (location.root == "/") return {std::string(name)};
  std::vector<std::string> candidates;
  for (const std::string_view folder : kLibraryFolders) {
    candidates.push_back(base::JoinPath(base::JoinPath(location.root, folder), name));
  }
  return candidates;
}

Result<std::unique_ptr<Nvml>> Nvml::Load(const DriverLocation& location) {
  std::unique_ptr<Nvml> nvml(new Nvml);
  std::string reason;
  PointToSimulation(location);
  for (const std::string& candidate : LibraryCandidates(location, kLibrary)) {
    nvml->handle_ = dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (nvml->handle_ != nullptr) break;
    // What is there and does not load says more than what is not there.
    if (reason.empty() || base::Exists(candidate)) reason = dlerror();
  }
  if (nvml->handle_ == nullptr) {
    return Fail(Code::kUnavailable, fmt::format("no NVIDIA driver on this machine ({})", reason));
  }
  RETURN_IF_ERROR(nvml->Resolve());
  const nvmlReturn_t result = nvml->functions_.nvmlInit_v2();
  if (result != NVML_SUCCESS) {
    return Fail(InitFailure(nvml->functions_, result, nvml->library_path_));
  }
  nvml->initialised_ = true;
  return nvml;
}

Status Nvml::Resolve() {
  link_map* map = nullptr;
  if (dlinfo(handle_, RTLD_DI_LINKMAP, &map) == 0) library_path_ = map->l_name;
#define HAMI_GPU_RESOLVE(symbol) \
  functions_.symbol = reinterpret_cast<decltype(&::symbol)>(dlsym(handle_, #symbol));
  HAMI_GPU_NVML_REQUIRED(HAMI_GPU_RESOLVE)
  HAMI_GPU_NVML_OPTIONAL(HAMI_GPU_RESOLVE)
#undef HAMI_GPU_RESOLVE
#define HAMI_GPU_REQUIRE(symbol)                                                        \
  if (functions_.symbol == nullptr) {                                                   \
    return Fail(Code::kFailedPrecondition,                                              \
                fmt::format("{} has no {}: too old a driver", library_path_, #symbol)); \
  }
  HAMI_GPU_NVML_REQUIRED(HAMI_GPU_REQUIRE)
#undef HAMI_GPU_REQUIRE
  const auto describe =
      reinterpret_cast<decltype(&::hamiSimulation)>(dlsym(handle_, HAMI_SIMULATION_SYMBOL));
  if (describe != nullptr) simulation_ = describe();
  return {};
}

Nvml::~Nvml() {
  if (initialised_) functions_.nvmlShutdown();
  if (handle_ != nullptr) dlclose(handle_);
}

Error Nvml::Failure(nvmlReturn_t result, std::string_view what) const {
  Code code = Code::kInternal;
  if (result == NVML_ERROR_NOT_SUPPORTED || result == NVML_ERROR_FUNCTION_NOT_FOUND) {
    code = Code::kUnimplemented;
  } else if (result == NVML_ERROR_NOT_FOUND) {
    code = Code::kNotFound;
  } else if (result == NVML_ERROR_NO_PERMISSION) {
    code = Code::kPermissionDenied;
  } else if (result == NVML_ERROR_GPU_IS_LOST || result == NVML_ERROR_RESET_REQUIRED) {
    code = Code::kUnavailable;
  }
  return {code, fmt::format("{}: {}", what, functions_.nvmlErrorString(result))};
}

std::string Nvml::library_folder() const {
  const size_t slash = library_path_.rfind('/');
  return slash == std::string::npos ? "" : library_path_.substr(0, slash);
}

}  // namespace hami::gpu
