// SPDX-License-Identifier: Apache-2.0
//
// A second process for cases about what processes share, and what both read and write of it.

#pragma once

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "tests/conformance/cases.h"

namespace hami::conformance {

// The other process, forked before either has used the driver; both talk over a socket.
class Peer {
 public:
  explicit Peer(void (*child)(int socket)) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      child(ends[1]);
      std::exit(0);
    }
    close(ends[1]);
    socket_ = ends[0];
  }
  int socket() const { return socket_; }
  void ExpectGood() const {
    int status = 0;
    close(socket_);
    CHECK(waitpid(pid_, &status, 0) == pid_);
    CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77));
  }
  void Kill() const {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
  int socket_ = -1;
};

template <typename T>
void Send(int socket, const T& value) {
  CHECK(write(socket, &value, sizeof(value)) == sizeof(value));
}
template <typename T>
T Receive(int socket) {
  T value = {};
  CHECK(read(socket, &value, sizeof(value)) == sizeof(value));
  return value;
}

inline void SendDescriptor(int socket, int fd) {
  char byte = 0;
  iovec data = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  CHECK(sendmsg(socket, &message, 0) == 1);
}

inline int ReceiveDescriptor(int socket) {
  char byte = 0;
  iovec data = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  CHECK(recvmsg(socket, &message, 0) == 1 && CMSG_FIRSTHDR(&message) != nullptr);
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
  return fd;
}

inline unsigned char ByteAt(CUdeviceptr address) {
  unsigned char byte = 0;
  OK("cuMemcpyDtoH_v2", static_cast<void*>(&byte), address, size_t{1});
  return byte;
}
inline void Fill(CUdeviceptr address, unsigned char value, size_t bytes) {
  OK("cuMemsetD8_v2", address, value, bytes);
  OK("cuCtxSynchronize");
}

}  // namespace hami::conformance
