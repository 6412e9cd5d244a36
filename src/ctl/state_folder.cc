// SPDX-License-Identifier: Apache-2.0

#include "ctl/state_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/clock.h"
#include "base/file.h"

namespace hami::ctl {
namespace {

bool IsSet(const char* text) { return text != nullptr && *text != '\0'; }

// /tmp is everybody's: whoever makes /tmp/hami-1000 first could read and change what user 1000
// books.
Status CheckOwner(const std::string& path) {
  struct stat info = {};
  if (lstat(path.c_str(), &info) != 0) return FailErrno("look at " + path);
  if (!S_ISDIR(info.st_mode)) return Fail(Code::kFailedPrecondition, path + " is not a folder");
  if (info.st_uid != geteuid() || (info.st_mode & 022U) != 0) {
    return Fail(Code::kFailedPrecondition,
                fmt::format("{} belongs to user {} with mode {:04o}; it must be yours and writable "
                            "by you alone. Set HAMI_STATE_DIR to use another folder",
                            path, info.st_uid, info.st_mode & 07777U));
  }
  return {};
}

}  // namespace

std::string ChooseStateFolder(const StateFolderClues& clues) {
  if (IsSet(clues.hami_state_dir)) return clues.hami_state_dir;
  if (clues.uid == 0) return "/run/hami";
  if (IsSet(clues.xdg_runtime_dir)) return base::JoinPath(clues.xdg_runtime_dir, "hami");
  return fmt::format("/tmp/hami-{}", clues.uid);
}

Result<StateFolder> StateFolder::Open() {
  const StateFolderClues clues = {getenv("HAMI_STATE_DIR"), getenv("XDG_RUNTIME_DIR"), geteuid()};
  std::string path = ChooseStateFolder(clues);
  if (path[0] != '/') {
    return Fail(Code::kInvalidArgument,
                fmt::format("HAMI_STATE_DIR is \"{}\"; it must be an absolute path", path));
  }
  RETURN_IF_ERROR(base::MakeFolders(path, 0755));
  if (!IsSet(clues.hami_state_dir)) RETURN_IF_ERROR(CheckOwner(path));
  StateFolder folder(std::move(path));
  // Nobody else needs a path into a share: a tenant gets it mounted (enclosure.h).
  RETURN_IF_ERROR(base::MakeFolders(folder.shares(), 0700));
  RETURN_IF_ERROR(base::MakeFolders(folder.stage(), 0755));
  return folder;
}

std::string StateFolder::shares() const { return base::JoinPath(path_, "shares"); }
std::string StateFolder::context_cost() const { return base::JoinPath(path_, "context_cost"); }
std::string StateFolder::libraries() const { return base::JoinPath(path_, "lib"); }
std::string StateFolder::stage() const { return base::JoinPath(path_, "stage"); }
std::string StateFolder::simulations() const { return base::JoinPath(path_, "sim"); }

Result<base::Fd> StateFolder::Lock(int timeout_ms) const {
  const std::string path = base::JoinPath(path_, "lock");
  ASSIGN_OR_RETURN(base::Fd file, base::OpenFile(path, O_RDWR | O_CREAT, 0600));
  const base::Clock& clock = base::SystemClock();
  const int64_t deadline_ns = clock.MonotonicNs() + int64_t{timeout_ms} * 1'000'000;
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return FailErrno("lock " + path);
    if (clock.MonotonicNs() > deadline_ns) {
      return Fail(Code::kDeadlineExceeded,
                  fmt::format("another hami has held {} for {} s", path, timeout_ms / 1000));
    }
    constexpr timespec kPoll = {0, 10'000'000};
    nanosleep(&kPoll, nullptr);
  }
  return file;
}

}  // namespace hami::ctl
