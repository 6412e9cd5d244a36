// SPDX-License-Identifier: Apache-2.0

#include "domain/names.h"
#include "vendor/strategies.h"
#include "vendor/table/table.h"

namespace hami::vendor {

Spec NvidiaSpec() {
  Spec spec;
  spec.common_word = "NVIDIA";
  spec.section = "nvidia";
  spec.resources = {.count = "nvidia.com/gpu",
                    .memory = "nvidia.com/gpumem",
                    .memory_pct = "nvidia.com/gpumem-percentage",
                    .cores = "nvidia.com/gpucores",
                    .priority = "nvidia.com/priority"};
  spec.units.default_count = 1;
  spec.selectors = {.use_types = {std::string(domain::kUseGpuType)},
                    .avoid_types = {std::string(domain::kAvoidGpuType)},
                    .use_ids = {std::string(domain::kUseGpuId)},
                    .avoid_ids = {std::string(domain::kAvoidGpuId)},
                    .mode = std::string(domain::kVgpuMode)};
  spec.register_key = domain::kNodeNvidiaRegister;
  spec.handshake_key = domain::kNodeHandshake;
  spec.to_allocate_key = domain::kVgpuDevicesToAllocate;
  spec.allocated_key = domain::kVgpuDevicesAllocated;
  spec.note_keys = {std::string(domain::kMigAllocations)};
  spec.ask = AskShare;
  spec.admit = AdmitNvidia;
  spec.inventory = ReadLinkedRegister;
  spec.note = NoteMig;
  spec.read_note = ReadMigNote;
  spec.hiding_variable = {"NVIDIA_VISIBLE_DEVICES", "none"};
  return spec;
}

}  // namespace hami::vendor
