// SPDX-License-Identifier: Apache-2.0

#include "vendor/strategies.h"
#include "vendor/table/table.h"

namespace hami::vendor {

Spec EnflameWholeSpec() {
  Spec spec;
  spec.common_word = "GCU";
  spec.section = "enflame";
  spec.resources = {.count = "enflame.com/gcu"};
  spec.units.default_cores = 100;
  spec.selectors = {.use_ids = {"enflame.com/use-gpuuuid"},
                    .avoid_ids = {"enflame.com/nouse-gpuuuid"}};
  spec.capacity = {.infix = "GCU", .memory_mib = 100};
  spec.to_allocate_key = "hami.io/enflame-gcu-devices-to-allocate";
  spec.allocated_key = "hami.io/enflame-gcu-devices-allocated";
  spec.lock_key.clear();
  spec.ask = AskShare;
  spec.admit = AdmitPresence;
  spec.inventory = ReadCapacity;
  return spec;
}

Spec EnflameSharedSpec() {
  Spec spec;
  spec.common_word = "Enflame";
  spec.section = "enflame";
  spec.resources = {.count = "enflame.com/drs-gcu",
                    .memory = "enflame.com/gcu-memory",
                    .cores = "enflame.com/gcu-core",
                    .shared_count = "enflame.com/vgcu",
                    .shared_pct = "enflame.com/vgcu-percentage",
                    .shared_slices = "enflame.com/shared-gcu"};
  // Into how many slices the older plugin cuts an S60; a node may say otherwise.
  spec.units.card_slices = 6;
  spec.selectors = {.use_ids = {"enflame.com/use-gpuuuid"},
                    .avoid_ids = {"enflame.com/nouse-gpuuuid"}};
  spec.rule = ChoiceRule::kEnflame;
  spec.allocated_key = "hami.io/enflame-vgpu-devices-allocated";
  spec.note_keys = {"enflame.com/gcu-assigned",
                    "enflame.com/gcu-assigned-time",
                    "enflame.com/gcu-assigned-index",
                    "enflame.com/gcu-assigned-id",
                    "enflame.com/gcu-assigned-minor",
                    "enflame.com/gcu-request-size",
                    "assigned-containers"};
  spec.lock_key.clear();
  spec.ask = AskProfile;
  spec.admit = AdmitProfile;
  spec.inventory = ReadEnflame;
  spec.note = NoteEnflame;
  spec.read_note = ReadEnflameNote;
  return spec;
}

}  // namespace hami::vendor
