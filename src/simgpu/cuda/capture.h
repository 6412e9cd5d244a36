// SPDX-License-Identifier: Apache-2.0
//
// Stream capture: a stream that is captured queues nothing; what it is given becomes nodes of a
// graph. Other streams join by waiting for an event that was recorded in the capture.

#pragma once

#include "simgpu/cuda/graphs.h"

namespace hami::simgpu::cuda {

// A stream that takes part. Its leaves are what the next node will depend on.
struct Participant {
  Stream* stream;
  NodeList leaves;
  CUgraphEdgeData* edges;  // zeros, as many as leaves; made when asked for
  Participant* next;
};

// The leaves at the record of an event, where there was more than one.
struct Snapshot {
  const Event* event;
  NodeList leaves;
  Snapshot* next;
};

struct Capture {
  Stream* origin;
  Graph* graph;
  bool own_graph;  // made by the capture
  bool invalidated;
  CUstreamCaptureMode mode;
  uint64_t id;
  uint64_t thread;
  Participant* participants;
  Snapshot* snapshots;
  Capture* next;
};

// The captures going on, of the whole process.
Capture* FirstCapture();

CUresult BeginCapture(Stream* stream, Graph* graph, const NodeList& leaves,
                      CUstreamCaptureMode mode);
CUresult EndCapture(Stream* stream, Graph** graph);
Participant* ParticipantOf(const Stream& stream);
void Invalidate(Capture* capture);

// What a captured stream makes of work. INVALIDATED where the capture is broken.
CUresult CaptureOp(Stream& stream, const Op& op);
CUresult CaptureNode(Stream& stream, NodeType type, Node** node);
// Says more of the node that CaptureOp has just made: what each launch does to memory, or what the
// parameters of the kernel are. Nothing happens where the stream is not captured.
void KeepBlock(Stream& stream, const CopyParams& params);
void KeepCopy(Stream& stream, uint64_t to, uint64_t from, uint64_t bytes);
void KeepSet(Stream& stream, uint64_t to, uint32_t pattern, uint32_t width, uint64_t count);
void KeepArgs(Stream& stream, void** params, void** extra);
CUresult CaptureRecord(Stream& stream, Event& event);
// Also for a stream that is not captured and an event that is: the stream joins.
CUresult CaptureWait(Stream& stream, Event& event);

// True: the event was recorded last into a capture, ended or not, and can be neither queried nor
// waited for by the program.
bool IsCaptured(const Event& event);
// For who asks about a captured event: breaks its capture, if that is still going on (CUDA C++
// Programming Guide, "Prohibited and Unhandled Operations").
CUresult RefuseCaptured(const Event& event);

// The legacy stream would wait for the blocking streams: while one of them is captured its use
// breaks the capture. HasBlockingCapture only looks.
CUresult CheckLegacyUse(Context* context);
bool HasBlockingCapture(const Context* context);

// The stream goes away.
void AbandonCapture(Stream* stream);

}  // namespace hami::simgpu::cuda
