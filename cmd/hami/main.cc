// SPDX-License-Identifier: Apache-2.0
//
// build/bin/hami. Wiring alone: the commands are in src/ctl, src/smi and src/simctl.

#include "ctl/dispatch.h"

int main(int argc, char** argv) { return hami::ctl::HamiMain(argc, argv); }
