// SPDX-License-Identifier: Apache-2.0

#include "placement/quota.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "domain/quantity.h"

namespace hami::placement {

Result<QuotaFacts> ReadQuota(const vendor::Registry& registry, const json::Value& object) {
  constexpr std::string_view kLimits = "limits.";
  const json::Value metadata = object["metadata"];
  QuotaFacts facts;
  facts.namespace_name = metadata["namespace"].Text();
  facts.name = metadata["name"].Text();
  if (facts.name.empty()) return Fail(Code::kInvalidArgument, "a ResourceQuota without name");
  const std::vector<std::string> resources = registry.ResourceNames();
  for (const auto& [name, value] : object["spec"]["hard"].Members()) {
    if (!name.starts_with(kLimits)) continue;
    if (std::ranges::find(resources, name.substr(kLimits.size())) == resources.end()) continue;
    const Result<int64_t> limit = domain::ParseQuantity(value.Text());
    if (limit && *limit >= 0) facts.limits[std::string(name)] = *limit;
  }
  facts.scope = ReadScope(object["spec"]);
  return facts;
}

}  // namespace hami::placement
