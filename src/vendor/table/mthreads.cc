// SPDX-License-Identifier: Apache-2.0

#include "vendor/strategies.h"
#include "vendor/table/table.h"

namespace hami::vendor {

Spec MthreadsSpec() {
  Spec spec;
  spec.common_word = "Mthreads";
  spec.section = "mthreads";
  spec.resources = {.count = "mthreads.com/vgpu",
                    .memory = "mthreads.com/sgpu-memory",
                    .cores = "mthreads.com/sgpu-core"};
  spec.units.memory_mib = 512;
  spec.units.card_memory = 96;
  spec.units.card_cores = 16;
  spec.units.memory_steps = {2, 4, 8, 16, 32, 64, 96};
  spec.selectors = {.use_ids = {"mthreads.ai/use-gpuuuid"},
                    .avoid_ids = {"mthreads.ai/nouse-gpuuuid"}};
  spec.rule = ChoiceRule::kSameDevices;
  spec.capacity = {.counted = &ResourceNames::cores,
                   .per_device = spec.units.card_cores,
                   .infix = "mthreads",
                   .slots = 100,
                   .memory = &ResourceNames::memory,
                   .cores = spec.units.card_cores};
  spec.allocated_key = "hami.io/mthreads-vgpu-devices-allocated";
  spec.note_keys = {"mthreads.com/gpu-index", "mthreads.com/predicate-time",
                    "mthreads.com/predicate-node"};
  spec.lock_key.clear();
  spec.ask = AskDivided;
  spec.admit = AdmitDivided;
  spec.inventory = ReadCapacity;
  spec.note = NoteMthreads;
  return spec;
}

}  // namespace hami::vendor
