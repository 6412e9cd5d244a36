// SPDX-License-Identifier: Apache-2.0
//
// Claims from the API server, for the keeper. Thread-safe.

#pragma once

#include <string>
#include <vector>

#include "dra/claim_keeper.h"
#include "kube/client.h"

namespace hami::dra {

class ApiClaims : public ClaimSource {
 public:
  // The client outlives it. `pool`: this node's.
  ApiClaims(kube::Client& client, std::string pool) : client_(client), pool_(std::move(pool)) {}

  Result<domain::ResourceClaim> Fetch(const ClaimRef& claim) override;
  Result<std::vector<domain::ResourceClaim>> FetchOfNode() override;

 private:
  kube::Client& client_;
  const std::string pool_;
};

}  // namespace hami::dra
