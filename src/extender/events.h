// SPDX-License-Identifier: Apache-2.0
//
// What the extender says about a pod, in HAMi's words (contract hami-control-plane.md 1.13). Pure.

#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "domain/pod.h"
#include "kube/event_book.h"
#include "placement/cluster.h"

namespace hami::extender {

kube::EventSubject SubjectOf(const kube::ObjectKey& pod, const std::string& uid);

kube::EventWords FilteringSucceed(const placement::Decision& decision, size_t asked_nodes);
kube::EventWords FilteringFailed(std::string_view error);
// One for each reason word, then the sum with the nearest miss.
std::vector<kube::EventWords> NothingFits(std::span<const placement::Misfit> misfits,
                                          const placement::NearestMiss* nearest);
kube::EventWords BindingSucceed(const std::string& node, const kube::ObjectKey& pod);
kube::EventWords BindingFailed(std::string_view error);

}  // namespace hami::extender
