// SPDX-License-Identifier: Apache-2.0
//
// Any node and any pod, in the form of tests/golden/vendors, through every entry of the table. What
// must hold: devices have ids of their own and no negative numbers; what a pod is read to hold
// reads the same once we have written it.

#include <stdint.h>
#include <stdlib.h>

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/node.h"
#include "domain/pod.h"
#include "json/value.h"
#include "vendor/registry.h"

namespace {

const hami::vendor::Registry& Table() {
  static const hami::vendor::Registry registry = hami::vendor::Registry::Default();
  return registry;
}

std::vector<hami::vendor::Device> CheckNode(const hami::json::Value& object) {
  const auto node = hami::domain::ReadNode(object);
  if (!node) return {};
  std::vector<std::string> problems;
  std::vector<hami::vendor::Device> devices = Table().DevicesOf(*node, &problems);
  std::set<std::pair<uint16_t, std::string>> ids;
  for (const hami::vendor::Device& device : devices) {
    if (device.id.empty() || !ids.emplace(device.vendor, device.id).second) abort();
    if (device.slots < 0 || device.memory_mib < 0 || device.cores < 0) abort();
  }
  for (const std::string& problem : problems) {
    if (problem.empty()) abort();
  }
  return devices;
}

void CheckPod(hami::domain::Pod pod, const std::vector<hami::vendor::Device>& devices) {
  if (const auto requests = Table().RequestsOf(pod)) {
    for (const auto& container : *requests) {
      for (const hami::vendor::Request& request : container) {
        if (request.count <= 0 || request.memory_mib < 0 || request.cores < 0) abort();
      }
    }
  } else if (requests.error().message.empty()) {
    abort();
  }
  for (size_t i = 0; i < pod.containers.size(); ++i) {
    const auto admission = Table().Admit(pod, i);
    if (!admission && admission.error().message.empty()) abort();
  }
  const auto read = Table().ReadAllocation(pod);
  if (!read || read->node.empty()) return;
  for (auto& [key, value] : Table().WriteAllocation(pod, *read, devices, 1)) {
    pod.annotations[key] = std::move(value);
  }
  const auto again = Table().ReadAllocation(pod);
  if (!again || again->slices != read->slices) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  hami::json::Document document;
  if (!document.Parse(std::string_view(reinterpret_cast<const char*>(data), bytes))) return 0;
  const std::vector<hami::vendor::Device> devices = CheckNode(document.root()["node"]);
  auto pod = hami::domain::ReadPod(document.root()["decision"]["pod"]);
  if (!pod) return 0;
  CheckPod(*pod, devices);
  for (const auto& [key, value] : document.root()["decision"]["annotations"].Members()) {
    pod->annotations[std::string(key)] = value.Text();
  }
  pod->annotations["hami.io/vgpu-node"] = "n1";
  CheckPod(*std::move(pod), devices);
  return 0;
}
