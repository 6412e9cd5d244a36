// SPDX-License-Identifier: Apache-2.0

#include "gpu/rooted_path.h"

#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <deque>

#include "base/file.h"

namespace hami::gpu {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel

// In front of what is still to be walked.
void PutFirst(std::string_view path, std::deque<std::string>* rest) {
  size_t end = path.size();
  while (end > 0) {
    const size_t slash = path.rfind('/', end - 1);
    const size_t begin = slash == std::string_view::npos ? 0 : slash + 1;
    if (begin < end) rest->emplace_front(path.substr(begin, end - begin));
    end = slash == std::string_view::npos ? 0 : slash;
  }
}

}  // namespace

Result<std::string> ResolveInRoot(const std::string& root, std::string_view path) {
  std::deque<std::string> rest;
  PutFirst(path, &rest);
  std::string resolved;  // "" is the root itself
  int links = 0;
  while (!rest.empty()) {
    const std::string name = std::move(rest.front());
    rest.pop_front();
    if (name == ".") continue;
    if (name == "..") {
      resolved.resize(resolved.empty() ? 0 : resolved.rfind('/'));
      continue;
    }
    const std::string next = resolved + "/" + name;
    const std::string seen = base::JoinPath(root, std::string_view(next).substr(1));
    struct stat info = {};
    if (lstat(seen.c_str(), &info) != 0) return FailErrno("look at " + seen);
    if (!S_ISLNK(info.st_mode)) {
      resolved = next;
      continue;
    }
    if (++links > kMaxLinks) {
      return Fail(Code::kFailedPrecondition, fmt::format("{} leads through too many links", seen));
    }
    char target[PATH_MAX] = {};
    const ssize_t bytes = readlink(seen.c_str(), target, sizeof(target) - 1);
    if (bytes < 0) return FailErrno("read the link " + seen);
    const std::string_view text(target, static_cast<size_t>(bytes));
    if (text.starts_with('/')) resolved.clear();
    PutFirst(text, &rest);
  }
  return resolved.empty() ? "/" : resolved;
}

}  // namespace hami::gpu
