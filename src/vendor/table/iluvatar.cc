// SPDX-License-Identifier: Apache-2.0

#include "vendor/strategies.h"
#include "vendor/table/table.h"

namespace hami::vendor {

Spec IluvatarSpec(const std::string& common_word) {
  Spec spec;
  spec.common_word = common_word;
  spec.section = "iluvatars";
  spec.resources = {.count = "iluvatar.ai/" + common_word + "-vgpu",
                    .memory = "iluvatar.ai/" + common_word + ".vMem",
                    .cores = "iluvatar.ai/" + common_word + ".vCore"};
  spec.units.memory_mib = 256;
  spec.selectors = {.use_ids = {"hami.io/use-" + common_word + "-uuid"},
                    .avoid_ids = {"hami.io/no-use-" + common_word + "-uuid"}};
  spec.register_key = "hami.io/node-" + common_word + "-register";
  spec.handshake_key = "hami.io/node-handshake-" + common_word;
  spec.to_allocate_key = "hami.io/" + common_word + "-devices-to-allocate";
  spec.allocated_key = "hami.io/" + common_word + "-devices-allocated";
  spec.ask = AskShareOrWholes;
  spec.admit = AdmitIluvatar;
  spec.inventory = ReadRegister;
  return spec;
}

std::vector<Spec> IluvatarSpecs() {
  std::vector<Spec> specs;
  for (const char* common_word : {"MR-V100", "MR-V50", "BI-V150", "BI-V100"}) {
    specs.push_back(IluvatarSpec(common_word));
  }
  return specs;
}

}  // namespace hami::vendor
