// SPDX-License-Identifier: Apache-2.0
//
// The shared state of a simulated machine: one sparse file that every process and container maps.
// It is the simulation's hardware: who is attached, what memory is taken, what work is pending.
//
// Rules that make it survive a SIGKILL of any process at any instruction:
//   - everything but the lock word is read and written under the lock (lock.h);
//   - a total is always the sum of per-client records, so whoever takes over the lock of a dead
//     owner computes the totals again (Repair in machine.h; machine_test kills owners);
//   - a queue is two counters and a ring, so a half-done step leaves it as before or after;
//   - a client exists as long as somebody holds the lock on its byte behind the end of the file:
//     the process, or a forked child that inherited it. Nobody trusts PIDs.

#pragma once

#include <stdint.h>

#include "simgpu/state/config.h"

namespace hami::simgpu {

inline constexpr uint64_t kStateMagic = 0x31656e6968636d53;  // "Smchine1", little endian
inline constexpr uint32_t kStateVersion = 6;

inline constexpr uint32_t kMaxClients = 1024;
inline constexpr uint32_t kMaxContexts = 256;  // with queues, on all devices together
inline constexpr uint32_t kMaxEventSlots = 65536;
inline constexpr uint32_t kMaxShared = 1024;
inline constexpr uint32_t kMaxSharedEvents = 1024;
inline constexpr uint32_t kSharedGenerations = 0xffffff;  // then they begin again
inline constexpr uint32_t kLanes = 32;
inline constexpr uint32_t kLaneItems = 512;  // a launch into a full lane waits

// Lanes of a context. Streams are spread over them; as on hardware with a bounded number of
// queues, streams of one lane wait for each other.
inline constexpr uint32_t kLegacyLane = 0;
inline constexpr uint32_t kFirstBlockingLane = 1;
inline constexpr uint32_t kFirstNonBlockingLane = 21;

// Lock bytes, far behind the end of the file (F_OFD_SETLK): one for each client, one for each
// process that takes the lock word (lock.h). A client's is inherited by forked children, an owner's
// is not.
inline constexpr int64_t kClientLockOffset = int64_t{1} << 40;
inline constexpr int64_t kOwnerLockOffset = kClientLockOffset + (int64_t{1} << 20);
inline constexpr int64_t kTakeoverLockOffset = kClientLockOffset + (int64_t{1} << 21);
inline constexpr int64_t kSharedLockOffset = kClientLockOffset + (int64_t{1} << 22);
inline constexpr uint32_t kMaxOwners = 4 * kMaxClients;
inline constexpr uint32_t kUnknownOwner = kMaxOwners;  // never judged dead

// Work of a client on a device within sampling periods, as NVML reports utilisation.
inline constexpr uint64_t kLoadPeriodNs = 1'000'000'000 / 6;
struct LoadWindow {
  uint64_t period;  // number of the period that busy_ns belongs to
  uint64_t busy_ns;
  uint64_t previous_ns;  // of period - 1
};

enum class WorkKind : uint32_t {
  kKernel,
  kCopyToDevice,
  kCopyToHost,
  kMark,  // an event is recorded: writes the time into an event slot
  kWait,  // for a place of another lane
};

// Position in a lane: everything up to and including the seq-th item. seq 0 is always reached.
struct Place {
  uint16_t context;
  uint16_t lane;
  uint32_t generation;  // of the context slot; a context that is gone has reached everything
  uint64_t seq;
};

struct WorkItem {
  uint64_t remaining_ns;
  uint64_t ready_ns;  // does not start before (CLOCK_MONOTONIC)
  uint64_t ticket;    // order of submission in the context
  WorkKind kind;
  uint32_t started : 1;
  uint32_t demand_q16 : 31;  // share of the multiprocessors, 65536 is all
  union {
    Place wait;
    struct {
      uint32_t slot;
      uint32_t record;
    } mark;
  };
};

struct Lane {
  uint64_t submitted;  // items ever
  uint64_t completed;
  uint64_t last_done_ns;
};

struct Context {
  uint32_t in_use;
  uint32_t generation;
  uint32_t client;
  uint32_t device;
  uint64_t next_ticket;
  uint32_t pending;  // bit per lane that is not empty
  uint32_t reserved;
  Lane lanes[kLanes];
};

struct ClientDevice {
  uint64_t used_bytes;
  uint64_t busy_ns;  // time in which work of this client ran, exact
  uint32_t contexts;
  uint32_t reserved;
  LoadWindow load;
};

struct Client {
  uint32_t in_use;
  uint32_t observer;  // attached to look (NVML), not to compute
  uint32_t generation;
  int32_t pid;             // as the process sees itself
  int32_t host_pid;        // of the outermost PID namespace that its /proc shows
  uint32_t pid_namespace;  // inode of the PID namespace in which `pid` counts; 0: not known
  uint64_t attached_ns;
  uint64_t dropped_content_bytes;  // writes to device memory beyond the cap
  ClientDevice devices[kMaxDevices];
};

// Physical memory that several processes may hold, counted apart from the clients' records. It is
// shown as one client's, its owner's; when that one lets go, as another's. An exported descriptor
// holds it too, by a lock on its byte behind the end of the file.
struct SharedMemory {
  uint32_t in_use;
  uint32_t generation;
  uint32_t device;
  uint32_t owner_plus_1;  // 0: only descriptors hold it
  uint64_t bytes;
  uint64_t holders[kMaxClients / 64];
};

// What a tester has asked for (faults.h). One store each, under the lock.
struct DeviceFaults {
  uint32_t lost;              // off the bus
  uint32_t failing_requests;  // so many requests for memory fail before one does not
  uint64_t slow_ns;           // every call that uses the device takes so much longer
  uint64_t ecc_corrected;     // errors, since the machine was made
  uint64_t ecc_uncorrected;
};

// Something that NVML's clients can wait for. Of a ring that only the newest are kept in.
inline constexpr uint32_t kDeviceEvents = 256;
struct DeviceEvent {
  uint64_t type;  // as NVML's nvmlEventType...
  uint64_t data;
  uint32_t device;
  uint32_t reserved;
};

struct Device {
  // Without what the driver reserves: the sum over clients and shared memory.
  uint64_t used_bytes;
  uint64_t used_high_bytes;  // the most that it ever was
  uint64_t now_ns;           // the timeline is computed up to here
  uint64_t slice_end_ns;
  uint64_t busy_ns;
  uint64_t switches;  // between contexts
  int32_t current;    // context that runs, -1: none
  uint32_t reserved;
  LoadWindow load;
  uint64_t active[kMaxContexts / 64];  // contexts with pending work
  DeviceFaults faults;
};

// Only events with timing have a slot. A record number of 0 is free.
struct EventSlot {
  uint32_t client_plus_1;
  uint32_t record;   // number of the newest record
  uint64_t done_ns;  // of that record; 0: not yet
};

// An event that other processes may open: where it was recorded last, by whomever. Its maker's:
// with it, or when it is destroyed, the entry is free.
struct SharedEvent {
  uint32_t client_plus_1;
  uint32_t client_generation;
  uint32_t generation;
  uint32_t reserved;
  Place place;  // seq 0: never recorded
};

struct Ring {
  WorkItem items[kLaneItems];
};

struct State {
  uint64_t magic;  // written last
  uint32_t version;
  uint32_t lock;  // 0: free; else the owner's number + 1, and kLockWaiters
  uint64_t bytes;
  uint64_t created_ns;  // CLOCK_MONOTONIC
  uint64_t created_wall_us;
  uint64_t repairs;       // how often a dead owner's lock was taken over
  uint64_t reaped;        // clients that died
  uint32_t clients_high;  // slots below were used
  uint32_t contexts_high;
  uint32_t event_hint;
  uint32_t shared_high;
  uint32_t driver_off;     // no process can begin to use the driver; who does has lost every device
  uint32_t faults_on;      // some device is lost or slow, or the driver off. Read without the lock,
                           // so that a machine without faults pays one load a call
  uint32_t event_bell;     // counts with events_raised; a futex for who waits
  uint64_t events_raised;  // ever; number n lies in device_events[n % kDeviceEvents]
  DeviceEvent device_events[kDeviceEvents];
  MachineConfig config;
  Device devices[kMaxDevices];
  Client clients[kMaxClients];
  EventSlot events[kMaxEventSlots];
  SharedEvent shared_events[kMaxSharedEvents];
  SharedMemory shared[kMaxShared];
  Context contexts[kMaxContexts];
  Ring rings[kMaxContexts][kLanes];
};

}  // namespace hami::simgpu
