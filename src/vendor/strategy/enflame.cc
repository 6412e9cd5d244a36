// SPDX-License-Identifier: Apache-2.0
//
// Enflame, shared cards: DRS slices by profile, and the older percentages (enflame_profile.h).

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "base/json_writer.h"
#include "json/value.h"
#include "vendor/asked.h"
#include "vendor/device_list.h"
#include "vendor/enflame_profile.h"
#include "vendor/strategies.h"

namespace hami::vendor {
namespace {

constexpr const char* kCapacityKey = "enflame.com/gcu-drs-capacity";
constexpr const char* kContainersKey = "assigned-containers";
constexpr const char* kShared = "shared";
constexpr const char* kCardCount = "enflame.com/gcu-count";
constexpr int64_t kMostSlices = 1024;
constexpr int64_t kMostMemory = 1 << 30;
constexpr size_t kMostOfNode = 4096;

// A number, or a text that is one; -1 otherwise.
int64_t ReadNumber(const json::Value& value) {
  if (value.kind() == json::Kind::kNumber) return value.Int(-1);
  const std::string_view text = value.Text();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : -1;
}

std::string TextOf(const json::Value& value) {
  return value.kind() == json::Kind::kText ? std::string(value.Text()) : value.Json();
}

Result<std::optional<EnflameAsk>> ReadAsk(const Spec& spec, const domain::PodContainer& container) {
  const ResourceNames& names = spec.resources;
  EnflameAsk ask;
  ASSIGN_OR_RETURN(const std::optional<int64_t> slices, Asked(container, names.count, kMostSlices));
  if (slices) {
    if (*slices == 0) return Refuse(container, names.count, "0 slices: write 1 or more");
    ask.slices = static_cast<int32_t>(*slices);
    return ask;
  }
  ASSIGN_OR_RETURN(const std::optional<int64_t> memory,
                   Asked(container, names.memory, kMostMemory));
  ASSIGN_OR_RETURN(const std::optional<int64_t> cores, Asked(container, names.cores, 100));
  if (memory || cores) {
    if (memory && *memory == 0) return Refuse(container, names.memory, "must be more than 0");
    if (cores && *cores == 0) return Refuse(container, names.cores, "must be 1 to 100");
    ask.memory = static_cast<int32_t>(memory.value_or(0));
    ask.cores_pct = static_cast<int32_t>(cores.value_or(0));
    return ask;
  }
  ASSIGN_OR_RETURN(const std::optional<int64_t> cards,
                   Asked(container, names.shared_count, kMostDevices));
  if (!cards || *cards == 0) return std::nullopt;
  ASSIGN_OR_RETURN(const std::optional<int64_t> percent, Asked(container, names.shared_pct, 100));
  ask.shared_pct = static_cast<int32_t>(std::max<int64_t>(1, percent.value_or(100)));
  if (*cards > 1) ask.shared_pct = 100;  // shares are of one card
  return ask;
}

int32_t CountOf(const Spec& spec, const domain::PodContainer& container, const EnflameAsk& ask) {
  if (ask.shared_pct == 0) return 1;
  const Result<std::optional<int64_t>> cards =
      Asked(container, spec.resources.shared_count, kMostDevices);
  return cards && *cards ? static_cast<int32_t>(**cards) : 1;
}

void Mirror(const domain::PodContainer& container, const std::string& resource,
            Admission* admission) {
  const std::string* text = AskedText(container, resource);
  if (text == nullptr) return;
  if (!container.limits.contains(resource)) admission->limits[resource] = *text;
  if (!container.requests.contains(resource)) admission->requests[resource] = *text;
}

std::vector<Device> ReadOlder(const Spec& spec, const domain::Node& node,
                              std::vector<std::string>* problems) {
  Spec older = spec;
  older.resources.count = kCardCount;
  older.capacity = {.infix = "enflame", .slots = 100, .memory_mib = 100};
  std::vector<Device> devices = ReadCapacity(older, node, problems);
  if (devices.empty()) return devices;
  older.resources.count = spec.resources.shared_slices;
  const size_t slices = ReadCapacity(older, node, problems).size();
  for (Device& device : devices) {
    device.extra[kEnflameSharedSlices] = std::to_string(slices / devices.size());
  }
  return devices;
}

}  // namespace

Result<Request> AskProfile(const Spec& spec, const domain::Pod& /*pod*/,
                           const domain::PodContainer& container) {
  Request request;
  ASSIGN_OR_RETURN(const std::optional<EnflameAsk> ask, ReadAsk(spec, container));
  if (!ask) return request;
  request.count = CountOf(spec, container, *ask);
  request.shape.name = ask->Shape();
  // What it takes at least; the node's profile may be larger.
  request.shape.slots = std::max<int32_t>(1, ask->slices);
  request.cores = ask->cores_pct;
  if (ask->shared_pct > 0) {
    request.memory_pct = RoundEnflamePct(ask->shared_pct, spec.units.card_slices);
  }
  return request;
}

Status AdmitProfile(const Spec& spec, const domain::Pod& /*pod*/,
                    const domain::PodContainer& container, Admission* admission) {
  const ResourceNames& names = spec.resources;
  ASSIGN_OR_RETURN(const std::optional<EnflameAsk> ask, ReadAsk(spec, container));
  if (!ask) return {};
  admission->has_devices = true;
  if (ask->shared_pct == 0) {
    for (const std::string* name : {&names.count, &names.memory, &names.cores}) {
      Mirror(container, *name, admission);
    }
    return {};
  }
  const int32_t count = CountOf(spec, container, *ask);
  const int32_t percent = RoundEnflamePct(ask->shared_pct, spec.units.card_slices);
  const int32_t slices = (ask->shared_pct * spec.units.card_slices + 99) / 100 * count;
  for (auto* texts : {&admission->limits, &admission->requests}) {
    if (!names.shared_pct.empty()) (*texts)[names.shared_pct] = std::to_string(percent);
    if (!names.shared_slices.empty()) (*texts)[names.shared_slices] = std::to_string(slices);
  }
  return {};
}

std::vector<Device> ReadEnflame(const Spec& spec, const domain::Node& node,
                                std::vector<std::string>* problems) {
  const auto found = node.annotations.find(kCapacityKey);
  if (found == node.annotations.end() || found->second.empty()) {
    return ReadOlder(spec, node, problems);
  }
  const auto refuse = [problems](const std::string& why) {
    problems->push_back(fmt::format("{}: {}", kCapacityKey, why));
    return std::vector<Device>();
  };
  json::Document document;
  if (const Status parsed = document.Parse(found->second); !parsed) {
    return refuse(parsed.error().message);
  }
  const json::Value list = document.root()["devices"];
  if (list.size() > kMostOfNode) return refuse("too many devices");
  Device model;
  model.extra[kEnflameProfiles] = document.root()["profiles"].Json();
  const std::vector<EnflameProfile> profiles = EnflameProfilesOf(model);
  if (profiles.empty()) return refuse("no profile such as 3g.20gb");
  for (const EnflameProfile& profile : profiles) {
    model.memory_mib = std::max(model.memory_mib, profile.memory_mib);
  }
  model.cores = 100;
  model.type = spec.common_word;
  std::vector<Device> devices;
  for (const json::Value item : list.Elements()) {
    const int64_t slices = ReadNumber(item["capacity"]);
    const int64_t announced = ReadNumber(item["index"]);
    if (slices <= 0 || slices > kMostSlices || announced > kMostMemory) {
      return refuse(fmt::format("{} is no device", item.Json()));
    }
    Device& device = devices.emplace_back(model);
    device.index =
        announced >= 0 ? static_cast<int32_t>(announced) : static_cast<int32_t>(devices.size() - 1);
    device.slots = static_cast<int32_t>(slices);
    device.id = fmt::format("{}-enflame-drs-{}", node.name, device.index);
    std::string minor = TextOf(item["minor"]);
    device.extra[kEnflameMinor] = minor.empty() ? std::to_string(device.index) : std::move(minor);
  }
  return devices;
}

void NoteEnflame(const Spec& /*spec*/, const Grant& grant,
                 std::map<std::string, std::string>* annotations) {
  base::JsonWriter json;
  json.BeginObject();
  bool any = false;
  bool any_profile = false;
  for (size_t i = 0; i < grant.containers.size(); ++i) {
    if (grant.containers[i].empty()) continue;
    const domain::Slice& slice = *grant.containers[i].front();
    const Device* device = grant.Find(slice.device);
    if (!any && device != nullptr) {
      (*annotations)["enflame.com/gcu-assigned-id"] = DeviceIndexes(grant, grant.containers[i]);
    }
    const int32_t slices = EnflameSlicesOf(slice.shape);
    if (!any && slices > 0) {
      (*annotations)["enflame.com/gcu-request-size"] = std::to_string(slices);
      if (device != nullptr) {
        (*annotations)["enflame.com/gcu-assigned-index"] = std::to_string(device->index);
        const auto minor = device->extra.find(kEnflameMinor);
        if (minor != device->extra.end()) {
          (*annotations)["enflame.com/gcu-assigned-minor"] = minor->second;
        }
      }
    }
    any = true;
    if (slices == 0) continue;
    any_profile = true;
    json.Key(grant.pod->containers[i].name).BeginObject();
    json.Member("allocated", false).Member("request", slices);
    if (device != nullptr) {
      for (const EnflameProfile& profile : EnflameProfilesOf(*device)) {
        if (profile.name == slice.shape) json.Member("profileID", profile.id);
      }
    }
    json.Member("profileName", slice.shape).EndObject();
  }
  if (!any) return;
  (*annotations)["enflame.com/gcu-assigned"] = "false";
  (*annotations)["enflame.com/gcu-assigned-time"] = std::to_string(grant.now_ns);
  if (any_profile) (*annotations)[kContainersKey] = std::move(json.EndObject()).Take();
}

Status ReadEnflameNote(const Spec& /*spec*/, const domain::Pod& pod,
                       std::vector<domain::Slice>* slices) {
  const auto found = pod.annotations.find(kContainersKey);
  json::Document document;
  const bool has_profiles = found != pod.annotations.end() && !found->second.empty();
  if (has_profiles) {
    if (const Status parsed = document.Parse(found->second); !parsed) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("{}: {}", kContainersKey, parsed.error().message));
    }
  }
  for (domain::Slice& slice : *slices) {
    slice.shape = kShared;
    if (!has_profiles || slice.container >= pod.containers.size()) continue;
    const std::string_view profile =
        document.root()[pod.containers[slice.container].name]["profileName"].Text();
    if (EnflameSlicesOf(profile) > 0) slice.shape = profile;
  }
  return {};
}

}  // namespace hami::vendor
