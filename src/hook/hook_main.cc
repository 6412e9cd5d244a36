// SPDX-License-Identifier: Apache-2.0
//
// build/bin/hami-cdi-hook.

#include "hook/hook.h"

int main(int argc, char** argv) { return hami::hook::HookMain(argc, argv); }
