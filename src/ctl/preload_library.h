// SPDX-License-Identifier: Apache-2.0
//
// libvgpu.so, as it is given to tenants: always a copy, so that a rebuild or an upgrade never
// changes a file that a running process has mapped (design decision 15).

#pragma once

#include <string>

#include "base/result.h"
#include "ctl/state_folder.h"

namespace hami::ctl {

inline constexpr char kPreloadLibrary[] = "libvgpu.so";

struct PreloadLibrary {
  std::string path;     // where it was found
  std::string content;  // the whole file
};

// Looks beside the running program (../lib), then in /usr/lib/hami.
Result<PreloadLibrary> FindPreloadLibrary();

// A copy under lib/<version>-<hash of the content>/ of the state folder, written once and renamed
// into place. Only for tenants without a mount namespace. kFailedPrecondition where programs may
// not be mapped from there (noexec).
Result<std::string> KeepPreloadLibrary(const StateFolder& state, const PreloadLibrary& library);

// The folder of the running program.
Result<std::string> ProgramFolder();

}  // namespace hami::ctl
