// SPDX-License-Identifier: Apache-2.0
//
// A pod as the scheduler keeps it, of which there are 100 000: a PodEntry (objects.h) packed into
// one piece of memory of its own length. One of a pod with a device and two labels has about 250
// bytes, where a PodEntry has more than 1 000 in a dozen allocations. Strings are not shared
// between records: a reference has eight bytes, and most namespaces and nodes have little more.
//
// Immutable; any thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "extender/objects.h"
#include "json/value.h"
#include "kube/object.h"
#include "placement/cluster.h"
#include "vendor/registry.h"

namespace hami::extender {

class PodRecord {
 public:
  explicit PodRecord(const PodEntry& entry);

  std::string_view uid() const { return Piece(kUid); }
  std::string_view name_space() const { return Piece(kNamespace); }
  std::string_view name() const { return Piece(kName); }
  std::string_view node() const { return Piece(kNode); }  // PodEntry::facts.node
  uint64_t version() const { return version_; }
  bool bound() const { return bound_; }
  bool over() const { return over_; }
  bool has_problem() const { return has_problem_; }
  bool holds_devices() const { return slices_ > 0; }
  int64_t decided_s() const { return decided_s_; }

  // All of it again.
  placement::PodFacts Facts() const;
  PodEntry Unpack() const;

  // Whether both hold the same, at the same place, for the same time.
  bool HoldsLike(const PodRecord& other) const;
  // In all but the version.
  bool operator==(const PodRecord& other) const;

  // Of the heap, the record itself left out.
  size_t bytes() const { return ends_[kRest]; }

 private:
  // The pieces, one behind the other.
  enum Part : uint8_t { kUid, kNamespace, kName, kNode, kSlices, kRest, kParts };

  std::string_view Piece(Part part) const {
    const size_t begin = part == kUid ? 0 : ends_[part - 1];
    return {bytes_.get() + begin, ends_[part] - begin};
  }

  std::unique_ptr<char[]> bytes_;
  uint32_t ends_[kParts] = {};
  uint64_t version_ = 0;
  int64_t decided_s_ = 0;
  int32_t priority_ = 0;
  uint16_t slices_ = 0;
  bool bound_ : 1 = false;
  bool over_ : 1 = false;
  bool terminating_ : 1 = false;
  bool init_done_ : 1 = false;
  bool has_problem_ : 1 = false;
};

// As ReadPodEntry, of JSON or of a protobuf message.
Result<PodRecord> ReadPodRecord(const vendor::Registry& registry, json::Value object);
Result<PodRecord> ReadPodRecord(const vendor::Registry& registry, std::string_view message);

}  // namespace hami::extender
