// SPDX-License-Identifier: Apache-2.0
//
// hami-dra-driver: the process on each GPU node. Wires what the other files of this folder do:
//
//   driver_watch      what GPUs there are           -> slice_publisher, claim_keeper
//   node's label      whether they are published    -> slice_publisher
//   kubelet_plugin    claims to (un)prepare         -> claim_keeper
//   sweeps            whatever was lost is made again

#pragma once

namespace hami::dra {

// Exit codes: 0 ended by SIGTERM or SIGINT; 1 cannot work, the last line says why; 2 wrong usage.
int DraDriverMain(int argc, char** argv);

}  // namespace hami::dra
