// SPDX-License-Identifier: Apache-2.0

#include "dra/share_members.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <optional>
#include <thread>

#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"

namespace hami::dra {
namespace {

constexpr size_t kMaxMountInfoBytes = size_t{16} << 20;
constexpr size_t kMaxKnown = 4096;
constexpr int kStartTimeField = 22;

// The n-th word, from 1; the rest is cut off the front.
std::string_view WordAt(std::string_view line, int n) {
  for (; n > 1; --n) {
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) return {};
    line.remove_prefix(space + 1);
  }
  return line.substr(0, line.find(' '));
}

std::optional<uint64_t> StartTime(int pid) {
  const Result<std::string> stat = base::ReadFile(fmt::format("/proc/{}/stat", pid), 4096);
  if (!stat) return std::nullopt;
  // The name stands in brackets and may contain anything.
  const size_t end = stat->rfind(')');
  if (end == std::string::npos || end + 2 > stat->size()) return std::nullopt;
  const std::string_view word =
      WordAt(std::string_view(*stat).substr(end + 2), kStartTimeField - 2);
  uint64_t ticks = 0;
  const auto [at, error] = std::from_chars(word.data(), word.data() + word.size(), ticks);
  return error == std::errc() ? std::optional(ticks) : std::nullopt;
}

Result<std::string> ReadAll(int fd) {
  std::string text;
  char chunk[16384];
  while (text.size() <= kMaxMountInfoBytes) {
    const ssize_t got = read(fd, chunk, sizeof(chunk));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailErrno("read mountinfo");
    if (got == 0) return text;
    text.append(chunk, static_cast<size_t>(got));
  }
  return Fail(Code::kOutOfRange, "more mounts than anybody has");
}

// Leaves the calling thread in that namespace.
Result<std::string> EnterAndReadMounts(int mount_namespace) {
  ASSIGN_OR_RETURN(const base::Fd self, base::OpenFile("/proc/thread-self", O_PATH | O_DIRECTORY));
  if (unshare(CLONE_FS) != 0) return FailErrno("unshare the root folder");
  if (setns(mount_namespace, CLONE_NEWNS) != 0) return FailErrno("enter a mount namespace");
  const base::Fd mounts(openat(self.get(), "mountinfo", O_RDONLY | O_CLOEXEC));
  if (!mounts) return FailErrno("open mountinfo");
  return ReadAll(mounts.get());
}

// All mounts of the process's namespace, as a thread sees them that has entered it: in its own
// mountinfo a process shows only what is below its root, which it can move (chroot(2)).
Result<std::string> ReadMounts(int pid) {
  ASSIGN_OR_RETURN(const base::Fd space,
                   base::OpenFile(fmt::format("/proc/{}/ns/mnt", pid), O_RDONLY));
  Result<std::string> text = std::string();
  std::thread reader([&] { text = EnterAndReadMounts(space.get()); });
  reader.join();
  if (text) return text;
  LOG_DEBUG("cannot look into a mount namespace", Field("pid", pid), Field("error", text.error()));
  return base::ReadFile(fmt::format("/proc/{}/mountinfo", pid), kMaxMountInfoBytes);
}

}  // namespace

Result<ShareMembers> ShareMembers::Open(const std::string& folder, const std::string& mount_point) {
  struct stat info = {};
  if (stat(folder.c_str(), &info) != 0) return FailErrno("look at " + folder);
  ShareMembers members;
  members.device_ = fmt::format("{}:{}", major(info.st_dev), minor(info.st_dev));
  // The two last parts of the path, <uid>/<n>, name a slice: how the file system that holds them is
  // mounted here says nothing about its root.
  const size_t claim = folder.rfind('/', folder.rfind('/') - 1);
  members.root_suffix_ = folder.substr(claim);
  members.mount_point_ = mount_point;
  return members;
}

// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
bool ShareMembers::IsOurMount(std::string_view line) const {
  return WordAt(line, 5) == mount_point_ && WordAt(line, 3) == device_ &&
         WordAt(line, 4).ends_with(root_suffix_);
}

bool ShareMembers::Look(int pid) const {
  const Result<std::string> text = ReadMounts(pid);
  if (!text) return false;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    if (IsOurMount(rest.substr(0, end))) return true;
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return false;
}

bool ShareMembers::Contains(int pid) {
  const std::optional<uint64_t> started = StartTime(pid);
  if (!started) return false;
  const auto found = known_.find(pid);
  if (found != known_.end() && found->second.started == *started) return found->second.member;
  if (known_.size() >= kMaxKnown) known_.clear();
  const bool member = Look(pid);
  known_[pid] = {*started, member};
  return member;
}

}  // namespace hami::dra
