// SPDX-License-Identifier: Apache-2.0

#include "simgpu/cuda/capture.h"

#include "simgpu/state/layout.h"

namespace hami::simgpu::cuda {
namespace {

constexpr unsigned kNonBlocking = 1;

Capture* first_capture;
__thread CUstreamCaptureMode thread_mode;  // global from the start

Capture* CaptureOf(const Event& event) {
  if (!IsCaptured(event)) return nullptr;
  for (Capture* at = first_capture; at != nullptr; at = at->next) {
    if (at->id == event.capture_id) return at;
  }
  return nullptr;
}

Participant* Join(Capture* capture, Stream* stream) {
  auto* participant = static_cast<Participant*>(AllocateZeroed(sizeof(Participant)));
  participant->stream = stream;
  participant->next = capture->participants;
  capture->participants = participant;
  stream->capture = capture;
  return participant;
}

void FreeParticipant(Participant* participant) {
  participant->stream->capture = nullptr;
  Free(participant->leaves);
  Deallocate(participant->edges);
  Deallocate(participant);
}

Snapshot* FindSnapshot(const Capture* capture, const Event& event) {
  for (Snapshot* at = capture->snapshots; at != nullptr; at = at->next) {
    if (at->event == &event) return at;
  }
  return nullptr;
}

// Takes the capture out of the list and releases its streams. The graph stays.
void Close(Capture* capture) {
  Capture** link = &first_capture;
  while (*link != capture) link = &(*link)->next;
  *link = capture->next;
  --capture->graph->captures;
  while (capture->participants != nullptr) {
    Participant* participant = capture->participants;
    capture->participants = participant->next;
    FreeParticipant(participant);
  }
  while (capture->snapshots != nullptr) {
    Snapshot* snapshot = capture->snapshots;
    capture->snapshots = snapshot->next;
    Free(snapshot->leaves);
    Deallocate(snapshot);
  }
  Deallocate(capture);
}

void CloseWithGraph(Capture* capture) {
  Graph* graph = capture->own_graph ? capture->graph : nullptr;
  Close(capture);
  if (graph != nullptr) DestroyGraph(graph);
}

// Whether the origin has waited for all that the other streams were given.
bool IsJoined(const Capture* capture) {
  const uint64_t mark = NextMark();
  MarkAncestors(ParticipantOf(*capture->origin)->leaves, mark);
  for (Participant* at = capture->participants; at != nullptr; at = at->next) {
    for (uint32_t i = 0; i < at->leaves.count; ++i) {
      if (at->leaves.items[i]->mark != mark) return false;
    }
  }
  return true;
}

NodeType TypeOf(OpKind kind) {
  switch (kind) {
    case OpKind::kKernel:
      return NodeType::kKernel;
    case OpKind::kCopy:
      return NodeType::kCopy;
    case OpKind::kSet:
      return NodeType::kSet;
    case OpKind::kRecord:
      return NodeType::kRecord;
    case OpKind::kWait:
      return NodeType::kWait;
    case OpKind::kHost:
      return NodeType::kHost;
    default:
      return NodeType::kEmpty;
  }
}

void AddLeaves(Participant* participant, const Capture* capture, const Event& event) {
  const Snapshot* snapshot = FindSnapshot(capture, event);
  if (snapshot != nullptr) {
    for (uint32_t i = 0; i < snapshot->leaves.count; ++i) {
      Node* node = snapshot->leaves.items[i];
      if (!Contains(participant->leaves, node)) Append(participant->leaves, node);
    }
  } else if (event.node != nullptr && !Contains(participant->leaves, event.node)) {
    Append(participant->leaves, event.node);
  }
}

bool IsBlocking(const Participant& participant, const Context* context) {
  return participant.stream->owner == context && (participant.stream->flags & kNonBlocking) == 0;
}

}  // namespace

Capture* FirstCapture() { return first_capture; }

Participant* ParticipantOf(const Stream& stream) {
  if (stream.capture == nullptr) return nullptr;
  Participant* at = stream.capture->participants;
  while (at->stream != &stream) at = at->next;
  return at;
}

CUresult BeginCapture(Stream* stream, Graph* graph, const NodeList& leaves,
                      CUstreamCaptureMode mode) {
  if (stream->lane == kLegacyLane) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture != nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  auto* capture = static_cast<Capture*>(AllocateZeroed(sizeof(Capture)));
  capture->origin = stream;
  capture->own_graph = graph == nullptr;
  capture->graph = graph == nullptr ? NewGraph() : graph;
  capture->mode = mode;
  capture->id = ++process.next_id;
  capture->thread = ThreadId();
  capture->next = first_capture;
  first_capture = capture;
  ++capture->graph->captures;
  CopyList(Join(capture, stream)->leaves, leaves);
  return CUDA_SUCCESS;
}

CUresult BeginRecapture(Stream* stream, Graph* graph, CUstreamCaptureMode mode) {
  const CUresult result = BeginCapture(stream, graph, {}, mode);
  if (result == CUDA_SUCCESS) stream->capture->again = true;
  return result;
}

CUresult EndCapture(Stream* stream, Graph** graph) {
  *graph = nullptr;
  Capture* capture = stream->capture;
  if (capture == nullptr) return CUDA_ERROR_ILLEGAL_STATE;
  if (capture->origin != stream) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != ThreadId()) {
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  }
  const bool cut = capture->again && capture->matched != capture->graph->nodes.count;
  const CUresult result = capture->invalidated ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                          : cut                ? CUDA_ERROR_GRAPH_RECAPTURE_FAILURE
                          : !IsJoined(capture) ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED
                                               : CUDA_SUCCESS;
  if (result != CUDA_SUCCESS) {
    CloseWithGraph(capture);
    return result;
  }
  *graph = capture->graph;
  Close(capture);
  return CUDA_SUCCESS;
}

// The next node of a graph that is captured again; nullptr: it was another one.
Node* MatchNode(Capture& capture, NodeType type, const NodeList& leaves) {
  const NodeList& nodes = capture.graph->nodes;
  if (capture.matched == nodes.count) return nullptr;
  Node* node = nodes.items[capture.matched];
  if (node->type != type || node->dependencies.count != leaves.count) return nullptr;
  for (uint32_t i = 0; i < leaves.count; ++i) {
    if (!Contains(node->dependencies, leaves.items[i])) return nullptr;
  }
  ++capture.matched;
  return node;
}

void Invalidate(Capture* capture) { capture->invalidated = true; }

CUresult CaptureNode(Stream& stream, NodeType type, Node** node) {
  Capture* capture = stream.capture;
  if (capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  Participant* participant = ParticipantOf(stream);
  *node = capture->again ? MatchNode(*capture, type, participant->leaves)
                         : NewNode(capture->graph, type);
  if (*node == nullptr) {
    Invalidate(capture);
    return CUDA_ERROR_GRAPH_RECAPTURE_FAILURE;
  }
  CopyList((*node)->dependencies, participant->leaves);
  participant->leaves.count = 0;
  Append(participant->leaves, *node);
  return CUDA_SUCCESS;
}

CUresult CaptureOp(Stream& stream, const Op& op) {
  Node* node = nullptr;
  const CUresult result = CaptureNode(stream, TypeOf(op.kind), &node);
  if (result != CUDA_SUCCESS) return result;
  node->op = op;
  node->context = stream.owner;
  return CUDA_SUCCESS;
}

CUresult CaptureRecord(Stream& stream, Event& event) {
  Capture* capture = stream.capture;
  if (capture->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (event.owner != stream.owner) return CUDA_ERROR_INVALID_HANDLE;
  const NodeList& leaves = ParticipantOf(stream)->leaves;
  Snapshot* snapshot = FindSnapshot(capture, event);
  if (snapshot == nullptr && leaves.count > 1) {
    snapshot = static_cast<Snapshot*>(AllocateZeroed(sizeof(Snapshot)));
    snapshot->event = &event;
    snapshot->next = capture->snapshots;
    capture->snapshots = snapshot;
  }
  if (snapshot != nullptr) CopyList(snapshot->leaves, leaves);
  event.per_capture = true;
  event.capture = capture;
  event.capture_id = capture->id;
  event.node = leaves.count == 1 ? leaves.items[0] : nullptr;
  return CUDA_SUCCESS;
}

CUresult CaptureWait(Stream& stream, Event& event) {
  Capture* source = CaptureOf(event);
  Capture* own = stream.capture;
  if (own != nullptr && own->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (source == nullptr) {
    // Never recorded: nothing to wait for.
    if (!IsCaptured(event) && !event.recorded) return CUDA_SUCCESS;
    if (own != nullptr) Invalidate(own);
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  }
  if (own != nullptr && own != source) {
    Invalidate(own);
    Invalidate(source);
    return CUDA_ERROR_STREAM_CAPTURE_MERGE;
  }
  if (source->invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (stream.lane == kLegacyLane) {
    const CUresult implicit = CheckLegacyUse(stream.owner);
    Invalidate(source);
    return implicit != CUDA_SUCCESS ? implicit : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  Participant* participant = own == nullptr ? Join(source, &stream) : ParticipantOf(stream);
  AddLeaves(participant, source, event);
  return CUDA_SUCCESS;
}

// The pointer is only a mark: the capture may be over.
bool IsCaptured(const Event& event) { return event.capture != nullptr; }

CUresult RefuseCaptured(const Event& event) {
  if (Capture* capture = CaptureOf(event)) Invalidate(capture);
  return CUDA_ERROR_CAPTURED_EVENT;
}

bool HasBlockingCapture(const Context* context) {
  for (Capture* capture = first_capture; capture != nullptr; capture = capture->next) {
    for (Participant* at = capture->participants; at != nullptr; at = at->next) {
      if (IsBlocking(*at, context)) return true;
    }
  }
  return false;
}

CUresult CheckLegacyUse(Context* context) {
  CUresult result = CUDA_SUCCESS;
  for (Capture* capture = first_capture; capture != nullptr; capture = capture->next) {
    for (Participant* at = capture->participants; at != nullptr; at = at->next) {
      if (!IsBlocking(*at, context)) continue;
      Invalidate(capture);
      result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
  }
  return result;
}

CUresult CheckNotCaptured(Context* context, Stream* stream) {
  if (stream != nullptr) {
    if (stream->lane == kLegacyLane) return CheckLegacyUse(stream->owner);
    if (stream->capture == nullptr) return CUDA_SUCCESS;
    const bool broken = stream->capture->invalidated;
    Invalidate(stream->capture);
    return broken ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  CUresult result = CUDA_SUCCESS;
  for (Capture* capture = first_capture; capture != nullptr; capture = capture->next) {
    for (Participant* at = capture->participants; at != nullptr; at = at->next) {
      if (at->stream->owner != context) continue;
      Invalidate(capture);
      result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
  }
  return result;
}

CUresult CheckUnsafeCall() {
  if (thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_SUCCESS;
  CUresult result = CUDA_SUCCESS;
  for (Capture* capture = first_capture; capture != nullptr; capture = capture->next) {
    const bool own =
        capture->thread == ThreadId() && capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED;
    const bool other = thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
                       capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
    if (!own && !other) continue;
    Invalidate(capture);
    result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return result;
}

void AbandonCapture(Stream* stream) {
  Capture* capture = stream->capture;
  if (capture->origin == stream) return CloseWithGraph(capture);
  Invalidate(capture);
  Participant** link = &capture->participants;
  while ((*link)->stream != stream) link = &(*link)->next;
  Participant* gone = *link;
  *link = gone->next;
  FreeParticipant(gone);
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's function follows

HAMI_SIM_API CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  HAMI_ENTER(Need::kInit);
  if (mode == nullptr || *mode < CU_STREAM_CAPTURE_MODE_GLOBAL ||
      *mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const CUstreamCaptureMode old = thread_mode;
  thread_mode = *mode;
  *mode = old;
  return CUDA_SUCCESS;
}
