// SPDX-License-Identifier: Apache-2.0
//
// Why a process has no account in its share's region, as far as /proc tells: what `hami run` and
// the node's log say to a person. Nothing is decided by it, since a process can pretend anything
// here.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>

namespace hami::share {

enum class Bypass {
  kUnknown,   // gone, or not ours to look at
  kStatic,    // no loader, which is what loads the library
  kMusl,      // musl's loader does not read /etc/ld.so.preload
  kUnloaded,  // glibc's loader, and no library: LD_PRELOAD was taken away
  kLoaded,    // the library is there: the program goes past it, or destroyed its account
  kOnFuse,    // its program is on a file system that the tenant may serve itself: not read
  kTooSlow,   // it did not let itself be looked at in time
};

// Answers within about two seconds, whatever the process does: who serves the file system that its
// program lies on, or that it has mapped, can have a reader wait for ever. The look is made in a
// child process (bounded_child.h).
Bypass FindBypass(pid_t pid);

// The type of a mount in the text of /proc/<pid>/mountinfo (proc(5)); "" if it is not there.
std::string_view FileSystemOf(std::string_view mountinfo, std::string_view mount_id);

// "static program", "musl loader", ... to stand in brackets.
std::string_view Describe(Bypass bypass);

// What a program's own header says: kStatic, kMusl, kUnloaded, or kUnknown if it is no whole ELF-64
// program. `read` fills the bytes from an offset on and returns how many there were.
using ReadBytes = std::function<size_t(size_t offset, std::span<char> bytes)>;
Bypass ClassifyProgram(const ReadBytes& read);

}  // namespace hami::share
