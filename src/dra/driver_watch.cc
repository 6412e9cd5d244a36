// SPDX-License-Identifier: Apache-2.0

#include "dra/driver_watch.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <utility>

#include "base/log.h"
#include "base/subprocess.h"
#include "dra/slice_plan.h"
#include "gpu/context_cost.h"

namespace hami::dra {
namespace {

constexpr std::chrono::seconds kStopPatience{3};
constexpr int kMeasureTimeoutMs = 20'000;

std::string StampOf(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return "";
  return fmt::format("{}:{}:{}", info.st_dev, info.st_ino, info.st_mtim.tv_sec);
}

// What others would do differently for: which GPUs, which driver. Not memory in use.
std::string Summary(const Result<DriverState>& state) {
  if (!state) return "error: " + state.error().message;
  std::string text =
      fmt::format("{} {}", state->inventory.driver_version, state->inventory.cuda_version);
  for (const gpu::Device& device : state->inventory.devices) {
    text += fmt::format("|{} {} {} {}", device.uuid, device.minor, device.memory_bytes,
                        device.pci_bus_id);
  }
  return text;
}

}  // namespace

DriverWatch::DriverWatch(DriverWatchOptions options, OnChange on_change,
                         std::function<void()> on_replaced)
    : options_(std::move(options)),
      on_change_(std::move(on_change)),
      on_replaced_(std::move(on_replaced)) {
  thread_ = std::thread(&DriverWatch::Run, this);
}

DriverWatch::~DriverWatch() {
  if (thread_.joinable() && !Stop()) thread_.detach();
}

bool DriverWatch::Stop() {
  std::unique_lock lock(mutex_);
  stop_ = true;
  changed_.notify_all();
  if (!changed_.wait_for(lock, kStopPatience, [this] { return stopped_; })) return false;
  lock.unlock();
  if (thread_.joinable()) thread_.join();
  return true;
}

void DriverWatch::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    Look();
    lock.lock();
    changed_.wait_for(lock, std::chrono::milliseconds(options_.poll_ms), [this] { return stop_; });
  }
  stopped_ = true;
  changed_.notify_all();
}

void DriverWatch::Look() {
  const std::string stamp = StampOf(library_path_);
  // A process cannot load what has taken the place of a library that it has loaded: who asks by the
  // same path gets the old one, for as long as anybody holds it.
  if (!stamp.empty() && stamp != library_stamp_) {
    on_replaced_();
    return;
  }
  if (stamp.empty()) nvml_.reset();  // it is gone; what is loaded talks to nobody
  const Result<DriverState> state = Read();
  if (!state) nvml_.reset();  // opened anew at the next look
  std::string summary = Summary(state);
  if (summary == told_) return;
  told_ = std::move(summary);
  on_change_(state);
}

Result<DriverState> DriverWatch::Read() {
  if (nvml_ == nullptr) {
    ASSIGN_OR_RETURN(std::unique_ptr<gpu::Nvml> loaded,
                     gpu::Nvml::Load({.root = options_.root.seen_at}));
    std::string stamp = StampOf(loaded->library_path());
    if (stamp.empty()) {  // what was loaded before, and could not be unloaded
      return Fail(Code::kUnavailable, fmt::format("no NVIDIA driver on this machine ({} is gone)",
                                                  loaded->library_path()));
    }
    nvml_ = std::move(loaded);
    library_path_ = nvml_->library_path();
    library_stamp_ = std::move(stamp);
  }
  DriverState state;
  ASSIGN_OR_RETURN(state.inventory, gpu::ReadInventory(*nvml_));
  auto view = std::make_shared<NodeView>();
  view->gpus.driver_version = state.inventory.driver_version;
  view->gpus.simulated = !state.inventory.simulation.empty();
  gpu::DriverQuery query = {.root = options_.root,
                            .driver_version = state.inventory.driver_version,
                            .devices = options_.devices,
                            .sys_folder = options_.sysfs};
  for (const gpu::Device& device : state.inventory.devices) {
    query.gpus.push_back(
        {.minor = device.minor, .pci_bus_id = gpu::KernelBusId(device.pci_bus_id)});
    const std::string name = DeviceName(device);
    view->gpus.devices[name] = device;
    if (!context_bytes_.contains(device.uuid)) {
      context_bytes_[device.uuid] = MeasureContext(device);
    }
    if (context_bytes_[device.uuid] != 0) {
      view->gpus.context_bytes[name] = context_bytes_[device.uuid];
    }
  }
  ASSIGN_OR_RETURN(view->files, gpu::FindDriverFiles(query));
  const std::string simulation = gpu::FindSimulation(options_.root.seen_at);
  state.sysfs = simulation.empty() ? options_.sysfs : simulation + "/sys";
  state.view = std::move(view);
  state.nvml = nvml_;
  return state;
}

// 0 where it cannot be had: contexts are then charged when the driver shows them.
uint64_t DriverWatch::MeasureContext(const gpu::Device& device) const {
  const Result<base::ProgramOutput> output = base::RunProgram(
      {.path = "/proc/self/exe",
       .arguments = {"context-cost", "--driver-root", options_.root.seen_at, "--uuid", device.uuid,
                     "--cache", options_.context_cost_cache},
       .timeout_ms = kMeasureTimeoutMs});
  uint64_t bytes = 0;
  if (output && output->exit_code == 0) {
    std::from_chars(output->text.data(), output->text.data() + output->text.size(), bytes);
  }
  if (bytes == 0) {
    LOG_WARN("what a CUDA context costs cannot be measured", Field("uuid", device.uuid),
             Field("error", output ? output->text : output.error().message));
  }
  return bytes;
}

int ContextCostMain(const std::string& root, const std::string& uuid, const std::string& cache) {
  const auto measure = [&]() -> Result<uint64_t> {
    const gpu::DriverLocation location = {.root = root};
    ASSIGN_OR_RETURN(const std::unique_ptr<gpu::Nvml> nvml, gpu::Nvml::Load(location));
    ASSIGN_OR_RETURN(const gpu::Inventory inventory, gpu::ReadInventory(*nvml));
    ASSIGN_OR_RETURN(const gpu::Device* device, gpu::FindDevice(inventory, uuid));
    return gpu::ContextCost(*nvml, inventory, *device,
                            {.location = location, .cache_folder = cache});
  };
  const Result<uint64_t> bytes = measure();
  if (!bytes) {
    fmt::print(stderr, "{}\n", bytes.error().message);
    return 1;
  }
  fmt::print("{}\n", *bytes);
  return 0;
}

}  // namespace hami::dra
