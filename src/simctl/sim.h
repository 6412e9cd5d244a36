// SPDX-License-Identifier: Apache-2.0
//
// `hami sim`: creating, listing and removing simulated GPUs, and the environment in which programs
// use them. Everything it prints about a GPU says that the GPU is simulated.

#pragma once

namespace hami::simctl {

// argv[1] is the command (create, list, ...). Exit codes: 0 done, 2 wrong usage, 1 anything else.
int SimMain(int argc, char** argv);

}  // namespace hami::simctl
