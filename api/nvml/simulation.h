// SPDX-License-Identifier: Apache-2.0
//
// How the simulated driver libraries say what they are. Both libnvidia-ml.so.1 and libcuda.so.1 of
// the simulation export this function; the vendor's never do. Who shows GPUs to a person looks for
// it by dlsym and says "simulated" when it is there: nothing is simulated by surprise.

#pragma once

#define HAMI_SIMULATION_SYMBOL "hamiSimulation"

#ifdef __cplusplus
extern "C" {
#endif

// One line of ASCII, such as "a10-550, 2 GPUs, /run/hami/sim/default"; never NULL. It needs no
// initialisation and stays valid as long as the library is loaded.
const char* hamiSimulation(void);

#ifdef __cplusplus
}
#endif
