// SPDX-License-Identifier: Apache-2.0

#include "hook/musl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "api/share/inactive.h"
#include "hook/os.h"

namespace hami::hook {
namespace {

// Where the kernel finds them (PT_INTERP of programs).
#if defined(__x86_64__)
constexpr char kMuslLoader[] = "lib/ld-musl-x86_64.so.1";
constexpr char kGlibcLoader[] = "lib64/ld-linux-x86-64.so.2";
#elif defined(__aarch64__)
constexpr char kMuslLoader[] = "lib/ld-musl-aarch64.so.1";
constexpr char kGlibcLoader[] = "lib/ld-linux-aarch64.so.1";
#else
#error "hami runs on x86-64 and aarch64"
#endif

constexpr char kReason[] = "musl: its loader does not read /etc/ld.so.preload\n";

bool IsThere(int root, const char* path) { return OwnedFd(OpenInRoot(root, path, O_PATH)).valid(); }

char PlainCharacter(char c) {
  const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '.' || c == '_' || c == '-';
  return plain ? c : '_';
}

}  // namespace

bool IsMuslImage(int root) { return IsThere(root, kMuslLoader) && !IsThere(root, kGlibcLoader); }

bool LeaveInactiveMark(const char* folder, const char* id) {
  char name[NAME_MAX + 1];
  if (snprintf(name, sizeof(name), "%s%.200s", api::kInactivePrefix, id) < 0) return false;
  for (char* c = name; *c != '\0'; ++c) *c = PlainCharacter(*c);
  const OwnedFd place(open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!place.valid()) return false;
  const OwnedFd mark(openat(
      place.get(), name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
  if (!mark.valid()) return false;
  return write(mark.get(), kReason, strlen(kReason)) == static_cast<ssize_t>(strlen(kReason));
}

}  // namespace hami::hook
