// SPDX-License-Identifier: Apache-2.0
//
// The mount namespace of a tenant: what makes the limits independent of the environment (design.md
// 6b). Over /etc lies an overlay whose upper layer is a tmpfs of this namespace, with
//
//   ld.so.preload            our library first, then the host's own lines; read-only
//   hami/lib/libvgpu.so      a copy; read-only
//   hami/shares/NAME/        the share directory; read-only, but for its region
//   ld.so.cache              for simulated GPUs, so that their driver is found without
//   LD_LIBRARY_PATH
//
// The host's /etc is not touched, nothing propagates either way, and the folder that holds all
// shares is hidden. A user without privileges gets a user namespace that maps only himself; /etc is
// read-only for him, as it was before. Root can undo every mount: see SECURITY.md.
//
// Enter changes the calling process for good, successful or not. Call it in a child with one
// thread.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hami::ctl {

struct EnclosureSpec {
  std::string stage_folder;   // an empty folder to mount on
  std::string shares_folder;  // hidden inside
  std::string share_folder;   // this tenant's
  std::string share_name;
  std::string library;       // content of libvgpu.so
  std::string loader_cache;  // content of /etc/ld.so.cache; empty: the host's
};

// Kinds of failure: kPermissionDenied and kUnimplemented mean that this system does not allow it.
Status EnterEnclosure(const EnclosureSpec& spec);

// The text of ld.so.preload: ours, then the host's lines.
std::string PreloadText(std::string_view ours, std::string_view host_text);

// Mount points below /etc in the order in which they were mounted, without those below another one
// of the list. `mountinfo` is the text of /proc/self/mountinfo.
std::vector<std::string> MountsBelowEtc(std::string_view mountinfo);

}  // namespace hami::ctl
