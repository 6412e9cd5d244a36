// SPDX-License-Identifier: Apache-2.0

#include "ctl/loader_cache.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/subprocess.h"

namespace hami::ctl {
namespace {

constexpr int kTimeoutMs = 20'000;
constexpr size_t kMaxCacheBytes = size_t{64} << 20;

// Debian and Fedora keep it here; a user's PATH often lacks sbin. Ubuntu's /sbin/ldconfig is a
// script around the real one, which takes the same options.
constexpr const char* kPrograms[] = {"/usr/sbin/ldconfig", "/sbin/ldconfig"};

}  // namespace

Result<std::string> BuildLoaderCache(const std::string& library_folder,
                                     const std::string& scratch_folder) {
  const std::string cache = base::JoinPath(scratch_folder, "ld.so.cache");
  for (const char* const path : kPrograms) {
    if (!base::Exists(path)) continue;
    // -X: no links are made or changed. Folders of the command line are entered before those of
    // ld.so.conf and the default ones, and of equal names the first entered is found.
    ASSIGN_OR_RETURN(const base::ProgramOutput output,
                     base::RunProgram({.path = path,
                                       .arguments = {"-X", "-C", cache, library_folder},
                                       .timeout_ms = kTimeoutMs}));
    Result<std::string> content = base::ReadFile(cache, kMaxCacheBytes);
    RETURN_IF_ERROR(base::RemoveTree(cache));
    if (output.exit_code != 0 || !content) {
      return Fail(Code::kInternal, fmt::format("{}: {}", path, output.text));
    }
    return content;
  }
  return Fail(Code::kNotFound, "this system has no ldconfig");
}

}  // namespace hami::ctl
