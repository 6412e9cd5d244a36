// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <string>
#include <vector>

namespace hami::regionctl {

// Files called "region" below a folder, sorted; no link is followed. Empty where there is no such
// folder.
std::vector<std::string> FindRegions(const std::string& root);

// A share's directory stands for the region in it.
std::string RegionPathOf(const std::string& path);

}  // namespace hami::regionctl
