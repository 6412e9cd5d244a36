// SPDX-License-Identifier: Apache-2.0
//
// show NAME...: prints NAME=VALUE of its environment; exit code 1 if one is not set. Unlike a shell
// it is linked dynamically, so it shows what preloaded libraries did.

#include <stdio.h>
#include <stdlib.h>

int main(int count, char** arguments) {
  int missing = 0;
  for (int i = 1; i < count; ++i) {
    const char* value = getenv(arguments[i]);
    printf("%s=%s\n", arguments[i], value ? value : "");
    missing |= value == NULL;
  }
  return missing;
}
