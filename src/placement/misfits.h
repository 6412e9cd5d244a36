// SPDX-License-Identifier: Apache-2.0
//
// Why nodes do not fit, and which comes closest. A pod that waits is tried again and again, and so
// are its siblings, while few nodes have changed: what was found out is kept by kind of request and
// node until the node changes, so that a retry looks at what is new. What is kept is what would be
// found out again, to the letter (property_test.cc compares).

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "placement/cluster.h"
#include "placement/compiled.h"
#include "placement/fit.h"
#include "placement/nearest.h"

namespace hami::placement {

// Any thread; who finds another one inside goes without.
class MisfitMemory {
 private:
  friend class Misfits;

  struct Entry {
    uint64_t version = 0;  // of the node; 0: nothing is known
    NodeDistance distance;
    uint32_t text = 0;
    bool has_distance = false;
  };
  struct Row {
    std::vector<Entry> nodes;
    std::deque<std::string> texts;
    std::unordered_map<std::string_view, uint32_t> text_numbers;  // into `texts`
    uint64_t used = 0;                                            // when last
  };

  // Null: the answer depends on more than the node and the kind of request.
  Row* RowOf(const CompiledRequest& compiled);

  std::mutex mutex_;
  std::unordered_map<std::string, std::unique_ptr<Row>> rows_;
  uint64_t clock_ = 0;
  std::string key_;
};

// Of one decision: the request, the fitter and the memory outlive it.
class Misfits {
 public:
  Misfits(const CompiledRequest& compiled, Fitter* fitter, MisfitMemory* memory);

  // Why the node does not fit; NameIndex::kNone is a node that is not known. Valid until the next
  // call.
  const std::string& TextOf(uint32_t node);
  // The same, and the node counts for Nearest().
  const std::string& Look(uint32_t node);
  std::optional<NearestMiss> Nearest() { return nearest_.Take(); }

 private:
  const std::string& FindOut(uint32_t node);
  void Keep(uint32_t node, const std::optional<NodeDistance>& distance, const std::string& text);

  const CompiledRequest& compiled_;
  Fitter& fitter_;
  std::unique_lock<std::mutex> lock_;
  MisfitMemory::Row* row_ = nullptr;
  NearestSearch nearest_;
  const std::string unregistered_ = "node unregistered";
  std::string native_;
  std::string text_;
  std::string gave_up_;
  ReasonCounts reasons_;
  ReasonCounts last_;  // of text_
};

}  // namespace hami::placement
