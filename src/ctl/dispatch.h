// SPDX-License-Identifier: Apache-2.0
//
// The commands of `hami`: finds the one that was asked for and runs it. Called as `nvidia-smi`, it
// is that.

#pragma once

namespace hami::ctl {

// Everything that main does.
int HamiMain(int argc, char** argv);

}  // namespace hami::ctl
