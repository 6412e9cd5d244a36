// SPDX-License-Identifier: Apache-2.0
//
// Inside domain: what pods and nodes have in common, from protobuf.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/pod.h"

namespace hami::domain {

// metav1.ObjectMeta, into the members of that name of a Pod or a Node.
struct MetadataFields {
  std::string* namespace_name = nullptr;  // may be null, as the two at the end
  std::string* name = nullptr;
  std::string* uid = nullptr;
  std::string* resource_version = nullptr;
  std::map<std::string, std::string>* labels = nullptr;
  std::map<std::string, std::string>* annotations = nullptr;
  int64_t* created_s = nullptr;
  bool* terminating = nullptr;
};
Status ReadMetadataProtobuf(std::string_view message, const MetadataFields& fields);

// One entry of map<string, Quantity>.
Status ReadResourceProtobuf(std::string_view message, ResourceTexts* resources);

}  // namespace hami::domain
