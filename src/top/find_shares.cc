// SPDX-License-Identifier: Apache-2.0

#include "top/find_shares.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "api/share/agent.h"
#include "base/file.h"
#include "regionctl/find_regions.h"
#include "top/claim_name.h"
#include "top/plain_text.h"

namespace hami::top {
namespace {

constexpr size_t kMostNameLength = 128;
constexpr size_t kMostShares = 4096;  // tenants may make folders; a look must end
constexpr std::string_view kHamiSuffix = ".cache";

bool IsRegularFile(const std::string& path) {
  struct stat info = {};
  return lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

bool IsFolder(const std::string& path) {
  struct stat info = {};
  return lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::string LastPart(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

class Finder {
 public:
  explicit Finder(const Sources& sources) : sources_(sources) {}

  void FindAll() {
    for (const std::string& name : FoldersIn(sources_.runs)) {
      AddFolder(Kind::kRun, name, base::JoinPath(sources_.runs, name));
    }
    for (const std::string& uid : FoldersIn(sources_.claims)) AddClaim(uid);
    for (const std::string& name : FoldersIn(sources_.containers)) AddContainer(name);
    for (const std::string& name : FoldersIn(sources_.own)) {
      AddFolder(Kind::kShare, name, base::JoinPath(sources_.own, name), /*inside=*/true);
    }
  }

  void FindAt(const std::string& path) {
    const size_t before = found_.shares.size();
    if (IsRegularFile(path)) {
      AddPath(path);
    } else {
      for (const std::string& region : regionctl::FindRegions(path)) AddPath(region);
      AddCaches(Kind::kShare, LastPart(path), path);
    }
    if (found_.shares.size() != before) return;
    found_.failed = true;
    const Result<std::vector<std::string>> names = base::ListFolder(path);
    found_.notes.push_back(names ? fmt::format("no region in {}: name a region, a share directory "
                                               "or a folder with some",
                                               path)
                                 : names.error().message);
  }

  Shares Take() && { return std::move(found_); }

 private:
  // A folder that is not there has no shares; one that may not be read is said.
  std::vector<std::string> FoldersIn(const std::string& root) {
    if (root.empty()) return {};
    Result<std::vector<std::string>> names = base::ListFolder(root);
    if (!names) {
      if (names.error().code != Code::kNotFound) {
        found_.notes.push_back(names.error().message +
                               "; to see what is in it, run hami top as a "
                               "user who may read it");
      }
      return {};
    }
    std::erase_if(*names, [&](const std::string& name) {
      return name.starts_with('.') || !IsFolder(base::JoinPath(root, name));
    });
    return std::move(*names);
  }

  void Add(Share share) {
    // In a run its own share is also mounted where containers have theirs.
    struct stat info = {};
    if (lstat(share.region.c_str(), &info) != 0) return;
    if (!seen_.insert({info.st_dev, info.st_ino}).second) return;
    if (found_.shares.size() < kMostShares) {
      share.name = PlainText(share.name, kMostNameLength);
      found_.shares.push_back(std::move(share));
      return;
    }
    const std::string note = fmt::format("more than {} shares; the rest is not shown", kMostShares);
    if (std::ranges::find(found_.notes, note) == found_.notes.end()) found_.notes.push_back(note);
  }

  void AddFolder(Kind kind, const std::string& name, const std::string& folder,
                 bool inside = false) {
    const std::string region = base::JoinPath(folder, api::kRegionFile);
    if (IsRegularFile(region)) Add({kind, name, folder, region, inside});
  }

  void AddClaim(const std::string& uid) {
    const std::string folder = base::JoinPath(sources_.claims, uid);
    std::vector<std::string> slices = FoldersIn(folder);
    std::erase_if(slices, [&](const std::string& slice) {
      return !IsRegularFile(base::JoinPath(base::JoinPath(folder, slice), api::kRegionFile));
    });
    if (slices.empty()) return;
    const std::string name = ClaimName(sources_.claim_records, uid);
    for (const std::string& slice : slices) {
      AddFolder(Kind::kClaim, slices.size() == 1 ? name : name + ":" + slice,
                base::JoinPath(folder, slice));
    }
  }

  void AddCaches(Kind kind, const std::string& name, const std::string& folder) {
    const Result<std::vector<std::string>> files = base::ListFolder(folder);
    if (!files) return;
    for (const std::string& file : *files) {
      const std::string path = base::JoinPath(folder, file);
      if (file.ends_with(kHamiSuffix) && IsRegularFile(path)) Add({kind, name, folder, path});
    }
  }

  // HAMi: <pod's UID>_<container>.
  void AddContainer(const std::string& folder) {
    const size_t line = folder.find('_');
    const std::string name =
        line == std::string::npos
            ? folder
            : fmt::format("{} ({})", folder.substr(line + 1), folder.substr(0, line));
    AddCaches(Kind::kContainer, name, base::JoinPath(sources_.containers, folder));
  }

  void AddPath(const std::string& region) {
    const std::string folder = FolderOf(region);
    const bool is_run = sources_.read_note && sources_.read_note(folder).has_value();
    Add({is_run ? Kind::kRun : Kind::kShare, LastPart(folder), folder, region});
  }

  const Sources& sources_;
  Shares found_;
  std::set<std::pair<dev_t, ino_t>> seen_;
};

}  // namespace

Shares FindShares(const Sources& sources, const std::vector<std::string>& paths) {
  Finder finder(sources);
  if (paths.empty()) finder.FindAll();
  for (const std::string& path : paths) finder.FindAt(path);
  return std::move(finder).Take();
}

}  // namespace hami::top
