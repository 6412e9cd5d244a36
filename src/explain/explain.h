// SPDX-License-Identifier: Apache-2.0
//
// `hami explain`: gather, analyse, print. An executable of its own, hami-explain, because the
// client's libraries would double the start of every other command of `hami`.

#pragma once

namespace hami::explain {

// Everything that main does.
int ExplainMain(int argc, char** argv);

}  // namespace hami::explain
