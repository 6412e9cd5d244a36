// SPDX-License-Identifier: Apache-2.0

#include "vendor/strategies.h"
#include "vendor/table/table.h"

namespace hami::vendor {

Spec VastaiSpec() {
  Spec spec;
  spec.common_word = "Vastai";
  spec.section = "vastai";
  spec.resources = {.count = "vastaitech.com/va"};
  spec.selectors = {.use_ids = {"vastaitech.com/use-gpuuuid"},
                    .avoid_ids = {"vastaitech.com/nouse-gpuuuid"}};
  spec.rule = ChoiceRule::kVastai;
  spec.register_key = "hami.io/node-va-register";
  spec.handshake_key = "hami.io/node-handshake-va";
  spec.announced_cores = 100;
  spec.group_word = "AIC";
  spec.to_allocate_key = "hami.io/Vastai-devices-to-allocate";
  spec.allocated_key = "hami.io/Vastai-devices-allocated";
  spec.ask = AskShare;
  spec.admit = AdmitPresence;
  spec.inventory = ReadRegister;
  return spec;
}

}  // namespace hami::vendor
