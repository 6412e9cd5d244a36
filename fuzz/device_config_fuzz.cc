// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as HAMi's device-config.yaml. What must hold: it is refused with a sentence, or every
// pod can be asked about with the registry that it makes.

#include <stdint.h>
#include <stdlib.h>

#include <string>
#include <string_view>
#include <vector>

#include "vendor/registry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  namespace vendor = hami::vendor;
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  std::vector<vendor::ConfigWarning> warnings;
  const auto registry = vendor::Registry::FromDeviceConfig(text, &warnings);
  if (!registry) {
    if (registry.error().message.empty()) abort();
    return 0;
  }
  for (const vendor::ConfigWarning& warning : warnings) {
    if (warning.where.empty() && warning.message.empty()) abort();
  }
  for (const char* amount : {"1", "2", "16384", "2147483647"}) {
    hami::domain::Pod pod;
    pod.containers.resize(1);
    for (const std::string& name : registry->ResourceNames()) {
      pod.containers[0].limits[name] = amount;
      const auto requests = registry->RequestsOf(pod);
      const auto admission = registry->Admit(pod, 0);
      if (!requests && requests.error().message.empty()) abort();
      if (!admission && admission.error().message.empty()) abort();
      // One resource at a time, so that one that is refused hides no other.
      pod.containers[0].limits.clear();
    }
  }
  return 0;
}
