// SPDX-License-Identifier: Apache-2.0
//
// Streams and events, and how work gets onto the device: every operation of the driver that takes
// device time is an Op, and Perform either queues it or, while the stream is captured, makes a
// graph node of it.

#pragma once

#include "simgpu/cuda/core.h"

namespace hami::simgpu::cuda {

struct Capture;
struct Function;
struct Node;

struct Stream : Object {
  static constexpr Kind kKind = Kind::kStream;
  uint32_t lane;
  unsigned flags;  // CU_STREAM_NON_BLOCKING is 1
  int priority;
  uint64_t id;
  uint64_t thread;  // of a per-thread default stream
  Capture* capture;
  struct Green* green;  // that it belongs to; nullptr: to the context as a whole
  bool detached;        // its green context is gone
};

struct Event : Object {
  static constexpr Kind kKind = Kind::kEvent;
  unsigned flags;
  int slot;                    // in the shared state; -1 without timing
  uint32_t shared_plus_1;      // its SharedEvent (ipc_events.h); 0: no other process' business
  uint32_t shared_generation;  // of that
  bool recorded;
  bool per_capture;  // recorded last into a capture
  Place place;
  Capture* capture;
  Node* node;  // what a wait for it depends on, in a capture
  uint64_t capture_id;
};

enum class OpKind : uint8_t {
  kEmpty,
  kKernel,
  kCopy,
  kSet,
  kRecord,
  kWait,
  kChild,
  kHost,
};

// What a stream calls on a thread of the driver (host_functions.cc).
using HostFunction = void(void* data);
using StreamCallback = void(CUstream stream, CUresult status, void* data);
struct HostWork {
  HostFunction* function;
  StreamCallback* callback;  // where there is no function
  CUstream stream;           // as the callback is told
  void* data;
};

struct KernelLaunch {
  Function* function;
  unsigned grid[3];
  unsigned block[3];
  unsigned shared_bytes;
};

struct Op {
  OpKind kind;
  WorkKind work;
  uint64_t ns;
  uint32_t demand_q16;
  KernelLaunch launch;
  Event* event;
  HostWork host;
};

// The stream that a handle means. nullptr: invalid handle. `per_thread`: a null handle is the
// per-thread default stream (functions whose names end in _ptsz or _ptds).
Stream* ResolveStream(Context* context, CUstream handle, bool per_thread);
// What is wrong with a handle for which there is no stream.
CUresult NoStream(CUstream handle);
Stream* NewStream(Context* context, struct Green* green, unsigned flags, int priority);

// Queues the operation or adds it to the capture. Waits, with the lock released, while the queue is
// full.
CUresult Perform(Entry& entry, Stream& stream, const Op& op);

// Without regard to captures.
void Queue(Entry& entry, Stream& stream, const Op& op);

Place EndOf(const Stream& stream);
// For what all streams of the current context have got so far.
void WaitForAllStreams(Entry& entry);
void WaitForAllStreams(Entry& entry, const Context& context);
CUresult RecordEvent(Entry& entry, Event& event, Stream& stream);
CUresult WaitEvent(Entry& entry, Stream& stream, Event& event);

// A call that a capture forbids (synchronisation, a query): breaks the captures that it touches and
// says so; CUDA_SUCCESS where nothing is captured. stream nullptr: it concerns the whole context.
CUresult CheckNotCaptured(Context* context, Stream* stream);
// Calls that may synchronise in secret, such as cuMemAlloc: forbidden to a thread while a capture
// in global mode is going on (CUDA manual, cuThreadExchangeStreamCaptureMode).
CUresult CheckUnsafeCall();

uint64_t CopyNs(const Context& context, uint64_t bytes, WorkKind kind);

}  // namespace hami::simgpu::cuda
