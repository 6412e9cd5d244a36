// SPDX-License-Identifier: Apache-2.0

#include "extender/pod_table.h"

#include <utility>

#include "base/check.h"

namespace hami::extender {

PodPointer PodTable::Find(std::string_view uid) const {
  const auto found = by_uid_.find(uid);
  return found == by_uid_.end() ? nullptr : *found;
}

const PodRecord* PodTable::FindByKey(const kube::ObjectKey& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : *found;
}

void PodTable::Put(PodPointer pod) {
  Erase(pod->uid());
  if (pod->has_problem()) ++unreadable_;
  const bool is_new_name = by_key_.insert(pod.get()).second;
  CHECK(is_new_name);
  by_uid_.insert(std::move(pod));
}

void PodTable::Erase(std::string_view uid) {
  const auto found = by_uid_.find(uid);
  if (found == by_uid_.end()) return;
  if ((*found)->has_problem()) --unreadable_;
  by_key_.erase(found->get());
  by_uid_.erase(found);
}

void PodTable::Reserve(size_t pods) {
  by_uid_.reserve(pods);
  by_key_.reserve(pods);
}

std::vector<std::string> PodTable::Others(const std::vector<PodPointer>& present) const {
  std::unordered_set<std::string_view> uids;
  uids.reserve(present.size());
  for (const PodPointer& pod : present) uids.insert(pod->uid());
  std::vector<std::string> others;
  for (const PodPointer& pod : by_uid_) {
    if (!uids.contains(pod->uid())) others.emplace_back(pod->uid());
  }
  return others;
}

}  // namespace hami::extender
