// SPDX-License-Identifier: Apache-2.0

#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>

namespace hami::base {
namespace {

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status SyncFolder(const std::string& path) {
  ASSIGN_OR_RETURN(const Fd folder, OpenFile(path, O_RDONLY | O_DIRECTORY));
  if (fsync(folder.get()) != 0 && errno != EINVAL) return FailErrno("sync " + path);
  return {};
}

// Unique in the machine: other processes and threads may be writing the same file.
std::string TemporaryName(const std::string& path) {
  static std::atomic<unsigned> count{0};
  return fmt::format("{}.new-{}-{}", path, getpid(), count.fetch_add(1));
}

Status WriteNew(const std::string& path, std::string_view content, mode_t mode) {
  ASSIGN_OR_RETURN(const Fd file, OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, mode));
  if (fchmod(file.get(), mode) != 0) return FailErrno("set mode of " + path);
  if (Status written = WriteAll(file.get(), content); !written) {
    return Fail(std::move(written).error().Wrap(path));
  }
  if (fsync(file.get()) != 0 && errno != EINVAL) return FailErrno("sync " + path);
  return {};
}

}  // namespace

Result<Fd> OpenFile(const std::string& path, int flags, mode_t mode) {
  Fd file(open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!file) return FailErrno("open " + path);
  return file;
}

Result<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  ASSIGN_OR_RETURN(const Fd file, OpenFile(path, O_RDONLY));
  std::string content;
  char chunk[16384];
  for (;;) {
    const ssize_t got = read(file.get(), chunk, sizeof(chunk));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailErrno("read " + path);
    if (got == 0) return content;
    if (content.size() + static_cast<size_t>(got) > max_bytes) {
      return Fail(Code::kOutOfRange, fmt::format("{} has more than {} bytes", path, max_bytes));
    }
    content.append(chunk, static_cast<size_t>(got));
  }
}

Status WriteAll(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t put = write(fd, content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return FailErrno("write");
    content.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

Status WriteFileAtomically(const std::string& path, std::string_view content, mode_t mode) {
  const std::string temporary = TemporaryName(path);
  Status status = WriteNew(temporary, content, mode);
  if (status && rename(temporary.c_str(), path.c_str()) != 0) {
    status = FailErrno("rename to " + path);
  }
  if (!status) {
    unlink(temporary.c_str());
    return status;
  }
  return SyncFolder(FolderOf(path));
}

Status MakeFolders(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0) {
    if (chmod(path.c_str(), mode) != 0) return FailErrno("set mode of " + path);
    return {};
  }
  if (errno == ENOENT) {
    const std::string parent = FolderOf(path);
    if (parent == path || parent == ".") return FailErrno("make folder " + path);
    RETURN_IF_ERROR(MakeFolders(parent, 0755));
    if (mkdir(path.c_str(), mode) == 0 && chmod(path.c_str(), mode) == 0) return {};
  }
  const int error = errno;
  struct stat info = {};
  if (error == EEXIST && stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
  return Fail(ErrnoError(error, "make folder " + path));
}

Status RemoveTree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return Fail(ErrnoError(error.value(), "remove " + path));
  return {};
}

Result<std::vector<std::string>> ListFolder(const std::string& path) {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator at(path, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error) return Fail(ErrnoError(error.value(), "list " + path));
  std::ranges::sort(names);
  return names;
}

bool Exists(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0;
}

std::string JoinPath(std::string_view folder, std::string_view name) {
  std::string path(folder);
  if (!path.empty() && path.back() != '/') path += '/';
  path += name;
  return path;
}

}  // namespace hami::base
