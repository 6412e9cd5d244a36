// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <string>

namespace hami::top {

// The command line of a process, cleaned; of one without (a kernel thread, one that has ended) its
// short name, or nothing.
std::string ProcessName(int pid);

}  // namespace hami::top
