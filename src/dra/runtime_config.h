// SPDX-License-Identifier: Apache-2.0
//
// Whether the node's container runtime injects CDI devices, by its own words: the kubelet passes
// the devices' names on, and a runtime with CDI switched off ignores them, so that pods start
// without any GPU and nobody is told.

#pragma once

#include <string>

#include "base/result.h"

namespace hami::dra {

// What containerd says of its configuration (CRI's Status, verbose), as JSON. kUnavailable: it does
// not answer at this socket. Empty: another runtime, which says nothing of the kind.
Result<std::string> ReadRuntimeConfig(const std::string& socket);

// kFailedPrecondition, with what to change, if containerd's configuration has CDI off or does not
// read `cdi_folder`. Pure.
Status CheckRuntimeConfig(const std::string& config, const std::string& cdi_folder);

}  // namespace hami::dra
