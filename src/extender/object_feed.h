// SPDX-License-Identifier: Apache-2.0
//
// What a reflector calls, handed on to an owner that has several kinds of objects: by overloads
// Replace, Put and Delete, the last with a null pointer that tells which kind it means.

#pragma once

#include <memory>
#include <vector>

#include "kube/object.h"
#include "kube/reflector.h"

namespace hami::extender {

template <typename T, typename Owner>
class ObjectFeed : public kube::Watcher<T> {
 public:
  explicit ObjectFeed(Owner* owner) : owner_(owner) {}
  void OnReplace(std::vector<std::shared_ptr<const T>> all, uint64_t version) override {
    owner_->Replace(all, version);
  }
  void OnUpsert(std::shared_ptr<const T> now) override { owner_->Put(now); }
  void OnDelete(const kube::ObjectKey& key, uint64_t version) override {
    owner_->Delete(key, version, static_cast<const T*>(nullptr));
  }

 private:
  Owner* const owner_;
};

}  // namespace hami::extender
