// SPDX-License-Identifier: Apache-2.0
//
// The share directories of a claim (api/share), one for each slice of it:
//
//   <root>/<uid>/<n>/limits, region, agent.sock     mounted at /etc/hami/shares/<uid>-<n>
//   <root>/<uid>/hook/                              what the container hook keeps
//
// A slice has a directory of its own because a container may use one request of a claim only. All
// containers that use a slice share its directory, so its limits hold for their sum.
//
// <root> is on a tmpfs: a reboot takes everything, and it is made again from the claim's record.
// The region is the tenants' to write; whatever they do to its bytes, a file of the right size is
// left alone: processes may have it mapped, and a new one would forget what they were charged.

#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "dra/grant.h"

namespace hami::dra {

class ShareRoot {
 public:
  explicit ShareRoot(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string ClaimFolder(const std::string& uid) const;
  std::string SliceFolder(const std::string& uid, size_t index) const;
  std::string HookFolder(const std::string& uid) const;

  // Makes what is missing or broken; changes nothing that is right. Sets `*mended` if there was
  // something to make. Calls for one claim come one after the other.
  Status Ensure(const ClaimGrant& grant, bool* mended) const;

  // Nothing there is success.
  Status Remove(const std::string& uid) const;

  // IDs of containers that were started without limits (api/share/inactive.h) since the last call.
  std::vector<std::string> TakeInactive(const std::string& uid) const;

  // Names in the root: UIDs, and whatever somebody else put there.
  Result<std::vector<std::string>> List() const;

 private:
  std::string path_;
};

// The name of a slice's directory below /etc/hami/shares.
std::string ShareName(const std::string& uid, size_t index);

}  // namespace hami::dra
