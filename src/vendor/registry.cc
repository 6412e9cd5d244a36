// SPDX-License-Identifier: Apache-2.0

#include "vendor/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

#include "base/stable_sort.h"
#include "domain/handshake.h"
#include "domain/name_list.h"
#include "domain/names.h"
#include "vendor/allocation_text.h"
#include "vendor/selectors.h"
#include "vendor/table/table.h"
#include "vendor/whole_number.h"

namespace hami::vendor {
namespace {

void Cordon(const domain::Node& node, std::vector<Device>* devices) {
  const auto found = node.annotations.find(std::string(domain::kDeviceCordon));
  if (found == node.annotations.end()) return;
  const std::vector<std::string> ids = domain::ParseNameList(found->second);
  for (Device& device : *devices) device.cordoned = domain::NamesId(ids, device.id);
}

// The kubelet says 0 when a plugin has gone, and when it has just started itself: a pod that comes
// then is refused for good. It says nothing where no plugin ever counted these devices.
bool IsServed(const Spec& spec, const domain::Node& node, int64_t now_s) {
  const auto offered = node.allocatable.find(spec.resources.count);
  const bool is_said = offered != node.allocatable.end();
  const int64_t allocatable = is_said ? WholeNumber(offered->second).value_or(1) : 0;
  if (is_said && allocatable == 0) return false;
  const auto asked = node.annotations.find(spec.handshake_key);
  if (spec.handshake_key.empty() || asked == node.annotations.end()) return true;
  return domain::JudgeHandshake(asked->second, now_s, allocatable).is_healthy;
}

// What could not be written on a pod, or would be one device twice.
void DropUnusable(const Spec& spec, std::vector<Device>* devices,
                  std::vector<std::string>* problems) {
  std::set<std::string> seen;
  const auto is_unusable = [&](const Device& device) {
    const char* why = nullptr;
    if (device.id.empty() || device.id.find_first_of(",:;") != std::string::npos) {
      why = "cannot be written on a pod";
    } else if (device.slots < 0 || device.memory_mib < 0 || device.cores < 0) {
      why = "has less than nothing";
    } else if (!seen.insert(device.id).second) {
      why = "stands twice";
    }
    if (why == nullptr) return false;
    problems->push_back(fmt::format("{}: device \"{:.80}\" {}", spec.common_word, device.id, why));
    return true;
  };
  std::erase_if(*devices, is_unusable);
}

// Equal words are one group: a number is its own, other words are counted from 0.
void Group(const std::string& word, std::vector<Device>* devices) {
  if (word.empty()) return;
  std::vector<std::string> words;
  for (Device& device : *devices) {
    const auto found = device.extra.find(word);
    if (found == device.extra.end() || found->second.empty()) continue;
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), device.group);
    if (error == std::errc() && end == text.data() + text.size() && device.group >= 0) continue;
    auto position = std::find(words.begin(), words.end(), text);
    if (position == words.end()) position = words.insert(words.end(), text);
    // Above what numbers of real groups are.
    device.group = (1 << 30) + static_cast<int32_t>(position - words.begin());
  }
}

// Later vendors never undo what earlier ones set: their names differ.
void Merge(Admission&& from, Admission* into) {
  into->has_devices = into->has_devices || from.has_devices;
  into->limits.merge(from.limits);
  into->requests.merge(from.requests);
  into->pod_annotations.merge(from.pod_annotations);
  std::move(from.environment.begin(), from.environment.end(),
            std::back_inserter(into->environment));
  if (into->runtime_class.empty()) into->runtime_class = std::move(from.runtime_class);
}

}  // namespace

Registry::Registry(std::vector<Spec> specs) : specs_(std::move(specs)) {
  for (size_t id = 0; id < specs_.size(); ++id) {
    const Spec& spec = specs_[id];
    for (std::string& name : spec.ResourceNameList()) {
      owners_.emplace_back(std::move(name), static_cast<VendorId>(id));
    }
    hides_ = hides_ || (spec.overwrite_env && !spec.hiding_variable.first.empty());
  }
  std::sort(owners_.begin(), owners_.end());
}

std::vector<VendorId> Registry::NamedBy(const domain::PodContainer& container) const {
  std::vector<VendorId> named;
  for (const domain::ResourceTexts* texts : {&container.limits, &container.requests}) {
    for (const auto& [resource, value] : *texts) {
      auto owner = std::lower_bound(
          owners_.begin(), owners_.end(), resource,
          [](const auto& entry, const std::string& name) { return entry.first < name; });
      for (; owner != owners_.end() && owner->first == resource; ++owner) {
        named.push_back(owner->second);
      }
    }
  }
  std::sort(named.begin(), named.end());
  named.erase(std::unique(named.begin(), named.end()), named.end());
  return named;
}

Registry Registry::Default() {
  std::vector<Spec> specs = SingleSpecs();
  for (std::vector<Spec>& family : std::vector<std::vector<Spec>>{AscendSpecs(), IluvatarSpecs()}) {
    std::move(family.begin(), family.end(), std::back_inserter(specs));
  }
  return Registry(std::move(specs));
}

const Spec* Registry::Find(std::string_view common_word) const {
  for (const Spec& spec : specs_) {
    if (spec.common_word == common_word) return &spec;
  }
  return nullptr;
}

std::vector<std::string> Registry::ResourceNames() const {
  std::set<std::string> names;
  for (const Spec& spec : specs_) {
    for (std::string& name : spec.ResourceNameList()) names.insert(std::move(name));
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> Registry::DecisionKeys() const {
  std::set<std::string> keys = {std::string(domain::kVgpuNode), std::string(domain::kVgpuTime)};
  for (const Spec& spec : specs_) {
    keys.insert(spec.allocated_key);
    if (!spec.to_allocate_key.empty()) keys.insert(spec.to_allocate_key);
    keys.insert(spec.note_keys.begin(), spec.note_keys.end());
  }
  return {keys.begin(), keys.end()};
}

Result<std::vector<std::vector<Request>>> Registry::RequestsOf(const domain::Pod& pod) const {
  std::vector<std::vector<Request>> requests(pod.containers.size());
  for (size_t container = 0; container < pod.containers.size(); ++container) {
    for (const VendorId id : NamedBy(pod.containers[container])) {
      const Spec& spec = specs_[id];
      ASSIGN_OR_RETURN(Request request, spec.ask(spec, pod, pod.containers[container]));
      if (request.count == 0) continue;
      request.vendor = id;
      requests[container].push_back(std::move(request));
    }
  }
  return requests;
}

Selectors Registry::SelectorsOf(const domain::Pod& pod, VendorId id) const {
  return ReadSelectors(specs_[id].selectors, pod);
}

Result<Admission> Registry::Admit(const domain::Pod& pod, size_t container) const {
  Admission all;
  std::set<std::string> shown;  // variables of vendors whose devices the container gets
  for (const VendorId id : NamedBy(pod.containers[container])) {
    const Spec& spec = specs_[id];
    Admission admission;
    RETURN_IF_ERROR(spec.admit(spec, pod, pod.containers[container], &admission));
    if (admission.has_devices) {
      admission.runtime_class = spec.runtime_class;
      shown.insert(spec.hiding_variable.first);
    }
    Merge(std::move(admission), &all);
  }
  if (!hides_) return all;
  std::map<std::string, std::string> hidden;
  for (const Spec& spec : specs_) {
    const auto& [name, value] = spec.hiding_variable;
    if (spec.overwrite_env && !name.empty() && !shown.contains(name)) hidden.emplace(name, value);
  }
  all.environment.insert(all.environment.end(), hidden.begin(), hidden.end());
  return all;
}

std::vector<Device> Registry::DevicesOf(const domain::Node& node,
                                        std::vector<std::string>* problems, int64_t now_s) const {
  std::vector<Device> all;
  std::vector<std::string> ignored;
  if (problems == nullptr) problems = &ignored;
  for (size_t id = 0; id < specs_.size(); ++id) {
    const Spec& spec = specs_[id];
    std::vector<Device> devices = spec.inventory(spec, node, problems);
    if (devices.empty()) continue;
    DropUnusable(spec, &devices, problems);
    Cordon(node, &devices);
    Group(spec.group_word, &devices);
    const bool is_served = IsServed(spec, node, now_s);
    for (Device& device : devices) {
      device.vendor = static_cast<VendorId>(id);
      device.healthy = device.healthy && is_served;
      if (spec.announced_cores > 0) device.cores = spec.announced_cores;
    }
    base::StableSortBy(&devices, [](const Device& device) { return device.index; });
    std::move(devices.begin(), devices.end(), std::back_inserter(all));
  }
  return all;
}

Result<domain::Allocation> Registry::ReadAllocation(const domain::Pod& pod) const {
  return vendor::ReadAllocation(specs_, pod);
}

std::map<std::string, std::string> Registry::WriteAllocation(const domain::Pod& pod,
                                                             const domain::Allocation& allocation,
                                                             std::span<const Device> node_devices,
                                                             int64_t now_ns) const {
  return vendor::WriteAllocation(specs_, pod, allocation, node_devices, now_ns);
}

}  // namespace hami::vendor
