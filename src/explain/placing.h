// SPDX-License-Identifier: Apache-2.0
//
// Why a pod that asks for devices by extended resources is where it is: the scheduler's own code on
// the objects that the caller may read. Pure.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "domain/pod.h"
#include "explain/facts.h"
#include "placement/cluster.h"
#include "vendor/registry.h"

namespace hami::explain {

enum class PlacingVerdict : uint8_t {
  kNoDevices,   // asks for none
  kPlaced,      // has a node
  kRefused,     // what it asks for cannot be read
  kUnreadable,  // nodes may not be listed
  kNoDevice,    // no node announces a device of the vendor
  kFits,        // there is room; something else is in the way
  kNoRoom,
};

// A node that has no room, with its cards.
struct NodeMiss {
  std::string node;
  std::string cards;    // "1 of 2 NVIDIA cards fits; GPU-a has 4096 MiB free of 8192 asked"
  std::string reasons;  // "2/8 CardInsufficientMemory"
};

struct Placing {
  PlacingVerdict verdict = PlacingVerdict::kNoDevices;
  std::string node;                // where it is, or where it would fit
  std::vector<std::string> asked;  // by container and vendor
  std::string fault;               // kRefused
  std::vector<NodeMiss> misses;    // nearest first
  size_t more = 0;                 // nodes that are not listed
  std::vector<Gap> gaps;
};

// What the API server said.
struct PlacingFacts {
  domain::Pod pod;
  bool nodes_known = false;
  std::vector<placement::NodeFacts> nodes;
  std::vector<placement::PodFacts> running;
  std::vector<std::string> notes;  // what could not be read of them
  std::vector<Gap> gaps;
};

Placing ExplainPlacing(const vendor::Registry& registry, const PlacingFacts& facts);

// "no-room", as --json prints it.
std::string PlacingVerdictName(PlacingVerdict verdict);

// The first line: "Pod default/train asks for devices, and no node has room for them."
std::string PlacingHeadline(const std::string& pod, const Placing& placing);

}  // namespace hami::explain
