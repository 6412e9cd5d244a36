// SPDX-License-Identifier: Apache-2.0
//
// An NVML client that calls the function which a line of its standard input names, one line of
// answer each, which begins with the result's number:
//
//   handle SYMBOL KEY -> UUID    (KEY: an index, a UUID, a bus address or a serial number)
//   processes SYMBOL -> PID...   (of the device that was found last)
//   null SYMBOL                  (all arguments are 0)

#include <dlfcn.h>

#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "api/nvml/functions.h"

namespace {

void* library = nullptr;
nvmlDevice_t device = nullptr;

template <typename... Arguments>
nvmlReturn_t Nvml(const std::string& name, Arguments... arguments) {
  void* found = dlsym(library, name.c_str());
  if (found == nullptr) return NVML_ERROR_FUNCTION_NOT_FOUND;
  return reinterpret_cast<nvmlReturn_t (*)(Arguments...)>(found)(arguments...);
}

void FindDevice(const std::string& symbol, const std::string& key) {
  nvmlDevice_t found = nullptr;
  const nvmlReturn_t result = symbol.find("ByIndex") != std::string::npos
                                  ? Nvml(symbol, static_cast<unsigned>(std::stoul(key)), &found)
                                  : Nvml(symbol, key.c_str(), &found);
  std::cout << static_cast<int>(result);
  if (result != NVML_SUCCESS) return;
  device = found;
  char uuid[96] = {};
  Nvml("nvmlDeviceGetUUID", device, &uuid[0], static_cast<unsigned>(sizeof(uuid)));
  std::cout << ' ' << uuid;
}

template <typename Info>
void ListProcesses(const std::string& symbol) {
  std::vector<Info> processes(64);
  auto count = static_cast<unsigned>(processes.size());
  const nvmlReturn_t result = Nvml(symbol, device, &count, processes.data());
  std::cout << static_cast<int>(result);
  for (unsigned i = 0; result == NVML_SUCCESS && i < count; ++i) {
    std::cout << ' ' << processes[i].pid;
  }
}

}  // namespace

int main() {
  library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
  if (library == nullptr || Nvml("nvmlInit_v2") != NVML_SUCCESS) return 1;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string verb;
    std::string symbol;
    std::string key;
    words >> verb >> symbol >> key;
    if (verb == "null") {
      const uint64_t no = 0;
      std::cout << static_cast<int>(Nvml(symbol, no, no, no, no, no, no));
    } else if (verb == "handle") {
      FindDevice(symbol, key);
    } else if (symbol.ends_with("_v2")) {
      ListProcesses<nvmlProcessInfo_v2_t>(symbol);
    } else if (symbol.ends_with("_v3")) {
      ListProcesses<nvmlProcessInfo_t>(symbol);
    } else {
      ListProcesses<nvmlProcessInfo_v1_t>(symbol);
    }
    std::cout << std::endl;
  }
}
