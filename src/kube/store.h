// SPDX-License-Identifier: Apache-2.0
//
// All objects of a kind by their key, as a Reflector last heard of them. Any thread reads; objects
// are immutable and shared with their readers, so what was read stays as it was.

#pragma once

#include <memory>
#include <shared_mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kube/object.h"
#include "kube/reflector.h"

namespace hami::kube {

// T has a member `ObjectKey key`.
template <typename T>
class Store : public Watcher<T> {
 public:
  using Pointer = std::shared_ptr<const T>;  // the store and its readers

  // `next` hears of every change after the store has it.
  explicit Store(Watcher<T>* next = nullptr) : next_(next) {}

  Pointer Find(const ObjectKey& key) const {
    const std::shared_lock lock(mutex_);
    const auto found = objects_.find(key);
    return found == objects_.end() ? nullptr : found->second;
  }

  // In no order.
  std::vector<Pointer> All() const {
    const std::shared_lock lock(mutex_);
    std::vector<Pointer> all;
    all.reserve(objects_.size());
    for (const auto& [key, object] : objects_) all.push_back(object);
    return all;
  }

  size_t size() const {
    const std::shared_lock lock(mutex_);
    return objects_.size();
  }

  void OnReplace(std::vector<Pointer> all, uint64_t version) override {
    std::unordered_map<ObjectKey, Pointer, ObjectKeyHash> objects;
    objects.reserve(all.size());
    for (const Pointer& object : all) objects.insert_or_assign(object->key, object);
    {
      const std::unique_lock lock(mutex_);
      objects_.swap(objects);
    }
    if (next_ != nullptr) next_->OnReplace(std::move(all), version);
  }

  void OnUpsert(Pointer now) override {
    {
      const std::unique_lock lock(mutex_);
      objects_.insert_or_assign(now->key, now);
    }
    if (next_ != nullptr) next_->OnUpsert(std::move(now));
  }

  void OnDelete(const ObjectKey& key, uint64_t version) override {
    {
      const std::unique_lock lock(mutex_);
      objects_.erase(key);
    }
    if (next_ != nullptr) next_->OnDelete(key, version);
  }

 private:
  Watcher<T>* const next_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<ObjectKey, Pointer, ObjectKeyHash> objects_;
};

}  // namespace hami::kube
