// SPDX-License-Identifier: Apache-2.0
//
// What a watch has said since a list beside it was begun, so that what that list says can be told
// from what is outdated by now. Whoever uses it holds a lock.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>

namespace hami::extender {

class SaidSince {
 public:
  void Begin() {
    listing_ = true;
    relisted_ = 0;
    uids_.clear();
  }
  void End() {
    listing_ = false;
    uids_.clear();
  }

  void NoteObject(std::string_view uid) {
    if (listing_) uids_.emplace(uid);
  }
  // A full list of the watch says of every object how it stood then, also that it was gone.
  // `version` 0: not known, and it says nothing of what it does not have.
  void NoteList(uint64_t version) { relisted_ = version; }

  // Whether it spoke of the object, in this version or one after it.
  bool Has(std::string_view uid, uint64_t version) const {
    return uids_.contains(std::string(uid)) || (relisted_ != 0 && version <= relisted_);
  }

 private:
  bool listing_ = false;
  std::unordered_set<std::string> uids_;
  uint64_t relisted_ = 0;
};

}  // namespace hami::extender
