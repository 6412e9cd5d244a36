// SPDX-License-Identifier: Apache-2.0

#include "regionctl/find_regions.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "api/share/agent.h"
#include "base/file.h"

namespace hami::regionctl {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 2;  // <claim>/<slice>/region

}  // namespace

std::vector<std::string> FindRegions(const std::string& root) {
  std::vector<std::string> found;
  std::error_code error;
  // Tenants' folders come and go meanwhile.
  fs::recursive_directory_iterator entry(root, fs::directory_options::skip_permission_denied,
                                         error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (entry.depth() >= kDeepest) entry.disable_recursion_pending();
    std::error_code ignored;
    if (entry->path().filename() == api::kRegionFile &&
        fs::is_regular_file(entry->symlink_status(ignored))) {
      found.push_back(entry->path());
    }
  }
  std::ranges::sort(found);
  return found;
}

std::string RegionPathOf(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) ? base::JoinPath(path, api::kRegionFile) : path;
}

}  // namespace hami::regionctl
