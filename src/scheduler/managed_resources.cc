// SPDX-License-Identifier: Apache-2.0

#include "scheduler/managed_resources.h"

namespace hami::scheduler {

std::string ManagedResourcesText(const vendor::Registry& registry) {
  std::string text;
  for (const std::string& name : registry.ResourceNames()) {
    text += "      - {name: " + name + ", ignoredByScheduler: true}\n";
  }
  return text;
}

}  // namespace hami::scheduler
