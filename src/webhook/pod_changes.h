// SPDX-License-Identifier: Apache-2.0
//
// Collects what is to change in a pod and writes it as a JSON patch of just these fields: what we
// do not know of the pod stays as it is. Changes to what is already so are none.

#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/pod.h"
#include "json/value.h"
#include "webhook/json_patch.h"

namespace hami::webhook {

using Environment = std::vector<std::pair<std::string, std::string>>;

class PodChanges {
 public:
  // `object` is the pod; its document outlives this.
  explicit PodChanges(const json::Value& object) : object_(object) {}

  void RemoveAnnotation(std::string_view key) { removed_annotations_.emplace(key); }
  void SetAnnotation(const std::string& key, const std::string& value) {
    annotations_.insert_or_assign(key, value);
  }
  void RemoveLabel(std::string_view key);
  void SetScheduler(std::string_view name);
  // Where the pod has none.
  void SetRuntimeClass(const std::string& name) { runtime_class_ = name; }

  // `path` leads to the container, `raw` is it. Limits and requests become those of `wanted`;
  // what it lacks stays. A value that the user wrote and that changes is a warning.
  void SetResources(const std::string& path, const json::Value& raw,
                    const domain::PodContainer& wanted, std::vector<std::string>* warnings);
  // Replaces by name, the last where a name occurs twice, because that one counts; else appends.
  void SetEnvironment(const std::string& path, const json::Value& raw,
                      const Environment& environment, std::vector<std::string>* warnings);

  // The patch, "" if nothing changes.
  std::string Take() &&;

 private:
  void WriteAnnotations();

  const json::Value object_;
  JsonPatch patch_;
  std::set<std::string> removed_annotations_;
  std::map<std::string, std::string> annotations_;
  std::string runtime_class_;
};

}  // namespace hami::webhook
