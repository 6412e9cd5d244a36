// SPDX-License-Identifier: Apache-2.0
//
// Memory that a second process opens. That one is forked before the driver is used; what it says
// is said by the first one when it has ended, so that the order of lines is always the same.

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
  Take<char>(to_peer);
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
