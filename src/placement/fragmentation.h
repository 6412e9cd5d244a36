// SPDX-License-Identifier: Apache-2.0
//
// How much of a node's free devices will be lost to fragments, given what the cluster usually runs:
// the measure behind NodePolicy::kFragmentation. Learned from the pods that came and went, never
// from names of nodes, of devices or of pods, and never from the future. docs/adr/0020 says why it
// is so.
//
// Loss is made of two estimates, in whole devices:
//   static   the free share that a pod of the mix cannot use as the node is now (the fragmentation
//            of "Beware of Fragmentation", USENIX ATC 2023)
//   rollout  the free share that is left after a series of pods of the mix has been offered to the
//            node, over several fixed series: it sees CPU that many pods will need together
// While nobody leaves, nine parts of the first and one of the second. Where pods leave, what is
// free now is not filled up for good: the first alone, in which a pod counts as often as it asks
// for devices, since room for many is rare and comes back late.
//
// No clock, no I/O. One thread at a time: Loss keeps what it computed.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "placement/cluster.h"
#include "placement/pod_mix.h"
#include "vendor/device.h"

namespace hami::placement {

// Amounts of one device in ten-thousandths of the whole.
inline constexpr int32_t kWholeDevice = 10'000;

struct DeviceRoom {
  uint16_t vendor = 0;
  int32_t memory_total_mib = 0;
  int32_t memory = 0;  // free
  int32_t cores = 0;   // free
  bool idle = true;    // nothing is on it
};

// What a node has left. Devices that take nothing new are left out.
struct NodeRoom {
  int64_t cpu_milli = 0;
  std::vector<DeviceRoom> devices;
};

class Fragmentation {
 public:
  Fragmentation();

  void Observe(const PodShape& shape) { mix_.Observe(shape); }
  void ObserveDeparture() { mix_.ObserveDeparture(); }
  const PodMix& mix() const { return mix_; }
  // The cheap part of Loss.
  double StaticLoss(const NodeRoom& room);
  // All of it.
  double Loss(const NodeRoom& room);
  // Whether the cheap part is all of it.
  bool IsCheap() const { return mix_.turns_over(); }

  // What decides between nodes that lose about the same: how empty the node is, and where pods
  // leave its place in the order in which nodes were first used, 0 for the first and 1 for the
  // last. Who comes next then fills the first nodes up again, and the last ones fall idle as a
  // whole.
  double Leftover(const NodeRoom& room, double place) const;

 private:
  struct Entry {
    uint64_t key = 0;
    uint64_t check = 0;
    double loss = 0;
  };
  // The mix as devices of one size see it; most nodes have no other.
  struct FlatAsk {
    int32_t memory = 0;  // of the device, in ten-thousandths
    int32_t cores = 0;
    int32_t count = 0;  // 0: no device of this vendor
    bool alone = false;

    auto operator<=>(const FlatAsk&) const = default;
  };
  struct FlatPod {
    FlatAsk ask;
    int64_t cpu_milli = 0;
    bool is_native = false;  // wants no devices at all
  };
  // The pods of the mix that ask for the same, from the least CPU up.
  struct FlatGroup {
    FlatAsk ask;
    std::vector<int64_t> cpu_milli;
    std::vector<double> weight;  // of all pods up to that one
  };
  struct FlatMix {
    uint16_t vendor = 0;
    int32_t memory_total_mib = 0;
    std::vector<FlatPod> pods;  // as in typical_
    std::vector<FlatGroup> groups;
    double weight = 0;  // of all pods, also those that want no device
    int64_t least_cpu_milli = 0;
    int32_t least_memory = 0;
  };
  struct FlatRoom;
  // Null: devices differ, there are too many, or pods ask for several kinds of device.
  const FlatMix* Flatten(const NodeRoom& room, FlatRoom* flat);
  const FlatMix* FlatMixOf(uint16_t vendor, int32_t memory_total_mib);
  static double FlatStaticLoss(const FlatMix& mix, const FlatRoom& room);
  double FlatRollout(const FlatMix& mix, const FlatRoom& room) const;
  double Rollout(const NodeRoom& room);
  void Follow();  // a new version of the mix

  PodMix mix_;
  uint32_t followed_ = 0;            // version of the mix
  std::vector<TypicalPod> typical_;  // of that version
  bool is_flat_ = true;              // no pod of the mix asks for several kinds of device
  std::vector<FlatMix> flat_mixes_;
  std::vector<std::vector<uint16_t>> series_;  // of typical_
  std::vector<Entry> memo_;
};

// Free share of the room that a pod of the mix cannot use now, in whole devices.
double StaticLoss(std::span<const TypicalPod> typical, const NodeRoom& room);

DeviceRoom RoomOf(const vendor::Device& device, const DeviceUse& use);

// What of the device is free in every sense: the smaller of memory and cores.
inline int32_t FreeShare(const DeviceRoom& device) {
  return device.memory < device.cores ? device.memory : device.cores;
}

// What of a device of this size the ask takes, in ten-thousandths, rounded up.
int32_t MemoryShare(const DeviceAsk& ask, int32_t memory_total_mib);

// Takes the devices of the shape from the room, the fullest that fit first; false, and a room that
// is of no use any more, if they do not fit.
bool Take(const PodShape& shape, NodeRoom* room);

}  // namespace hami::placement
