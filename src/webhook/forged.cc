// SPDX-License-Identifier: Apache-2.0

#include "webhook/forged.h"

#include <array>
#include <iterator>
#include <utility>

namespace hami::webhook {
namespace {

// "hami.io/vgpu-node", "hami.io/bind-phase", and what may come: no user's key begins so.
// Ascend's are by chip: "huawei.com/Ascend910B3".
constexpr std::string_view kPrefixes[] = {"hami.io/vgpu-", "hami.io/bind-", "hami.io/allocation",
                                          "huawei.com/Ascend", "CAMBRICON_DSMLU_"};
// "hami.io/dcu-devices-allocated", of vendors that we may not even know.
constexpr std::string_view kOwnDomain = "hami.io/";
constexpr std::array<std::string_view, 2> kSuffixes = {"-devices-allocated",
                                                       "-devices-to-allocate"};

// What HAMi and its vendors' plugins write beside that (contract section 6), also those that the
// registry does not: a peer of HAMi's believes them.
constexpr std::string_view kOthers[] = {
    "AWS_NEURON_IDS",
    "BAIDU_COM_DEVICE_IDX",
    "NEURON_ALLOCATED",
    "NEURON_ALLOC_TIME",
    "NEURON_RESOURCE_TYPE",
    "assigned-containers",
    "aws.amazon.com/predicate-node",
    "enflame.com/assigned-containers",
    "enflame.com/gcu-assigned",
    "enflame.com/gcu-assigned-id",
    "enflame.com/gcu-assigned-index",
    "enflame.com/gcu-assigned-minor",
    "enflame.com/gcu-assigned-time",
    "enflame.com/gcu-request-size",
    "hami.io/kunlun-allocated",
    "metax-tech.com/gpu-devices-allocated",
    "metax-tech.com/predicate-time",
    "mthreads.com/gpu-index",
    "mthreads.com/predicate-node",
    "mthreads.com/predicate-time",
    "predicate-time",
};

}  // namespace

ProtectedKeys::ProtectedKeys(const vendor::Registry& registry)
    : keys_(std::begin(kOthers), std::end(kOthers)) {
  for (std::string& key : registry.DecisionKeys()) keys_.insert(std::move(key));
}

bool ProtectedKeys::Has(std::string_view key) const {
  for (const std::string_view prefix : kPrefixes) {
    if (key.starts_with(prefix)) return true;
  }
  if (key.starts_with(kOwnDomain)) {
    for (const std::string_view suffix : kSuffixes) {
      if (key.ends_with(suffix)) return true;
    }
  }
  return keys_.contains(key);
}

std::set<std::string_view> ProtectedKeys::In(const json::Value& annotations) const {
  std::set<std::string_view> found;
  for (const auto [key, value] : annotations.Members()) {
    if (Has(key)) found.insert(key);
  }
  return found;
}

bool IsWrittenAtAdmission(std::string_view key) { return key == "mthreads.com/request-gpu-num"; }

bool IsProtectedLabel(std::string_view key) { return key == "hami.io/vgpu-node"; }

}  // namespace hami::webhook
