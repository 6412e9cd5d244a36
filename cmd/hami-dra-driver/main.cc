// SPDX-License-Identifier: Apache-2.0
//
// build/bin/hami-dra-driver. Wiring alone: the driver is in src/dra.

#include "dra/dra_main.h"

int main(int argc, char** argv) { return hami::dra::DraDriverMain(argc, argv); }
