// SPDX-License-Identifier: Apache-2.0

#include "dra/api_claims.h"

#include <algorithm>

#include "dra/names.h"
#include "json/value.h"
#include "kube/object.h"
#include "kube/request.h"

namespace hami::dra {
namespace {

// The kubelet gives a whole batch 45 s; a second try of its own is better than a long wait.
constexpr int64_t kFetchTimeoutMs = 10'000;

}  // namespace

Result<domain::ResourceClaim> ApiClaims::Fetch(const ClaimRef& claim) {
  kube::ApiRequest request =
      kube::GetRequest(kube::kResourceClaims, {claim.namespace_name, claim.name});
  request.timeout_ms = kFetchTimeoutMs;
  ASSIGN_OR_RETURN(const std::string text, client_.Do(std::move(request)));
  json::Document document;
  RETURN_IF_ERROR(document.Parse(text));
  return domain::ReadResourceClaim(document.root());
}

Result<std::vector<domain::ResourceClaim>> ApiClaims::FetchOfNode() {
  std::vector<domain::ResourceClaim> claims;
  const auto visit = [&](json::Value object) -> Status {
    ASSIGN_OR_RETURN(domain::ResourceClaim claim, domain::ReadResourceClaim(object));
    const bool ours = std::ranges::any_of(claim.results, [&](const domain::DeviceResult& result) {
      return result.driver == kDriverName && result.pool == pool_;
    });
    if (ours) claims.push_back(std::move(claim));
    return {};
  };
  const Result<std::string> listed =
      client_.List(kube::kResourceClaims, {}, visit, [&] { claims.clear(); });
  if (!listed) return Fail(Error(listed.error()));
  return claims;
}

}  // namespace hami::dra
