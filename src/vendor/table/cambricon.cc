// SPDX-License-Identifier: Apache-2.0

#include "vendor/strategies.h"
#include "vendor/table/table.h"

namespace hami::vendor {

Spec CambriconSpec() {
  Spec spec;
  spec.common_word = "MLU";
  spec.section = "cambricon";
  spec.resources = {.count = "cambricon.com/vmlu",
                    .memory = "cambricon.com/mlu.smlu.vmemory",
                    .cores = "cambricon.com/mlu.smlu.vcore"};
  spec.units.memory_mib = 256;
  spec.units.default_cores = 100;
  // HAMi declares the two type keys and never reads them; every MLU has the same type anyway.
  spec.selectors = {.use_ids = {"cambricon.com/use-gpuuuid"},
                    .avoid_ids = {"cambricon.com/nouse-gpuuuid"}};
  spec.capacity = {.counted = &ResourceNames::cores,
                   .per_device = 100,
                   .infix = "cambricon-mlu",
                   .slots = 100,
                   .memory = &ResourceNames::memory};
  spec.to_allocate_key = "hami.io/cambricon-mlu-devices-to-allocate";
  spec.allocated_key = "hami.io/cambricon-mlu-devices-allocated";
  spec.note_keys = {"CAMBRICON_DSMLU_ASSIGNED", "CAMBRICON_DSMLU_ASSIGHED",
                    "CAMBRICON_DSMLU_PROFILE"};
  spec.lock_key = "cambricon.com/dsmlu.lock";
  spec.ask = AskShare;
  spec.admit = AdmitPresence;
  spec.inventory = ReadCapacity;
  spec.note = NoteCambricon;
  return spec;
}

}  // namespace hami::vendor
