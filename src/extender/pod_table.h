// SPDX-License-Identifier: Apache-2.0
//
// All pods as the API shows them, by uid and by name. Neither is copied: both indexes read the
// records. One thread, or under the caller's lock.

#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "extender/pod_record.h"
#include "kube/object.h"

namespace hami::extender {

using PodPointer = std::shared_ptr<const PodRecord>;

class PodTable {
 public:
  // Null: there is none.
  PodPointer Find(std::string_view uid) const;
  const PodRecord* FindByKey(const kube::ObjectKey& key) const;

  // Adds, or replaces the one of its uid. No other pod may have its name: CHECK.
  void Put(PodPointer pod);
  void Erase(std::string_view uid);

  void Reserve(size_t pods);
  size_t size() const { return by_uid_.size(); }
  size_t unreadable() const { return unreadable_; }  // of those, with a problem
  // Uids of all that are not among `present`.
  std::vector<std::string> Others(const std::vector<PodPointer>& present) const;

 private:
  // Not noexcept, so that libstdc++ keeps the hashes: else it would look into every record that it
  // passes.
  struct ByUid {
    using is_transparent = void;
    size_t operator()(std::string_view uid) const { return std::hash<std::string_view>()(uid); }
    size_t operator()(const PodPointer& pod) const { return (*this)(pod->uid()); }
  };
  struct SameUid {
    using is_transparent = void;
    bool operator()(const PodPointer& a, const PodPointer& b) const { return a->uid() == b->uid(); }
    bool operator()(const PodPointer& a, std::string_view uid) const { return a->uid() == uid; }
    bool operator()(std::string_view uid, const PodPointer& b) const { return b->uid() == uid; }
  };
  struct ByKey {
    using is_transparent = void;
    static size_t Mix(std::string_view name_space, std::string_view name) {
      const std::hash<std::string_view> hash;
      return hash(name) * 31 + hash(name_space);
    }
    size_t operator()(const kube::ObjectKey& key) const { return Mix(key.name_space, key.name); }
    size_t operator()(const PodRecord* pod) const { return Mix(pod->name_space(), pod->name()); }
  };
  struct SameKey {
    using is_transparent = void;
    bool operator()(const PodRecord* a, const PodRecord* b) const {
      return a->name() == b->name() && a->name_space() == b->name_space();
    }
    bool operator()(const PodRecord* a, const kube::ObjectKey& key) const {
      return a->name() == key.name && a->name_space() == key.name_space;
    }
    bool operator()(const kube::ObjectKey& key, const PodRecord* b) const {
      return (*this)(b, key);
    }
  };

  std::unordered_set<PodPointer, ByUid, SameUid> by_uid_;
  std::unordered_set<const PodRecord*, ByKey, SameKey> by_key_;
  size_t unreadable_ = 0;
};

}  // namespace hami::extender
