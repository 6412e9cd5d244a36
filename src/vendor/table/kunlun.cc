// SPDX-License-Identifier: Apache-2.0

#include "vendor/strategies.h"
#include "vendor/table/table.h"

namespace hami::vendor {
namespace {

constexpr int32_t kCardMib = 98304;

}  // namespace

Spec KunlunSpec() {
  Spec spec;
  spec.common_word = "kunlun";
  spec.section = "kunlun";
  spec.resources = {.count = "kunlunxin.com/xpu"};
  spec.units.default_cores = 100;
  spec.selectors = {.use_ids = {"hami.io/use-xpu-uuid", "baidu.com/use-gpuuuid"},
                    .avoid_ids = {"hami.io/no-use-xpu-uuid", "baidu.com/nouse-gpuuuid"}};
  spec.rule = ChoiceRule::kKunlun;
  spec.capacity = {.infix = "kunlun", .memory_mib = kCardMib, .two_numa_halves = true};
  spec.allocated_key = "hami.io/kunlun-allocated";
  spec.note_keys = {"BAIDU_COM_DEVICE_IDX"};
  spec.lock_key.clear();
  spec.ask = AskShare;
  spec.admit = AdmitPresence;
  spec.inventory = ReadCapacity;
  spec.note = NoteKunlun;
  return spec;
}

Spec KunlunSharedSpec() {
  Spec spec;
  spec.common_word = "XPU";
  spec.section = "kunlun";
  spec.resources = {.count = "kunlunxin.com/vxpu", .memory = "kunlunxin.com/vxpu-memory"};
  spec.units.memory_steps = {kCardMib / 4, kCardMib / 2, kCardMib};
  spec.selectors = {.use_ids = {"hami.io/use-xpu-uuid", "baidu.com/use-gpuuuid"},
                    .avoid_ids = {"hami.io/no-use-xpu-uuid", "baidu.com/nouse-gpuuuid"}};
  spec.rule = ChoiceRule::kKunlunShared;
  spec.register_key = "hami.io/node-register-xpu";
  spec.handshake_key = "hami.io/node-handshake-xpu";
  spec.to_allocate_key = "hami.io/xpu-devices-to-allocate";
  spec.allocated_key = "hami.io/xpu-devices-allocated";
  spec.ask = AskStepped;
  spec.admit = AdmitStepped;
  spec.inventory = ReadRegister;
  return spec;
}

}  // namespace hami::vendor
