// SPDX-License-Identifier: Apache-2.0

#include "kube/list_page.h"

#include "kube/protobuf_object.h"

namespace hami::kube {

Result<PageFacts> ReadListPage(std::string* text, json::Document* document,
                               const VisitEncoded& visit) {
  if (!IsProtobufText(*text)) {
    text->reserve(text->size() + json::Document::kPadding);
    RETURN_IF_ERROR(document->ParsePadded(*text));
    const json::Value root = document->root();
    for (const json::Value item : root["items"].Elements()) {
      RETURN_IF_ERROR(visit({.json = item}));
    }
    return PageFacts{std::string(root["metadata"]["resourceVersion"].Text()),
                     std::string(root["metadata"]["continue"].Text())};
  }
  ASSIGN_OR_RETURN(const ProtobufObject list, OpenEnvelope(*text));
  ASSIGN_OR_RETURN(const ProtobufListFacts facts,
                   ReadProtobufList(list.message, [&visit](std::string_view item) {
                     return visit({.protobuf = item});
                   }));
  return PageFacts{std::string(facts.resource_version), std::string(facts.continue_token)};
}

}  // namespace hami::kube
