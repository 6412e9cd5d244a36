// SPDX-License-Identifier: Apache-2.0
//
// `hami simulate`: read, play, print. An executable of its own, hami-simulate, for the same reason
// as hami-explain: what it is linked with would slow down the start of every other command.

#pragma once

namespace hami::simulate {

// Everything that main does.
int SimulateMain(int argc, char** argv);

}  // namespace hami::simulate
