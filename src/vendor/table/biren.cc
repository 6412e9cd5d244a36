// SPDX-License-Identifier: Apache-2.0

#include "vendor/strategies.h"
#include "vendor/table/table.h"

namespace hami::vendor {

Spec BirenSpec() {
  Spec spec;
  spec.common_word = "Biren";
  spec.section = "biren";
  spec.resources = {.count = "birentech.com/gpu"};
  spec.selectors = {.use_types = {"birentech.com/use-biren"},
                    .avoid_types = {"birentech.com/nouse-biren"},
                    .use_ids = {"birentech.com/use-gpuuuid"},
                    .avoid_ids = {"birentech.com/nouse-gpuuuid"}};
  spec.register_key = "hami.io/node-biren-register";
  spec.handshake_key = "hami.io/node-handshake-biren";
  spec.announced_cores = 100;
  spec.to_allocate_key = "hami.io/Biren-devices-to-allocate";
  spec.allocated_key = "hami.io/Biren-devices-allocated";
  spec.ask = AskShare;
  spec.admit = AdmitPresence;
  spec.inventory = ReadRegister;
  return spec;
}

}  // namespace hami::vendor
