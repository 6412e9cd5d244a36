// SPDX-License-Identifier: Apache-2.0

#include "share/product_files.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <climits>
#include <utility>

#include "base/file.h"
#include "base/hash.h"
#include "base/version.h"

namespace hami::share {
namespace {

constexpr size_t kMaxFileBytes = size_t{64} << 20;
constexpr char kInstalledFolder[] = "/usr/lib/hami";

// The folder of the running program.
Result<std::string> ProgramFolder() {
  char path[PATH_MAX] = {};
  if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0) {
    return FailErrno("find the running program");
  }
  const std::string program = path;
  return program.substr(0, program.rfind('/'));
}

// A file that a power cut left short is written again.
Status Keep(const std::string& path, const ProductFile& file) {
  const Result<std::string> kept = base::ReadFile(path, kMaxFileBytes);
  if (kept && *kept == file.content) return {};
  return base::WriteFileAtomically(path, file.content, 0555);
}

}  // namespace

Result<ProductFile> FindProductFile(const std::string& name) {
  ASSIGN_OR_RETURN(const std::string folder, ProgramFolder());
  const std::vector<std::string> folders = {folder, folder.substr(0, folder.rfind('/')) + "/lib",
                                            kInstalledFolder};
  for (const std::string& place : folders) {
    std::string path = base::JoinPath(place, name);
    Result<std::string> content = base::ReadFile(path, kMaxFileBytes);
    if (!content && content.error().code == Code::kNotFound) continue;
    if (!content) return Fail(std::move(content).error());
    if (!content->starts_with("\177ELF")) {
      return Fail(Code::kFailedPrecondition, path + " is neither a library nor a program");
    }
    return ProductFile{name, std::move(path), std::move(*content)};
  }
  return Fail(Code::kFailedPrecondition, fmt::format("{} is missing; looked in {}, {} and {}", name,
                                                     folders[0], folders[1], folders[2]));
}

std::string ProductFolderName(const std::vector<ProductFile>& files) {
  std::string all;
  for (const ProductFile& file : files) all += file.content;
  return fmt::format("{}-{:016x}", base::Version(), base::HashOf(all));
}

Result<std::string> KeepProductFiles(const std::string& root,
                                     const std::vector<ProductFile>& files) {
  std::string folder = base::JoinPath(root, ProductFolderName(files));
  RETURN_IF_ERROR(base::MakeFolders(folder, 0755));
  for (const ProductFile& file : files) {
    RETURN_IF_ERROR(Keep(base::JoinPath(folder, file.name), file));
  }
  struct statvfs info = {};
  if (statvfs(folder.c_str(), &info) == 0 && (info.f_flag & ST_NOEXEC) != 0) {
    return Fail(Code::kFailedPrecondition, folder + " is on a file system mounted noexec");
  }
  return folder;
}

}  // namespace hami::share
