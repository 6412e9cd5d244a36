// SPDX-License-Identifier: Apache-2.0
//
// A request made ready for thousands of nodes: selectors resolved to models, quotas to what is
// left, conditions that a summary can answer. Valid while neither request nor index change.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "placement/index.h"
#include "placement/order.h"
#include "placement/reasons.h"
#include "placement/request.h"

namespace hami::placement {

// What one container asks of one vendor.
struct CompiledAsk {
  const vendor::Request* request = nullptr;
  const vendor::Spec* spec = nullptr;
  const Rule* rule = nullptr;                    // may be null
  const vendor::Selectors* selectors = nullptr;  // may be null
  domain::ContainerKind kind = domain::ContainerKind::kApp;
  uint16_t container = 0;
  bool last_of_container = false;
  bool whole = false;                   // all of a device's memory
  bool in_percent = true;               // cores
  std::optional<DeviceUse> fixed_need;  // where it is the same on every device
  bool by_id = false;                   // selectors name devices
  bool skips_cores = false;
  bool chooses_sets = false;
  bool scores_nodes = false;
  std::vector<bool> models;       // allowed, by model; empty: all
  std::vector<uint64_t> use_ids;  // hashes
};

// What a summary must show for a node to be worth a closer look.
struct Precheck {
  static constexpr int32_t kAnyCores = -2;  // they are counted otherwise
  const Summary* summaries = nullptr;       // by node
  const Rooms* rooms = nullptr;             // likewise
  uint64_t models = ~uint64_t{0};
  int32_t memory_mib = 0;
  int32_t cores = kAnyCores;
  int32_t pct = 0;
  uint16_t count = 1;
  uint8_t step = 0;  // StepOf(count)
  bool idle = false;
};

struct QuotaLeft {
  std::optional<int64_t> memory_mib;
  std::optional<int64_t> cores;
};

struct CompiledRequest {
  CompiledRequest(const ClusterIndex& index, const Request& request);
  void ReadQuotas(const NamespaceState* space);  // of the pod; may be null

  const ClusterIndex* index;
  const Request* request;
  DeviceOrder order;
  const PodState* own = nullptr;  // what the pod holds already; may be null
  std::vector<CompiledAsk> asks;  // by container
  std::vector<Precheck> prechecks;
  std::vector<vendor::VendorId> vendors;  // that are asked, each once
  bool possible = true;                   // some node has devices of each
  std::vector<QuotaLeft> quota;           // by vendor; empty: no limit anywhere
  bool scores_nodes = false;              // a rule has its say in the node's score
  bool chooses_sets = false;              // a rule, in sets of devices
  bool has_rules = false;
  bool asks_by_id = false;
  bool asks_across = false;  // cores of an unknown number of devices
};

// Whether the node could fit by its summaries. False is certain, true is not. Nothing of `own` may
// be on that node, and compiled.possible.
inline bool CouldFit(const CompiledRequest& compiled, uint32_t node) {
  for (const Precheck& check : compiled.prechecks) {
    const Summary& summary = check.summaries[node];
    if (summary.open == 0 || (summary.models & check.models) == 0) return false;
    // One GPU of instances may serve several times: only the best one tells.
    const size_t step = summary.mig ? 0 : check.step;
    if (!summary.mig && summary.open < check.count) return false;
    if (summary.free_memory_mib[step] < check.memory_mib) return false;
    if (summary.free_cores[step] < check.cores) return false;
    if (summary.free_pct[step] + 1 < check.pct) return false;
    if (check.idle && summary.idle < (summary.mig ? 1 : check.count)) return false;
  }
  return true;
}

// The same by what each device has left: memory and cores of the same devices, not of any two. For
// nodes that CouldFit.
inline bool HasRooms(const CompiledRequest& compiled, uint32_t node) {
  for (const Precheck& check : compiled.prechecks) {
    const Summary& summary = check.summaries[node];
    if (!summary.exact) continue;
    const Rooms& rooms = check.rooms[node];
    int count = 0;
    for (size_t i = 0; i < Rooms::kMost; ++i) {
      count += static_cast<int>(rooms.memory_mib[i] >= check.memory_mib) &
               static_cast<int>(rooms.cores[i] >= check.cores) &
               static_cast<int>(rooms.pct[i] + 1 >= check.pct);
    }
    if (count < (summary.mig ? 1 : int{check.count})) return false;
  }
  return true;
}

// Whether the node has the CPU and memory, where that is ours to check. `reason` if not.
bool NativeFits(const CompiledRequest& compiled, uint32_t node, Reason* reason);

// What a node's answer depends on besides the node and native resources, appended to the key.
// False: on more than that, and nothing may be kept.
bool AppendKind(const CompiledRequest& compiled, std::string* key);

}  // namespace hami::placement
