// SPDX-License-Identifier: Apache-2.0

#include "vendor/strategies.h"
#include "vendor/table/table.h"

namespace hami::vendor {

Spec AmdSpec() {
  Spec spec;
  spec.common_word = "AMD";
  spec.section = "amd";
  spec.resources = {
      .count = "amd.com/gpu", .memory = "amd.com/gpumem", .cores = "amd.com/gpucores"};
  spec.core_unit = CoreUnit::kPercentOfUnits;
  spec.selectors = {.use_types = {"amd.com/use-gputype"},
                    .avoid_types = {"amd.com/nouse-gputype"},
                    .use_ids = {"amd.com/use-gpu-uuid"},
                    .avoid_ids = {"amd.com/nouse-gpu-uuid"}};
  spec.register_key = "hami.io/node-amd-register";
  spec.to_allocate_key = "hami.io/amd-devices-to-allocate";
  spec.allocated_key = "hami.io/amd-devices-allocated";
  spec.writes_type = true;
  spec.ask = AskShare;
  spec.admit = AdmitAmd;
  spec.inventory = ReadRegister;
  return spec;
}

}  // namespace hami::vendor
