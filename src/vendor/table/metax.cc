// SPDX-License-Identifier: Apache-2.0

#include "vendor/strategies.h"
#include "vendor/table/table.h"

namespace hami::vendor {

Spec MetaxWholeSpec() {
  Spec spec;
  spec.common_word = "Metax-GPU";
  spec.section = "metax";
  spec.resources = {.count = "metax-tech.com/gpu"};
  spec.units.default_cores = 100;
  spec.selectors = {.use_ids = {"metax-tech.com/use-gpuuuid"},
                    .avoid_ids = {"metax-tech.com/nouse-gpuuuid"}};
  spec.rule = ChoiceRule::kMetaxWhole;
  spec.capacity = {.infix = "metax", .memory_mib = 65536};
  spec.to_allocate_key = "hami.io/metax-gpu-devices-to-allocate";
  spec.allocated_key = "hami.io/metax-gpu-devices-allocated";
  spec.lock_key.clear();
  spec.ask = AskShare;
  spec.admit = AdmitPresence;
  spec.inventory = ReadCapacity;
  return spec;
}

Spec MetaxSharedSpec() {
  Spec spec;
  spec.common_word = "Metax-SGPU";
  spec.section = "metax";
  spec.resources = {.count = "metax-tech.com/sgpu",
                    .memory = "metax-tech.com/vmemory",
                    .cores = "metax-tech.com/vcore"};
  spec.units.default_cores = 100;
  spec.selectors = {.use_ids = {"metax-tech.com/use-gpuuuid"},
                    .avoid_ids = {"metax-tech.com/nouse-gpuuuid"}};
  spec.rule = ChoiceRule::kMetaxShared;
  spec.group_word = "LinkZone";
  spec.to_allocate_key = "hami.io/metax-sgpu-devices-to-allocate";
  spec.allocated_key = "hami.io/metax-sgpu-devices-allocated";
  spec.note_keys = {"metax-tech.com/gpu-devices-allocated", "metax-tech.com/predicate-time"};
  spec.ask = AskMetaxShared;
  spec.admit = AdmitMetaxShared;
  spec.inventory = ReadMetaxShared;
  spec.note = NoteMetaxShared;
  spec.read_note = ReadMetaxSharedNote;
  return spec;
}

}  // namespace hami::vendor
