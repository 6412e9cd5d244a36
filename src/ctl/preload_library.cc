// SPDX-License-Identifier: Apache-2.0

#include "ctl/preload_library.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <climits>

#include "base/file.h"
#include "base/version.h"

namespace hami::ctl {
namespace {

constexpr size_t kMaxLibraryBytes = size_t{64} << 20;
constexpr char kInstalledFolder[] = "/usr/lib/hami";

// FNV-1a, 64 bits: tells builds apart. Nobody gains by a collision in his own folder.
uint64_t Hash(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  return hash;
}

}  // namespace

Result<std::string> ProgramFolder() {
  char path[PATH_MAX] = {};
  if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0) {
    return FailErrno("find the running program");
  }
  const std::string program = path;
  return program.substr(0, program.rfind('/'));
}

Result<PreloadLibrary> FindPreloadLibrary() {
  ASSIGN_OR_RETURN(const std::string folder, ProgramFolder());
  const std::string beside =
      base::JoinPath(folder.substr(0, folder.rfind('/')) + "/lib", kPreloadLibrary);
  const std::string installed = base::JoinPath(kInstalledFolder, kPreloadLibrary);
  for (const std::string& path : {beside, installed}) {
    Result<std::string> content = base::ReadFile(path, kMaxLibraryBytes);
    if (!content && content.error().code == Code::kNotFound) continue;
    if (!content) return Fail(std::move(content).error());
    if (!content->starts_with("\177ELF")) {
      return Fail(Code::kFailedPrecondition, path + " is not a library");
    }
    return PreloadLibrary{path, std::move(*content)};
  }
  return Fail(Code::kFailedPrecondition, fmt::format("{} is missing; looked for {} and {}",
                                                     kPreloadLibrary, beside, installed));
}

Result<std::string> KeepPreloadLibrary(const StateFolder& state, const PreloadLibrary& library) {
  const std::string folder = base::JoinPath(
      state.libraries(), fmt::format("{}-{:016x}", base::Version(), Hash(library.content)));
  std::string path = base::JoinPath(folder, kPreloadLibrary);
  if (!base::Exists(path)) {
    RETURN_IF_ERROR(base::MakeFolders(folder, 0755));
    RETURN_IF_ERROR(base::WriteFileAtomically(path, library.content, 0555));
  }
  struct statvfs info = {};
  if (statvfs(path.c_str(), &info) == 0 && (info.f_flag & ST_NOEXEC) != 0) {
    return Fail(Code::kFailedPrecondition, folder + " is on a file system mounted noexec");
  }
  return path;
}

}  // namespace hami::ctl
