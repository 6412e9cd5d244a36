// SPDX-License-Identifier: Apache-2.0
//
// build/bin/hami-explain, which `hami explain` starts. Wiring alone: it is in src/explain.

#include "explain/explain.h"

int main(int argc, char** argv) { return hami::explain::ExplainMain(argc, argv); }
