// SPDX-License-Identifier: Apache-2.0

#include "hook/preload_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "hook/os.h"
#include "hook/preload_text.h"

namespace hami::hook {
namespace {

constexpr char kEtc[] = "etc";
constexpr char kName[] = "ld.so.preload";
constexpr char kShown[] = "/etc/ld.so.preload of the image";
constexpr unsigned long kMountFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

// A library that is not there would be a line of the loader's in every program of the container,
// and no limits.
bool CheckLibrary(int root, const char* library, Failure* failure) {
  const OwnedFd file(OpenInRoot(root, library, O_PATH));
  // A kernel before 5.6 cannot look without following links out of the root.
  if (!file.valid() && errno == ENOSYS) return true;
  struct stat info = {};
  if (!file.valid() || fstat(file.get(), &info) != 0) {
    return failure->Set("%s is not in the container (%s); its mount is missing in the CDI document",
                        library, strerror(errno));
  }
  return S_ISREG(info.st_mode) || failure->Set("%s in the container is no file", library);
}

// The folder etc itself: a tenant could replace a link to one.
bool OpenEtc(int root, OwnedFd* etc, Failure* failure) {
  constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  *etc = OwnedFd(openat(root, kEtc, kFlags));
  if (!etc->valid() && errno == ENOENT) {
    if (mkdirat(root, kEtc, 0755) != 0 && errno != EEXIST) {
      return failure->Set("the image has no folder /etc, and none can be made: %s",
                          strerror(errno));
    }
    *etc = OwnedFd(openat(root, kEtc, kFlags));
  }
  if (etc->valid()) return true;
  if (errno == ENOTDIR || errno == ELOOP) {
    return failure->Set("/etc of the image is a link or a file; use an image where it is a folder");
  }
  return failure->Set("open /etc of the image: %s", strerror(errno));
}

bool MakeEmptyFile(int etc, Failure* failure) {
  const OwnedFd made(
      openat(etc, kName, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (made.valid() || errno == EEXIST) return true;
  if (errno == EROFS) {
    return failure->Set(
        "the image has no /etc/ld.so.preload to mount over and its root is "
        "read-only; add an empty one to the image");
  }
  return failure->Set("make /etc/ld.so.preload: %s", strerror(errno));
}

// The image's file, made if there is none. O_PATH: opening a pipe or a device would do something.
bool OpenTarget(int etc, OwnedFd* target, Failure* failure) {
  constexpr int kFlags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  *target = OwnedFd(openat(etc, kName, kFlags));
  if (!target->valid() && errno == ENOENT) {
    if (!MakeEmptyFile(etc, failure)) return false;
    *target = OwnedFd(openat(etc, kName, kFlags));
  }
  struct stat info = {};
  if (!target->valid() || fstat(target->get(), &info) != 0) {
    return failure->Set("open %s: %s", kShown, strerror(errno));
  }
  if (S_ISREG(info.st_mode)) return true;
  return failure->Set("%s is %s, not a plain file; remove it from the image", kShown,
                      S_ISLNK(info.st_mode)   ? "a link"
                      : S_ISDIR(info.st_mode) ? "a folder"
                                              : "a pipe, socket or device");
}

bool ReadTarget(int target, WholeFile* text, Failure* failure) {
  const OwnedFd file(open(FdPath(target).get(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file.valid()) return failure->Set("read %s: %s", kShown, strerror(errno));
  return text->Read(file.get(), kMaxPreloadBytes, kShown, failure);
}

// Under SELinux a container may read what has the label of its own files; ours takes that of the
// image's /etc. Elsewhere labels mean nothing.
bool CopyLabel(int etc, int file, Failure* failure) {
  constexpr char kLabel[] = "security.selinux";
  if (access("/sys/fs/selinux/enforce", F_OK) != 0) return true;
  char label[512];
  const ssize_t bytes = getxattr(FdPath(etc).get(), kLabel, label, sizeof(label));
  if (bytes <= 0) return true;
  if (fsetxattr(file, kLabel, label, static_cast<size_t>(bytes), 0) == 0) return true;
  return failure->Set("give /etc/ld.so.preload the SELinux label of /etc: %s", strerror(errno));
}

bool WriteWhole(int file, std::string_view text, Failure* failure) {
  while (!text.empty()) {
    const ssize_t put = write(file, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failure->Set("write ld.so.preload: %s", strerror(errno));
    text.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

// A tmpfs that lies over the container's /etc as long as this exists: the only place of which it
// is certain that it is there, that it is the container's own, and that nobody looks at it yet.
// What was opened below stays reachable by its descriptor.
class Cover {
 public:
  Cover() = default;
  Cover(const Cover&) = delete;
  Cover& operator=(const Cover&) = delete;
  ~Cover() {
    if (folder_.valid()) umount2(FdPath(folder_.get()).get(), MNT_DETACH);
  }

  bool Mount(int root, int etc, Failure* failure) {
    if (mount("hami", FdPath(etc).get(), "tmpfs", kMountFlags, "mode=0755,size=256k,nr_inodes=8") !=
        0) {
      return failure->Set("mount a tmpfs for /etc/ld.so.preload: %s", strerror(errno));
    }
    folder_ = OwnedFd(openat(root, kEtc, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct statfs info = {};
    if (!folder_.valid() || fstatfs(folder_.get(), &info) != 0 || info.f_type != TMPFS_MAGIC) {
      folder_.Close();
      return failure->Set("/etc of the image is changed by somebody else meanwhile");
    }
    return true;
  }

  // Writes the file, makes the mount read-only, and leaves the file open as O_PATH.
  bool Fill(int etc, std::string_view text, OwnedFd* file, Failure* failure) {
    {
      const OwnedFd made(
          openat(folder_.get(), kName, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444));
      if (!made.valid()) return failure->Set("make ld.so.preload: %s", strerror(errno));
      if (!CopyLabel(etc, made.get(), failure)) return false;
      if (!WriteWhole(made.get(), text, failure)) return false;
      if (fchmod(made.get(), 0444) != 0) {
        return failure->Set("set the mode of ld.so.preload: %s", strerror(errno));
      }
    }
    // A bind mount of the file is then read-only from its first moment.
    if (mount(nullptr, FdPath(folder_.get()).get(), nullptr,
              MS_REMOUNT | MS_BIND | MS_RDONLY | kMountFlags, nullptr) != 0) {
      return failure->Set("make ld.so.preload read-only: %s", strerror(errno));
    }
    *file = OwnedFd(openat(folder_.get(), kName, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    return file->valid() || failure->Set("open ld.so.preload: %s", strerror(errno));
  }

 private:
  OwnedFd folder_;
};

// That the container's programs will see this file, and see it read-only.
bool CheckMounted(int etc, int file, Failure* failure) {
  const OwnedFd seen(openat(etc, kName, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat ours = {};
  struct stat there = {};
  struct statvfs flags = {};
  if (seen.valid() && fstat(seen.get(), &there) == 0 && fstat(file, &ours) == 0 &&
      ours.st_dev == there.st_dev && ours.st_ino == there.st_ino &&
      fstatvfs(seen.get(), &flags) == 0 && (flags.f_flag & ST_RDONLY) != 0) {
    return true;
  }
  return failure->Set("/etc/ld.so.preload is changed by somebody else meanwhile");
}

}  // namespace

bool MountPreloadFile(int root, const char* library, Failure* failure) {
  if (!CheckLibrary(root, library, failure)) return false;
  OwnedFd etc;
  OwnedFd target;
  WholeFile image_text;
  if (!OpenEtc(root, &etc, failure) || !OpenTarget(etc.get(), &target, failure) ||
      !ReadTarget(target.get(), &image_text, failure)) {
    return false;
  }
  static char merged[kMaxMergedBytes];
  const size_t bytes = MergePreloadText(library, image_text.text(), merged);
  OwnedFd file;
  {
    Cover cover;
    if (!cover.Mount(root, etc.get(), failure) ||
        !cover.Fill(etc.get(), {merged, bytes}, &file, failure)) {
      return false;
    }
    if (mount(FdPath(file.get()).get(), FdPath(target.get()).get(), nullptr, MS_BIND, nullptr) !=
        0) {
      return failure->Set("mount over /etc/ld.so.preload: %s", strerror(errno));
    }
  }
  return CheckMounted(etc.get(), file.get(), failure);
}

}  // namespace hami::hook
