// SPDX-License-Identifier: Apache-2.0
//
// The commands of `hami`.

#pragma once

namespace hami::ctl {

// Everything that main does.
int HamiMain(int argc, char** argv);

}  // namespace hami::ctl
