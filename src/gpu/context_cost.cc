// SPDX-License-Identifier: Apache-2.0

#include "gpu/context_cost.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "api/cuda/functions.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"

namespace hami::gpu {
namespace {

// What the child tells its parent, one byte.
enum class Stage : uint8_t { kReady = 1, kNoLibrary, kNoSymbols, kNoDevice, kNoContext };

const char* Describe(Stage stage) {
  switch (stage) {
    case Stage::kReady:
      return "ready";
    case Stage::kNoLibrary:
      return "libcuda.so.1 does not load";
    case Stage::kNoSymbols:
      return "libcuda.so.1 lacks functions";
    case Stage::kNoDevice:
      return "CUDA does not see the device";
    case Stage::kNoContext:
      return "CUDA makes no context";
  }
  return "the measuring process ended early";
}

// Exactly one device is visible to the child, so its ordinal is 0 in every CUDA version and order.
Stage MakeContext(const std::vector<std::string>& candidates, const std::string& uuid) {
  setenv("CUDA_VISIBLE_DEVICES", uuid.c_str(), 1);
  void* library = nullptr;
  for (const std::string& candidate : candidates) {
    library = dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
  }
  if (library == nullptr) return Stage::kNoLibrary;
  const auto init = reinterpret_cast<decltype(&::cuInit)>(dlsym(library, "cuInit"));
  const auto get = reinterpret_cast<decltype(&::cuDeviceGet)>(dlsym(library, "cuDeviceGet"));
  const auto retain = reinterpret_cast<decltype(&::cuDevicePrimaryCtxRetain)>(
      dlsym(library, "cuDevicePrimaryCtxRetain"));
  if (init == nullptr || get == nullptr || retain == nullptr) return Stage::kNoSymbols;
  CUdevice device = -1;
  if (init(0) != CUDA_SUCCESS || get(&device, 0) != CUDA_SUCCESS) return Stage::kNoDevice;
  CUcontext context = nullptr;
  if (retain(&context, device) != CUDA_SUCCESS) return Stage::kNoContext;
  return Stage::kReady;
}

// Makes a context, says so, and keeps it until the parent closes its end.
[[noreturn]] void HoldContext(const std::vector<std::string>& candidates, const std::string& uuid,
                              pid_t parent, int report, int release) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null, fd);
  const Stage stage = MakeContext(candidates, uuid);
  char byte = static_cast<char>(stage);
  if (write(report, &byte, 1) == 1 && stage == Stage::kReady) {
    while (read(release, &byte, 1) < 0 && errno == EINTR) {
    }
  }
  _exit(0);
}

// The child; killed and reaped at the end of the scope.
class Holder {
 public:
  Holder(const std::vector<std::string>& candidates, const std::string& uuid) {
    int report[2];
    int release[2];
    if (pipe2(report, O_CLOEXEC) != 0) return;
    report_.Reset(report[0]);
    const base::Fd report_end(report[1]);
    if (pipe2(release, O_CLOEXEC) != 0) return;
    const base::Fd release_end(release[0]);
    release_.Reset(release[1]);
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) {
      report_.Reset();
      release_.Reset();
      HoldContext(candidates, uuid, parent, report_end.get(), release_end.get());
    }
  }
  ~Holder() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  pid_t pid() const { return pid_; }

  Status WaitUntilReady(int64_t deadline_ns) const {
    if (pid_ <= 0) return Fail(Code::kInternal, "cannot start the measuring process");
    for (;;) {
      const int64_t left_ms = (deadline_ns - base::SystemClock().MonotonicNs()) / 1'000'000;
      pollfd ready = {report_.get(), POLLIN, 0};
      const int count = poll(&ready, 1, static_cast<int>(std::max<int64_t>(left_ms, 0)));
      if (count < 0 && errno == EINTR) continue;
      if (count == 0) return Fail(Code::kDeadlineExceeded, "making a CUDA context takes too long");
      char byte = 0;
      if (read(report_.get(), &byte, 1) != 1) byte = 0;
      const auto stage = static_cast<Stage>(byte);
      if (stage == Stage::kReady) return {};
      return Fail(Code::kUnavailable, Describe(stage));
    }
  }

 private:
  pid_t pid_ = -1;
  base::Fd report_;
  base::Fd release_;
};

Result<uint64_t> Measure(const Nvml& nvml, const Device& device,
                         const ContextCostRequest& request) {
  nvmlDevice_t handle = nullptr;
  const nvmlReturn_t result =
      nvml->nvmlDeviceGetHandleByIndex_v2(static_cast<unsigned>(device.index), &handle);
  if (result != NVML_SUCCESS) return Fail(nvml.Failure(result, "the GPU"));
  const int64_t deadline_ns =
      base::SystemClock().MonotonicNs() + int64_t{request.timeout_ms} * 1'000'000;
  const Holder holder(LibraryCandidates(request.location, "libcuda.so.1"), device.uuid);
  RETURN_IF_ERROR(holder.WaitUntilReady(deadline_ns));
  ASSIGN_OR_RETURN(const std::vector<DeviceProcess> processes, ListProcesses(nvml, handle));
  for (const DeviceProcess& process : processes) {
    if (process.pid == holder.pid() && process.used_bytes) return *process.used_bytes;
  }
  // In a container without the host's PIDs the driver's list does not name our child.
  return Fail(Code::kUnavailable, "the driver does not show the measuring process");
}

// Nothing but a number in a file; anything else is as good as no file.
Result<uint64_t> ReadCached(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path, 32));
  uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (error != std::errc() || std::string_view(end) != "\n" || bytes > base::kMaxParsedBytes) {
    return Fail(Code::kDataLoss, path + " holds no number");
  }
  return bytes;
}

}  // namespace

std::string ContextCostKey(const Inventory& inventory, const Device& device) {
  std::string key =
      fmt::format("{}-cuda{}-{}", inventory.driver_version, inventory.cuda_version, device.name);
  for (char& c : key) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-';
    if (!plain) c = '_';
  }
  return key;
}

Result<uint64_t> ContextCost(const Nvml& nvml, const Inventory& inventory, const Device& device,
                             const ContextCostRequest& request) {
  const bool cached = !request.cache_folder.empty() && inventory.simulation.empty();
  const std::string path = base::JoinPath(request.cache_folder, ContextCostKey(inventory, device));
  if (cached) {
    const Result<uint64_t> known = ReadCached(path);
    if (known) return *known;
  }
  ASSIGN_OR_RETURN(const uint64_t bytes, Measure(nvml, device, request));
  if (cached) {
    Status status = base::MakeFolders(request.cache_folder, 0755);
    if (status) status = base::WriteFileAtomically(path, fmt::format("{}\n", bytes), 0644);
    if (!status) LOG_WARN("context cost not remembered", Field("error", status.error()));
  }
  return bytes;
}

}  // namespace hami::gpu
