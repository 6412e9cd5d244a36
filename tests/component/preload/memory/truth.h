// SPDX-License-Identifier: Apache-2.0
//
// Two answers to the question how much memory a share has: what its region says is charged, and
// what the simulated driver has given to the processes. And a share with the simulation it lies
// on, as the tests of this folder use them.

#pragma once

#include <cstdint>
#include <string>

#include "simgpu/state/machine.h"
#include "tests/component/harness.h"

namespace hami::component {

// The charges of the slots whose owners live (a forked child counts), on device 0. What dead
// owners left is not counted: the next process of the share that looks frees it. 0 if no process
// has made the region yet.
uint64_t ChargedBytes(const Share& share);
// The total of a device, device 0 if not said, as reservations see it, dead owners included.
uint64_t TotalBytes(const Share& share, int device = 0);
// Allocations refused on device 0 since the region was made.
uint64_t RefusedCount(const Share& share);
// What the agent says of device 0: so much is held and charged nowhere.
void SetHiddenBytes(const Share& share, uint64_t bytes);

// Looks at a simulation's hardware.
class Observer {
 public:
  explicit Observer(const Simulation& simulation);
  ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  // Of all living processes on device 0. The tests here have one share per simulation.
  uint64_t UsedBytes() const;

 private:
  simgpu::Machine machine_;
};

// The context of the profile a10-550, and what memory comes in there.
inline constexpr uint64_t kMiB = uint64_t{1} << 20;
inline constexpr uint64_t kContextBytes = 254 * kMiB;
inline constexpr uint64_t kPageBytes = 2 * kMiB;

// A share that knows what a context costs, alone on its simulated GPU.
struct Tenant {
  explicit Tenant(const std::string& memory = "4Gi", const std::string& profile = "a10-550",
                  uint64_t context_bytes = kContextBytes);

  Running StartScript() const;
  uint64_t Charged() const { return ChargedBytes(share); }
  uint64_t Truth() const { return observer.UsedBytes(); }

  Simulation simulation;
  Share share;
  Observer observer;
  uint64_t limit_bytes;
};

// One line to a script and its answer without the newline.
std::string Ask(Running& script, const std::string& line);

}  // namespace hami::component
