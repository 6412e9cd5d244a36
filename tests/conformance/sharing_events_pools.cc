// SPDX-License-Identifier: Apache-2.0
//
// Events that two processes use, and pools of another process.

#include "tests/conformance/peer.h"

namespace hami::conformance {
namespace {

constexpr int kIpcEvents = 125;
constexpr int kPoolHandles = 119;
constexpr unsigned kDisableTiming = 2;
constexpr unsigned kInterprocess = 4;
constexpr size_t kBytes = 32 * kMib;

// CUipcEventHandle and CUmemPoolPtrExportData.
struct EventHandle {
  char reserved[64];
};
struct PointerData {
  unsigned char reserved[64];
};

void RequireEvents() {
  Start();
  if (Attribute(kIpcEvents) == 0) Skip("no events of other processes");
}

CUevent Open(const EventHandle& handle) {
  CUevent event = nullptr;
  OK("cuIpcOpenEventHandle", &event, handle);
  return event;
}

// Waits on the device for the other's kernel, and says when it was over there.
void WaitForOther(int socket) {
  RequireEvents();
  CUevent event = Open(Receive<EventHandle>(socket));
  CUstream stream = NewStream(1);
  GIVES(CUDA_SUCCESS, "cuEventQuery", event);  // never recorded
  Send(socket, 'o');
  Receive<char>(socket);  // recorded now
  OK("cuStreamWaitEvent", stream, event, 0U);
  GIVES(CUDA_ERROR_NOT_READY, "cuEventQuery", event);
  GIVES(CUDA_ERROR_NOT_READY, "cuStreamQuery", stream);
  OK("cuStreamSynchronize", stream);
  GIVES(CUDA_SUCCESS, "cuEventQuery", event);
  Send(socket, 'd');
  // And the other way round.
  const Spinner spinner;
  spinner.Launch(stream, 100);
  OK("cuEventRecord", event, stream);
  Send(socket, 'r');
  Receive<char>(socket);
  OK("cuEventDestroy_v2", event);
}

CASE(ipc_events, "Driver API, cuIpcGetEventHandle, cuIpcOpenEventHandle: recorded and waited for") {
  const Peer peer(WaitForOther);
  RequireEvents();
  const Spinner spinner;
  CUstream stream = NewStream(1);
  CUevent event = nullptr;
  EventHandle handle = {};
  OK("cuEventCreate", &event, kDisableTiming | kInterprocess);
  OK("cuIpcGetEventHandle", &handle, event);
  Send(peer.socket(), handle);
  Receive<char>(peer.socket());
  spinner.Launch(stream, 500);
  OK("cuEventRecord", event, stream);
  Send(peer.socket(), 'r');
  Receive<char>(peer.socket());
  GIVES(CUDA_SUCCESS, "cuStreamQuery", stream);
  Receive<char>(peer.socket());
  GIVES(CUDA_ERROR_NOT_READY, "cuEventQuery", event);
  OK("cuEventSynchronize", event);
  Send(peer.socket(), 'e');
  peer.ExpectGood();
  OK("cuEventDestroy_v2", event);
}

CASE(ipc_events_refused, "Driver API, cuIpcGetEventHandle: only events made for it") {
  RequireEvents();
  CUevent event = nullptr;
  CUevent again = nullptr;
  EventHandle handle = {};
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuEventCreate", &event, kInterprocess);
  OK("cuEventCreate", &event, kDisableTiming);
  CHECK(Cu("cuIpcGetEventHandle", &handle, event) != CUDA_SUCCESS);
  OK("cuEventCreate", &event, kDisableTiming | kInterprocess);
  OK("cuIpcGetEventHandle", &handle, event);
  CHECK(Cu("cuIpcOpenEventHandle", &again, handle) != CUDA_SUCCESS);  // who made it has it
  CHECK(Cu("cuIpcOpenEventHandle", &again, EventHandle{}) != CUDA_SUCCESS);
}

void RecordAndDie(int socket) {
  RequireEvents();
  const Spinner spinner;
  CUevent event = nullptr;
  EventHandle handle = {};
  CUstream stream = NewStream(1);
  OK("cuEventCreate", &event, kDisableTiming | kInterprocess);
  OK("cuIpcGetEventHandle", &handle, event);
  spinner.Launch(stream, 60'000);
  OK("cuEventRecord", event, stream);
  Send(socket, handle);
  Receive<char>(socket);
}

CASE(ipc_events_of_the_dead, "Driver API, cuIpcOpenEventHandle: a death holds nobody up") {
  const Peer peer(RecordAndDie);
  RequireEvents();
  CUevent event = Open(Receive<EventHandle>(peer.socket()));
  CUstream stream = NewStream(1);
  OK("cuStreamWaitEvent", stream, event, 0U);
  GIVES(CUDA_ERROR_NOT_READY, "cuStreamQuery", stream);
  peer.Kill();
  OK("cuStreamSynchronize", stream);
}

void RequirePools() {
  Start();
  if ((Attribute(kPoolHandles) & CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) == 0) {
    Skip("pools cannot be exported as a descriptor");
  }
}

CUmemoryPool NewPool(CUmemAllocationHandleType handles) {
  CUmemoryPool pool = nullptr;
  CUmemPoolProps props = {};
  props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.handleTypes = handles;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  OK("cuMemPoolCreate", &pool, static_cast<const CUmemPoolProps*>(&props));
  return pool;
}

CUmemoryPool ImportPool(int fd) {
  CUmemoryPool pool = nullptr;
  OK("cuMemPoolImportFromShareableHandle", &pool,
     reinterpret_cast<void*>(static_cast<intptr_t>(fd)), CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
     0ULL);
  return pool;
}

void UseImported(int socket) {
  RequirePools();
  const int fd = ReceiveDescriptor(socket);
  CUmemoryPool pool = ImportPool(fd);
  close(fd);
  auto data = Receive<PointerData>(socket);
  auto small = Receive<PointerData>(socket);
  CUstream stream = NewStream(1);
  CUdeviceptr memory[2] = {};
  CUdeviceptr none = 0;
  const size_t before = FreeBytes();
  OK("cuMemPoolImportPointer", &memory[0], pool, &data);
  OK("cuMemPoolImportPointer", &memory[1], pool, &small);
  CHECK(before - FreeBytes() < kBytes);  // taken once, by the other
  CHECK(ByteAt(memory[0]) == 1 && ByteAt(memory[1]) == 2);
  Fill(memory[0] + kBytes - 1, 3, 1);
  // An imported pool gives out nothing of its own.
  CHECK(Cu("cuMemAllocFromPoolAsync", &none, kMib, pool, stream) != CUDA_SUCCESS);
  CHECK(Cu("cuDeviceSetMemPool", CUdevice{0}, pool) != CUDA_SUCCESS);
  OK("cuMemFree_v2", memory[0]);
  OK("cuMemFreeAsync", memory[1], stream);
  OK("cuStreamSynchronize", stream);
  OK("cuMemPoolDestroy", pool);
  Send(socket, 'd');
}

CASE(ipc_pools, "Driver API, cuMemPoolExportToShareableHandle, cuMemPoolImportPointer") {
  const Peer peer(UseImported);
  RequirePools();
  const size_t before = FreeBytes();
  CUmemoryPool pool = NewPool(CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
  CUstream stream = NewStream(1);
  CUdeviceptr memory[2] = {};
  PointerData data[2] = {};
  int fd = -1;
  OK("cuMemAllocFromPoolAsync", &memory[0], kBytes, pool, stream);
  OK("cuMemAllocFromPoolAsync", &memory[1], size_t{4096}, pool, stream);
  OK("cuStreamSynchronize", stream);
  Fill(memory[0], 1, kBytes);
  Fill(memory[1], 2, 4096);
  OK("cuMemPoolExportToShareableHandle", static_cast<void*>(&fd), pool,
     CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0ULL);
  SendDescriptor(peer.socket(), fd);
  close(fd);
  for (int i = 0; i < 2; ++i) {
    OK("cuMemPoolExportPointer", &data[i], memory[i]);
    Send(peer.socket(), data[i]);
  }
  Receive<char>(peer.socket());
  peer.ExpectGood();
  CHECK(ByteAt(memory[0] + kBytes - 1) == 3 && ByteAt(memory[0]) == 1);
  OK("cuMemFreeAsync", memory[0], stream);
  OK("cuMemFreeAsync", memory[1], stream);
  OK("cuStreamSynchronize", stream);
  OK("cuMemPoolDestroy", pool);
  CHECK(FreeBytes() >= before);  // the other's context has gone, too
}

CASE(ipc_pools_refused, "Driver API, cuMemPoolExportToShareableHandle: only of pools made for it") {
  RequirePools();
  CUmemoryPool pool = NewPool(CU_MEM_HANDLE_TYPE_NONE);
  CUstream stream = NewStream(1);
  CUdeviceptr memory = 0;
  PointerData data = {};
  int fd = -1;
  CHECK(Cu("cuMemPoolExportToShareableHandle", static_cast<void*>(&fd), pool,
           CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0ULL) != CUDA_SUCCESS);
  OK("cuMemAllocFromPoolAsync", &memory, kMib, pool, stream);
  CHECK(Cu("cuMemPoolExportPointer", &data, memory) != CUDA_SUCCESS);
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK(Cu("cuMemPoolImportFromShareableHandle", &pool,
           reinterpret_cast<void*>(static_cast<intptr_t>(ends[0])),
           CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0ULL) != CUDA_SUCCESS);
}

}  // namespace
}  // namespace hami::conformance
