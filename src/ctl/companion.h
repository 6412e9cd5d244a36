// SPDX-License-Identifier: Apache-2.0
//
// Commands of `hami` that are programs of their own, beside it: what they are linked with would
// slow down the start of all others.

#pragma once

namespace hami::ctl {

// Becomes the program `name` in the folder of this one. Returns, with an exit code and after a
// notice, only if that cannot be. `argv` ends with a null pointer, argv[0] is the command.
int BecomeCompanion(const char* name, char** argv);

}  // namespace hami::ctl
