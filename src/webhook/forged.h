// SPDX-License-Identifier: Apache-2.0
//
// What only the system writes on pods (contract hami-control-plane.md 2.3 and section 6): who can
// write it can claim devices that nobody gave him. Pure; any thread.

#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "json/value.h"
#include "vendor/registry.h"

namespace hami::webhook {

class ProtectedKeys {
 public:
  // The keys that all vendors share, those of HAMi's vendors, and those of the registry's.
  explicit ProtectedKeys(const vendor::Registry& registry);

  // Of an annotation.
  bool Has(std::string_view key) const;

  // In order, each once. Empty for what is no object.
  std::set<std::string_view> In(const json::Value& annotations) const;

 private:
  std::set<std::string, std::less<>> keys_;
};

// What admission itself writes, so that it comes from nobody else, and is no decision.
bool IsWrittenAtAdmission(std::string_view key);

// The label that HAMi copies from the annotation of the same name, and selects by.
bool IsProtectedLabel(std::string_view key);

}  // namespace hami::webhook
