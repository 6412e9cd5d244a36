// SPDX-License-Identifier: Apache-2.0
//
// A snapshot for programs: one object in one line. docs/reference/top.md lists the keys; they are
// added, never renamed. Pure.

#pragma once

#include <string>

#include "top/snapshot.h"

namespace hami::top {

std::string JsonOf(const Snapshot& snapshot);

}  // namespace hami::top
