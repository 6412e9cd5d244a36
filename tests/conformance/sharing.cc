// SPDX-License-Identifier: Apache-2.0
//
// Memory that two processes use: handles of cuIpcGetMemHandle, descriptors of cuMemExportTo-
// ShareableHandle.

#include <unistd.h>

#include "tests/conformance/cases.h"
#include "tests/conformance/peer.h"

namespace hami::conformance {
namespace {

constexpr int kVmmSupported = 102;
constexpr int kDescriptorsSupported = 103;
constexpr unsigned kLazyPeerAccess = 1;

void OpenAndWrite(int socket) {
  Start();
  const auto handle = Receive<CUipcMemHandle>(socket);
  const size_t before = FreeBytes();
  CUdeviceptr memory = 0;
  OK("cuIpcOpenMemHandle_v2", &memory, handle, kLazyPeerAccess);
  CHECK(before - FreeBytes() < 64 * kMib);  // taken once, by the other
  CHECK(ByteAt(memory + 5) == 42);
  Fill(memory + 64 * kMib - 1, 43, 1);
  OK("cuIpcCloseMemHandle", memory);
  Send(socket, 'd');
}

CASE(ipc_memory, "Driver API, cuIpcOpenMemHandle: the same memory, in another process") {
  Symbol("cuIpcOpenMemHandle_v2");  // skips before 11.0, ahead of the other process
  const Peer peer(OpenAndWrite);
  Start();
  CUdeviceptr memory = 0;
  CUipcMemHandle handle = {};
  OK("cuMemAlloc_v2", &memory, 64 * kMib);
  Fill(memory, 42, 64 * kMib);
  GIVES(CUDA_ERROR_INVALID_VALUE, "cuIpcGetMemHandle", &handle, CUdeviceptr{4096});
  OK("cuIpcGetMemHandle", &handle, memory);
  Send(peer.socket(), handle);
  Receive<char>(peer.socket());
  CHECK(ByteAt(memory + 64 * kMib - 1) == 43);
  CHECK(ByteAt(memory) == 42);
  peer.ExpectGood();
  OK("cuMemFree_v2", memory);
}

void OpenTwo(int socket) {
  Start();
  const auto first = Receive<CUipcMemHandle>(socket);
  const auto second = Receive<CUipcMemHandle>(socket);
  CUdeviceptr a = 0;
  CUdeviceptr b = 0;
  OK("cuIpcOpenMemHandle_v2", &a, first, kLazyPeerAccess);
  OK("cuIpcOpenMemHandle_v2", &b, second, kLazyPeerAccess);
  CHECK(ByteAt(a) == 1 && ByteAt(b) == 2);
  Send(socket, 'd');
}

CASE(ipc_small_allocations, "Driver API, cuIpcGetMemHandle: also of what shares its page") {
  Symbol("cuIpcOpenMemHandle_v2");
  const Peer peer(OpenTwo);
  Start();
  CUdeviceptr memory[2] = {};
  for (unsigned char i = 0; i < 2; ++i) {
    CUipcMemHandle handle = {};
    OK("cuMemAlloc_v2", &memory[i], size_t{4096});
    Fill(memory[i], static_cast<unsigned char>(i + 1), 4096);
    OK("cuIpcGetMemHandle", &handle, memory[i]);
    Send(peer.socket(), handle);
  }
  Receive<char>(peer.socket());
  peer.ExpectGood();
}

CUmemAllocationProp Exportable() {
  CUmemAllocationProp props = {};
  props.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  return props;
}

CUdeviceptr Map(CUmemGenericAllocationHandle handle, size_t bytes) {
  CUdeviceptr address = 0;
  OK("cuMemAddressReserve", &address, bytes, size_t{0}, CUdeviceptr{0}, 0ULL);
  OK("cuMemMap", address, bytes, size_t{0}, handle, 0ULL);
  CUmemAccessDesc access = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  OK("cuMemSetAccess", address, bytes, static_cast<const CUmemAccessDesc*>(&access), size_t{1});
  return address;
}

void RequireDescriptors() {
  Start();
  if (Attribute(kVmmSupported) == 0 || Attribute(kDescriptorsSupported) == 0) {
    Skip("memory cannot be exported as a descriptor");
  }
}

int Export(size_t bytes, CUmemGenericAllocationHandle* handle) {
  const CUmemAllocationProp props = Exportable();
  OK("cuMemCreate", handle, bytes, &props, 0ULL);
  int fd = -1;
  OK("cuMemExportToShareableHandle", static_cast<void*>(&fd), *handle,
     CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0ULL);
  return fd;
}

CUmemGenericAllocationHandle Import(int fd) {
  CUmemGenericAllocationHandle handle = 0;
  OK("cuMemImportFromShareableHandle", &handle, reinterpret_cast<void*>(static_cast<intptr_t>(fd)),
     CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
  return handle;
}

constexpr size_t kSharedBytes = 32 * kMib;

void ImportAndWrite(int socket) {
  RequireDescriptors();
  const int fd = ReceiveDescriptor(socket);
  const size_t before = FreeBytes();
  const CUmemGenericAllocationHandle handle = Import(fd);
  close(fd);
  const CUdeviceptr memory = Map(handle, kSharedBytes);
  CHECK(before - FreeBytes() < kSharedBytes);
  CHECK(ByteAt(memory + 7) == 9);
  Fill(memory, 10, kMib);
  Send(socket, 'd');
  Receive<char>(socket);  // until the exporter has let go
  CHECK(ByteAt(memory) == 10);
  Send(socket, 'd');
  Receive<char>(socket);
}

CASE(export_descriptor,
     "Driver API, Virtual Memory Management: memory lives while anybody holds it") {
  const Peer peer(ImportAndWrite);
  RequireDescriptors();
  const size_t before = FreeBytes();
  CUmemGenericAllocationHandle handle = 0;
  const int fd = Export(kSharedBytes, &handle);
  const CUdeviceptr memory = Map(handle, kSharedBytes);
  Fill(memory, 9, kSharedBytes);
  SendDescriptor(peer.socket(), fd);
  close(fd);
  Receive<char>(peer.socket());
  CHECK(ByteAt(memory) == 10 && ByteAt(memory + kMib) == 9);
  OK("cuMemUnmap", memory, kSharedBytes);
  OK("cuMemRelease", handle);
  CHECK(before - FreeBytes() >= kSharedBytes);  // the other process holds it
  Send(peer.socket(), 'g');
  Receive<char>(peer.socket());
  peer.Kill();
  CHECK(FreeBytes() >= before);
}

CASE(export_descriptor_holds,
     "Driver API, cuMemExportToShareableHandle: a descriptor holds memory") {
  RequireDescriptors();
  const size_t before = FreeBytes();
  CUmemGenericAllocationHandle handle = 0;
  const int fd = Export(kSharedBytes, &handle);
  OK("cuMemRelease", handle);
  CHECK(before - FreeBytes() >= kSharedBytes);
  handle = Import(fd);
  close(fd);
  CHECK(before - FreeBytes() >= kSharedBytes);
  OK("cuMemRelease", handle);
  CHECK(FreeBytes() == before);
}

CASE(export_refused, "Driver API, cuMemExportToShareableHandle: only what was made for it") {
  RequireDescriptors();
  CUmemAllocationProp props = Exportable();
  props.requestedHandleTypes = CU_MEM_HANDLE_TYPE_NONE;
  CUmemGenericAllocationHandle handle = 0;
  OK("cuMemCreate", &handle, kSharedBytes, static_cast<const CUmemAllocationProp*>(&props), 0ULL);
  int fd = -1;
  CHECK(Cu("cuMemExportToShareableHandle", static_cast<void*>(&fd), handle,
           CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0ULL) != CUDA_SUCCESS);
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK(Cu("cuMemImportFromShareableHandle", &handle,
           reinterpret_cast<void*>(static_cast<intptr_t>(ends[0])),
           CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) != CUDA_SUCCESS);
}

}  // namespace
}  // namespace hami::conformance
