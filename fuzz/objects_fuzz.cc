// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a pod or node, as JSON and as protobuf. What must hold: no read outside, no hang;
// init containers come first; what is refused is refused with a sentence.

#include <stdint.h>
#include <stdlib.h>

#include <algorithm>
#include <string_view>

#include "domain/node.h"
#include "domain/pod.h"
#include "domain/protobuf_objects.h"

namespace {

void Check(const hami::Result<hami::domain::Pod>& pod) {
  if (!pod) {
    if (pod.error().message.empty()) abort();
    return;
  }
  const auto is_init = [](const hami::domain::PodContainer& container) {
    return container.kind != hami::domain::ContainerKind::kApp;
  };
  if (!std::ranges::is_partitioned(pod->containers, is_init)) abort();
  if (pod->annotations.contains(std::string(hami::domain::kLastApplied))) abort();
}

void Check(const hami::Result<hami::domain::Node>& node) {
  if (node ? node->name.empty() : node.error().message.empty()) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  Check(hami::domain::ReadPodProtobuf(text));
  Check(hami::domain::ReadNodeProtobuf(text));
  hami::json::Document document;
  if (document.Parse(text)) {
    Check(hami::domain::ReadPod(document.root()));
    Check(hami::domain::ReadNode(document.root()));
  }
  return 0;
}
