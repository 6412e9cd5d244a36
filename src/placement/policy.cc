// SPDX-License-Identifier: Apache-2.0
//
// The words of policies and weights (contract 1.7).

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "placement/request.h"

namespace hami::placement {
namespace {

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> SplitAtCommas(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t comma = text.find(',');
    parts.push_back(Trim(text.substr(0, comma)));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

std::optional<int32_t> ParseCount(std::string_view text) {
  int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

}  // namespace

std::optional<NodePolicy> ParseNodePolicy(std::string_view word) {
  if (word == "binpack") return NodePolicy::kBinpack;
  if (word == "spread") return NodePolicy::kSpread;
  if (word == "fragmentation") return NodePolicy::kFragmentation;
  return std::nullopt;
}

DevicePolicy ParseDevicePolicy(std::string_view words) {
  DevicePolicy policy;
  policy.keys.clear();
  const auto add = [&policy](DeviceKey key) {
    if (std::find(policy.keys.begin(), policy.keys.end(), key) == policy.keys.end()) {
      policy.keys.push_back(key);
    }
  };
  for (const std::string_view word : SplitAtCommas(words)) {
    if (word == "binpack") add(DeviceKey::kBinpack);
    if (word == "spread") add(DeviceKey::kSpread);
    if (word == "numa") add(DeviceKey::kNuma);
    if (word == "mutex") policy.only_idle = true;
    if (word == "topology-aware") policy.topology_aware = true;
  }
  if (policy.keys.empty()) policy.keys.push_back(DeviceKey::kSpread);
  return policy;
}

Result<Weights> ParseWeights(std::string_view text) {
  const auto refuse = [text] {
    return Fail(Code::kInvalidArgument,
                fmt::format("\"{}\" is no set of weights; write slot=1,core=1,memory=3 with whole "
                            "numbers from 0, at least one of them above it",
                            text));
  };
  Weights weights{.slot = -1, .core = -1, .memory = -1};
  const std::vector<std::string_view> items = SplitAtCommas(text);
  if (items.size() != 3) return refuse();
  for (const std::string_view item : items) {
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos) return refuse();
    const std::string_view key = Trim(item.substr(0, equals));
    const std::optional<int32_t> value = ParseCount(Trim(item.substr(equals + 1)));
    int32_t* weight = key == "slot"     ? &weights.slot
                      : key == "core"   ? &weights.core
                      : key == "memory" ? &weights.memory
                                        : nullptr;
    if (weight == nullptr || *weight >= 0 || !value) return refuse();
    *weight = *value;
  }
  if (weights.slot == 0 && weights.core == 0 && weights.memory == 0) return refuse();
  return weights;
}

}  // namespace hami::placement
