// SPDX-License-Identifier: Apache-2.0

#include "placement/fragmentation.h"

#include <algorithm>
#include <array>
#include <compare>
#include <functional>
#include <limits>
#include <map>
#include <utility>

namespace hami::placement {
namespace {

// Series of pods, and pods in each. Fewer are faster, and worse where CPU is scarce.
constexpr size_t kSeries = 32;
constexpr size_t kSeriesPods = 30;
constexpr double kRolloutShare = 0.1;

// Of the largest usual node: 128 CPUs and 8 devices.
constexpr double kLargestCpuMilli = 128'000;
constexpr double kLargestDevices = 8;

// What decides between nodes that lose about the same, in devices lost. Amounts that are equal but
// for rounding decide too, so that figures are repeated only with the same order of the sums.
constexpr double kLeftoverWeight = 0.1;
constexpr double kCpuWeightInTurnover = 0.025;
constexpr double kDevicesWeightInTurnover = 0.025;
constexpr double kPlaceWeightInTurnover = 0.02;

constexpr size_t kMemoEntries = size_t{1} << 15;

// Weyl's sequence through a mixer (splitmix64): the same on every machine.
uint64_t NextRandom(uint64_t* state) {
  *state += 0x9e3779b97f4a7c15U;
  uint64_t value = *state;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

uint64_t Mix(uint64_t hash, uint64_t value) {
  uint64_t state = hash ^ (value * 0xd6e8feb86659fd93U);
  return NextRandom(&state);
}

// Pods without devices may come to this node or go to any other: they count in every second series.
bool TakesNative(size_t series) { return series % 2 == 0; }

int64_t FreeTotal(const std::vector<DeviceRoom>& devices) {
  int64_t total = 0;
  for (const DeviceRoom& device : devices) total += FreeShare(device);
  return total;
}

int32_t CoresShare(const DeviceAsk& ask) { return ask.cores_pct * (kWholeDevice / 100); }

bool Fits(const DeviceAsk& ask, int32_t memory, const DeviceRoom& device) {
  if (device.vendor != ask.vendor || device.memory < memory) return false;
  if (device.cores < CoresShare(ask)) return false;
  return ask.cores_pct < 100 || device.idle;
}

bool TakeAsk(const DeviceAsk& ask, std::vector<DeviceRoom>* devices) {
  // One device serves one container once, as everywhere else.
  uint64_t taken = 0;
  for (int32_t i = 0; i < ask.count; ++i) {
    size_t best = devices->size();
    int32_t best_share = std::numeric_limits<int32_t>::max();
    for (size_t j = 0; j < devices->size(); ++j) {
      const DeviceRoom& device = (*devices)[j];
      if ((taken >> (j % 64) & 1) != 0) continue;
      if (!Fits(ask, MemoryShare(ask, device.memory_total_mib), device)) continue;
      const int32_t share = FreeShare(device);
      if (share >= best_share) continue;
      best = j;
      best_share = share;
    }
    if (best == devices->size()) return false;
    DeviceRoom& device = (*devices)[best];
    device.memory -= MemoryShare(ask, device.memory_total_mib);
    device.cores -= CoresShare(ask);
    device.idle = false;
    taken |= uint64_t{1} << (best % 64);
  }
  return true;
}

// What one typical pod cannot use of the room.
int64_t LostTo(const PodShape& shape, const NodeRoom& room, int64_t free) {
  if (shape.asks.empty() || room.cpu_milli < shape.cpu_milli) return free;
  if (shape.asks.size() > 1) {
    NodeRoom trial = room;
    if (!Take(shape, &trial)) return free;
  }
  int64_t lost = free;
  int32_t fitting = 0;
  for (const DeviceRoom& device : room.devices) {
    const bool fits = std::ranges::any_of(shape.asks, [&device](const DeviceAsk& ask) {
      return Fits(ask, MemoryShare(ask, device.memory_total_mib), device);
    });
    if (!fits) continue;
    lost -= FreeShare(device);
    ++fitting;
  }
  return shape.asks.size() == 1 && fitting < shape.asks.front().count ? free : lost;
}

}  // namespace

int32_t MemoryShare(const DeviceAsk& ask, int32_t memory_total_mib) {
  if (ask.memory_mib == 0) return ask.memory_pct * (kWholeDevice / 100);
  if (memory_total_mib <= 0) return kWholeDevice + 1;
  const int64_t share =
      (int64_t{ask.memory_mib} * kWholeDevice + memory_total_mib - 1) / memory_total_mib;
  return static_cast<int32_t>(std::min<int64_t>(share, kWholeDevice + 1));
}

bool Take(const PodShape& shape, NodeRoom* room) {
  if (room->cpu_milli < shape.cpu_milli) return false;
  room->cpu_milli -= shape.cpu_milli;
  return std::ranges::all_of(shape.asks,
                             [&](const DeviceAsk& ask) { return TakeAsk(ask, &room->devices); });
}

double StaticLoss(std::span<const TypicalPod> typical, const NodeRoom& room) {
  const int64_t free = FreeTotal(room.devices);
  if (free == 0) return 0;
  double loss = 0;
  for (const TypicalPod& pod : typical) {
    loss += pod.weight * static_cast<double>(LostTo(pod.shape, room, free));
  }
  return loss / kWholeDevice;
}

DeviceRoom RoomOf(const vendor::Device& device, const DeviceUse& use) {
  const auto free = [](int64_t used, int64_t all) {
    if (all <= 0) return int64_t{0};
    return std::clamp<int64_t>((all - used) * kWholeDevice / all, 0, kWholeDevice);
  };
  DeviceRoom room{.vendor = device.vendor,
                  .memory_total_mib = device.memory_mib,
                  .memory = static_cast<int32_t>(free(use.memory_mib, device.memory_mib)),
                  .cores = static_cast<int32_t>(free(use.cores, device.cores)),
                  .idle = use.slots == 0};
  if (use.slots >= device.slots) room.memory = room.cores = 0;
  return room;
}

Fragmentation::Fragmentation() : memo_(kMemoEntries) {}

struct Fragmentation::FlatRoom {
  static constexpr size_t kMost = 16;
  int64_t cpu_milli = 0;
  size_t size = 0;
  std::array<int32_t, kMost> memory;
  std::array<int32_t, kMost> cores;
  std::array<bool, kMost> idle;

  int32_t Share(size_t device) const { return std::min(memory[device], cores[device]); }
  int64_t Free() const {
    int64_t sum = 0;
    for (size_t i = 0; i < size; ++i) sum += Share(i);
    return sum;
  }
  bool Fits(const FlatAsk& ask, size_t device) const {
    return memory[device] >= ask.memory && cores[device] >= ask.cores &&
           (!ask.alone || idle[device]);
  }
  int32_t MostMemory() const {
    return size == 0 ? -1 : *std::max_element(memory.begin(), memory.begin() + size);
  }
  // Takes the fullest devices that fit; false, and nothing taken, if there are too few.
  bool Take(const FlatPod& pod);
  // Leaves out devices that no pod of the mix fits on; what they have free.
  int64_t Shrink(const FlatMix& mix);
};

bool Fragmentation::FlatRoom::Take(const FlatPod& pod) {
  uint32_t taken = 0;
  for (int32_t left = pod.ask.count; left > 0; --left) {
    size_t best = size;
    for (size_t i = 0; i < size; ++i) {
      if (!Fits(pod.ask, i) || (taken >> i & 1) != 0) continue;
      if (best == size || Share(i) < Share(best)) best = i;
    }
    if (best == size) return false;
    taken |= 1U << best;
  }
  for (size_t i = 0; i < size; ++i) {
    if ((taken >> i & 1) == 0) continue;
    memory[i] -= pod.ask.memory;
    cores[i] -= pod.ask.cores;
    idle[i] = false;
  }
  cpu_milli -= pod.cpu_milli;
  return true;
}

int64_t Fragmentation::FlatRoom::Shrink(const FlatMix& mix) {
  int64_t left_out = 0;
  size_t kept = 0;
  for (size_t i = 0; i < size; ++i) {
    if (memory[i] < mix.least_memory) {
      left_out += Share(i);
      continue;
    }
    memory[kept] = memory[i];
    cores[kept] = cores[i];
    idle[kept] = idle[i];
    ++kept;
  }
  size = kept;
  return left_out;
}

const Fragmentation::FlatMix* Fragmentation::Flatten(const NodeRoom& room, FlatRoom* flat) {
  if (!is_flat_ || room.devices.empty() || room.devices.size() > FlatRoom::kMost) return nullptr;
  const DeviceRoom& first = room.devices.front();
  flat->cpu_milli = room.cpu_milli;
  flat->size = room.devices.size();
  for (size_t i = 0; i < flat->size; ++i) {
    const DeviceRoom& device = room.devices[i];
    if (device.vendor != first.vendor || device.memory_total_mib != first.memory_total_mib) {
      return nullptr;
    }
    flat->memory[i] = device.memory;
    flat->cores[i] = device.cores;
    flat->idle[i] = device.idle;
  }
  return FlatMixOf(first.vendor, first.memory_total_mib);
}

const Fragmentation::FlatMix* Fragmentation::FlatMixOf(uint16_t vendor, int32_t memory_total_mib) {
  for (const FlatMix& mix : flat_mixes_) {
    if (mix.vendor == vendor && mix.memory_total_mib == memory_total_mib) return &mix;
  }
  FlatMix& mix = flat_mixes_.emplace_back();
  mix.vendor = vendor;
  mix.memory_total_mib = memory_total_mib;
  mix.least_cpu_milli = std::numeric_limits<int64_t>::max();
  mix.least_memory = std::numeric_limits<int32_t>::max();
  std::map<FlatAsk, std::map<int64_t, double>> groups;  // weight by CPU
  for (const TypicalPod& typical : typical_) {
    FlatPod& pod = mix.pods.emplace_back();
    pod.cpu_milli = typical.shape.cpu_milli;
    pod.is_native = typical.shape.asks.empty();
    mix.weight += typical.weight;
    if (typical.shape.asks.empty() || typical.shape.asks[0].vendor != vendor) continue;
    const DeviceAsk& ask = typical.shape.asks[0];
    pod.ask = {.memory = MemoryShare(ask, memory_total_mib),
               .cores = CoresShare(ask),
               .count = ask.count,
               .alone = ask.cores_pct >= 100};
    groups[pod.ask][pod.cpu_milli] += typical.weight;
    mix.least_cpu_milli = std::min(mix.least_cpu_milli, pod.cpu_milli);
    mix.least_memory = std::min(mix.least_memory, pod.ask.memory);
  }
  for (const auto& [ask, by_cpu] : groups) {
    FlatGroup& group = mix.groups.emplace_back();
    group.ask = ask;
    double sum = 0;
    for (const auto& [cpu_milli, weight] : by_cpu) {
      group.cpu_milli.push_back(cpu_milli);
      group.weight.push_back(sum += weight);
    }
  }
  return &mix;
}

double Fragmentation::FlatStaticLoss(const FlatMix& mix, const FlatRoom& room) {
  double used = 0;  // what pods of the mix can use
  for (const FlatGroup& group : mix.groups) {
    const auto above = std::ranges::upper_bound(group.cpu_milli, room.cpu_milli);
    if (above == group.cpu_milli.begin()) continue;
    int32_t fitting = 0;
    int64_t usable = 0;
    for (size_t i = 0; i < room.size; ++i) {
      const bool fits = room.Fits(group.ask, i);
      fitting += fits ? 1 : 0;
      usable += fits ? room.Share(i) : 0;
    }
    if (fitting < group.ask.count) continue;
    used += group.weight[static_cast<size_t>(above - group.cpu_milli.begin()) - 1] *
            static_cast<double>(usable);
  }
  return (mix.weight * static_cast<double>(room.Free()) - used) / kWholeDevice;
}

double Fragmentation::FlatRollout(const FlatMix& mix, const FlatRoom& room) const {
  FlatRoom shrunk = room;
  int64_t left = shrunk.Shrink(mix) * static_cast<int64_t>(series_.size());
  if (shrunk.size == 0) return static_cast<double>(left) / kWholeDevice / kSeries;
  for (size_t i = 0; i < series_.size(); ++i) {
    FlatRoom trial = shrunk;
    int32_t most = trial.MostMemory();
    for (const uint16_t number : series_[i]) {
      const FlatPod& pod = mix.pods[number];
      if (trial.cpu_milli < pod.cpu_milli) continue;
      if (pod.is_native && TakesNative(i)) trial.cpu_milli -= pod.cpu_milli;
      if (pod.ask.count == 0 || pod.ask.memory > most || !trial.Take(pod)) continue;
      most = trial.MostMemory();
      if (most < mix.least_memory || trial.cpu_milli < mix.least_cpu_milli) break;
    }
    left += trial.Free();
  }
  return static_cast<double>(left) / kWholeDevice / kSeries;
}

// Every place of the series holds each shape as often as the mix has it, in an order of its own:
// few series then say what many drawn freely would.
void Fragmentation::Follow() {
  if (followed_ == mix_.version()) return;
  typical_ = mix_.typical();
  const std::vector<TypicalPod>& typical = typical_;
  series_.assign(kSeries, std::vector<uint16_t>(kSeriesPods));
  uint64_t random = 1;
  for (size_t place = 0; place < kSeriesPods; ++place) {
    const double start = static_cast<double>(NextRandom(&random) >> 11) * 0x1p-53;
    std::array<uint16_t, kSeries> column{};
    double below = 0;
    size_t shape = 0;
    for (size_t i = 0; i < kSeries; ++i) {
      const double at = (static_cast<double>(i) + start) / kSeries;
      while (shape + 1 < typical.size() && below + typical[shape].weight <= at) {
        below += typical[shape++].weight;
      }
      column[i] = static_cast<uint16_t>(shape);
    }
    for (size_t i = kSeries - 1; i > 0; --i) {
      std::swap(column[i], column[NextRandom(&random) % (i + 1)]);
    }
    for (size_t i = 0; i < kSeries; ++i) series_[i][place] = column[i];
  }
  followed_ = mix_.version();
  flat_mixes_.clear();
  is_flat_ = std::ranges::all_of(typical,
                                 [](const TypicalPod& pod) { return pod.shape.asks.size() <= 1; });
  std::ranges::fill(memo_, Entry{});
}

double Fragmentation::StaticLoss(const NodeRoom& room) {
  Follow();
  FlatRoom flat;
  const FlatMix* const mix = Flatten(room, &flat);
  return mix != nullptr ? FlatStaticLoss(*mix, flat) : placement::StaticLoss(typical_, room);
}

double Fragmentation::Rollout(const NodeRoom& room) {
  FlatRoom flat;
  if (const FlatMix* const mix = Flatten(room, &flat)) return FlatRollout(*mix, flat);
  int64_t left = 0;
  NodeRoom trial;
  for (size_t i = 0; i < series_.size(); ++i) {
    trial = room;
    int64_t free = FreeTotal(room.devices);
    for (const uint16_t number : series_[i]) {
      const PodShape& shape = typical_[number].shape;
      if (trial.cpu_milli < shape.cpu_milli) continue;
      if (shape.asks.empty()) {
        if (TakesNative(i)) trial.cpu_milli -= shape.cpu_milli;
        continue;
      }
      if (shape.asks.size() > 1 || shape.asks.front().count > 1) {
        NodeRoom after = trial;
        if (!Take(shape, &after)) continue;
        std::swap(trial, after);
      } else if (TakeAsk(shape.asks.front(), &trial.devices)) {
        trial.cpu_milli -= shape.cpu_milli;
      } else {
        continue;
      }
      free = FreeTotal(trial.devices);
      if (free == 0) break;
    }
    left += free;
  }
  return static_cast<double>(left) / kWholeDevice / kSeries;
}

double Fragmentation::Loss(const NodeRoom& room) {
  Follow();
  if (typical_.empty() || FreeTotal(room.devices) == 0) return 0;
  if (IsCheap()) return StaticLoss(room);
  // The sum over devices does not depend on their order, as the loss does not.
  uint64_t sum = 0;
  uint64_t check = 0;
  for (const DeviceRoom& device : room.devices) {
    uint64_t hash = Mix(device.vendor, static_cast<uint64_t>(device.memory_total_mib));
    hash = Mix(hash, static_cast<uint64_t>(device.memory) << 32 |
                         static_cast<uint64_t>(device.cores) << 1 | (device.idle ? 1U : 0U));
    sum += hash;
    check += Mix(hash, 7);
  }
  const uint64_t key = Mix(sum, static_cast<uint64_t>(room.cpu_milli)) | 1;
  check = Mix(check, static_cast<uint64_t>(room.cpu_milli));
  Entry& entry = memo_[key % kMemoEntries];
  if (entry.key != key || entry.check != check) {
    entry = {key, check, (1 - kRolloutShare) * StaticLoss(room) + kRolloutShare * Rollout(room)};
  }
  return entry.loss;
}

double Fragmentation::Leftover(const NodeRoom& room, double place) const {
  const double devices = static_cast<double>(FreeTotal(room.devices)) / kWholeDevice;
  if (!mix_.turns_over()) {
    return kLeftoverWeight * 0.5 *
           (static_cast<double>(room.cpu_milli) / kLargestCpuMilli + devices / kLargestDevices);
  }
  return kCpuWeightInTurnover * static_cast<double>(room.cpu_milli) / kLargestCpuMilli +
         kDevicesWeightInTurnover * devices / kLargestDevices + kPlaceWeightInTurnover * place;
}

}  // namespace hami::placement
