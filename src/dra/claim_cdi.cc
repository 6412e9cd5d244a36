// SPDX-License-Identifier: Apache-2.0

#include "dra/claim_cdi.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/share/agent.h"
#include "base/file.h"
#include "domain/resource_claim.h"
#include "dra/names.h"
#include "share/product_files.h"

namespace hami::dra {
namespace {

cdi::Mount MountOf(const gpu::DriverMount& mount) {
  return {.host_path = mount.host_path,
          .container_path = mount.container_path,
          .options = mount.options};
}

cdi::DeviceNode NodeOf(const gpu::DriverFile& node) {
  return {.path = node.container_path, .host_path = node.host_path};
}

// The directory read-only, the region in it a mount of its own (api/share).
void MountShare(const ClaimCdiInput& input, size_t index, cdi::ContainerEdits* edits) {
  const std::string& uid = input.grant->uid;
  const std::string folder = input.shares->SliceFolder(uid, index);
  const std::string inside = base::JoinPath(api::kSharesRoot, ShareName(uid, index));
  edits->mounts.push_back({.host_path = folder,
                           .container_path = inside,
                           .options = {"ro", "nosuid", "nodev", "noexec", "bind"}});
  edits->mounts.push_back({.host_path = base::JoinPath(folder, api::kRegionFile),
                           .container_path = base::JoinPath(inside, api::kRegionFile),
                           .options = {"rw", "nosuid", "nodev", "noexec", "bind"}});
}

// Images that set NVIDIA_VISIBLE_DEVICES=all would get every GPU from a runtime of the older kind;
// "void" tells that one to keep out.
constexpr char kKeepOut[] = "NVIDIA_VISIBLE_DEVICES=void";

void AddLibrary(const ClaimCdiInput& input, cdi::ContainerEdits* edits) {
  edits->mounts.push_back(
      {.host_path = base::JoinPath(input.library_folder, share::kPreloadLibrary),
       .container_path = kLibraryInContainer,
       .options = {"ro", "nosuid", "nodev", "bind"}});
  edits->hooks.push_back(
      {.name = "createContainer",
       .path = base::JoinPath(input.library_folder, kHookProgram),
       .args = {kHookProgram, "preload", fmt::format("--library={}", kLibraryInContainer),
                "--folder=" + input.shares->HookFolder(input.grant->uid)},
       // Without one the hook would get the container's.
       .env = {"HAMI_HOOK=preload"}});
}

}  // namespace

std::string CdiDeviceName(const ClaimGrant& grant, size_t index) {
  return fmt::format("{}-{}-{}", grant.uid, domain::BaseRequest(grant.slices[index].request),
                     index);
}

std::string CdiDeviceId(const ClaimGrant& grant, size_t index) {
  return fmt::format("{}/{}={}", kCdiVendor, kCdiClass, CdiDeviceName(grant, index));
}

cdi::Spec MakeClaimSpec(const ClaimCdiInput& input) {
  const ClaimGrant& grant = *input.grant;
  const gpu::DriverFiles& driver = *input.driver;
  cdi::Spec spec = {.vendor = kCdiVendor, .device_class = kCdiClass};
  spec.edits.env = driver.env;
  spec.edits.env.emplace_back(kKeepOut);
  for (const gpu::DriverFile& node : driver.device_nodes) {
    spec.edits.device_nodes.push_back(NodeOf(node));
  }
  for (const gpu::DriverMount& mount : gpu::MountsOf(driver)) {
    spec.edits.mounts.push_back(MountOf(mount));
  }
  // A claim of whole GPUs alone needs no limits, so nothing of ours runs in its containers.
  if (!std::ranges::all_of(grant.slices, &GrantedSlice::whole)) AddLibrary(input, &spec.edits);
  for (size_t index = 0; index < grant.slices.size(); ++index) {
    cdi::Device device = {.name = CdiDeviceName(grant, index)};
    for (const gpu::GpuNodes& nodes : driver.gpu_nodes) {
      if (nodes.minor != grant.slices[index].minor) continue;
      for (const gpu::DriverFile& node : nodes.nodes) {
        device.edits.device_nodes.push_back(NodeOf(node));
      }
    }
    MountShare(input, index, &device.edits);
    spec.devices.push_back(std::move(device));
  }
  return spec;
}

}  // namespace hami::dra
