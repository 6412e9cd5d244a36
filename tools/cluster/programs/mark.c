// SPDX-License-Identifier: Apache-2.0
//
// What /etc/ld.so.preload of the image tenant-bare names: a library of the image's own. A program
// that it was loaded into has TENANT_MARK in its environment.

#include <stdlib.h>

__attribute__((constructor)) static void Mark(void) { setenv("TENANT_MARK", "loaded", 1); }
