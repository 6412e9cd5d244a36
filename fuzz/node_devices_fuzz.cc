// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the list of a node's devices, in both forms. What must hold: what is accepted reads
// the same again from what we write of it.

#include <stdint.h>
#include <stdlib.h>

#include <string_view>

#include "domain/node_devices.h"
#include "domain/pair_scores.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  namespace domain = hami::domain;
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  if (const auto devices = domain::ParseNodeDevicesJson(text)) {
    if (domain::ParseNodeDevicesJson(domain::FormatNodeDevicesJson(*devices)).value() != *devices)
      abort();
  } else if (devices.error().message.empty()) {
    abort();
  }
  if (const auto devices = domain::ParseNodeDevicesText(text); devices && !devices->empty()) {
    if (domain::ParseNodeDevicesText(domain::FormatNodeDevicesText(*devices)).value() != *devices)
      abort();
  }
  if (const auto scores = domain::ParsePairScores(text)) {
    if (domain::ParsePairScores(domain::FormatPairScores(*scores)).value() != *scores) abort();
  }
  return 0;
}
