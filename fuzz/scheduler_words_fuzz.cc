// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as what else hami-scheduler reads: a PodDisruptionBudget, the certificates of a Secret,
// the trace context of a pod, weights and policies. What must hold: no read outside, no hang; what
// is accepted reads the same again.

#include <stdint.h>
#include <stdlib.h>

#include <string>
#include <string_view>

#include "extender/preemptor.h"
#include "json/value.h"
#include "placement/request.h"
#include "trace/traceparent.h"
#include "webhook/certificate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  if (const auto context = hami::trace::ParseTraceparent(text)) {
    const auto again = hami::trace::ParseTraceparent(hami::trace::FormatTraceparent(*context));
    if (!again || *again != *context) abort();
  }
  (void)hami::placement::ParseNodePolicy(text);
  (void)hami::placement::ParseDevicePolicy(text);
  (void)hami::placement::ParseWeights(text);
  const auto facts = hami::webhook::ReadCertificate(text);
  if (!facts && facts.error().message.empty()) abort();
  (void)hami::webhook::BelongTogether(text, text, text);
  for (const std::string& one : hami::webhook::SplitBundle(text)) {
    if (hami::webhook::SplitBundle(one).size() != 1) abort();
  }
  hami::json::Document document;
  if (!document.Parse(text)) return 0;
  if (const auto budget = hami::extender::ReadBudget(document.root())) {
    if (budget->selects_all && !budget->Selects(budget->namespace_name, {{"a", "b"}})) abort();
  }
  return 0;
}
