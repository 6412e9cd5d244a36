// SPDX-License-Identifier: Apache-2.0

#include "tests/component/preload/history/holdings.h"

#include <algorithm>

namespace hami::component {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kSegmentBytes = 32 * kMiB;     // of the driver's pools
constexpr uint64_t kManagedGranuleBytes = 65536;  // in which managed memory is charged

uint64_t RoundUp(uint64_t bytes, uint64_t step) { return (bytes + step - 1) / step * step; }

// From a byte to more than there is. The middle is what programs use most.
uint64_t ChooseBytes(Random& random, uint64_t limit_bytes) {
  switch (random.Below(16)) {
    case 0:
    case 1:
    case 2:
      return 1 + random.Below(4096);
    case 3:
    case 4:
    case 5:
      return 1 + random.Below(2 * kMiB);
    case 6:
    case 7:
    case 8:
    case 9:
      return kMiB * (1 + random.Below(32));
    case 10:
    case 11:
      return 1 + random.Below(100 * kMiB);
    case 12:
    case 13:
      return 1 + random.Below(limit_bytes);
    case 14:
      return limit_bytes + random.Below(limit_bytes);
    default:
      return random.OneIn(4) ? uint64_t{1} << 62 : kMiB * random.Below(512);
  }
}

}  // namespace

std::string Call::Line() const {
  std::string line = verb;
  if (!name.empty()) line += " " + name;
  const bool sized = verb == "alloc" || verb == "pitch" || verb == "managed" || verb == "async" ||
                     verb == "create" || verb == "trim" || verb == "keep" || verb == "capture" ||
                     verb == "array" || verb == "mipmap";
  if (sized) line += " " + std::to_string(bytes);
  if (height != 0) line += " " + std::to_string(height);
  if (!other.empty()) line += " " + other;
  return line;
}

bool Holdings::Allocates(const Call& call) {
  return call.verb == "alloc" || call.verb == "pitch" || call.verb == "managed" ||
         call.verb == "async";
}

uint64_t Holdings::managed_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [address, block] : blocks_) {
    if (block.managed) bytes += RoundUp(block.bytes, kManagedGranuleBytes);
  }
  return bytes;
}

bool Holdings::has_context() const {
  if (current_.empty()) return false;
  const auto found = contexts_.find(current_.back());
  return found != contexts_.end() && found->second;
}

Call Holdings::Fresh(const std::string& verb) {
  return {.verb = verb, .name = verb.substr(0, 2) + std::to_string(++made_)};
}

Call Holdings::ChooseCall(Random& random, uint64_t limit_bytes) {
  // Without a context hardly anything works: usually make one.
  if (!has_context() && !random.OneIn(6)) return {.verb = "retain"};
  const uint64_t choice = random.Below(100);
  if (choice < 36) return ChooseMemory(random, limit_bytes);
  if (choice < 54) return ChoosePools(random, limit_bytes);
  if (choice < 70) return ChooseVmm(random, limit_bytes);
  if (choice < 76) return ChooseArrays(random);
  if (choice < 94) return ChooseGraphs(random, limit_bytes);
  return ChooseContext(random);
}

Call Holdings::ChooseMemory(Random& random, uint64_t limit_bytes) {
  // Any name that ever was: what lives, what was freed already, what never came to be.
  if (!addresses_.empty() && random.Below(100) < 42) {
    auto at = addresses_.begin();
    std::advance(at, random.Below(addresses_.size()));
    return {.verb = "free", .name = at->first};
  }
  Call call;
  switch (random.Below(6)) {
    case 0:
      call = Fresh("pitch");
      call.bytes = 1 + random.Below(8192);
      call.height = 1 + random.Below(8192);
      return call;
    case 1:
      call = Fresh("managed");
      break;
    case 2:
      return {.verb = "freeraw", .name = std::to_string(1 + random.Below(1 << 30))};
    default:
      call = Fresh("alloc");
      break;
  }
  call.bytes = ChooseBytes(random, limit_bytes);
  return call;
}

Call Holdings::ChoosePools(Random& random, uint64_t limit_bytes) {
  std::vector<std::string> pools;
  for (const auto& [name, bytes] : pools_) pools.push_back(name);
  const uint64_t choice = random.Below(100);
  if (choice < 40) {
    Call call = Fresh("async");
    call.bytes = ChooseBytes(random, limit_bytes);
    if (!pools.empty() && !random.OneIn(4)) call.other = random.Of(pools);
    return call;
  }
  if (choice < 65 && !addresses_.empty()) {
    auto at = addresses_.begin();
    std::advance(at, random.Below(addresses_.size()));
    return {.verb = "unasync", .name = at->first};
  }
  if (choice < 72) return {.verb = "sync"};
  if (choice < 80) return {.verb = "trim", .bytes = ChooseBytes(random, limit_bytes)};
  if (choice < 84) return {.verb = "keep", .bytes = ChooseBytes(random, limit_bytes)};
  if (choice < 92 && !pools.empty()) return {.verb = "unpool", .name = random.Of(pools)};
  return Fresh("pool");
}

Call Holdings::ChooseVmm(Random& random, uint64_t limit_bytes) {
  const uint64_t choice = random.Below(100);
  if (choice < 35 || handles_.empty()) {
    Call call = Fresh("create");
    call.bytes = ChooseBytes(random, limit_bytes);
    // The driver wants whole granules; others it refuses.
    if (!random.OneIn(6)) call.bytes = RoundUp(call.bytes, 2 * kMiB);
    return call;
  }
  if (choice < 55) {
    Call call = Fresh("map");
    call.other = random.Of(handles_);
    return call;
  }
  if (choice < 75 || mappings_.empty()) {
    return {.verb = "release", .name = random.Of(all_handles_)};
  }
  if (choice < 92) return {.verb = "unmap", .name = random.Of(mappings_)};
  Call call = Fresh("retainhandle");
  call.other = random.Of(mappings_);
  return call;
}

// Rows of 64 KiB, and more than a megabyte: how small arrays share pages the library only
// estimates.
Call Holdings::ChooseArrays(Random& random) {
  constexpr uint64_t kWidth = 4096;
  if (!arrays_.empty() && random.Below(100) < 40) {
    return {.verb = "unarray", .name = random.Of(arrays_)};
  }
  if (!mipmaps_.empty() && random.Below(100) < 30) {
    return {.verb = "unmipmap", .name = random.Of(mipmaps_)};
  }
  Call call = Fresh(random.OneIn(3) ? "mipmap" : "array");
  call.bytes = random.OneIn(16) ? 1 << 30 : kWidth;
  call.height = 24 + random.Below(random.OneIn(4) ? 30000 : 500);
  if (call.verb == "mipmap") call.other = std::to_string(1 + random.Below(5));
  return call;
}

Call Holdings::ChooseGraphs(Random& random, uint64_t limit_bytes) {
  if (!launched_memory_.empty() && !random.OneIn(3)) {
    return {.verb = "graphfree", .name = random.Of(launched_memory_)};
  }
  const uint64_t choice = random.Below(100);
  if (choice < 12 || graphs_.empty()) {
    Call call = Fresh(random.OneIn(3) ? "capture" : "graph");
    if (call.verb == "capture") call.bytes = ChooseBytes(random, limit_bytes);
    return call;
  }
  if (choice < 35) {
    const std::string memory = "m" + std::to_string(++made_);
    return {.verb = "takes",
            .name = random.Of(graphs_),
            .other = memory + " " + std::to_string(ChooseBytes(random, limit_bytes))};
  }
  if (choice < 47 || execs_.empty()) {
    Call call = Fresh("instantiate");
    // Half of them free what they took when they are launched again.
    call.other = random.Of(graphs_) + (random.OneIn(2) ? " 1" : " 0");
    return call;
  }
  if (choice < 80) return {.verb = "launch", .name = random.Of(execs_)};
  if (choice < 85) return {.verb = "upload", .name = random.Of(execs_)};
  if (choice < 92) return {.verb = "unexec", .name = random.Of(execs_)};
  return {.verb = "trimgraphs"};
}

Call Holdings::ChooseContext(Random& random) {
  // Not one below the top of the stack, nor one that is gone: the driver may make the next context
  // at the same address, and which of the two is current then only the driver knows.
  std::vector<std::string> explicit_ones;
  for (const auto& [name, lives] : contexts_) {
    const bool stacked = std::find(current_.begin(), current_.end(), name) != current_.end();
    const bool top = !current_.empty() && current_.back() == name;
    if (!name.empty() && lives && (top || !stacked)) explicit_ones.push_back(name);
  }
  const uint64_t choice = random.Below(100);
  if (choice < 30) return Fresh("ctx");
  if (choice < 55 && !explicit_ones.empty()) {
    return {.verb = "unctx", .name = random.Of(explicit_ones)};
  }
  if (choice < 75) return {.verb = "retain"};
  if (choice < 93) return {.verb = "unretain"};
  return {.verb = "reset"};
}

void Holdings::Learn(const Call& call, uint64_t address) {
  if (call.verb == "create") {
    handles_.push_back(call.name);
    all_handles_.push_back(call.name);
  } else if (call.verb == "retainhandle") {
    all_handles_.push_back(call.name);
  } else if (call.verb == "map") {
    mappings_.push_back(call.name);
  } else if (call.verb == "array") {
    arrays_.push_back(call.name);
  } else if (call.verb == "mipmap") {
    mipmaps_.push_back(call.name);
  } else if (call.verb == "graph" || call.verb == "capture") {
    graphs_.push_back(call.name);
  } else if (call.verb == "instantiate") {
    execs_.push_back(call.name);
    memory_of_[call.name] = memory_of_[call.other.substr(0, call.other.find(' '))];
  } else if (call.verb == "takes") {
    memory_of_[call.name].push_back(call.other.substr(0, call.other.find(' ')));
  } else if (call.verb == "launch") {
    for (const std::string& name : memory_of_[call.name]) launched_memory_.push_back(name);
  } else {
    LearnBlock(call, address);
    LearnContext(call);
    LearnPool(call);
  }
}

void Holdings::LearnBlock(const Call& call, uint64_t address) {
  if (Allocates(call)) {
    addresses_[call.name] = address;
    blocks_[address] = {call.bytes, call.verb == "managed", call.verb == "async", call.other,
                        current_.empty() ? "" : current_.back()};
  } else if (call.verb == "free" || call.verb == "unasync") {
    // By address: a name freed before may stand for what somebody else got there since.
    blocks_.erase(addresses_.at(call.name));
  }
}

void Holdings::LearnContext(const Call& call) {
  if (call.verb == "ctx") {
    contexts_[call.name] = true;
    current_.push_back(call.name);
  } else if (call.verb == "unctx") {
    if (!current_.empty() && current_.back() == call.name) current_.pop_back();
    LoseContext(call.name);
  } else if (call.verb == "retain") {
    contexts_[""] = true;
    ++primary_references_;
    if (!current_.empty()) current_.pop_back();
    current_.emplace_back();
  } else if (call.verb == "unretain") {
    if (--primary_references_ == 0) LoseContext("");
  } else if (call.verb == "reset") {
    primary_references_ = 0;
    LoseContext("");
  }
}

// The device's pools go with its primary context.
void Holdings::LoseContext(const std::string& context) {
  contexts_[context] = false;
  std::erase_if(blocks_, [&](const auto& entry) {
    const Block& block = entry.second;
    return block.pooled ? context.empty() : block.context == context;
  });
  if (context.empty()) pools_.clear();
}

void Holdings::LearnPool(const Call& call) {
  if (call.verb == "pool") {
    pools_[call.name] = 0;
  } else if (call.verb == "async" && !call.other.empty()) {
    pools_[call.other] += RoundUp(call.bytes, kSegmentBytes);
  } else if (call.verb == "unpool") {
    const bool in_use = std::any_of(blocks_.begin(), blocks_.end(), [&](const auto& entry) {
      return entry.second.pooled && entry.second.pool == call.name;
    });
    if (in_use) orphaned_bytes_ += pools_.at(call.name);
    pools_.erase(call.name);
  }
}

}  // namespace hami::component
