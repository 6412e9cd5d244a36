// SPDX-License-Identifier: Apache-2.0
//
// An ld.so.cache in which a folder's libraries come before the system's. It lets a program without
// LD_LIBRARY_PATH (`env -i`, a set-user-ID program) find the simulated driver.

#pragma once

#include <string>

#include "base/result.h"

namespace hami::ctl {

// Made by the system's ldconfig, without changing anything of the system; kNotFound if there is
// none. `scratch_folder` holds the file while it is made.
Result<std::string> BuildLoaderCache(const std::string& library_folder,
                                     const std::string& scratch_folder);

}  // namespace hami::ctl
