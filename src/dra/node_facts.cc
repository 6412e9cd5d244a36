// SPDX-License-Identifier: Apache-2.0

#include "dra/node_facts.h"

#include <fmt/format.h>

#include <charconv>
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

std::pair<int, int> MajorMinor(std::string_view version) {
  int numbers[2] = {0, 0};
  const char* at = version.data();
  const char* const end = version.data() + version.size();
  for (int& number : numbers) {
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc() || next == end) break;
    at = next + 1;
  }
  return {numbers[0], numbers[1]};
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
    if (name != oldest.name || version >= std::pair(oldest.major, oldest.minor)) continue;
    return Fail(Code::kFailedPrecondition,
                fmt::format("the container runtime {} does not know CDI, so pods would get no GPU; "
                            "{}, then restart this pod",
                            runtime_version, oldest.advice));
  }
  return {};
}

}  // namespace hami::dra
