// SPDX-License-Identifier: Apache-2.0
//
// Prints the look-up matrix: for every asking object, way of asking and name, which object the
// answer lies in. The test runs it with and without libvgpu.so and compares. Arguments: what the
// driver is to be opened as before asking ("none", "local", "global"), and the folder of the
// libraries.
//
// Built twice: `lookup_matrix`, which knows nothing of the driver, and `lookup_matrix_linked`,
// which is linked to libcuda.so.1.

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK Ask_program
#include "tests/component/preload/lookup/asker.inc"

extern "C" AskFunction Ask_linked;

namespace {

struct Asker {
  const char* name;
  AskFunction* ask;
};

const char* const kNames[] = {
    "cuMemAlloc_v2",        // intercepted
    "cuMemcpyHtoD_v2",      // the driver's, not intercepted
    "cuGetProcAddress_v2",  // intercepted, the way in for the runtime
    "nvmlDeviceGetMemoryInfo",
    "cublasCreate_v2",  // begins like a driver name, exists nowhere
    "curl_easy_init",   // the same
    "malloc",           // libc's
    "cu",
};

const char* Place(void* found) {
  if (found == nullptr) return "none";
  Dl_info info;
  if (dladdr(found, &info) == 0 || info.dli_fname == nullptr) return "unknown";
  const char* slash = strrchr(info.dli_fname, '/');
  return slash != nullptr ? slash + 1 : info.dli_fname;
}

AskFunction* Open(const char* folder, const char* file, const char* function) {
  char path[4096];
  snprintf(path, sizeof(path), "%s/%s", folder, file);
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  return reinterpret_cast<AskFunction*>(dlsym(handle, function));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  if (strcmp(argv[1], "none") != 0) {
    const int scope = strcmp(argv[1], "global") == 0 ? RTLD_GLOBAL : RTLD_LOCAL;
    if (dlopen("libcuda.so.1", RTLD_NOW | scope) == nullptr) {
      fprintf(stderr, "%s\n", dlerror());
      return 1;
    }
  }
  const Asker askers[] = {
      {"program", Ask_program},
      {"linked", Ask_linked},
      {"opened", Open(argv[2], "liblookup_opened.so", "Ask_opened")},
      {"opened-with-driver", Open(argv[2], "liblookup_opened_driver.so", "Ask_opened")},
      {"wrapper", Open(argv[2], "liblookup_wrapper.so", "Ask_wrapper")},
  };
  const char* const ways[] = {"default",          "next",
                              "handle:",          "handle:libcuda.so.1",
                              "handle:libc.so.6", "dlvsym:libcuda.so.1"};
  for (const Asker& asker : askers) {
    for (const char* way : ways) {
      // "none": the driver is not to be opened by asking.
      if (strcmp(argv[1], "none") == 0 && strstr(way, "libcuda") != nullptr) continue;
      for (const char* name : kNames) {
        (void)dlerror();
        void* found = asker.ask(way, name);
        const bool error = dlerror() != nullptr;
        printf("%s %s %s -> %s%s\n", asker.name, way, name, Place(found),
               error ? " (dlerror)" : "");
      }
    }
  }
  return 0;
}
