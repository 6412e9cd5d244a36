// SPDX-License-Identifier: Apache-2.0

#include "share/agent_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

#include "api/share/agent.h"
#include "base/file.h"

namespace hami::share {
namespace {

constexpr int kBacklog = 256;  // that many processes of a tenant may start at once

}  // namespace

Result<base::Fd> ListenForTenants(const std::string& share_folder) {
  base::Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return FailErrno("socket");
  // A socket's path has at most 107 bytes, a state folder's may be longer: go by a descriptor.
  ASSIGN_OR_RETURN(const base::Fd folder, base::OpenFile(share_folder, O_PATH | O_DIRECTORY));
  const std::string path = fmt::format("/proc/self/fd/{}/{}", folder.get(), api::kAgentSocket);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  if (bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return FailErrno("bind " + base::JoinPath(share_folder, api::kAgentSocket));
  }
  if (chmod(path.c_str(), 0666) != 0) return FailErrno("set mode of the agent's socket");
  if (listen(listener.get(), kBacklog) != 0) return FailErrno("listen");
  return listener;
}

void AnswerTenants(const base::Fd& listener) {
  for (;;) {
    const base::Fd peer(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!peer) return;
    ucred credentials = {};
    socklen_t length = sizeof(credentials);
    if (getsockopt(peer.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) continue;
    const api::AgentHello hello = {api::kAgentMagic, 1, credentials.pid, 0};
    // 16 bytes fit the buffer of a new connection; a peer that is gone already needs no answer.
    (void)send(peer.get(), &hello, sizeof(hello), MSG_NOSIGNAL);
  }
}

}  // namespace hami::share
