// SPDX-License-Identifier: Apache-2.0
//
// Memory, a pool and an event that a second process opens. That one is forked before the driver is
// used; what it says is said by the first one when it has ended, so that the order of lines is
// always the same.

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <iostream>

#include "tests/tenant/families/calls.h"

namespace hami::families {
namespace {

constexpr int kFloats = 1 << 20;

int to_peer = -1;    // a socket
int from_peer = -1;  // the peer's standard output
pid_t peer = -1;

template <typename T>
void Give(int socket, const T& value) {
  if (send(socket, &value, sizeof(value), MSG_NOSIGNAL) != sizeof(value))
    Say("the other process is gone");
}
template <typename T>
T Take(int socket) {
  T value = {};
  if (read(socket, &value, sizeof(value)) != sizeof(value)) Say("the other process is gone");
  return value;
}

// CUipcEventHandle and CUmemPoolPtrExportData.
struct EventHandle {
  char reserved[64];
};
struct PointerData {
  unsigned char reserved[64];
};

struct Message {
  char byte = 0;
  iovec data = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = {};
  Message() {
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
  }
};

void GiveDescriptor(int socket, int fd) {
  Message message;
  cmsghdr* first = CMSG_FIRSTHDR(&message.header);
  first->cmsg_level = SOL_SOCKET;
  first->cmsg_type = SCM_RIGHTS;
  first->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(first), &fd, sizeof(fd));
  if (sendmsg(socket, &message.header, MSG_NOSIGNAL) != 1) Say("the other process is gone");
}

int TakeDescriptor(int socket) {
  Message message;
  int fd = -1;
  if (recvmsg(socket, &message.header, 0) == 1 && CMSG_FIRSTHDR(&message.header) != nullptr) {
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message.header)), sizeof(fd));
  }
  return fd;
}

// What the peer does with the first process' pool and event.
void UsePoolAndEvent(int socket, const Kernels& kernels) {
  const auto event_handle = Take<EventHandle>(socket);
  const int fd = TakeDescriptor(socket);
  auto data = Take<PointerData>(socket);
  CUevent event = nullptr;
  CUmemoryPool pool = nullptr;
  CUdeviceptr memory = 0;
  CUdeviceptr none = 0;
  CUstream stream = NewStream();
  Call("cuIpcOpenEventHandle", &event, event_handle);
  Call("cuMemPoolImportFromShareableHandle", &pool,
       reinterpret_cast<void*>(static_cast<intptr_t>(fd)), CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
       0ULL);
  close(fd);
  Call("cuMemPoolImportPointer", &memory, pool, &data);
  Call("cuStreamWaitEvent", stream, event, 0U);
  kernels.Fill(memory, kFloats, stream);
  Call("cuStreamSynchronize", stream);
  Call("cuEventQuery", event);
  Call("cuMemAllocFromPoolAsync", &none, kMib, pool, stream);
  Memory("with the other's");
  Call("cuMemFreeAsync", memory, stream);
  Call("cuStreamSynchronize", stream);
  Call("cuEventDestroy_v2", event);
  Call("cuMemPoolDestroy", pool);
  Call("cuStreamDestroy_v2", stream);
}

// The pool and the event, as the first process makes them.
void SharePoolAndEvent(const Kernels& kernels) {
  CUmemPoolProps props = {};
  props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  props.handleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  props.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  CUmemoryPool pool = nullptr;
  CUdeviceptr memory = 0;
  CUevent event = nullptr;
  EventHandle event_handle = {};
  PointerData data = {};
  int fd = -1;
  CUstream stream = NewStream();
  Call("cuMemPoolCreate", &pool, static_cast<const CUmemPoolProps*>(&props));
  Call("cuMemAllocFromPoolAsync", &memory, 32 * kMib, pool, stream);
  kernels.Fill(memory, kFloats, stream);
  Call("cuEventCreate", &event,
       static_cast<unsigned>(CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS));
  Call("cuEventRecord", event, stream);
  Call("cuIpcGetEventHandle", &event_handle, event);
  Call("cuMemPoolExportToShareableHandle", static_cast<void*>(&fd), pool,
       CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0ULL);
  Call("cuMemPoolExportPointer", &data, memory);
  Give(to_peer, event_handle);
  GiveDescriptor(to_peer, fd);
  Give(to_peer, data);
  Take<char>(to_peer);
  close(fd);
  Call("cuMemFreeAsync", memory, stream);
  Call("cuStreamSynchronize", stream);
  Call("cuMemPoolDestroy", pool);
  Call("cuEventDestroy_v2", event);
  Call("cuStreamDestroy_v2", stream);
}

[[noreturn]] void RunPeer(int socket, const std::string& image, bool as_library) {
  const auto handle = Take<CUipcMemHandle>(socket);
  Enter();
  Kernels kernels;
  if (kernels.Load(image, as_library)) {
    CUdeviceptr memory = 0;
    kernels.Warm(nullptr);
    Call("cuIpcOpenMemHandle_v2", &memory, handle, 1U);
    kernels.Fill(memory, kFloats, nullptr);
    Call("cuMemsetD8_v2", memory, static_cast<unsigned char>(7), size_t{16});
    Call("cuCtxSynchronize");
    Give(socket, 'o');
    Take<char>(socket);
    Call("cuIpcCloseMemHandle", memory);
    Call("cuIpcCloseMemHandle", memory);
    UsePoolAndEvent(socket, kernels);
  }
  kernels.Unload();
  Call("cuDevicePrimaryCtxRelease_v2", CUdevice{0});
  Give(socket, 'e');
  _exit(0);
}

}  // namespace

void ForkPeer(const std::string& image, bool as_library) {
  int ends[2];
  int output[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || pipe(output) != 0) _exit(1);
  peer = fork();
  if (peer == 0) {
    dup2(output[1], STDOUT_FILENO);
    close(ends[0]);
    close(output[0]);
    close(output[1]);
    RunPeer(ends[1], image, as_library);
  }
  close(ends[1]);
  close(output[1]);
  to_peer = ends[0];
  from_peer = output[0];
}

void Ipc(const Kernels& kernels) {
  CUdeviceptr memory = 0;
  CUipcMemHandle handle = {};
  unsigned char byte = 0;
  kernels.Warm(nullptr);
  Call("cuMemAlloc_v2", &memory, 64 * kMib);
  kernels.Fill(memory, kFloats, nullptr);
  Call("cuIpcGetMemHandle", &handle, memory);
  Call("cuCtxSynchronize");
  Give(to_peer, handle);
  Take<char>(to_peer);
  Hold();
  Call("cuMemcpyDtoH_v2", static_cast<void*>(&byte), memory, size_t{1});
  Say("the other process wrote " + std::to_string(byte));
  Give(to_peer, 'g');
  SharePoolAndEvent(kernels);
  Memory("with one allocation");
  Call("cuMemFree_v2", memory);
  std::string said;
  char part[512];
  for (ssize_t got = 0; (got = read(from_peer, part, sizeof(part))) > 0;) {
    said.append(part, static_cast<size_t>(got));
  }
  waitpid(peer, nullptr, 0);
  std::cout << "the other process said:\n" << said << std::flush;
}

}  // namespace hami::families
