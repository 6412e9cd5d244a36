// SPDX-License-Identifier: Apache-2.0
//
// Which devices a pod wants, by type and by id (contract 2.4).

#pragma once

#include "domain/pod.h"
#include "vendor/device.h"
#include "vendor/request.h"
#include "vendor/spec.h"

namespace hami::vendor {

Selectors ReadSelectors(const SelectorKeys& keys, const domain::Pod& pod);

// Type and mode. HAMi's rule: an item matches if it stands anywhere in the type, whatever the case,
// so "A10" matches an A100.
bool MatchesType(const Selectors& selectors, const Device& device);
bool MatchesId(const Selectors& selectors, const Device& device);

}  // namespace hami::vendor
