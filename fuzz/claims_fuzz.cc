// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a ResourceClaim, a ResourceSlice, or a node's scores of pairs of devices. What must
// hold: no read outside, no hang; what is refused is refused with a sentence; scores that are
// accepted read the same again.

#include <stdint.h>
#include <stdlib.h>

#include <string_view>

#include "domain/pair_scores.h"
#include "domain/resource_claim.h"
#include "domain/resource_slice.h"
#include "json/value.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  namespace domain = hami::domain;
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  if (const auto scores = domain::ParsePairScores(text)) {
    const auto again = domain::ParsePairScores(domain::FormatPairScores(*scores));
    if (!again || *again != *scores) abort();
  }
  hami::json::Document document;
  if (!document.Parse(text)) return 0;
  const auto claim = domain::ReadResourceClaim(document.root());
  if (!claim && claim.error().message.empty()) abort();
  const auto slice = domain::ReadResourceSlice(document.root());
  if (!slice && slice.error().message.empty()) abort();
  return 0;
}
