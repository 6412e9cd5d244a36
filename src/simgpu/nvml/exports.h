// SPDX-License-Identifier: Apache-2.0
//
// The prototypes of api/nvml, visible in the dynamic symbol table: what a file of this library
// defines after including this is exported (the version script of the flavour decides at last).

#pragma once

#pragma GCC visibility push(default)
#include "api/nvml/functions.h"
#include "api/nvml/simulation.h"
#pragma GCC visibility pop
