// SPDX-License-Identifier: Apache-2.0

#include "ctl/enclosure.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <sstream>

#include "api/share/agent.h"
#include "base/fd.h"
#include "base/file.h"
#include "share/product_files.h"

namespace hami::ctl {
namespace {

constexpr char kEtc[] = "/etc";
constexpr char kPreloadFile[] = "/etc/ld.so.preload";
constexpr char kLibraryFolder[] = "/etc/hami/lib";
constexpr size_t kMaxPreloadBytes = 1 << 20;
constexpr size_t kMaxMountInfoBytes = size_t{16} << 20;

Status Mount(const char* source, const std::string& target, const char* type, unsigned long flags,
             const char* options) {
  if (mount(source, target.c_str(), type, flags, options) == 0) return {};
  // No such file system in this kernel, or not in a user namespace (overlay before Linux 5.11).
  if (errno == ENODEV) {
    return Fail(Code::kUnimplemented, fmt::format("this kernel has no file system {}", type));
  }
  return FailErrno(fmt::format("mount {} on {}", type != nullptr ? type : source, target));
}

Status Bind(const std::string& source, const std::string& target, unsigned long flags = 0) {
  if (mount(source.c_str(), target.c_str(), nullptr, MS_BIND | flags, nullptr) == 0) return {};
  return FailErrno(fmt::format("bind {} on {}", source, target));
}

// A bind mount takes its other flags from the file system it shows, and inside a user namespace
// they may not be dropped, so they are named again (mount_namespaces(7)).
Status MakeReadOnly(const std::string& target) {
  struct statvfs info = {};
  if (statvfs(target.c_str(), &info) != 0) return FailErrno("look at " + target);
  unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
  if ((info.f_flag & ST_NOSUID) != 0) flags |= MS_NOSUID;
  if ((info.f_flag & ST_NODEV) != 0) flags |= MS_NODEV;
  if ((info.f_flag & ST_NOEXEC) != 0) flags |= MS_NOEXEC;
  if ((info.f_flag & ST_NOATIME) != 0) flags |= MS_NOATIME;
  if ((info.f_flag & ST_NODIRATIME) != 0) flags |= MS_NODIRATIME;
  if ((info.f_flag & ST_RELATIME) != 0) flags |= MS_RELATIME;
  if (mount(nullptr, target.c_str(), nullptr, flags, nullptr) == 0) return {};
  return FailErrno(fmt::format("make {} read-only", target));
}

Status BindReadOnly(const std::string& source, const std::string& target) {
  RETURN_IF_ERROR(Bind(source, target));
  return MakeReadOnly(target);
}

Status WriteProcFile(const std::string& path, std::string_view text) {
  ASSIGN_OR_RETURN(const base::Fd file, base::OpenFile(path, O_WRONLY));
  const Status written = base::WriteAll(file.get(), text);
  if (!written) return Fail(Error(written.error()).Wrap(path));
  return {};
}

// A user namespace in which we are who we are, and nobody else exists.
Status MapOnlySelf(uid_t uid, gid_t gid) {
  // Without it the kernel takes no group map from a process without privileges
  // (user_namespaces(7)).
  RETURN_IF_ERROR(WriteProcFile("/proc/self/setgroups", "deny"));
  RETURN_IF_ERROR(WriteProcFile("/proc/self/uid_map", fmt::format("{0} {0} 1\n", uid)));
  return WriteProcFile("/proc/self/gid_map", fmt::format("{0} {0} 1\n", gid));
}

// Seccomp filters, sysctls, limits and kernels without namespaces refuse with different numbers
// (EPERM, ENOSPC, EUSERS, ENOSYS, EINVAL); all mean that it is not to be had here.
tl::unexpected<Error> NamespaceRefused(std::string_view what, int error_number) {
  Error error = ErrnoError(error_number, what);
  error.code = Code::kPermissionDenied;
  return Fail(std::move(error));
}

// True: with privileges of the host; false: inside a user namespace.
Result<bool> LeaveMountNamespace() {
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  if (uid == 0) {
    if (unshare(CLONE_NEWNS) == 0) return true;
    if (errno != EPERM) return NamespaceRefused("new mount namespace", errno);
  }
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    return NamespaceRefused("new user namespace", errno);
  }
  RETURN_IF_ERROR(MapOnlySelf(uid, gid));
  return false;
}

Status WriteUpperFile(const std::string& path, std::string_view content, mode_t mode) {
  ASSIGN_OR_RETURN(const base::Fd file, base::OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, mode));
  RETURN_IF_ERROR(base::WriteAll(file.get(), content));
  if (fchmod(file.get(), mode) != 0) return FailErrno("set mode of " + path);
  return {};
}

// What /etc gets on top, under `upper`.
Status FillUpper(const EnclosureSpec& spec, const std::string& upper) {
  const std::string library_path = base::JoinPath(kLibraryFolder, share::kPreloadLibrary);
  RETURN_IF_ERROR(base::MakeFolders(upper + "/hami/lib", 0755));
  RETURN_IF_ERROR(base::MakeFolders(upper + "/hami/shares/" + spec.share_name, 0755));
  RETURN_IF_ERROR(
      WriteUpperFile(upper + "/hami/lib/" + share::kPreloadLibrary, spec.library, 0555));
  std::string host_text;
  if (base::Exists(kPreloadFile)) {
    ASSIGN_OR_RETURN(host_text, base::ReadFile(kPreloadFile, kMaxPreloadBytes));
  }
  RETURN_IF_ERROR(
      WriteUpperFile(upper + "/ld.so.preload", PreloadText(library_path, host_text), 0444));
  if (spec.loader_cache.empty()) return {};
  return WriteUpperFile(upper + "/ld.so.cache", spec.loader_cache, 0444);
}

// Mounts that lie below /etc (a container's resolv.conf, hosts, hostname) are not part of the
// overlay's lower layer; they are kept open across it and bound again.
class KeptMounts {
 public:
  static Result<KeptMounts> Open() {
    ASSIGN_OR_RETURN(const std::string info,
                     base::ReadFile("/proc/self/mountinfo", kMaxMountInfoBytes));
    KeptMounts kept;
    for (std::string& path : MountsBelowEtc(info)) {
      Result<base::Fd> fd = base::OpenFile(path, O_PATH);
      if (fd) kept.mounts_.push_back({std::move(path), std::move(*fd)});  // else not ours to see
    }
    return kept;
  }
  Status BindAgain() const {
    for (const auto& [path, fd] : mounts_) {
      RETURN_IF_ERROR(Bind(fmt::format("/proc/self/fd/{}", fd.get()), path, MS_REC));
    }
    return {};
  }

 private:
  std::vector<std::pair<std::string, base::Fd>> mounts_;
};

Status OverlayEtc(const EnclosureSpec& spec, bool privileged) {
  ASSIGN_OR_RETURN(const KeptMounts kept, KeptMounts::Open());
  const std::string& stage = spec.stage_folder;
  RETURN_IF_ERROR(Mount("hami", stage, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"));
  RETURN_IF_ERROR(base::MakeFolders(stage + "/upper", 0755));
  RETURN_IF_ERROR(base::MakeFolders(stage + "/work", 0755));
  RETURN_IF_ERROR(FillUpper(spec, stage + "/upper"));
  // Relative names: a path of the user's could hold the option separators.
  if (chdir(stage.c_str()) != 0) return FailErrno("enter " + stage);
  // A user's /etc was read-only to him; root may install packages, into the tmpfs.
  unsigned long flags = MS_NODEV;
  if (!privileged) flags |= MS_RDONLY;
  RETURN_IF_ERROR(
      Mount("hami", kEtc, "overlay", flags, "lowerdir=/etc,upperdir=upper,workdir=work"));
  RETURN_IF_ERROR(kept.BindAgain());
  if (chdir("/") != 0) return FailErrno("enter /");
  return {};
}

Status PlaceShare(const EnclosureSpec& spec) {
  const std::string inside = base::JoinPath(api::kSharesRoot, spec.share_name);
  const std::string region = base::JoinPath(inside, api::kRegionFile);
  RETURN_IF_ERROR(BindReadOnly(kPreloadFile, kPreloadFile));
  RETURN_IF_ERROR(BindReadOnly(kLibraryFolder, kLibraryFolder));
  RETURN_IF_ERROR(BindReadOnly(spec.share_folder, inside));
  RETURN_IF_ERROR(Bind(base::JoinPath(spec.share_folder, api::kRegionFile), region));
  // Last, because the paths above lie below it: the tenant may own these folders, and must not
  // reach a writable limits file by its name on the host.
  return Mount("hami", spec.shares_folder, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
               "mode=0555,size=4k");
}

// Returns to the folder the tenant is to start in. By name, because below /etc the same name now
// means the overlay.
void RestoreFolder(const std::string& path, const base::Fd& folder) {
  if (!path.empty() && chdir(path.c_str()) == 0) return;
  if (folder && fchdir(folder.get()) == 0) return;
}

}  // namespace

std::string PreloadText(std::string_view ours, std::string_view host_text) {
  std::string text(ours);
  text += '\n';
  text += host_text;
  if (text.back() != '\n') text += '\n';
  return text;
}

std::vector<std::string> MountsBelowEtc(std::string_view mountinfo) {
  std::vector<std::string> found;
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    // ID parent major:minor root MOUNTPOINT options ...; blanks are written as \040 (proc(5)).
    std::istringstream fields(line);
    std::string skipped;
    std::string path;
    fields >> skipped >> skipped >> skipped >> skipped >> path;
    if (!path.starts_with("/etc/") || path.find('\\') != std::string::npos) continue;
    bool covered = false;
    for (const std::string& other : found) {
      covered = covered || path == other || path.starts_with(other + "/");
    }
    if (!covered) found.push_back(path);
  }
  return found;
}

Status EnterEnclosure(const EnclosureSpec& spec) {
  char path[PATH_MAX] = {};
  const std::string start = getcwd(path, sizeof(path)) != nullptr ? path : "";
  const base::Fd start_folder(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  ASSIGN_OR_RETURN(const bool privileged, LeaveMountNamespace());
  RETURN_IF_ERROR(Mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
  RETURN_IF_ERROR(OverlayEtc(spec, privileged));
  RETURN_IF_ERROR(PlaceShare(spec));
  if (umount2(spec.stage_folder.c_str(), MNT_DETACH) != 0) {
    return FailErrno("unmount " + spec.stage_folder);
  }
  RestoreFolder(start, start_folder);
  return {};
}

}  // namespace hami::ctl
