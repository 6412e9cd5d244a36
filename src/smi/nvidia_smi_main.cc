// SPDX-License-Identifier: Apache-2.0
//
// build/bin/nvidia-smi: hami smi as an executable of its own that runs in any container.

#include "smi/smi.h"

int main(int argc, char** argv) { return hami::smi::SmiMain(argc, argv); }
