// SPDX-License-Identifier: Apache-2.0
//
// `hami region`: shows, checks and repairs shared regions, and holds a share's launches back: the
// verbs of HAMi-core's shrreg-tool. Also for regions of HAMi's own library, which it leaves as they
// are.

#pragma once

#include <string>
#include <vector>

namespace hami::regionctl {

// argv[0] is "region". `roots`: folders with shares, looked through where no PATH is given.
// Exit codes: 0; 1 a problem was found, or something failed; 2 wrong usage.
int RegionMain(int argc, char** argv, const std::vector<std::string>& roots);

}  // namespace hami::regionctl
