// SPDX-License-Identifier: Apache-2.0
//
// The shares of this machine, by the folders in which they lie. Tenants can make files in some of
// these folders: no link is followed, and what is no file of the right name is passed over.

#pragma once

#include <string>
#include <vector>

#include "top/snapshot.h"
#include "top/sources.h"

namespace hami::top {

struct Share {
  Kind kind = Kind::kShare;
  std::string name;     // cleaned
  std::string folder;   // where its limits file lies
  std::string region;   // path of the file
  bool inside = false;  // we are in its container: PIDs are what its processes see
};

struct Shares {
  std::vector<Share> shares;
  std::vector<std::string> notes;  // folders that cannot be read
  bool failed = false;             // one of `paths` leads to nothing
};

// All shares of `sources`, or with `paths` (regions, share directories, folders with some) those.
Shares FindShares(const Sources& sources, const std::vector<std::string>& paths);

}  // namespace hami::top
