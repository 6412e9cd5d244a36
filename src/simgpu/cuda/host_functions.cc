// SPDX-License-Identifier: Apache-2.0
//
// A call is two items of the timeline: a mark, behind which it is due, and a wait that lasts until
// it has returned. Neither takes time of the device. The thread computes, as every caller does,
// what has happened until now, and sleeps until the next call can be due.
//
// Rules (CUDA manual, cuLaunchHostFunc): functions of the driver called from inside give
// CUDA_ERROR_NOT_PERMITTED. What was due in a context that is destroyed meanwhile is not called.

#include "simgpu/cuda/host_functions.h"

#include <pthread.h>
#include <signal.h>

#include "simgpu/cuda/capture.h"
#include "simgpu/cuda/graph_nodes.h"
#include "simgpu/cuda/item_event.h"
#include "simgpu/state/machine.h"
#include "simgpu/state/os.h"

// Weak: with a C library before 2.34 it is in another library, which programs with threads have
// loaded. The version that all of them have (tools/check_abi_floor.py).
#if defined(__x86_64__)
__asm__(".symver pthread_create, pthread_create@GLIBC_2.2.5");
#else
__asm__(".symver pthread_create, pthread_create@GLIBC_2.17");
#endif
#pragma weak pthread_create

namespace hami::simgpu::cuda {
namespace {

constexpr uint64_t kLongestSleepNs = 1'000'000'000;
constexpr uint64_t kShortestSleepNs = 20'000;
constexpr uint64_t kReapEveryNs = 100'000'000;

struct HostCall {
  HostWork work;
  Place due;   // when this is reached
  Place open;  // the wait that its return ends
  HostCall* next;
};
HostCall* first_call;
uint32_t pending;  // calls queued and not returned from; read without a lock
uint32_t bell;     // counts what is queued; a futex
int thread_of;     // the process that has the thread; 0: none

thread_local bool in_host_function;

// The first call that is due, out of the list. Else nullptr and when to look again.
HostCall* TakeDue(uint64_t* reaped_ns, uint64_t* until_ns) {
  State& state = *process.machine.state;
  LockGuard guard(process.machine);
  const uint64_t now_ns = os::NowNs();
  *until_ns = now_ns + kLongestSleepNs;
  AdvanceAll(state, now_ns);
  if (first_call != nullptr && now_ns - *reaped_ns > kReapEveryNs) {
    ReapDead(process.machine, state);
    *reaped_ns = now_ns;
  }
  for (HostCall** link = &first_call; *link != nullptr;) {
    HostCall* call = *link;
    if (!HasContext(call->open)) {
      *link = call->next;
      Deallocate(call);
      __atomic_sub_fetch(&pending, 1, __ATOMIC_RELAXED);
      continue;
    }
    if (IsReached(state, call->due)) {
      *link = call->next;
      return call;
    }
    const uint64_t reach_ns = EarliestReach(state, call->due, now_ns);
    if (reach_ns < *until_ns) *until_ns = reach_ns;
    link = &call->next;
  }
  return nullptr;
}

void Run(HostCall* call) {
  in_host_function = true;
  if (call->work.function != nullptr) {
    call->work.function(call->work.data);
  } else {
    call->work.callback(call->work.stream, CUDA_SUCCESS, call->work.data);
  }
  in_host_function = false;
  LockProcess();
  {
    LockGuard guard(process.machine);
    // What waits for the return does not begin before it.
    AdvanceAll(*process.machine.state, os::NowNs());
    SettleWait(call->open, {});
  }
  Deallocate(call);
  __atomic_sub_fetch(&pending, 1, __ATOMIC_RELAXED);
  UnlockProcess();
}

void* Serve(void*) {
  uint64_t reaped_ns = os::NowNs();
  while (true) {
    const uint32_t seen = __atomic_load_n(&bell, __ATOMIC_ACQUIRE);
    uint64_t until_ns = 0;
    LockProcess();
    HostCall* call = TakeDue(&reaped_ns, &until_ns);
    UnlockProcess();
    if (call != nullptr) {
      Run(call);
      continue;
    }
    const uint64_t now_ns = os::NowNs();
    const uint64_t sleep_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    os::FutexWait(&bell, seen, sleep_ns > kShortestSleepNs ? sleep_ns : kShortestSleepNs);
  }
}

}  // namespace

bool IsInHostFunction() { return in_host_function; }
bool HasHostWork() { return __atomic_load_n(&pending, __ATOMIC_RELAXED) != 0; }

bool HasHostThread() {
  if (thread_of == os::ProcessId()) return true;
  if (pthread_create == nullptr) return false;
  // The program's signals are for its own threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  pthread_t thread = {};
  const bool made = pthread_create(&thread, nullptr, Serve, nullptr) == 0;
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (made) thread_of = os::ProcessId();
  return made;
}

void QueueHost(Entry& entry, Stream& stream, const HostWork& work) {
  const Place due = QueueMark(entry, stream);
  if (!IsLive(&stream, Kind::kStream)) return;
  const Place open = QueueOpenWait(entry, stream);
  if (open.seq == 0) return;
  auto* call = static_cast<HostCall*>(AllocateZeroed(sizeof(HostCall)));
  *call = {work, due, open, nullptr};
  HostCall** link = &first_call;
  while (*link != nullptr) link = &(*link)->next;
  *link = call;
  __atomic_add_fetch(&pending, 1, __ATOMIC_RELAXED);
  __atomic_add_fetch(&bell, 1, __ATOMIC_RELEASE);
  os::FutexWake(&bell, 1);
}

}  // namespace hami::simgpu::cuda

using namespace hami::simgpu::cuda;  // NOLINT: the driver's functions follow

namespace {

constexpr unsigned kSpinWait = 1;  // the newest of the ways to wait

CUresult Launch(CUstream handle, const HostWork& work, bool per_thread, bool capturable) {
  HAMI_ENTER(Need::kContext);
  Stream* stream = ResolveStream(entry.context, handle, per_thread);
  if (stream == nullptr) return NoStream(handle);
  if (work.function == nullptr && work.callback == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!capturable && stream->capture != nullptr) {
    Invalidate(stream->capture);
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  if (!HasHostThread()) return CUDA_ERROR_NOT_SUPPORTED;
  Op op = {};
  op.kind = OpKind::kHost;
  op.work = hami::simgpu::WorkKind::kMark;
  op.host = work;
  return Perform(entry, *stream, op);
}

CUresult CallFunction(CUstream stream, HostFunction* function, void* data, bool per_thread) {
  return Launch(stream, {function, nullptr, nullptr, data}, per_thread, true);
}

CUresult CallBack(CUstream stream, StreamCallback* callback, void* data, unsigned flags,
                  bool per_thread) {
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  return Launch(stream, {nullptr, callback, stream, data}, per_thread, false);
}

}  // namespace

namespace hami::simgpu::cuda {

CUresult SetHost(Node* node, const void* params) {
  const auto* given = static_cast<const HostNodeParams*>(params);
  if (given == nullptr || given->function == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!HasHostThread()) return CUDA_ERROR_NOT_SUPPORTED;
  node->op = {};
  node->op.kind = OpKind::kHost;
  node->op.work = WorkKind::kMark;
  node->op.host = {given->function, nullptr, nullptr, given->data};
  return CUDA_SUCCESS;
}

}  // namespace hami::simgpu::cuda

HAMI_SIM_API CUresult cuLaunchHostFunc(CUstream s, HostFunction* function, void* data) {
  return CallFunction(s, function, data, false);
}
HAMI_SIM_API CUresult cuLaunchHostFunc_ptsz(CUstream s, HostFunction* function, void* data) {
  return CallFunction(s, function, data, true);
}
HAMI_SIM_API CUresult cuLaunchHostFunc_v2(CUstream s, HostFunction* function, void* data,
                                          unsigned int mode) {
  return mode > kSpinWait ? CUDA_ERROR_INVALID_VALUE : CallFunction(s, function, data, false);
}
HAMI_SIM_API CUresult cuLaunchHostFunc_v2_ptsz(CUstream s, HostFunction* function, void* data,
                                               unsigned int mode) {
  return mode > kSpinWait ? CUDA_ERROR_INVALID_VALUE : CallFunction(s, function, data, true);
}
HAMI_SIM_API CUresult cuStreamAddCallback(CUstream s, StreamCallback* callback, void* data,
                                          unsigned int flags) {
  return CallBack(s, callback, data, flags, false);
}
HAMI_SIM_API CUresult cuStreamAddCallback_ptsz(CUstream s, StreamCallback* callback, void* data,
                                               unsigned int flags) {
  return CallBack(s, callback, data, flags, true);
}

HAMI_SIM_API CUresult cuGraphAddHostNode(PLACE_PARAMETERS, const HostNodeParams* params) {
  return Add(PLACE, NodeType::kHost, [&](Entry&, Node* node) { return SetHost(node, params); });
}
HAMI_SIM_API CUresult cuGraphHostNodeGetParams(CUgraphNode handle, HostNodeParams* params) {
  return With(handle, NodeType::kHost, [&](Entry&, Node* node) {
    if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *params = {node->op.host.function, node->op.host.data};
    return CUDA_SUCCESS;
  });
}
HAMI_SIM_API CUresult cuGraphHostNodeSetParams(CUgraphNode handle, const HostNodeParams* params) {
  return With(handle, NodeType::kHost, [&](Entry&, Node* node) { return SetHost(node, params); });
}
