// SPDX-License-Identifier: Apache-2.0
//
// What the hook needs of the kernel beyond libc's names: owned descriptors, whole files in memory,
// openat2. One thread.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <string_view>

#include "hook/failure.h"

namespace hami::hook {

class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    if (this == &other) return *this;
    Close();
    fd_ = other.fd_;
    other.fd_ = -1;
    return *this;
  }
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  ~OwnedFd() { Close(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

// "/proc/self/fd/N": the file behind a descriptor, whatever has happened to its name since.
class FdPath {
 public:
  explicit FdPath(int fd) { snprintf(text_, sizeof(text_), "/proc/self/fd/%d", fd); }
  const char* get() const { return text_; }

 private:
  char text_[32];
};

// All bytes of a descriptor, in memory of its own.
class WholeFile {
 public:
  WholeFile() = default;
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;
  ~WholeFile();

  // `what` names it in a failure. More than `max_bytes` is one.
  bool Read(int fd, size_t max_bytes, const char* what, Failure* failure);

  std::string_view text() const { return {bytes_, size_}; }

 private:
  char* bytes_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;
};

// Opens a path below a folder as if that were "/" (openat2, Linux 5.6: RESOLVE_IN_ROOT and
// RESOLVE_NO_MAGICLINKS), so that no link leads out of it. Adds O_CLOEXEC. -1 and errno.
int OpenInRoot(int root, const char* path, int flags);

}  // namespace hami::hook
