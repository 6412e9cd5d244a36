// SPDX-License-Identifier: Apache-2.0
//
// How much device memory the variables of a PTX text take: those in the state spaces .global and
// .const, at module level and in functions. The text is not checked: of one that the driver refuses
// any sum may come out, of one that it accepts at least what its variables take. Where the
// document (PTX ISA) leaves room the rules are those of ptxas 11.8 and 13.5.
//
// One pass, no memory, no state; reads nothing behind text[length - 1], or a NUL before.

#pragma once

#include <cstddef>
#include <cstdint>

namespace hami::preload {

// UINT64_MAX: more than can be counted.
uint64_t PtxVariableBytes(const char* text, size_t length);

}  // namespace hami::preload
