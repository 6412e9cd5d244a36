// SPDX-License-Identifier: Apache-2.0
//
// build/bin/hami-simulate, which `hami simulate` starts. Wiring alone: it is in src/simulate.

#include "simulate/simulate.h"

int main(int argc, char** argv) { return hami::simulate::SimulateMain(argc, argv); }
