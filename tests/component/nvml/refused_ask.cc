// SPDX-License-Identifier: Apache-2.0
//
// Calls every function of refused.def and prints a line for each: its name and the result's number,
// or "-" if there is no such function. The argument says how the functions are found:
//   linked   by the dynamic linker (the program refused_ask_linked)
//   opened   dlopen and dlsym, as clients of NVML do
//   global   dlsym(RTLD_DEFAULT)
// The last line is the number of calls that a driver which counts them has seen (privileged_nvml).

#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "api/nvml/types.h"

extern "C" {
#define HAMI_REFUSED(symbol) \
  nvmlReturn_t symbol(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
#include "preload/refused.def"
}

namespace {

using Function = nvmlReturn_t (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

struct Named {
  const char* name;
  Function linked;
};
constexpr Named kAll[] = {
#ifdef HAMI_LINKED
#define HAMI_REFUSED(symbol) {#symbol, &symbol},
#else
#define HAMI_REFUSED(symbol) {#symbol, nullptr},
#endif
#include "preload/refused.def"
};

}  // namespace

int main(int, char** arguments) {
  const bool global = std::strcmp(arguments[1], "global") == 0;
  void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | (global ? RTLD_GLOBAL : RTLD_LOCAL));
  if (library == nullptr) return 1;
  for (const Named& named : kAll) {
    Function function = named.linked;
    if (std::strcmp(arguments[1], "linked") != 0) {
      function = reinterpret_cast<Function>(dlsym(global ? RTLD_DEFAULT : library, named.name));
    }
    if (function == nullptr) {
      std::printf("%s -\n", named.name);
    } else {
      std::printf("%s %d\n", named.name,
                  static_cast<int>(function(~uint64_t{1}, 2, ~uint64_t{3}, 4, 5, ~uint64_t{6})));
    }
  }
  const auto* calls = static_cast<const int*>(dlsym(library, "privileged_calls"));
  std::printf("calls %d\n", calls != nullptr ? *calls : -1);
  return 0;
}
