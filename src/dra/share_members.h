// SPDX-License-Identifier: Apache-2.0
//
// Which processes of the node use a share: those in whose mount namespace its directory is mounted.
// A tenant cannot mount a directory that it does not see, so it cannot pose as a neighbour; one
// that unmounts its own (with CAP_SYS_ADMIN) is nobody's, and the GPU's own figures show it.
//
// Needs the PID namespace of the node; without CAP_SYS_ADMIN and CAP_SYS_CHROOT a tenant that has
// changed its root is not recognised. Not thread-safe: one owner.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hami::dra {

class ShareMembers {
 public:
  // `folder`: the share directory here; `mount_point`: where containers have it.
  static Result<ShareMembers> Open(const std::string& folder, const std::string& mount_point);

  bool Contains(int pid);

  // One line of a mountinfo (proc(5)). Pure.
  bool IsOurMount(std::string_view line) const;

 private:
  struct Known {
    uint64_t started = 0;  // tells a PID's next owner
    bool member = false;
  };

  ShareMembers() = default;
  bool Look(int pid) const;

  std::string device_;       // "0:43", of the file system with the directory
  std::string root_suffix_;  // what the mount's root ends with
  std::string mount_point_;
  std::map<int, Known> known_;
};

}  // namespace hami::dra
