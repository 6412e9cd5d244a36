// SPDX-License-Identifier: Apache-2.0

#include "placement/native.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "domain/quantity.h"
#include "placement/usage.h"

namespace hami::placement {
namespace {

// Kubernetes' scheduler counts requests; a limit without one stands for it.
const std::string* NativeText(const domain::PodContainer& container, const std::string& name) {
  const auto request = container.requests.find(name);
  if (request != container.requests.end()) return &request->second;
  const auto limit = container.limits.find(name);
  return limit == container.limits.end() ? nullptr : &limit->second;
}

using Parse = Result<int64_t> (*)(std::string_view);

// What the pod takes of a native resource at any one time (KEP-753), with its overhead.
Result<int64_t> NativeOf(const domain::Pod& pod, const std::string& name, Parse parse) {
  PhasePeak peak;
  for (const domain::PodContainer& container : pod.containers) {
    const std::string* text = NativeText(container, name);
    if (text == nullptr) continue;
    Result<int64_t> amount = parse(*text);
    if (!amount) {
      return Fail(
          std::move(amount).error().Wrap(fmt::format("container {}: {}", container.name, name)));
    }
    peak.Add(container.kind, *amount);
  }
  int64_t total = peak.Held(false);
  const auto overhead = pod.overhead.find(name);
  if (overhead != pod.overhead.end()) {
    ASSIGN_OR_RETURN(const int64_t amount, parse(overhead->second));
    total += amount;
  }
  return total;
}

}  // namespace

Result<NativeAsk> ReadNativeAsk(const domain::Pod& pod) {
  NativeAsk ask;
  ASSIGN_OR_RETURN(ask.cpu_milli, NativeOf(pod, "cpu", domain::ParseMilliQuantity));
  ASSIGN_OR_RETURN(ask.memory_bytes, NativeOf(pod, "memory", domain::ParseQuantity));
  return ask;
}

}  // namespace hami::placement
