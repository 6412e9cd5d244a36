// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as one of the small texts on pods and nodes. What must hold: no read outside, and what
// is accepted reads the same again.

#include <stdint.h>
#include <stdlib.h>

#include <string_view>

#include "domain/allocation_id.h"
#include "domain/go_bool.h"
#include "domain/handshake.h"
#include "domain/name_list.h"
#include "domain/node_lock.h"
#include "domain/quantity.h"
#include "domain/scoring_weights.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  namespace domain = hami::domain;
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  if (const auto lock = domain::ParseNodeLock(text); lock && lock->taken_s >= 0) {
    if (domain::ParseNodeLock(domain::FormatNodeLock(*lock)).value() != *lock) abort();
    if (!lock->IsLegacy() && !lock->IsHeldBy(lock->namespace_name, lock->pod_name)) abort();
  }
  for (const std::string& name : domain::ParseNameList(text)) {
    if (name.empty() || name.find(',') != std::string::npos) abort();
    if (!domain::NamesType({&name, 1}, text)) abort();  // it is part of the text
  }
  if (const auto weights = domain::ParseScoringWeights(text)) {
    if (weights->slot < 0 || weights->core < 0 || weights->memory < 0) abort();
    if (weights->slot == 0 && weights->core == 0 && weights->memory == 0) abort();
  }
  const auto verdict = domain::JudgeHandshake(text, 1'787'306'400, 0);
  if (verdict.ask && !verdict.is_healthy) abort();
  if (const auto id = domain::ParseAllocationId(text);
      id && domain::FormatAllocationId(*id) != text) {
    abort();
  }
  (void)domain::ParseGoBool(text);
  const auto whole = domain::ParseQuantity(text);
  const auto milli = domain::ParseMilliQuantity(text);
  if (whole.has_value() != milli.has_value()) abort();
  return 0;
}
