// SPDX-License-Identifier: Apache-2.0
//
// Chips, sizes and templates: contract 6.2.

#include <array>
#include <string>
#include <vector>

#include "vendor/strategies.h"
#include "vendor/table/table.h"

namespace hami::vendor {
namespace {

struct Chip {
  const char* common_word;
  int32_t allocatable_mib;
  int32_t capacity_mib;
  bool in_pairs;
  std::vector<Template> templates;
};

std::vector<Chip> Chips() {
  const std::vector<Template> halves_64g = {{"vir05_1c_16g", 16384, 5, 1},
                                            {"vir10_3c_32g", 32768, 10, 3}};
  return {
      {"Ascend910A",
       32768,
       32768,
       false,
       {{"vir02", 2184, 2, 0},
        {"vir04", 4369, 4, 0},
        {"vir08", 8738, 8, 0},
        {"vir16", 17476, 16, 0}}},
      {"Ascend910B2",
       65536,
       65536,
       false,
       {{"vir03_1c_8g", 8192, 3, 1},
        {"vir06_1c_16g", 16384, 6, 1},
        {"vir12_3c_32g", 32768, 12, 3}}},
      {"Ascend910B3", 65536, 65536, false, halves_64g},
      {"Ascend910B4-1", 65536, 65536, false, halves_64g},
      {"Ascend910B4",
       32768,
       32768,
       false,
       {{"vir05_1c_8g", 8192, 5, 1}, {"vir10_3c_16g", 16384, 10, 3}}},
      {"Ascend310P",
       21527,
       24576,
       false,
       {{"vir01", 3072, 1, 1}, {"vir02", 6144, 2, 2}, {"vir04", 12288, 4, 4}}},
      {"Ascend910C", 65536, 65536, true, halves_64g},
  };
}

}  // namespace

Spec AscendSpec(const std::string& common_word) {
  Spec spec;
  spec.common_word = common_word;
  spec.section = "vnpus";
  spec.resources = {.count = "huawei.com/" + common_word,
                    .memory = "huawei.com/" + common_word + "-memory",
                    .cores = "huawei.com/" + common_word + "-core"};
  spec.selectors = {.use_ids = {"hami.io/use-" + common_word + "-uuid"},
                    .avoid_ids = {"hami.io/no-use-" + common_word + "-uuid"}};
  spec.rule = ChoiceRule::kAscend;
  spec.register_key = "hami.io/node-register-" + common_word;
  spec.handshake_key = "hami.io/node-handshake-" + common_word;
  spec.group_word = "NetworkID";
  spec.to_allocate_key = "hami.io/" + common_word + "-devices-to-allocate";
  spec.allocated_key = "hami.io/" + common_word + "-devices-allocated";
  spec.note_keys = {"huawei.com/" + common_word, "predicate-time"};
  spec.ask = AskTemplate;
  spec.admit = AdmitTemplate;
  spec.inventory = ReadRegister;
  spec.note = NoteAscend;
  spec.read_note = ReadAscendNote;
  spec.hiding_variable = {"ASCEND_VISIBLE_DEVICES", ""};
  return spec;
}

std::vector<Spec> AscendSpecs() {
  std::vector<Spec> specs;
  for (const Chip& chip : Chips()) {
    Spec& spec = specs.emplace_back(AscendSpec(chip.common_word));
    spec.units.allocatable_mib = chip.allocatable_mib;
    spec.units.capacity_mib = chip.capacity_mib;
    spec.units.in_pairs = chip.in_pairs;
    spec.units.templates = chip.templates;
  }
  return specs;
}

}  // namespace hami::vendor
