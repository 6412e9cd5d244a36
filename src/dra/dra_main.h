// SPDX-License-Identifier: Apache-2.0
//
// hami-dra-driver: the process on each GPU node.

#pragma once

namespace hami::dra {

// Exit codes: 0 ended by SIGTERM or SIGINT; 1 cannot work, the last line says why; 2 wrong usage.
int DraDriverMain(int argc, char** argv);

}  // namespace hami::dra
