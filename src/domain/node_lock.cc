// SPDX-License-Identifier: Apache-2.0

#include "domain/node_lock.h"

#include <optional>

#include "base/timestamp.h"
#include "domain/split.h"

namespace hami::domain {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr size_t kParts = 3;

}  // namespace

bool NodeLock::IsHeldBy(std::string_view pod_namespace, std::string_view pod) const {
  return !IsLegacy() && namespace_name == pod_namespace && pod_name == pod;
}

bool NodeLock::IsExpired(int64_t now_s, int64_t timeout_s) const {
  return now_s - taken_s > timeout_s;
}

Result<NodeLock> ParseNodeLock(std::string_view text) {
  const std::vector<std::string_view> parts = Split(text, ',');
  if (parts.size() != 1 && parts.size() != kParts) {
    return Fail(Code::kInvalidArgument, "malformed lock annotation: expected 3 parts, got " +
                                            std::to_string(parts.size()) + " from " +
                                            std::string(text.substr(0, 256)));
  }
  const std::optional<int64_t> taken_ns = base::ParseTimestamp(parts[0]);
  if (!taken_ns) {
    return Fail(Code::kInvalidArgument,
                "malformed lock annotation: no time: " + std::string(text.substr(0, 256)));
  }
  NodeLock lock{.taken_s = *taken_ns / kSecondNs};
  if (parts.size() == 1) return lock;
  lock.namespace_name = parts[1];
  lock.pod_name = parts[2];
  if (lock.pod_name.empty()) {
    return Fail(Code::kInvalidArgument,
                "malformed lock annotation: no pod: " + std::string(text.substr(0, 256)));
  }
  return lock;
}

std::string FormatNodeLock(const NodeLock& lock) {
  std::string text = base::FormatTimestamp(lock.taken_s * kSecondNs);
  if (!lock.IsLegacy()) text += "," + lock.namespace_name + "," + lock.pod_name;
  return text;
}

bool MayRelease(std::string_view text, std::string_view pod_namespace, std::string_view pod) {
  if (text.find(',') == std::string_view::npos) return true;
  return text.ends_with("," + std::string(pod_namespace) + "," + std::string(pod));
}

}  // namespace hami::domain
