// SPDX-License-Identifier: Apache-2.0

#include "hook/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace hami::hook {

WholeFile::~WholeFile() {
  if (bytes_ != nullptr) munmap(bytes_, mapped_);
}

bool WholeFile::Read(int fd, size_t max_bytes, const char* what, Failure* failure) {
  // Only pages that are written to become memory.
  mapped_ = max_bytes + 1;
  void* pages = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) return failure->Set("no memory to read %s", what);
  bytes_ = static_cast<char*>(pages);
  while (size_ < mapped_) {
    const ssize_t got = read(fd, bytes_ + size_, mapped_ - size_);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure->Set("read %s: %s", what, strerror(errno));
    if (got == 0) return true;
    size_ += static_cast<size_t>(got);
  }
  return failure->Set("%s has more than %zu bytes", what, max_bytes);
}

int OpenInRoot(int root, const char* path, int flags) {
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: something was renamed or mounted meanwhile, so ".." could not be proved to stay inside.
  for (int attempt = 0;; ++attempt) {
    const long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
    if (fd >= 0 || errno != EAGAIN || attempt == 100) return static_cast<int>(fd);
  }
}

}  // namespace hami::hook
