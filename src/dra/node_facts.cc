// SPDX-License-Identifier: Apache-2.0

#include "dra/node_facts.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "dra/names.h"

namespace hami::dra {
namespace {

struct OldestRuntime {
  std::string_view name;
  int major;
  int minor;
  std::string_view advice;
};

// The first of each that passes CDI devices of the CRI on (their release notes).
constexpr OldestRuntime kOldest[] = {
    {"containerd", 1, 7, "upgrade containerd to 1.7 with enable_cdi = true, better to 2.x"},
    {"cri-o", 1, 23, "upgrade CRI-O to 1.23 or newer"},
    {"docker", 28, 2, "upgrade Docker to 28.2 or newer, or use containerd"},
};

// "1.7.27" is {1, 7}; nullopt: not a number.
std::optional<std::pair<int, int>> MajorMinor(std::string_view version) {
  std::pair<int, int> numbers = {0, 0};
  const char* const end = version.data() + version.size();
  const auto [next, error] = std::from_chars(version.data(), end, numbers.first);
  if (error != std::errc()) return std::nullopt;
  if (next != end) std::from_chars(next + 1, end, numbers.second);
  return numbers;
}

}  // namespace

Result<NodeFacts> ReadNodeFacts(const json::Value& object) {
  NodeFacts facts;
  const json::Value metadata = object["metadata"];
  facts.key.name = metadata["name"].Text();
  facts.uid = metadata["uid"].Text();
  facts.wants_gpus = metadata["labels"][kNodeLabel].Text() == kNodeLabelValue;
  facts.runtime_version = object["status"]["nodeInfo"]["containerRuntimeVersion"].Text();
  return facts;
}

Status CheckRuntime(const std::string& runtime_version) {
  const size_t separator = runtime_version.find("://");
  if (separator == std::string::npos) return {};
  const std::string_view name = std::string_view(runtime_version).substr(0, separator);
  const auto version = MajorMinor(std::string_view(runtime_version).substr(separator + 3));
  for (const OldestRuntime& oldest : kOldest) {
    if (name != oldest.name || !version || *version >= std::pair(oldest.major, oldest.minor)) {
      continue;
    }
    return Fail(Code::kFailedPrecondition,
                fmt::format("the container runtime {} does not know CDI, so pods would get no GPU; "
                            "{}, then restart this pod",
                            runtime_version, oldest.advice));
  }
  return {};
}

}  // namespace hami::dra
