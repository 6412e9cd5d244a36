// SPDX-License-Identifier: Apache-2.0
//
// How much device memory the variables of a PTX text take: those in the state spaces .global and
// .const (PTX ISA, "State Spaces" and "Variables"). The text is not checked: what the driver will
// refuse may be counted wrong, but never too low for a text that it accepts.

#pragma once

#include <cstddef>
#include <cstdint>

namespace hami::preload {

// UINT64_MAX: more than can be counted. Reads nothing behind text[length - 1], or a NUL before.
uint64_t PtxVariableBytes(const char* text, size_t length);

}  // namespace hami::preload
