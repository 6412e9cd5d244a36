// SPDX-License-Identifier: Apache-2.0
//
// What the API server is and serves. Waits for answers: like Client's own waiting functions.

#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "kube/client.h"
#include "kube/object.h"

namespace hami::kube {

struct ServerVersion {
  int major = 0;
  int minor = 0;    // 36; what vendors append is left out
  std::string git;  // "v1.36.3"

  bool operator==(const ServerVersion&) const = default;
  bool IsAtLeast(int other_major, int other_minor) const {
    return major > other_major || (major == other_major && minor >= other_minor);
  }
};

Result<ServerVersion> GetServerVersion(Client& client);

// Of the body of /version; kInvalidArgument if it is none.
Result<ServerVersion> ParseServerVersion(std::string_view text);

// Whether this group, version and resource is served.
Result<bool> IsServed(Client& client, const ResourceType& type);

// The first of them that is served; kUnimplemented, naming them, if none is.
Result<ResourceType> FirstServed(Client& client, const std::vector<ResourceType>& types);

}  // namespace hami::kube
