// SPDX-License-Identifier: Apache-2.0

#include "vendor/strategies.h"
#include "vendor/table/table.h"

namespace hami::vendor {

Spec HygonSpec() {
  Spec spec;
  spec.common_word = "DCU";
  spec.section = "hygon";
  spec.resources = {
      .count = "hygon.com/dcunum", .memory = "hygon.com/dcumem", .cores = "hygon.com/dcucores"};
  spec.units.default_cores = 100;
  spec.selectors = {.use_types = {"hygon.com/use-dcutype"},
                    .avoid_types = {"hygon.com/nouse-dcutype"},
                    .use_ids = {"hygon.com/use-gpuuuid"},
                    .avoid_ids = {"hygon.com/nouse-gpuuuid"}};
  spec.register_key = "hami.io/node-dcu-register";
  spec.handshake_key = "hami.io/node-handshake-dcu";
  spec.to_allocate_key = "hami.io/dcu-devices-to-allocate";
  spec.allocated_key = "hami.io/dcu-devices-allocated";
  spec.ask = AskShare;
  spec.admit = AdmitPresence;
  spec.inventory = ReadRegister;
  return spec;
}

}  // namespace hami::vendor
