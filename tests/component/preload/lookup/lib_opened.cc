// SPDX-License-Identifier: Apache-2.0

#define ASK Ask_opened
#include "tests/component/preload/lookup/asker.inc"
