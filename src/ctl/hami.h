// SPDX-License-Identifier: Apache-2.0
//
// The `hami` program's commands: finds the one that was asked for and runs it. Called as
// `nvidia-smi`, it is that.

#pragma once

namespace hami::ctl {

int HamiMain(int argc, char** argv);

}  // namespace hami::ctl
