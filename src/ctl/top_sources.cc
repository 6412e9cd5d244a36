// SPDX-License-Identifier: Apache-2.0

#include "ctl/top_sources.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/file.h"
#include "ctl/booking.h"
#include "gpu/inventory.h"

namespace hami::ctl {
namespace {

constexpr size_t kMostBookingBytes = 1 << 20;
constexpr char kDriverRootInPod[] = "/driver-root";  // deploy/dra/40-driver.yaml

std::optional<top::RunNote> ReadNote(const std::string& folder) {
  const std::string path = base::JoinPath(folder, kBookingFile);
  struct stat info = {};
  if (lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  const Result<std::string> text = base::ReadFile(path, kMostBookingBytes);
  if (!text) return std::nullopt;
  Result<Booking> booking = ParseBooking(*text);
  if (!booking) return std::nullopt;
  return top::RunNote{.device_name = std::move(booking->device_name),
                      .device_index = booking->device_index,
                      .simulation = std::move(booking->simulation),
                      .degraded = booking->degraded};
}

// A simulation's library becomes part of this process. So it must lie in a state folder that is
// ours, as a simulation that we have made.
bool MayLoad(const std::string& state_path, const std::string& simulation) {
  struct stat info = {};
  const std::string simulations = base::JoinPath(state_path, "sim");
  return lstat(state_path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
         info.st_uid == geteuid() && (info.st_mode & 022U) == 0 &&
         simulation.size() > simulations.size() + 1 && simulation.starts_with(simulations + "/") &&
         simulation.find('/', simulations.size() + 1) == std::string::npos;
}

Result<std::unique_ptr<gpu::Nvml>> LoadDriver(const std::string& state_path,
                                              const std::vector<std::string>& simulations) {
  Result<std::unique_ptr<gpu::Nvml>> nvml = gpu::Nvml::Load({});
  if (nvml) return nvml;
  // In the DRA driver's pod the node's driver is mounted beside the image's own files.
  if (base::Exists(kDriverRootInPod)) {
    Result<std::unique_ptr<gpu::Nvml>> mounted = gpu::Nvml::Load({.root = kDriverRootInPod});
    if (mounted) return mounted;
  }
  for (const std::string& simulation : simulations) {
    if (!MayLoad(state_path, simulation)) continue;
    Result<std::unique_ptr<gpu::Nvml>> simulated =
        gpu::Nvml::Load({.library_folder = base::JoinPath(simulation, "lib")});
    if (simulated) return simulated;
  }
  return nvml;
}

}  // namespace

top::Sources TopSources(const std::string& state_path) {
  top::Sources sources = top::NodeSources();
  sources.runs = base::JoinPath(state_path, "shares");
  sources.read_note = ReadNote;
  sources.load_driver = [state_path](const std::vector<std::string>& simulations) {
    return LoadDriver(state_path, simulations);
  };
  return sources;
}

}  // namespace hami::ctl
