// SPDX-License-Identifier: Apache-2.0

#include "ctl/dispatch.h"

int main(int argc, char** argv) { return hami::ctl::HamiMain(argc, argv); }
